"""What the tape says, and as what it is found in the journal."""

import math
from typing import Any

import pytest

from ops.journal import Kind, Ticket
from ops.journal_tape import JournalTape
from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    OrderRecord,
    Record,
    VerdictRecord,
)
from tests.support.journals import open_journal
from tests.support.memory_disk import MemoryDisk

NOW = 1_764_000_000_000_000_000
NAN = math.nan


class Pages:
    """Takes records and writes nothing."""

    def __init__(self) -> None:
        self.taken: list[tuple[Kind, dict[str, Any], int]] = []

    def append(self, kind: Kind, body: dict[str, Any], ts_ns: int) -> Ticket:
        self.taken.append((kind, body, ts_ns))
        return Ticket(len(self.taken))


def order(status: str) -> OrderRecord:
    return OrderRecord(1, "one", "A.X", "d", "AR1", "BUY", 2.0, "MARKET", "OPEN", NAN, NAN, status, "why")


DECISION = DecisionRecord(1, "one", "f" * 64, -1, (0.1 + 0.2, 0.7), (100.0,), (NAN,), 1.0, (1 / 3,), (NAN,))
VERDICT = VerdictRecord(1, "one", "A.X", 2.0, 1.0, "cut", NAN, NAN)
FILL = FillRecord(1, "one", "A.X", "AR1", "T1", "BUY", 2.0, 0.1 + 0.2, -0.1, "MAKER")
EQUITY = EquityRecord(1, "one", *range(8))


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (DECISION, Kind.DECISION),
        (VERDICT, Kind.VERDICT),
        (FILL, Kind.FILL),
        (order("SUBMITTED"), Kind.SUBMIT),
        *[
            (order(status), Kind.OUTCOME)
            for status in ("ACCEPTED", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "DENIED")
        ],
        # What holds trading back is written down by the latch itself; this only says what was seen.
        (HaltRecord(1, "one", "HALTED", "fault", "x"), Kind.NOTE),
        (HaltRecord(1, "one", "SKIPPED", "bad_data", "x"), Kind.NOTE),
    ],
)
def test_record_is_written_as_what_it_is_with_all_its_fields_and_the_wall_clock(
    record: Record, kind: Kind
) -> None:
    pages = Pages()

    JournalTape(pages, lambda: NOW).write(record)

    assert pages.taken == [(kind, record._asdict(), NOW)]


def test_reading_of_equity_waits_for_the_state_and_is_given_once() -> None:
    pages = Pages()
    tape = JournalTape(pages, lambda: NOW)

    tape.write(EQUITY)
    taken = [tape.take_equity(EQUITY.strategy), tape.take_equity(EQUITY.strategy)]

    assert pages.taken == []
    assert taken == [EQUITY, None]
    assert tape.counts["equity"] == 1


def test_record_is_read_back_to_the_bit_and_what_is_no_number_as_null() -> None:
    disk = MemoryDisk()
    read: list[Any] = []
    journal, writer = open_journal(disk)
    tape = JournalTape(journal, lambda: NOW)
    for record in (DECISION, order("CANCELED"), FILL):
        tape.write(record)
    writer.step()
    disk.crash()

    open_journal(disk, replay=read.append)

    decision, outcome, fill = [one.body for one in read if one.kind is not Kind.CHECKPOINT]
    assert decision["regime_probs"] == list(DECISION.regime_probs)
    assert decision["action"] == decision["targets"] == [None]
    assert (outcome["price"], outcome["trigger_price"]) == (None, None)
    assert FillRecord(**fill) == FILL


def test_disk_that_refused_does_not_stop_whoever_writes() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk)

    def fail() -> None:
        raise OSError(5, "broken")

    disk.on_sync = fail
    tape = JournalTape(journal, lambda: NOW)
    tape.write(FILL)
    writer.step()

    tape.write(FILL)

    assert journal.fault is not None
