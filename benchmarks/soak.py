"""The paper daemon at high speed for long: it must stay ready, keep deciding, and not grow.

``python -m benchmarks.soak --minutes 480`` (or ``make soak``). Prints a line a minute and one JSON document
at the end; exits 1 if the daemon ended, stood still or grew. Ctrl-C ends it early, with the verdict so far.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.daemon_process import READY, DaemonError, DaemonProcess, started
from benchmarks.figures import rss_mb
from benchmarks.scenario import write_catalog

READY_SECS = 60.0
WARM_FRAC = 0.2
"""Share of the run before memory counts: windows fill, histories reach their caps."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The daemon at one moment."""

    at_secs: float
    """Since READY."""
    rss_mb: float
    state: str
    trading_state: str
    decisions: int
    """Of all strategies."""
    bars: int
    """Of all feeds."""


def main() -> int:
    """Run, watch, judge."""
    options = _options()
    readings: list[Reading] = []
    problem = ""
    with tempfile.TemporaryDirectory() as name:
        catalog = Path(name) / "catalog"
        write_catalog(catalog, _days(options.minutes, options.speed))
        arguments = ["--speed", str(options.speed), "--catalog", str(catalog)]
        try:
            with started(Path(name) / "state", *arguments) as daemon:
                daemon.wait_ready(READY_SECS)
                _watch(daemon, readings, options.minutes * 60.0, options.every_secs)
                code = daemon.stop()
            if code != 0:
                problem = f"expected exit code 0 after SIGTERM, found {code}"
        except KeyboardInterrupt:
            print("soak: stopped early", file=sys.stderr)
        except DaemonError as error:
            problem = f"the daemon {error}"
    problem = problem or judge(readings, options.max_growth_mb)
    growth = growth_mb(readings)
    document: dict[str, Any] = {
        "is_good": not problem,
        "problem": problem,
        "growth_mb": growth,
        "growth_mb_per_hour": None if growth is None else growth / _hours_judged(readings),
        "readings": [asdict(reading) for reading in readings],
    }
    print(json.dumps(document, indent=2))
    return 1 if problem else 0


def _days(minutes: float, speed: float) -> int:
    """Days of market that last as long as the run, and some for the warm-up."""
    return math.ceil(minutes * 60.0 * speed / 86_400.0) + 3


def judge(readings: list[Reading], max_growth_mb: float) -> str:
    """What is wrong; empty where nothing is."""
    growth = growth_mb(readings)
    if growth is None:
        return f"expected at least 5 readings, found {len(readings)}; run it for longer"
    for reading in readings:
        if reading.state != READY:
            return f"expected {READY} throughout, found {reading.state} after {reading.at_secs:.0f} s"
        if reading.trading_state == "HALTED":
            return f"expected trading throughout, found HALTED after {reading.at_secs:.0f} s"
    middle = readings[len(readings) // 2]
    if not readings[0].decisions < middle.decisions < readings[-1].decisions:
        return f"expected decisions to go on, found {[reading.decisions for reading in readings]}"
    if growth > max_growth_mb:
        return f"expected at most {max_growth_mb:g} MiB of growth, found {growth:.1f}"
    return ""


def growth_mb(readings: list[Reading]) -> float | None:
    """Lowest of the last fifth of the readings less the lowest of the first fifth that counts; MiB."""
    counted = _counted(readings)
    fifth = len(counted) // 4
    if len(readings) < 5 or fifth == 0:
        return None
    lowest_late = min(reading.rss_mb for reading in counted[-fifth:])
    return lowest_late - min(reading.rss_mb for reading in counted[:fifth])


def _counted(readings: list[Reading]) -> list[Reading]:
    return readings[int(len(readings) * WARM_FRAC) :]


def _hours_judged(readings: list[Reading]) -> float:
    counted = _counted(readings)
    return max(counted[-1].at_secs - counted[0].at_secs, 1.0) / 3600.0


def _watch(daemon: DaemonProcess, readings: list[Reading], for_secs: float, every_secs: float) -> None:
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < for_secs:
        reading = _read(daemon, passed)
        readings.append(reading)
        print(
            f"{passed:7.0f} s  {reading.rss_mb:7.1f} MiB  {reading.state} {reading.trading_state}  "
            f"{reading.bars:,} bars  {reading.decisions:,} decisions",
            file=sys.stderr,
        )
        time.sleep(max(0.0, min(every_secs - (time.monotonic() - begun - passed), for_secs - passed)))


def _read(daemon: DaemonProcess, at_secs: float) -> Reading:
    status = daemon.status()
    return Reading(
        at_secs=at_secs,
        rss_mb=rss_mb(daemon.pid),
        state=str(status.get("state")),
        trading_state=str(status.get("trading_state")),
        decisions=sum(strategy["decisions"] for strategy in status.get("strategies", ())),
        bars=sum(feed["bars"] for feed in status.get("feeds", ())),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=480.0)
    parser.add_argument("--every-secs", type=float, default=60.0, help="between two readings")
    parser.add_argument("--speed", type=float, default=600.0, help="600 is ten bars a second and symbol")
    parser.add_argument("--max-growth-mb", type=float, default=20.0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
