"""A disk in memory that can be full, fail, write short, and forget what was not synced."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class MemoryDisk:
    """Stands in for a `Disk`; single-threaded."""

    free: int = 1 << 40
    """Bytes that can still be reserved or written."""
    write_limit: int | None = None
    """Most bytes that one write takes."""
    on_write: Callable[[int, bytes], None] = lambda offset, content: None
    """Called before each write; may raise."""
    on_sync: Callable[[], None] = lambda: None
    """Called before each sync; may raise."""
    files: dict[Path, bytearray] = field(default_factory=dict)
    synced: dict[Path, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    """What was asked of files, in order."""

    def make_folder(self, folder: Path) -> None:
        pass

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self.files if path.parent == folder)

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        content = self.files[path]
        return bytes(content[offset:] if size is None else content[offset : offset + size])

    def create(self, path: Path, reserve_bytes: int = 0) -> "_MemoryFile":
        if path in self.files:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        self._take(reserve_bytes)
        self.calls.append("create")
        self.files[path] = bytearray(reserve_bytes)
        self.synced[path] = bytes(reserve_bytes)
        return _MemoryFile(self, path)

    def open(self, path: Path) -> "_MemoryFile":
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return _MemoryFile(self, path)

    def replace(self, path: Path, content: bytes) -> None:
        self.files[path] = bytearray(content)
        self.synced[path] = bytes(content)

    def remove(self, path: Path) -> None:
        del self.files[path]
        self.synced.pop(path, None)

    def free_bytes(self, folder: Path) -> int:
        return self.free

    def crash(self) -> None:
        """Lose power: what was not synced is gone."""
        self.files = {path: bytearray(content) for path, content in self.synced.items()}

    def _take(self, size: int) -> None:
        if size > self.free:
            raise OSError(errno.ENOSPC, "no space left")
        self.free -= size


class _MemoryFile:
    def __init__(self, disk: MemoryDisk, path: Path) -> None:
        self._disk = disk
        self._path = path

    def write_at(self, offset: int, content: bytes) -> int:
        disk = self._disk
        disk.calls.append("write")
        disk.on_write(offset, content)
        held = disk.files[self._path]
        taken = content[: disk.write_limit]
        growth = max(offset + len(taken) - len(held), 0)
        if growth > disk.free:  # a disk that fills up takes what still fits
            taken = taken[: len(taken) - (growth - disk.free)]
            growth = disk.free
            if not taken:
                raise OSError(errno.ENOSPC, "no space left")
        disk._take(growth)
        held.extend(bytes(growth))
        held[offset : offset + len(taken)] = taken
        return len(taken)

    def sync(self) -> None:
        self._disk.calls.append("sync")
        self._disk.on_sync()
        self._disk.synced[self._path] = bytes(self._disk.files[self._path])

    def truncate(self, size: int) -> None:
        self._disk.calls.append("truncate")
        held = self._disk.files[self._path]
        del held[size:]
        held.extend(bytes(size - len(held)))

    def close(self) -> None:
        self._disk.calls.append("close")
