"""A disk that tears, forgets what was not synced, fills up and refuses."""

import errno
import random
from collections.abc import Callable
from pathlib import Path

from tests.support.simulation.weather import Weather

SECTOR_BYTES = 512

type _Change = tuple[int, bytes | None]
"""Offset and content of a write; offset and None of a cut."""


class _Inode:
    """A file's content as processes see it, and as the platters have it."""

    __slots__ = ("content", "durable", "pending")

    def __init__(self) -> None:
        self.content = bytearray()
        self.durable = bytearray()
        self.pending: list[_Change] = []

    def change(self, offset: int, content: bytes | None) -> None:
        _apply(self.content, offset, content)
        self.pending.append((offset, content))

    def settle(self) -> None:
        for offset, content in self.pending:
            _apply(self.durable, offset, content)
        self.pending.clear()


class SimDisk:
    """Implements `ops.disk.Disk`, with `LocalDisk`'s promises and none beyond them.

    Args:
        rng: Decides what goes wrong.
        weather: How often.
        moment: Called before, within and after whatever changes something; may raise `Crash`.
    """

    def __init__(self, rng: random.Random, weather: Weather, moment: Callable[[str], None]) -> None:
        self.is_well = False
        """Whether nothing goes wrong any more."""
        self.refusals = 0
        self._rng = rng
        self._weather = weather
        self._moment = moment
        self._seen: dict[Path, _Inode] = {}
        self._durable: dict[Path, _Inode] = {}

    # -- what the code under test asks for ---------------------------------------------------------

    def make_folder(self, folder: Path) -> None:
        pass

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self._seen if path.parent == folder)

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        content = self._inode(path).content
        return bytes(content[offset:] if size is None else content[offset : offset + size])

    def create(self, path: Path, reserve_bytes: int = 0) -> "SimFile":
        self._moment("create")
        if path in self._seen:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        self._want_room()
        inode = self._seen[path] = _Inode()
        self._moment("created")
        if reserve_bytes and self._weather.reserves:
            inode.change(0, bytes(reserve_bytes))
        self._moment("reserved")
        inode.settle()
        self._sync_folder(path.parent)
        return SimFile(self, inode)

    def open(self, path: Path) -> "SimFile":
        return SimFile(self, self._inode(path))

    def replace(self, path: Path, content: bytes) -> None:
        self._moment("replace")
        self._want_room()
        staged = path.with_name(f".{path.name}.staged")
        inode = self._seen[staged] = _Inode()
        inode.change(0, content)
        self._moment("staged")
        self.sync(inode)
        self._moment("staged and synced")
        self._seen[path] = self._seen.pop(staged)
        self._sync_folder(path.parent)

    def remove(self, path: Path) -> None:
        self._moment("remove")
        self._inode(path)
        del self._seen[path]
        self._sync_folder(path.parent)

    def free_bytes(self, folder: Path) -> int:
        return 2**40

    # -- what files ask for ------------------------------------------------------------------------

    def write(self, inode: _Inode, offset: int, content: bytes) -> int:
        """Take some or all of it."""
        self._moment("write")
        taken, rng = len(content), self._rng
        if self._chance(self._weather.short_write):
            taken = rng.randrange(1, taken + 1)
            if not self._weather.reserves and rng.random() < 0.3:
                inode.change(offset, content[: taken - 1])
                self._refuse(errno.ENOSPC)
        try:
            self._moment("writing")
        except BaseException:
            inode.change(offset, content[: rng.randrange(taken)])
            raise
        inode.change(offset, content[:taken])
        self._moment("written")
        return taken

    def sync(self, inode: _Inode) -> None:
        """Make it durable, or refuse; what was refused once is never tried again by the system."""
        self._moment("sync")
        if self._chance(self._weather.refused_sync):
            inode.durable = self._torn(inode)
            inode.pending.clear()
            if self._rng.random() < 0.5:
                inode.content = bytearray(inode.durable)
            self._refuse(errno.EIO)
        inode.settle()
        self._moment("synced")

    def truncate(self, inode: _Inode, size: int) -> None:
        """Cut or extend."""
        self._moment("truncate")
        inode.change(size, None)
        self._moment("truncated")

    # -- what goes wrong ---------------------------------------------------------------------------

    def lose_power(self) -> None:
        """Forget what was not synced: all of it, some of it, or none, in any order."""
        folders = {path.parent for path in (*self._seen, *self._durable)}
        left: dict[Path, _Inode] = {}
        for folder in sorted(folders):
            for path in sorted(path for path in {**self._seen, **self._durable} if path.parent == folder):
                before, after = self._durable.get(path), self._seen.get(path)
                kept = after if before is after or self._rng.random() < 0.5 else before
                if kept is not None:
                    left[path] = kept
        self._seen, self._durable = left, dict(left)
        for inode in left.values():
            inode.durable = self._torn(inode)
            inode.content = bytearray(inode.durable)
            inode.pending.clear()

    def would_keep(self, folder: Path, content: bytes) -> bool:
        """Whether a loss of power just now would leave some content behind in a folder's files."""
        return any(content in inode.durable for path, inode in self._durable.items() if path.parent == folder)

    def _torn(self, inode: _Inode) -> bytearray:
        image, changes, rng = bytearray(inode.durable), inode.pending, self._rng
        if not changes:
            return image
        mode = rng.random()
        if mode < 0.2:
            return image
        if mode < 0.4:
            changes = list(changes)
        elif mode < 0.7:
            whole = rng.randrange(len(changes))
            offset, content = changes[whole]
            part = [(offset, content[: rng.randrange(len(content))])] if content else []
            changes = [*changes[:whole], *part]
        else:
            changes = self._sectors(changes)
        for offset, content in changes:
            _apply(image, offset, content)
        return image

    def _sectors(self, changes: list[_Change]) -> list[_Change]:
        kept: dict[int, bool] = {}
        pieces: list[_Change] = []
        for offset, content in changes:
            if content is None:
                pieces.append((offset, None))
                continue
            at = 0
            while at < len(content):
                sector = (offset + at) // SECTOR_BYTES
                end = min((sector + 1) * SECTOR_BYTES - offset, len(content))
                if sector not in kept:
                    kept[sector] = self._rng.random() < 0.5
                if kept[sector]:
                    pieces.append((offset + at, content[at:end]))
                at = end
        return pieces

    def _want_room(self) -> None:
        if self._chance(self._weather.full_disk):
            self._refuse(errno.ENOSPC)

    def _chance(self, odds: float) -> bool:
        return odds > 0.0 and not self.is_well and self._rng.random() < odds

    def _refuse(self, number: int) -> None:
        self.refusals += 1
        raise OSError(number, errno.errorcode[number])

    def _sync_folder(self, folder: Path) -> None:
        self._moment("entry changed")
        self._durable = {path: inode for path, inode in self._durable.items() if path.parent != folder}
        self._durable |= {path: inode for path, inode in self._seen.items() if path.parent == folder}
        self._moment("entry synced")

    def _inode(self, path: Path) -> _Inode:
        if path not in self._seen:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return self._seen[path]


class SimFile:
    """Implements `ops.disk.DiskFile`."""

    def __init__(self, disk: SimDisk, inode: _Inode) -> None:
        self._disk = disk
        self._inode = inode

    def write_at(self, offset: int, content: bytes) -> int:
        return self._disk.write(self._inode, offset, content)

    def sync(self) -> None:
        self._disk.sync(self._inode)

    def truncate(self, size: int) -> None:
        self._disk.truncate(self._inode, size)

    def close(self) -> None:
        pass


def _apply(image: bytearray, offset: int, content: bytes | None) -> None:
    if content is None:
        del image[offset:]
        image.extend(bytes(offset - len(image)))
        return
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(content)] = content
