"""Watches over one process so that the trading loop need not: ``python -m ops.jobs.warden PLAN``.

It passes limits on, keeps a bounded log of what the process says, ends it with all that it started when its
time is up, and ends it when the daemon that asked for it is gone.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

TIMED_OUT = 124
"""Exit code where the time was up, as that of timeout(1)."""
BROKEN = 125
"""Exit code where the warden itself failed."""
NOT_STARTED = 127
"""Exit code where there was no such program, as that of a shell."""

_GRACE_SECS = 2.0
_CHUNK_BYTES = 65_536
_POLL_SECS = 0.5
_PR_SET_PDEATHSIG = 1
_OOM_FIRST = "1000"


class Plan(NamedTuple):
    """What is to be watched over."""

    command: list[str]
    log: str
    """File for what it says."""
    log_bytes: int
    timeout_secs: float
    memory_mib: int
    nice: int
    parent: int
    """Process whose end ends it."""


class BoundedLog:
    """A file of at most so many bytes: the beginning and the end of what was written, with a note between.

    Args:
        path: Made; a file that is there is replaced.
        limit_bytes: Never exceeded, also not while more is written.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._file = path.open("w+b", buffering=0)
        self._limit = limit_bytes
        self._head = self._tail = limit_bytes // 4
        self._size = self._left_out = 0

    def write(self, content: bytes) -> None:
        """Add what was said."""
        for at in range(0, len(content), self._tail):
            self._add(content[at : at + self._tail])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, piece: bytes) -> None:
        if self._size + len(piece) > self._limit:
            kept = os.pread(self._file.fileno(), self._tail, self._size - self._tail)
            self._left_out += self._size - self._head - len(kept) - (len(self._note) if self._left_out else 0)
            self._file.truncate(self._head)
            self._file.seek(self._head)
            self._size = self._head
            self._put(self._note + kept)
        self._put(piece)

    @property
    def _note(self) -> bytes:
        return b"\n[... %012d bytes left out ...]\n" % self._left_out

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self._size += len(content)


class Warden:
    """One process and its end.

    Args:
        plan: What is to be watched over.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._is_told_to_end = False
        self._log = BoundedLog(Path(plan.log), plan.log_bytes)

    def run(self) -> int:
        """Start it and see it to its end; its exit code, in a shell's way."""
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        die_with_parent(signal.SIGTERM, self._plan.parent)
        if self._is_told_to_end:
            return 128 + signal.SIGTERM
        self._hold_back()
        try:
            process = subprocess.Popen(  # noqa: S603 - the command is the daemon's own
                self._plan.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_dies_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
            )
        except OSError as error:
            self._log.write(f"{self._plan.command[0]} could not be started: {error}\n".encode())
            return NOT_STARTED
        try:
            return self._see_to_its_end(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has left behind
            self._log.close()

    def _end(self) -> None:
        self._is_told_to_end = True

    def _hold_back(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = self._plan.memory_mib * 2**20
        data_bytes = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # A service's sandbox may forbid either; the other limits hold all the same.
        with contextlib.suppress(OSError):
            os.nice(self._plan.nice)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_FIRST)

    def _see_to_its_end(self, process: subprocess.Popen[bytes]) -> int:
        assert process.stdout is not None
        deadline = time.monotonic() + self._plan.timeout_secs
        while process.poll() is None:
            if self._is_told_to_end or time.monotonic() > deadline:
                why = "told to end" if self._is_told_to_end else f"its {self._plan.timeout_secs:g} s are up"
                self._log.write(f"\n[{why}]\n".encode())
                self._stop(process)
                return 128 + signal.SIGTERM if self._is_told_to_end else TIMED_OUT
            self._listen(process)
        self._listen(process)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        os.killpg(process.pid, signal.SIGTERM)
        until = time.monotonic() + _GRACE_SECS
        while process.poll() is None and time.monotonic() < until:
            self._listen(process)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Take what it says, for a moment."""
        assert process.stdout is not None
        until = time.monotonic() + _POLL_SECS
        while (left := until - time.monotonic()) > 0.0:
            if not select.select([process.stdout], [], [], left)[0]:
                return
            content = os.read(process.stdout.fileno(), _CHUNK_BYTES)
            if not content:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(left)
                return
            self._log.write(content)


def die_with_parent(number: int, parent: int) -> None:
    """Get a signal when the parent ends; where it has ended already, at once.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def _dies_with(parent: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before the fork

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(NOT_STARTED)

    return prepare


def main() -> int:
    """Do what the plan on the command line says."""
    plan = Plan(**json.loads(sys.argv[1]))
    try:
        return Warden(plan).run()
    except Exception:  # noqa: BLE001 - whatever it is, the log is where it is looked for
        with Path(plan.log).open("a") as file:
            traceback.print_exc(file=file)
        return BROKEN


if __name__ == "__main__":
    sys.exit(main())
