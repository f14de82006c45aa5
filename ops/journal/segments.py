"""Segments: the journal's files, and the one way in which bytes get into them.

A segment has room reserved when it is made, so that a full disk shows then and not in the middle of an
order; what is not used yet reads as zeros. Each start of the daemon begins a new segment, and so does a
segment that is full: what is there already is never written again.
"""

import contextlib
import errno
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ops.disk import Disk, DiskFile

SEGMENT_BYTES = 64 * 2**20

MAX_BATCH_BYTES = 2**20
"""Most that is written between two syncs, and so the most that a crash can tear."""

_NAME = re.compile(r"segment-(\d{8})\.jsonl")


class QueuedLine(NamedTuple):
    """A line on its way to the disk."""

    segment: int
    seq: int
    content: bytes


def segment_path(folder: Path, number: int) -> Path:
    """Where a segment lies."""
    return folder / f"segment-{number:08d}.jsonl"


def segment_numbers(disk: Disk, folder: Path) -> list[int]:
    """The segments that are there, in order; other files are left alone."""
    found = (_NAME.fullmatch(name) for name in disk.names(folder))
    return [int(match[1]) for match in found if match]


class SegmentWriter:
    """Makes batches of lines durable; synchronous, and for one thread at a time.

    Args:
        segment_bytes: Room that a segment reserves.
    """

    def __init__(self, disk: Disk, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.segment_bytes = segment_bytes
        self.fault: OSError | None = None
        """The first refusal of the disk; after it nothing is written any more."""
        self._disk = disk
        self._folder = folder
        self._file: DiskFile | None = None
        self._segment = 0
        self._written = 0
        self._durable = 0

    def write(self, batch: Sequence[QueuedLine]) -> None:
        """Write lines in order and return once all of them are on the disk.

        Raises:
            OSError: If the disk refused; then some of them may be on it and some not, and every later call
                raises the same error. Bytes that were taken after the last sync are cut off again where the
                disk allows it; after a sync that failed the file is not touched any more.
        """
        if self.fault is not None:
            raise self.fault
        try:
            for segment, lines in groupby(batch, key=lambda line: line.segment):
                if segment != self._segment:
                    self._begin(segment)
                self._put(b"".join(line.content for line in lines))
            self._sync()
        except OSError as error:
            self.fault = error
            raise

    def close(self) -> None:
        """Give back the room that the last segment did not need; a refusal does no harm."""
        if self._file is not None and self.fault is None:
            with contextlib.suppress(OSError):
                self._file.truncate(self._written)
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None

    def _begin(self, segment: int) -> None:
        if self._file is not None:
            self._sync()
            self._file.truncate(self._written)
            self._file.close()
            self._file = None
        self._file = self._disk.create(segment_path(self._folder, segment), self.segment_bytes)
        self._segment, self._written, self._durable = segment, 0, 0

    def _put(self, content: bytes) -> None:
        assert self._file is not None
        rest = memoryview(content)
        try:
            while rest:
                taken = self._file.write_at(self._written, bytes(rest))
                if taken <= 0:
                    raise OSError(errno.EIO, "the disk took nothing of a write")
                self._written += taken
                rest = rest[taken:]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._durable)
            raise

    def _sync(self) -> None:
        assert self._file is not None
        if self._durable < self._written:
            self._file.sync()
            self._durable = self._written
