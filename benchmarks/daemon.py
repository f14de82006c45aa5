"""The paper daemon as `make run` starts it: how long until it is ready, how much memory it takes at rest."""

import tempfile
import time
from pathlib import Path

from benchmarks.daemon_process import DaemonError, started
from benchmarks.figures import QUICK, Figure, report, rss_mb

SETTLE_SECS = 5.0 if QUICK else 60.0
READY_SECS = 60.0
HOW = "`argonaut run configs/paper.toml --state-dir …`"


def measure() -> list[Figure]:
    """Start it on nothing, so that it makes its data; then once more on the data that is there."""
    figures = []
    with tempfile.TemporaryDirectory() as name:
        for label in ("first start, data made on the way", "start on the data that is there"):
            try:
                figures += _measure_start(Path(name), label)
            except DaemonError as error:
                figures.append(Figure(f"daemon, {label}", None, "s", f"not measured: the daemon {error}"))
    return figures


def _measure_start(directory: Path, label: str) -> list[Figure]:
    begun = time.monotonic()
    with started(directory / "state", "--catalog", str(directory / "catalog")) as daemon:
        daemon.wait_ready(READY_SECS)
        ready_secs = time.monotonic() - begun
        time.sleep(SETTLE_SECS)
        memory = rss_mb(daemon.pid)
    return [
        Figure(f"daemon to READY, {label}", ready_secs, "s", f"{HOW}; `status` says so", 10.0),
        Figure(f"daemon memory, {label}", memory, "MiB", f"{HOW}; RSS {SETTLE_SECS:g} s after READY", 300.0),
    ]


if __name__ == "__main__":
    report(measure)
