"""The whole paper daemon while clients ask it as fast as they are let: how late its trading loop runs."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.daemon_process import DaemonError, DaemonProcess, started
from benchmarks.figures import ROOT, Figure, report
from ops.loop_lag import KEPT_BEATS
from ops.state_lock import SOCKET

SECS = KEPT_BEATS / 10
"""Of each half, and before both: the daemon says how late it was over its newest minute, and the first has
the start in it."""
SPEED = 60
READY_SECS = 60.0


def measure() -> list[Figure]:
    """A daemon that trades, first left alone, then asked and listened to."""
    with tempfile.TemporaryDirectory() as name:
        try:
            calm, busy, answers = _measure(Path(name) / "state")
        except DaemonError as error:
            return [Figure("daemon's loop lag while clients ask", None, "ms", f"not measured: it {error}")]
    how = (
        f"`argonaut run configs/paper.toml --speed {SPEED}`, its own measure over {SECS:g} s each; 4 clients "
        f"got {answers / SECS:,.0f} answers a second, `/v1/decisions?limit=1000` and `/v1/status`, 2 listened"
    )
    return [
        Figure(
            f"daemon's loop lag while clients ask and listen, {name}",
            busy[f"lag_{name}_ms"],
            "ms",
            how,
            target,
            calm[f"lag_{name}_ms"],
            "nobody asks",
            is_absolute=True,
        )
        for name, target in (("p50", None), ("p99", 10.0), ("max", None))
    ]


def _measure(state_dir: Path) -> tuple[dict[str, Any], dict[str, Any], int]:
    with started(state_dir, "--speed", str(SPEED)) as daemon:
        daemon.wait_ready(READY_SECS)
        time.sleep(2.0 * SECS)
        calm = _lag(daemon)
        command = [sys.executable, "-m", "benchmarks.api", str(state_dir / SOCKET), str(SECS + 2.0), "daemon"]
        clients = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert clients.stdout is not None
        clients.stdout.readline()  # they are all there
        time.sleep(SECS)
        busy = _lag(daemon)
        told = json.loads(clients.stdout.read())
        clients.wait()
    return calm, busy, told["answers"]


def _lag(daemon: DaemonProcess) -> dict[str, Any]:
    lag: dict[str, Any] = daemon.status()["loop"]
    return lag


if __name__ == "__main__":
    report(measure)
