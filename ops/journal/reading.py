"""Reading the journal: every line checked against the one before, in one pass and little memory.

Works beside a daemon that writes: what its last write has not finished is left out, not complained about.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ops.disk import Disk
from ops.journal.chain import Chain
from ops.journal.checkpoints import check_checkpoint
from ops.journal.keys import VerifyKey
from ops.journal.records import MAX_RECORD_BYTES, Header, LineError, check_line, decode
from ops.journal.segments import MAX_BATCH_BYTES, segment_numbers, segment_path
from strategies.errors import AuditError

_CHUNK_BYTES = 2**20
_SECTOR_BYTES = 512
_REREADS = 3


class StoredLine(NamedTuple):
    """A line that fits the chain, and where it lies."""

    segment: int
    offset: int
    header: Header
    content: bytes


class Tail(NamedTuple):
    """What a write that was cut short left at the end of the last segment."""

    segment: int
    offset: int
    content: bytes


class ChainEnd(NamedTuple):
    """How far a journal reaches."""

    chain: Chain
    segments: tuple[int, ...]
    offset: int
    """Where the last good line of the last segment ends."""
    tail: Tail | None
    """What lies behind it, unless that is nothing or zeros."""


class BrokenChainError(AuditError):
    """A line of the journal is not what was written."""

    def __init__(self, folder: Path, segment: int, offset: int, seq: int, why: str) -> None:
        self.segment, self.offset, self.seq, self.why = segment_path(folder, segment).name, offset, seq, why
        super().__init__(
            f"{segment_path(folder, segment)}: expected record {seq} at byte {offset}, but {why}. "
            "Nothing was changed; keep a copy of the folder and compare it with a backup"
        )


def read_chain(
    disk: Disk, folder: Path, key: VerifyKey | None, visit: Callable[[StoredLine], None] | None = None
) -> ChainEnd:
    """Check a whole journal.

    Args:
        key: Who must have signed the checkpoints; None leaves signatures unchecked.
        visit: Gets each line once it was found good.

    Raises:
        BrokenChainError: At the first line that does not fit; those before it were visited.
        OSError: If the disk refuses.
    """
    chain, numbers = Chain(), segment_numbers(disk, folder)
    offset, tail = 0, None
    for at, number in enumerate(numbers, start=1):
        if number != at:
            why = f"segment {at} is missing"
            raise BrokenChainError(folder, number, 0, chain.seq + 1, why)
        reader = _SegmentReader(disk, folder, number, chain, key, visit)
        offset, tail = reader.read(is_last=at == len(numbers))
    return ChainEnd(chain, tuple(numbers), offset, tail)


def split_lines(disk: Disk, path: Path, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its offset, and last what no newline ends; too long a line ends it, too."""
    rest = b""
    while chunk := disk.read(path, offset + len(rest), _CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield offset, line + b"\n"
            offset += len(line) + 1
        if len(rest) > MAX_RECORD_BYTES:
            break
    if rest:
        yield offset, rest


class _SegmentReader:
    def __init__(
        self,
        disk: Disk,
        folder: Path,
        number: int,
        chain: Chain,
        key: VerifyKey | None,
        visit: Callable[[StoredLine], None] | None,
    ) -> None:
        self._disk = disk
        self._folder = folder
        self._path = segment_path(folder, number)
        self._number = number
        self._chain = chain
        self._key = key
        self._visit = visit
        self._offset = 0

    def read(self, *, is_last: bool) -> tuple[int, Tail | None]:
        """Check the segment; the end of its good lines, and what lies behind."""
        rereads = _REREADS if is_last else 0
        while True:
            why = self._accept_lines()
            if why is None:
                return self._offset, None
            rest = self._rest()
            if rest == b"":
                return self._offset, None
            if is_last and rest is not None and _is_torn(rest, self._offset):
                return self._offset, Tail(self._number, self._offset, rest)
            if not rereads:
                raise BrokenChainError(self._folder, self._number, self._offset, self._chain.seq + 1, why)
            rereads -= 1  # a daemon may have been in the midst of writing it

    def _accept_lines(self) -> str | None:
        """Go on from where we are; why it stopped, None at the end of the file."""
        for offset, line in split_lines(self._disk, self._path, self._offset):
            try:
                header = self._accept(line)
            except LineError as error:
                return str(error)
            self._offset = offset + len(line)
            if self._visit is not None:
                self._visit(StoredLine(self._number, offset, header, line))
        return None

    def _accept(self, line: bytes) -> Header:
        chain = self._chain
        if b'"kind":"checkpoint"' in line[:80]:
            check_line(line, chain.seq + 1, chain.head)
            check_checkpoint(decode(line).body, chain, self._key)
        elif self._offset == 0:
            check_line(line, chain.seq + 1, chain.head)
            raise LineError("a segment must begin with a checkpoint, and this one does not")
        return chain.accept(line)

    def _rest(self) -> bytes | None:
        """Whatever is not zeros behind the good lines; None where it is more than one write."""
        end, at = 0, self._offset
        while chunk := self._disk.read(self._path, at, _CHUNK_BYTES):
            if filled := len(chunk.rstrip(b"\0")):
                end = at + filled
            at += len(chunk)
            if end - self._offset > MAX_BATCH_BYTES:
                return None
        return self._disk.read(self._path, self._offset, end - self._offset) if end else b""


def _is_torn(rest: bytes, offset: int) -> bool:
    """Whether bytes look like a write that a crash cut short, rather than like damage.

    Either nothing of it is a whole line; or whole sectors of it never reached the disk and still are the
    zeros that the reserved room reads as. A flipped bit makes no sector of zeros, and no disk writes half a
    sector. Whatever looks different is damage, and for a person to judge.
    """
    if b"\0" not in rest:
        return b"\n" not in rest
    at = rest.find(b"\0")
    while at >= 0:
        sector = (offset + at) // _SECTOR_BYTES * _SECTOR_BYTES
        begin, end = max(sector - offset, 0), sector + _SECTOR_BYTES - offset
        if rest[begin:end].strip(b"\0"):
            return False
        at = rest.find(b"\0", end)
    return True
