"""kill -9 on entry to a chosen system call, by strace's fault injection: no moment of a run is left out.

A run is traced once to count its calls; then each of them is a `Moment` at which another run can be killed,
before the call has done anything.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.command import daemon_command, environment
from tests.support.data import ROOT

CALLS = (
    "write", "writev", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate", "rename", "link", "unlink",
    "sendto", "sendmsg", "recvfrom", "recvmsg",
)  # fmt: skip
"""What changes a file's bytes, name or durability, or passes between the daemon and others."""

KILLED = -9
_PATIENCE_SECS = 120.0
_LINE = re.compile(r"(\d+) +([a-z0-9]+)\((?:\d+<([^>]*)>)?")


class Moment(NamedTuple):
    """Entry to the nth call of a kind, counted on each thread by itself."""

    call: str
    number: int
    path: str = ""
    """Only calls on this file, relative to the state directory, count; empty for all calls."""


_STRACE = shutil.which("strace") or ""


def why_not() -> str:
    """Why nothing can be killed like this here; empty where it can."""
    if not sys.platform.startswith("linux") or not _STRACE:
        return "needs strace (Debian and Ubuntu: apt-get install strace)"
    probe = [_STRACE, "-f", "-o", "/dev/null", sys.executable, "-c", ""]
    if subprocess.run(probe, check=False, capture_output=True).returncode:
        return "this system lets nobody trace a process (ptrace is refused)"
    return ""


def count_calls(host: Path, state_dir: Path, log: Path, files: Sequence[str], *args: object) -> list[Moment]:
    """Run a daemon to its end and list the moments at which it could have been killed.

    Args:
        host: Host file.
        state_dir: Where its state goes.
        log: Where the trace goes.
        files: Files, relative to the state directory, of which calls are listed by themselves as well.
        args: More of the command line.
    """
    options = ["-f", "-y", "-o", str(log), "-e", f"trace={','.join(CALLS)}"]
    done = _trace(options, host, state_dir, args)
    assert done == 0, f"the run that counts calls ended with {done}"
    by_thread, by_file = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for line in log.read_text(errors="replace").splitlines():
        if (found := _LINE.match(line)) is not None:
            thread, call, path = found.groups()
            by_thread[call, thread] += 1
            for name in files:
                by_file[call, name] += path == str(state_dir / name)
    most = Counter[str]()
    for (call, _), count in by_thread.items():
        most[call] = max(most[call], count)
    everywhere = [Moment(call, at) for call, count in most.items() for at in range(1, count + 1)]
    of_files = [
        Moment(call, at, name) for (call, name), count in by_file.items() for at in range(1, count + 1)
    ]
    return everywhere + of_files


def run_until(moment: Moment, host: Path, state_dir: Path, *args: object) -> bool:
    """Run a daemon and kill it at a moment.

    Returns:
        Whether the moment came; otherwise it ended by itself.
    """
    options = ["-f", "-o", "/dev/null", "-e", f"trace={moment.call}"]
    options += ["-P", str(state_dir / moment.path)] if moment.path else []
    options += ["-e", f"inject={moment.call}:signal=KILL:when={moment.number}"]
    code = _trace(options, host, state_dir, args)
    assert code in {0, KILLED}, f"the daemon ended with {code} before {moment}"
    return code == KILLED


def run_with_error(moment: Moment, error: str, host: Path, state_dir: Path, *args: object) -> int:
    """Run a daemon for which a call on one file fails from a moment on; its exit code.

    Args:
        error: In the kernel's words, ``EIO`` for example.
    """
    # All other calls run at full speed; where calls are to be killed, strace cannot do it this way.
    options = ["-f", "--seccomp-bpf", "-o", "/dev/null", "-e", f"trace={moment.call}"]
    options += ["-P", str(state_dir / moment.path)]
    options += ["-e", f"inject={moment.call}:error={error}:when={moment.number}+"]
    return _trace(options, host, state_dir, args)


def _trace(options: list[str], host: Path, state_dir: Path, args: Sequence[object]) -> int:
    return subprocess.run(
        [_STRACE, *options, *daemon_command(host, state_dir, *args)],
        check=False,
        capture_output=True,
        timeout=_PATIENCE_SECS,
        cwd=ROOT,
        env=environment(),
    ).returncode
