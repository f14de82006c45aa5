"""Ctrl-C during a backtest: the engine swallows it, we do not."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from bot.exit_codes import ExitCode
from tests.support.bots import write_bot


def test_backtest_that_is_interrupted_stops_and_writes_no_report(market: Path, tmp_path: Path) -> None:
    host = write_bot(tmp_path, market, ("breakout", "wanderer"))
    command = [sys.executable, "-m", "bot.cli.app", "backtest", str(host), "--no-baselines"]
    state_dir = tmp_path / "var"
    process = subprocess.Popen(
        [*command, "--state-dir", str(state_dir)],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": "."},
    )

    # Wherever it is by then: loading, in the engine, or reporting.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == ExitCode.INTERRUPTED, err.decode()
    assert not list(state_dir.glob("runs/*"))
