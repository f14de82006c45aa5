"""The state directory: what lies in it under which name, and who may use it.

Imports nothing heavy, for commands that only look into it.
"""

import fcntl
import os
from pathlib import Path
from typing import IO

from strategies.errors import ConfigError

SOCKET = "argonaut.sock"
DRILLS = "drills"
_LOCK = "daemon.lock"


def take_lock(state_dir: Path) -> IO[str]:
    """Make sure that nobody else uses the state directory; closing the file gives it back.

    Raises:
        ConfigError: If somebody does; the message says which process.
    """
    file = try_lock(state_dir)
    if file is None:
        raise ConfigError(
            f"{state_dir}: expected a state directory that no daemon uses, found process "
            f"{lock_holder(state_dir)} using it; stop it with `argonaut stop`, or give another --state-dir"
        )
    (state_dir / SOCKET).unlink(missing_ok=True)
    return file


def try_lock(state_dir: Path) -> IO[str] | None:
    """Take the lock, or say that somebody has it with None."""
    state_dir.mkdir(parents=True, exist_ok=True)
    file = (state_dir / _LOCK).open("a+")
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
        return (state_dir / _LOCK).read_text().strip() or "unknown"
    except OSError:
        return "unknown"
