"""From whatever a crash left to a journal that can be continued."""

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ops.disk import Disk, DiskFile
from ops.journal.chain import Chain
from ops.journal.keys import VerifyKey
from ops.journal.reading import CheckedPart, StoredLine, Tail, read_chain
from ops.journal.segments import MAX_BATCH_BYTES, segment_path


class Recovered(NamedTuple):
    """Where a journal goes on."""

    chain: Chain
    next_segment: int
    tail: Tail | None
    """What was cut off because a crash had left it unfinished; its bytes were kept."""
    kept_as: str
    """Name of the file that keeps them; empty where nothing was cut."""


def recover(
    disk: Disk,
    folder: Path,
    key: VerifyKey,
    replay: Callable[[StoredLine], None] | None = None,
    admit: Callable[[], None] = lambda: None,
    checked: CheckedPart | None = None,
) -> Recovered:
    """Check a journal whole and make it ready to go on; a folder that is not there is an empty journal.

    Only what a crash can have torn is cut: the end of the last segment. Its bytes are kept beside it first.

    Args:
        key: Who must have signed its checkpoints.
        replay: Gets each line, oldest first, so that a state can be built from it.
        admit: Called when all is read and nothing is changed yet; what it raises leaves the journal as it is.
        checked: What need not be read, and is not replayed.

    Raises:
        BrokenChainError: If anything else is damaged; nothing was changed.
        OSError: If the disk refuses.
    """
    disk.make_folder(folder)
    end = read_chain(disk, folder, key, replay, checked=checked)
    admit()
    if not end.segments:
        return Recovered(end.chain, 1, None, "")
    last = end.segments[-1]
    kept_as = _keep(disk, folder, end.tail) if end.tail is not None else ""
    if end.offset == 0:
        # The crash came before the first line of a new segment was whole: begin it again.
        disk.remove(segment_path(folder, last))
        return Recovered(end.chain, last, end.tail, kept_as)
    path = segment_path(folder, last)
    file = disk.open(path)
    try:
        file.truncate(end.offset)
        _write_back(disk, path, file, end.offset)
        file.sync()
    finally:
        file.close()
    return Recovered(end.chain, last + 1, end.tail, kept_as)


def _write_back(disk: Disk, path: Path, file: DiskFile, end: int) -> None:
    """Write what the last sync may have failed to keep once more, with the same bytes.

    Where a sync failed and only the process ended, the system still shows what never reached the disk, holds
    it to be written already, and lets the next sync succeed over it. Segments that follow would then stand
    on records that the next loss of power takes away.
    """
    at = max(0, end - MAX_BATCH_BYTES)
    rest = disk.read(path, at, end - at)
    while rest:
        taken = file.write_at(at, rest)
        if taken <= 0:
            raise OSError(errno.EIO, "the disk took nothing of a write")
        at, rest = at + taken, rest[taken:]


def _keep(disk: Disk, folder: Path, tail: Tail) -> str:
    digest = hashlib.sha256(tail.content).hexdigest()[:8]
    path = segment_path(folder, tail.segment).with_suffix(f".{tail.offset}-{digest}.torn")
    disk.replace(path, tail.content)
    return path.name
