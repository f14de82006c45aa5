"""A backtest with tens of thousands of round trips in a real browser: how long until it can be used."""

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import QUICK, Figure, report
from tests.support.browser import browsing, chromium
from tests.support.command import DaemonProcess
from tests.support.dashboard_pictures import paper_host
from tests.support.recorded import CROWDED, FIRST, MANY, write_recorded

TIMES = 3 if QUICK else 15
TARGET_MS = 500.0
_PATIENCE_MS = 60_000

_OPEN = """
async ([hash, many]) => {
  const begun = performance.now();
  const root = document.querySelector("#page-backtests");
  const count = () => root.querySelector(".trades .readout")?.textContent ?? "";
  const rows = () => root.querySelectorAll(".trades tbody tr").length;
  const until = (is) => new Promise((done) => {
    const look = () => (is() ? done(performance.now() - begun) : setTimeout(look, 1));
    look();
  });
  const painted = () => new Promise((done) => {
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
  });
  location.hash = hash;
  await until(() => rows() > 5 && count().includes(`of ${many}`));
  const drawn = await painted();
  root.querySelectorAll(".trades .choice button")[1].click();
  const sifted = await painted();
  const whole = await until(() => !count().includes("loaded"));
  return { drawn, sifted, whole };
}
"""
"""Milliseconds until figures, charts and rows are drawn, until a filter has answered, until all is there."""


def measure() -> list[Figure]:
    """Open it from another backtest, again and again; the reader's process is up, the page is not."""
    if chromium() is None:
        return [Figure("backtest with 50,000 round trips", None, "ms", "not measured: no Chromium")]
    taken = _open_often()
    how = f"a real daemon at work, the system's Chromium; median of {TIMES} times, worst {{:,.0f}} ms"
    return [
        Figure(
            f"backtest with {MANY:,} round trips, {words}",
            median(one[name] for one in taken),
            "ms",
            how.format(max(one[name] for one in taken)),
            target,
        )
        for name, words, target in (
            ("drawn", "until it is drawn", TARGET_MS),
            ("sifted", "until a filter has answered", TARGET_MS),
            ("whole", "until the last is there", None),
        )
    ]


def _open_often() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        host, state_dir = paper_host(place), place / "var"
        state_dir.mkdir(mode=0o700)
        write_recorded(state_dir)
        with DaemonProcess(host, state_dir, "--speed", 60) as daemon, browsing() as browser:
            daemon.ready()
            page = browser.new_page()
            page.set_default_timeout(_PATIENCE_MS)
            page.goto(daemon.ask("dashboard").out.strip())
            taken = []
            for _ in range(TIMES + 1):  # the first starts the reader's process
                page.evaluate("(hash) => { location.hash = hash; }", f"#/backtests/{FIRST}")
                page.wait_for_selector("#page-backtests .curves-of-run .u-wrap")
                page.wait_for_timeout(500)
                taken.append(page.evaluate(_OPEN, [f"#/backtests/{CROWDED}", f"{MANY:,}"]))
            daemon.stop()
    return taken[1:]


if __name__ == "__main__":
    report(measure)
