"""Take the pictures of the documentation: a paper daemon of its own, and the dashboard in a browser.

    python -m tests.support.dashboard_pictures docs/images

They show one moment of a generated market and are not the same twice; look at them before they are kept.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from ops.api.roles import Role
from ops.artifacts import write_run
from tests.support.browser import Watched, browsing
from tests.support.command import DaemonProcess
from tests.support.data import ROOT
from tests.support.operators import make_tokens
from tests.support.runs import example_run

PACE = 450
FILLS = 14
SETTLE_MS = 12_000
PATIENCE_MS = 120_000
FIRST, SECOND = "example-1-2000", "example-2-2000"


def take(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        host, state_dir = paper_host(place), place / "var"
        state_dir.mkdir(mode=0o700)
        for seed in (1, 2):
            write_run(state_dir / "runs", example_run(2_000, seed))
        (token,), _ = make_tokens(state_dir, Role.OPERATOR)
        with DaemonProcess(host, state_dir, "--speed", PACE) as daemon, browsing() as browser:
            daemon.ready()
            daemon.until(lambda: _fills(daemon) >= FILLS)
            url: str = daemon.ask("dashboard").out.strip()
            page = _open(browser, url, 1280, 1000, "dark")
            page.screenshot(path=folder / "dashboard.png")
            _turn(page, "live", "#market .readout:text-matches('O [0-9].*C [0-9]')")
            page.wait_for_selector("#activity tbody tr")
            page.screenshot(path=folder / "dashboard-live.png")
            _turn(page, f"backtests/{FIRST}", ".curves-of-run .u-wrap")
            page.screenshot(path=folder / "dashboard-backtest.png")
            _turn(page, f"backtests/compare/{FIRST}/{SECOND}", "#page-backtests .u-wrap")
            page.screenshot(path=folder / "dashboard-compare.png")
            page.context.close()
            page = _open(browser, f"{url}#token={token}", 1280, 800, "light")
            _fill_in_kill(page)
            page.screenshot(path=folder / "dashboard-kill.png")
            page.click("dialog button[type=submit]")
            page.wait_for_selector("#verdict:has-text('Halted')")
            page.context.close()
            page = _open(browser, url, 390, 844, "dark")
            page.screenshot(path=folder / "dashboard-phone.png")
            daemon.stop()


def paper_host(place: Path) -> Path:
    """The host that comes with Argonaut, on a port that is free."""
    text = (ROOT / "configs" / "paper.toml").read_text()
    text = text.replace('"strategies/', f'"{ROOT}/configs/strategies/').replace('"../', f'"{ROOT}/')
    path = place / "paper.toml"
    path.write_text(text.replace("[api]\n", "[api]\nport = 0\n"))
    return path


def _fills(daemon: DaemonProcess) -> int:
    return int(daemon.ask("status", "--json").document()["records"]["fill"])


def _open(browser: Browser, url: str, width: int, height: int, scheme: Any) -> Page:
    shown = Watched(browser, url, viewport={"width": width, "height": height}, color_scheme=scheme)
    shown.page.set_default_timeout(PATIENCE_MS)
    shown.page.wait_for_selector("#strategies article")
    shown.page.wait_for_selector("#latest article")
    shown.page.wait_for_timeout(SETTLE_MS)
    return shown.page


def _turn(page: Page, where: str, sign: str) -> None:
    page.evaluate("(hash) => { location.hash = hash; }", f"#/{where}")
    page.wait_for_selector(sign)
    page.wait_for_timeout(1_000)


def _fill_in_kill(page: Page) -> None:
    page.click("#kill")
    page.check("input[value=flatten]")
    page.fill("#reason", "The feed disagrees with the exchange's own page")
    page.fill("#word", "FLATTEN")


if __name__ == "__main__":
    take(Path(sys.argv[1]))
