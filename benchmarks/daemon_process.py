"""Starts the paper daemon as an operator would, asks it how it is, and stops it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import ROOT

ARGONAUT = (sys.executable, "-m", "bot.cli.app")
READY = "READY"
STOP_SECS = 60.0


class DaemonError(RuntimeError):
    """The daemon did not do what was asked of it; the measurement is worth nothing."""


class DaemonProcess:
    """One running daemon."""

    def __init__(self, process: subprocess.Popen[bytes], state_dir: Path, log: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._state_dir = state_dir
        self._log = log

    def status(self) -> dict[str, Any]:
        """What ``argonaut status --json`` says; a stopped daemon is an error.

        Raises:
            DaemonError: If the process has ended.
        """
        self._check_alive()
        command = [*ARGONAUT, "status", "--json", "--state-dir", str(self._state_dir)]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=30)
        document: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
        return document

    def wait_ready(self, timeout_secs: float) -> None:
        """Wait for its socket, then for the state READY.

        Raises:
            DaemonError: If it ends or does not become ready in time.
        """
        deadline = time.monotonic() + timeout_secs
        # Asking costs half a second of processor time, so the socket's appearance is waited for first.
        while not any(self._state_dir.glob("*.sock")) or self.status().get("state") != READY:
            self._check_alive()
            if time.monotonic() > deadline:
                raise DaemonError(f"not {READY} after {timeout_secs:g} s: {self._last_words()}")
            time.sleep(0.02)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise DaemonError(f"still running {STOP_SECS:g} s after SIGTERM: {self._last_words()}") from None

    def _check_alive(self) -> None:
        if self._process.poll() is not None:
            raise DaemonError(f"ended with exit code {self._process.returncode}: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@contextmanager
def started(state_dir: Path, *arguments: str) -> Iterator[DaemonProcess]:
    """Start ``argonaut run configs/paper.toml``; it is stopped on the way out.

    Args:
        state_dir: Fresh directory for its state.
        arguments: Further options of ``argonaut run``.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    log = state_dir / "console.log"
    command = [*ARGONAUT, "run", "configs/paper.toml", "--state-dir", str(state_dir), *arguments]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    daemon = DaemonProcess(process, state_dir, log)
    try:
        yield daemon
    finally:
        if process.poll() is None:
            daemon.stop()
