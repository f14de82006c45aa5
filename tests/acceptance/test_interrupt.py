"""Ctrl-C during a backtest: the engine and compiled code swallow it, we do not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.exit_codes import ExitCode
from tests.support.bots import write_bot


@pytest.mark.parametrize("library", ["nautilus_trader", "pyarrow"])
def test_backtest_that_is_interrupted_stops_and_writes_no_report(
    market: Path, tmp_path: Path, library: str
) -> None:
    host = write_bot(tmp_path, market, ("breakout", "wanderer"))
    command = [sys.executable, "-m", "bot.cli.app", "backtest", str(host), "--no-baselines"]
    state_dir = tmp_path / "var"
    process = subprocess.Popen(
        [*command, "--state-dir", str(state_dir)],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "."},
    )

    # From the moment that it maps the library on: importing, loading, or in the engine.
    while library not in Path(f"/proc/{process.pid}/maps").read_text() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.INTERRUPTED, err.decode()
    assert not list(state_dir.glob("runs/*"))
