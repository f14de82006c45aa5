"""Who may use a state directory: one process at a time, and which one it is.

Imports nothing heavy, for commands that only look.
"""

import fcntl
import os
from pathlib import Path
from typing import IO

LOCK = "daemon.lock"
SOCKET = "argonaut.sock"
"""Where the process that has the lock listens."""


def try_lock(state_dir: Path) -> IO[str] | None:
    """Take the lock of a state directory, made (mode 0700) where there is none; None where somebody has it.

    Closing the file gives it back.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (state_dir / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def lock_holder(state_dir: Path) -> str:
    """Process that has, or last had, the lock."""
    try:
        return (state_dir / LOCK).read_text().strip() or "unknown"
    except OSError:
        return "unknown"
