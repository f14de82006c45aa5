"""The tape's records on their way into the journal.

Flow: tape → **journal tape** → journal.
"""

from collections.abc import Callable
from typing import Any

from ops.journal import Kind
from ops.outbox import Appender
from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    OrderRecord,
    Record,
    VerdictRecord,
)

_KINDS: dict[type, Kind] = {
    DecisionRecord: Kind.DECISION,
    VerdictRecord: Kind.VERDICT,
    OrderRecord: Kind.OUTCOME,
    FillRecord: Kind.FILL,
    HaltRecord: Kind.NOTE,
}


class JournalTape:
    """Writes what a strategy did and was told into the journal.

    Readings of equity are left out: the state that is written after each bar holds them.

    Args:
        journal: Where it goes.
        now_ns: Wall clock, UTC nanoseconds; stamps the records.
    """

    def __init__(self, journal: Appender, now_ns: Callable[[], int]) -> None:
        self._journal = journal
        self._now_ns = now_ns

    def write(self, record: Record) -> None:
        """Take one record; neither blocks nor raises."""
        if isinstance(record, EquityRecord):
            return
        kind = _KINDS[type(record)]
        if isinstance(record, OrderRecord) and record.status == "SUBMITTED":
            kind = Kind.SUBMIT
        body: dict[str, Any] = record._asdict()
        self._journal.append(kind, body, self._now_ns())
