"""The console script and the daemon, each in a process of its own."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support.data import ROOT

_PROGRAM = (sys.executable, "-m", "bot.cli.app")
_PATIENCE_SECS = 60.0
_POLL_SECS = 0.01


class Answer(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """The JSON document on standard output."""
        return json.loads(self.out)


def argonaut(*args: object, hash_seed: int | None = None) -> Answer:
    """Run one command to its end.

    Args:
        args: Its command line.
        hash_seed: Seed of Python's string hashes; None leaves it to chance.
    """
    changed = {} if hash_seed is None else {"PYTHONHASHSEED": str(hash_seed)}
    return _run(argonaut_command(*args), None, changed)


def argonaut_command(*args: object) -> list[str]:
    """The command line of the console script."""
    return [*_PROGRAM, *map(str, args)]


def run_script(script: Path, plan: Mapping[str, Any], hash_seed: int | None = None) -> Any:
    """Run a script of the tests that reads a plan from standard input and answers with JSON."""
    changed = {} if hash_seed is None else {"PYTHONHASHSEED": str(hash_seed)}
    answer = _run([sys.executable, str(script)], json.dumps(plan), changed)
    assert answer.code == 0, answer.err[-3000:]
    return answer.document()


def _run(command: Sequence[str], given: str | None, changed: dict[str, str]) -> Answer:
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        cwd=ROOT,
        env=environment() | changed,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def environment() -> dict[str, str]:
    """Of a process of ours: none of the settings of whoever runs the tests."""
    ours = {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return {key: value for key, value in os.environ.items() if not key.startswith("ARGONAUT_")} | ours


def free_port() -> int:
    """A loopback port that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def daemon_command(config: Path, state_dir: Path, *args: object) -> list[str]:
    """The command line of a daemon."""
    return argonaut_command("run", config, "--state-dir", state_dir, *args)


class DaemonProcess:
    """A daemon under test; killed at the end if it is still there.

    Args:
        config: Host file.
        state_dir: Made if absent.
        args: More of the command line.
        prepare: Called in the child before the program starts.
    """

    def __init__(
        self,
        config: Path,
        state_dir: Path,
        *args: object,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.state_dir = state_dir
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            daemon_command(config, state_dir, *args),
            stdout=self._out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment(),
            preexec_fn=prepare,  # noqa: PLW1509 - one thread, and a limit can be set nowhere else
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._said = os.pread(self._out.fileno(), 10_000_000, 0)
        self._out.close()

    @property
    def said(self) -> str:
        """What the daemon has printed so far."""
        # Read at a place: the position of the file is the daemon's too.
        said = os.pread(self._out.fileno(), 10_000_000, 0) if not self._out.closed else self._said
        return said.decode(errors="replace")

    def ready(self) -> float:
        """Wait until it is ready.

        Returns:
            Seconds since it was started.
        """
        self.until(lambda: "READY" in self.said)
        return time.monotonic() - self._started

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to become true while the daemon lives."""
        deadline = time.monotonic() + _PATIENCE_SECS
        while not condition():
            assert self.process.poll() is None, (
                f"the daemon ended with {self.process.returncode}: {self.said}"
            )
            assert time.monotonic() < deadline, f"waited in vain: {self.said}"
            time.sleep(_POLL_SECS)

    def pass_time(self, secs: float) -> None:
        """Let it run for a while, as what comes at no particular moment does."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(secs)

    def processor_secs(self) -> float:
        """Processor time that it has taken so far, on all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait(self, timeout: float = _PATIENCE_SECS) -> int:
        """Wait for its end.

        Returns:
            The exit code.
        """
        return self.process.wait(timeout)

    def ask(self, *args: object) -> Answer:
        """Run a command on its state directory."""
        return argonaut(*args, "--state-dir", self.state_dir)

    def stop(self, *args: object) -> Answer:
        """Stop it in order; a test that goes on is one whose daemon ended without a complaint."""
        answer = self.ask("stop", *args)
        assert answer.code == 0, f"{answer}\n{self.said}"
        return answer
