"""The state directory: who may use it, one daemon at a time, and what it was made for.

Everything that must outlive the process lies in it. A directory that is another machine's, another user's,
another venue's or a newer version's is refused before anything in it is touched: a copy of a journal that
trades a second time sends every order twice.
"""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import IO, NamedTuple

from ops.disk import FULL_BYTES, Disk
from ops.journal.segments import SEGMENT_BYTES
from ops.state_lock import lock_holder, try_lock
from strategies.errors import ConfigError

STATE_VERSION = 1
"""Of the layout of the directory and of what the records mean; a newer one is refused."""

IDENTITY = "identity.json"
JOURNAL = "journal"
JOURNAL_KEY = Path("keys") / "journal.key"
INDEX = "index.sqlite"
WAYPOINT = "journal.waypoint"

START_BYTES = FULL_BYTES + SEGMENT_BYTES
"""Free space without which nothing starts: a segment is reserved, and no start may end in a latch."""

MACHINE_ID = Path("/etc/machine-id")


class Purpose(NamedTuple):
    """What a state directory is for; for another one it is refused."""

    kind: str
    """Kind of host: ``paper`` or ``live``."""
    venue: str


class StateDir:
    """A state directory that this process holds until it ends or lets go."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path = path
        self._lock = lock

    def release(self) -> None:
        """Let another process have it."""
        self._lock.close()


def take_state_dir(
    path: Path,
    purpose: Purpose,
    disk: Disk,
    *,
    config: str,
    created: str,
    adopt: bool = False,
    machine_id_path: Path = MACHINE_ID,
) -> StateDir:
    """Take a state directory for this process, or refuse; made (mode 0700) where there is none.

    Args:
        config: Name of the host file that makes it; noted for people.
        created: Now, as ISO text; noted for people.
        adopt: Take over what another machine or for another purpose was made; the operator's word that
            nothing else uses it. The other refusals stand.
        machine_id_path: Where the machine's name is read.

    Raises:
        ConfigError: If it must not be used; nothing in it was changed.
        OSError: If the disk refuses.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path}: expected a directory for the daemon's state, found something else")
    disk.make_folder(path)
    _refuse_strangers(path)
    lock = _take_lock(path)
    try:
        found, own = _read_identity(path, disk), _identity(purpose, config, created, machine_id_path)
        if found is None and not adopt and (path / JOURNAL).is_dir():
            raise ConfigError(
                f"{path}: expected {IDENTITY} beside the journal, found none; put it back, or start once "
                "with --adopt-state if nothing else uses this directory"
            )
        if found is not None:
            _refuse_foreign(path, found, own, adopt=adopt)
        _refuse_full(path, disk)
        if found is None or adopt:
            disk.replace(path / IDENTITY, json.dumps(own, indent=2).encode() + b"\n")
    except BaseException:
        lock.close()
        raise
    return StateDir(path, lock)


def examine_state_dir(
    path: Path, purpose: Purpose, disk: Disk, *, machine_id_path: Path = MACHINE_ID
) -> None:
    """Say whether a daemon could take a state directory, but for one that uses it; change nothing.

    Raises:
        ConfigError: If it would be refused.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise ConfigError(f"{path}: expected a directory for the daemon's state, found something else")
    _refuse_strangers(path)
    found, own = _read_identity(path, disk), _identity(purpose, "", "", machine_id_path)
    if found is not None:
        _refuse_foreign(path, found, own, adopt=False)
    elif (path / JOURNAL).is_dir():
        raise ConfigError(f"{path}: expected {IDENTITY} beside the journal, found none; put it back")


def _refuse_strangers(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"{path}: expected a state directory of user {os.geteuid()}, found one of user {found.st_uid}; "
            "start the daemon as that user, or give another --state-dir"
        )
    if stat.S_IMODE(found.st_mode) & stat.S_IWOTH:
        raise ConfigError(
            f"{path}: expected a state directory that others cannot write, found mode "
            f"{stat.S_IMODE(found.st_mode):o}; chmod 700 it, after making sure that all in it is yours"
        )


def _take_lock(path: Path) -> IO[str]:
    lock = try_lock(path)
    if lock is None:
        raise ConfigError(
            f"{path}: expected a state directory that no daemon uses, found process {lock_holder(path)} "
            "using it; stop it with `argonaut stop`, or give another --state-dir"
        )
    return lock


def _read_identity(path: Path, disk: Disk) -> dict[str, object] | None:
    try:
        content = disk.read(path / IDENTITY)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(content)
        if isinstance(found, dict) and isinstance(found.get("state_version"), int):
            return found
    except ValueError:
        pass
    raise ConfigError(
        f"{path / IDENTITY}: expected the identity of a state directory, found something else; "
        "put it back from a backup"
    )


def _identity(purpose: Purpose, config: str, created: str, machine_id_path: Path) -> dict[str, object]:
    return {
        "state_version": STATE_VERSION,
        "machine": _machine(machine_id_path),
        "kind": purpose.kind,
        "venue": purpose.venue,
        "config": config,
        "created": created,
    }


def _machine(machine_id_path: Path) -> str:
    """A name for this machine, of our own: the machine-id itself is not to be shown around."""
    try:
        machine_id = machine_id_path.read_text("ascii").strip()
    except OSError:
        machine_id = ""
    return hashlib.sha256(f"argonaut {machine_id}".encode()).hexdigest()[:32] if machine_id else "unknown"


def _refuse_foreign(path: Path, found: dict[str, object], own: dict[str, object], *, adopt: bool) -> None:
    version = found["state_version"]
    if version != STATE_VERSION:
        raise ConfigError(
            f"{path}: expected state of version {STATE_VERSION}, found version {version}; "
            "start the version of Argonaut that made it"
        )
    if adopt:
        return
    for key, what in (
        ("machine", "made on this machine"),
        ("kind", f"for kind {own['kind']}"),
        ("venue", f"for venue {own['venue']}"),
    ):
        if found.get(key) != own[key]:
            was = "made on another machine" if key == "machine" else f"for {found.get(key)}"
            raise ConfigError(
                f"{path}: expected state {what}, found state {was} (config {found.get('config')}, created "
                f"{found.get('created')}); give another --state-dir, or start once with --adopt-state if "
                "nothing else uses this one"
            )


def _refuse_full(path: Path, disk: Disk) -> None:
    free = disk.free_bytes(path)
    if free < START_BYTES:
        raise ConfigError(
            f"{path}: expected at least {START_BYTES >> 20} MiB free for a start, found {free >> 20} MiB; "
            "free some space"
        )
