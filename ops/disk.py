"""The few things that durable state asks of a disk, in one place.

Journal, latch and every other file that must survive a crash go through a `Disk`, so that a simulator can
stand in for it: one that tears writes, fills up, and forgets what was not synced.
"""

import errno
import os
from enum import StrEnum
from pathlib import Path
from typing import Protocol

LOW_BYTES = 256 * 2**20
"""Below this much free space nothing may add risk."""

FULL_BYTES = 64 * 2**20
"""Below this much trading latches: room for the record of the way out is kept."""


class Room(StrEnum):
    """How much space there is, by what may still be done."""

    AMPLE = "ample"
    """Everything."""
    LOW = "low"
    """Nothing that adds risk."""
    FULL = "full"
    """Latch: only what takes risk away."""


def room(free_bytes: int) -> Room:
    """What so much free space allows; to be asked each second."""
    if free_bytes < FULL_BYTES:
        return Room.FULL
    return Room.LOW if free_bytes < LOW_BYTES else Room.AMPLE


class DiskFile(Protocol):
    """An open file that is written at given offsets, by one owner."""

    def write_at(self, offset: int, content: bytes) -> int:
        """Write and return how many bytes were taken, which may be fewer than given.

        Raises:
            OSError: If nothing was written.
        """

    def sync(self) -> None:
        """Return once everything written is on the disk (``fdatasync``).

        Raises:
            OSError: If it may not be; then the file must not be synced again, for the next call could
                report success over lost bytes.
        """

    def truncate(self, size: int) -> None:
        """Cut the file to a size, or extend it with zeros."""

    def close(self) -> None:
        """Close without syncing."""


class Disk(Protocol):
    """A file system as durable state uses it."""

    def make_folder(self, folder: Path) -> None:
        """Create a folder (mode 0700) and those above it; its entry is durable on return."""

    def names(self, folder: Path) -> list[str]:
        """Names in a folder, sorted; empty where there is no such folder."""

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        """The content from an offset on; fewer bytes than asked for mean that the file ends there.

        Args:
            size: How many bytes; None for all.

        Raises:
            FileNotFoundError: If there is no such file.
        """

    def create(self, path: Path, reserve_bytes: int = 0) -> DiskFile:
        """Create a file that must not exist yet (mode 0600); its entry is durable.

        Args:
            reserve_bytes: Space to take now, so that it cannot be missing later; reads as zeros.

        Raises:
            FileExistsError: If it exists.
        """

    def open(self, path: Path) -> DiskFile:
        """Open an existing file for writing."""

    def replace(self, path: Path, content: bytes) -> None:
        """Replace a file's whole content: after a crash the old or the new one is there, never a mix."""

    def remove(self, path: Path) -> None:
        """Remove a file; that it is gone is durable on return."""

    def free_bytes(self, folder: Path) -> int:
        """Space left for us."""


class LocalDisk:
    """The operating system's disk."""

    def make_folder(self, folder: Path) -> None:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in missing:
            _sync_folder(made.parent)

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read() if size is None else file.read(size)

    def create(self, path: Path, reserve_bytes: int = 0) -> DiskFile:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if reserve_bytes:
                _reserve(descriptor, reserve_bytes)
            os.fsync(descriptor)
            _sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            path.unlink()
            raise
        return _LocalFile(descriptor)

    def open(self, path: Path) -> DiskFile:
        return _LocalFile(os.open(path, os.O_WRONLY | os.O_CLOEXEC))

    def replace(self, path: Path, content: bytes) -> None:
        staged = path.with_name(f".{path.name}.staged")
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            written = 0
            while written < len(content):
                written += os.write(descriptor, content[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        staged.replace(path)
        _sync_folder(path.parent)

    def remove(self, path: Path) -> None:
        path.unlink()
        _sync_folder(path.parent)

    def free_bytes(self, folder: Path) -> int:
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize


class _LocalFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write_at(self, offset: int, content: bytes) -> int:
        return os.pwrite(self._descriptor, content, offset)

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        os.close(self._descriptor)


def _reserve(descriptor: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        # Where the file system cannot reserve, a full disk shows at the write instead.
        if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
