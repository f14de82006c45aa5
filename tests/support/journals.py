"""Journals that tests fill, break and open again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.disk import Disk, LocalDisk
from ops.journal import Journal, Kind, Record, SigningKey, StepWriter
from ops.journal.reading import Position, StoredLine, read_on
from ops.journal.records import GENESIS, decode
from ops.journal.segments import segment_numbers, segment_path
from ops.quick_recall import QuickRecall
from ops.recall import Recall
from ops.state_dir import JOURNAL
from tests.support.memory_disk import MemoryDisk

FOLDER = Path("/journal")
KEY = SigningKey.from_seed(bytes(32))
OTHER_KEY = SigningKey.from_seed(b"\1" * 32)


_NAMED = {
    "decision": (Kind.DECISION,),
    "verdict": (Kind.VERDICT,),
    "order": (Kind.SUBMIT, Kind.OUTCOME),
    "fill": (Kind.FILL,),
    "halt": (Kind.NOTE,),
    "equity": (Kind.STATE,),
    "command": (Kind.CONTROL,),
    "intent": (Kind.INTENT,),
}


def recorded(state_dir: Path, what: str) -> list[dict[str, Any]]:
    """What the newest session of a daemon recorded of each kind of thing."""
    rows: list[dict[str, Any]] = []

    def visit(line: StoredLine) -> None:
        if line.kind is Kind.SESSION_START:
            rows.clear()
        elif line.kind in _NAMED[what]:
            body = decode(line.content).body
            if what != "equity":
                rows.append(body)
            elif "equity" in body:
                rows.append(body["equity"])

    read_on(LocalDisk(), state_dir / JOURNAL, Position(1, 0, 0, GENESIS), visit)
    return rows


def open_journal(
    disk: Disk,
    *,
    folder: Path = FOLDER,
    key: SigningKey = KEY,
    ts_ns: int = 0,
    on_fault: Callable[[OSError], None] = lambda fault: None,
    segment_bytes: int = 1 << 20,
    replay: Callable[[Record], None] | None = None,
    recall: Recall | None = None,
    **options: Any,
) -> tuple[Journal, StepWriter]:
    """A journal whose writer goes step by step.

    Args:
        replay: Gets every record.
        recall: Is made of them, as a daemon does it.
    """
    quick = QuickRecall(recall or Recall())

    def take(line: StoredLine) -> None:
        if replay is not None:
            replay(decode(line.content))
        if recall is not None:
            quick.take(line)

    writer = StepWriter()
    journal = Journal.open(
        disk,
        folder,
        key,
        writer,
        ts_ns=ts_ns,
        on_fault=on_fault,
        segment_bytes=segment_bytes,
        replay=take,
        admit=quick.settle,
        **options,
    )
    return journal, writer


def three_segments(records: int = 40) -> MemoryDisk:
    """A closed journal of some 40 records in three segments."""
    disk = MemoryDisk()
    journal, writer = open_journal(disk, segment_bytes=3_600)
    for number in range(1, records - 3):
        body = {"client_order_id": f"AR{number}", "strategy": "trend", "price": 100.0 + number / 8}
        journal.append(Kind.INTENT, body, 1_000 + number)
        writer.step()
    journal.close(9_999)
    assert segment_numbers(disk, FOLDER) == [1, 2, 3]
    return disk


def segments_of(disk: MemoryDisk) -> list[Path]:
    return [segment_path(FOLDER, number) for number in segment_numbers(disk, FOLDER)]


@contextmanager
def changed(disk: MemoryDisk, path: Path, content: bytes | bytearray) -> Iterator[None]:
    """A file with another content, for a while."""
    held = disk.files[path]
    disk.files[path] = bytearray(content)
    try:
        yield
    finally:
        disk.files[path] = held
