"""Reading the journal: every line checked against the one before, in one pass and little memory.

Works beside a daemon that writes: what its last write has not finished is left out, not complained about.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from ops.disk import Disk
from ops.journal.chain import Chain
from ops.journal.checkpoints import check_checkpoint
from ops.journal.keys import VerifyKey
from ops.journal.records import MAX_RECORD_BYTES, Kind, LineError, check_lines, decode, kind_of
from ops.journal.segments import MAX_BATCH_BYTES, segment_numbers, segment_path
from strategies.errors import AuditError

_CHUNK_BYTES = 2**20
_ZEROS = bytes(_CHUNK_BYTES)
_SECTOR_BYTES = 512
_TRIES = 3


class StoredLine(NamedTuple):
    """A line that fits the chain, and where it lies."""

    segment: int
    offset: int
    kind: Kind
    seq: int
    content: bytes


class Position(NamedTuple):
    """A place between two lines, and what the next one must follow."""

    segment: int
    offset: int
    seq: int
    """Number of the record before."""
    head: bytes
    """Its hash."""


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
    checkpoints: int
    signed_seq: int
    """Last record that a checkpoint stands for."""


class CheckedPart(NamedTuple):
    """The first segments of a journal, which were read and checked before and are as they were."""

    segments: int
    """How many; the last segment of a journal is never among them."""
    seq: int
    """Number of their last record."""
    head: bytes
    """Its hash."""
    peaks: tuple[bytes, ...]
    """Of the tree over all their records."""
    checkpoints: int
    signed_seq: int


class BrokenChainError(AuditError):
    """A line of the journal is not what was written."""

    def __init__(self, folder: Path, segment: int, offset: int, seq: int, why: str) -> None:
        self.segment, self.offset, self.seq, self.why = segment_path(folder, segment).name, offset, seq, why
        super().__init__(
            f"{segment_path(folder, segment)}: expected record {seq} at byte {offset}, but {why}. "
            "Nothing was changed; keep a copy of the folder and compare it with a backup"
        )


def read_chain(
    disk: Disk,
    folder: Path,
    key: VerifyKey | None,
    visit: Callable[[StoredLine], None] | None = None,
    *,
    checked: CheckedPart | None = None,
    last: int | None = None,
) -> ChainEnd:
    """Check a whole journal: links, checkpoints, Merkle roots and signatures.

    Args:
        key: Who must have signed the checkpoints; None leaves signatures unchecked.
        visit: Gets each line once it was found good.
        checked: What need not be read once more.
        last: Segments after this one are left alone; None reads all.

    Raises:
        BrokenChainError: At the first line that does not fit; those before it were visited.
        OSError: If the disk refuses.
    """
    checks, numbers = _WholeCheck(key, checked), segment_numbers(disk, folder)
    known = 0 if checked is None else checked.segments
    if known and len(numbers) <= known:
        raise ValueError(f"expected a segment after the {known} that were checked: a journal ends with one")
    offset, tail = 0, None
    for at, number in enumerate(numbers[:last], start=1):
        if number != at:
            raise BrokenChainError(folder, number, 0, checks.seq + 1, f"segment {at} is missing")
        if at <= known:
            continue
        _, lines = next(split_lines(disk, segment_path(folder, number)), (0, [b""]))
        if kind_of(lines[0]) not in {None, Kind.CHECKPOINT}:
            raise BrokenChainError(
                folder, number, 0, checks.seq + 1, "a segment must begin with a checkpoint"
            )
        reader = _SegmentReader(disk, folder, number, 0, checks, visit)
        offset, tail = reader.read(is_last=at == len(numbers))
    return ChainEnd(checks.chain, tuple(numbers[:last]), offset, tail, checks.checkpoints, checks.signed_seq)


def read_on(disk: Disk, folder: Path, start: Position, visit: Callable[[StoredLine], None]) -> Position:
    """Read from a place on, checking that each line follows the one before; where that ends.

    Merkle roots and signatures are not checked: they take what lies before. Nor is what lies further behind
    the last line than one write reaches: whoever follows a journal asks often, and most of a segment is room.

    Raises:
        BrokenChainError: At the first line that does not follow; those before it were visited.
        OSError: If the disk refuses.
    """
    links = _LinkCheck(start.seq, start.head)
    numbers = [number for number in segment_numbers(disk, folder) if number >= start.segment]
    segment, offset = start.segment, start.offset
    for number in numbers:
        begin = start.offset if number == start.segment else 0
        reader = _SegmentReader(disk, folder, number, begin, links, visit)
        offset, _ = reader.read(is_last=number == numbers[-1], reach=MAX_BATCH_BYTES + _SECTOR_BYTES)
        segment = number
    return Position(segment, offset, links.seq, links.head)


def segment_start(disk: Disk, folder: Path, number: int) -> Position | None:
    """Where a segment begins, by what its first line says of the record before; None while it has none.

    Raises:
        BrokenChainError: If its first line is no checkpoint.
    """
    _, lines = next(split_lines(disk, segment_path(folder, number)), (0, [b""]))
    if not lines[0].endswith(b"\n"):
        return None
    try:
        body = decode(lines[0]).body
        return Position(number, 0, int(body["seq"]), bytes.fromhex(body["head"]))
    except (LineError, KeyError, TypeError, ValueError):
        raise BrokenChainError(folder, number, 0, 0, "its first line is no checkpoint") from None


def newest_lines(
    disk: Disk, folder: Path, is_wanted: Callable[[StoredLine], bool], limit: int
) -> list[StoredLine]:
    """The last lines that are wanted, oldest first; reads no more segments than that takes.

    Each line is checked against the one before it in its segment.

    Raises:
        BrokenChainError: If a segment that had to be read is damaged.
    """
    found: list[StoredLine] = []
    numbers = segment_numbers(disk, folder)
    for number in reversed(numbers):
        start = segment_start(disk, folder, number)
        if start is None or len(found) >= limit:
            continue
        newest: deque[StoredLine] = deque(maxlen=limit - len(found))

        def visit(line: StoredLine, newest: deque[StoredLine] = newest) -> None:
            if is_wanted(line):
                newest.append(line)

        links = _LinkCheck(start.seq, start.head)
        _SegmentReader(disk, folder, number, 0, links, visit).read(is_last=number == numbers[-1])
        found = [*newest, *found]
    return found


def split_lines(disk: Disk, path: Path, offset: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """Yield runs of lines with the offset of the first; last, on its own, what no newline ends."""
    rest = b""
    while chunk := disk.read(path, offset + len(rest), _CHUNK_BYTES):
        run = rest + chunk
        end = run.rfind(b"\n") + 1
        if lines := run[:end].splitlines(keepends=True):
            yield offset, lines
        offset, rest = offset + end, run[end:]
        if len(rest) > MAX_RECORD_BYTES:
            break
    if rest:
        yield offset, [rest]


class _Check(Protocol):
    @property
    def seq(self) -> int: ...

    def follow(self, lines: list[bytes]) -> Iterator[Kind]: ...


class _LinkCheck:
    """Each line follows the one before."""

    def __init__(self, seq: int, head: bytes) -> None:
        self.seq, self.head = seq, head

    def follow(self, lines: list[bytes]) -> Iterator[Kind]:
        for _, kind, head in check_lines(lines, self.seq + 1, self.head):
            self.seq, self.head = self.seq + 1, head
            yield kind


class _WholeCheck:
    """Each line follows the one before, and each checkpoint tells the truth about what is before it."""

    def __init__(self, key: VerifyKey | None, checked: CheckedPart | None = None) -> None:
        self.chain = Chain()
        self.checkpoints = 0
        self.signed_seq = 0
        self._key = key
        if checked is not None:
            self.chain = Chain.grown(checked.seq, checked.head, checked.peaks)
            self.checkpoints, self.signed_seq = checked.checkpoints, checked.signed_seq

    @property
    def seq(self) -> int:
        return self.chain.seq

    def follow(self, lines: list[bytes]) -> Iterator[Kind]:
        chain, checkpoint = self.chain, Kind.CHECKPOINT
        heads: list[bytes] = []  # good, but not in the tree yet: adding many at once is faster
        try:
            for line, kind, head in check_lines(lines, chain.seq + 1, chain.head):
                if kind is checkpoint:
                    chain.advance(heads)
                    heads.clear()
                    check_checkpoint(decode(line).body, chain, self._key)
                    self.checkpoints, self.signed_seq = self.checkpoints + 1, chain.seq
                heads.append(head)
                yield kind
        finally:
            chain.advance(heads)


class _SegmentReader:
    def __init__(
        self,
        disk: Disk,
        folder: Path,
        number: int,
        offset: int,
        checks: _Check,
        visit: Callable[[StoredLine], None] | None,
    ) -> None:
        self._disk = disk
        self._folder = folder
        self._path = segment_path(folder, number)
        self._number = number
        self._offset = offset
        self._checks = checks
        self._visit = visit

    def read(self, *, is_last: bool, reach: int | None = None) -> tuple[int, Tail | None]:
        """Check the segment; the end of its good lines, and what lies behind.

        Args:
            is_last: Whether a write may have been cut short in it.
            reach: How far behind the good lines to look, bytes; None looks to the end.
        """
        tries = _TRIES
        while True:
            begun_at = self._offset
            why = self._accept_lines()
            rest = b"" if why is None else self._rest(reach)
            if rest == b"":
                return self._offset, None
            if is_last and rest is not None and _is_torn(rest, self._offset):
                return self._offset, Tail(self._number, self._offset, rest)
            # Beside a daemon the line may have been read in the midst of being written: look again.
            tries = _TRIES if self._offset > begun_at else tries - 1
            if not (is_last and tries):
                assert why is not None
                raise BrokenChainError(self._folder, self._number, self._offset, self._checks.seq + 1, why)

    def _accept_lines(self) -> str | None:
        """Go on from where we are; why it stopped, None at the end of the file."""
        checks, visit, number = self._checks, self._visit, self._number
        seq = checks.seq
        try:
            for offset, lines in split_lines(self._disk, self._path, self._offset):
                self._offset = offset
                if visit is None:
                    self._pass_over(lines)
                    continue
                for line, kind in zip(lines, checks.follow(lines), strict=True):
                    seq += 1
                    visit(StoredLine(number, self._offset, kind, seq, line))
                    self._offset += len(line)
        except LineError as error:
            return str(error)
        return None

    def _pass_over(self, lines: list[bytes]) -> None:
        """Check lines that nobody wants to see, up to the first that does not fit."""
        before = self._checks.seq
        try:
            deque(self._checks.follow(lines), maxlen=0)
        finally:
            self._offset += sum(map(len, lines[: self._checks.seq - before]))

    def _rest(self, reach: int | None) -> bytes | None:
        """Whatever is not zeros behind the good lines; None where it is more than one write."""
        end, at = 0, self._offset
        stop = math.inf if reach is None else at + reach
        while at < stop and (chunk := self._disk.read(self._path, at, _CHUNK_BYTES)):
            # Reserved room is zeros as far as the eye reaches: they are compared, which takes a hundredth of
            # the time of being stripped.
            if chunk != _ZEROS[: len(chunk)]:
                end = at + len(chunk.rstrip(b"\0"))
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
