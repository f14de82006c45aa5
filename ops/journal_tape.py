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
_NAMES: dict[type, str] = {
    DecisionRecord: "decision",
    VerdictRecord: "verdict",
    OrderRecord: "order",
    FillRecord: "fill",
    EquityRecord: "equity",
    HaltRecord: "halt",
}


class JournalTape:
    """Writes what a strategy did and was told into the journal.

    A reading of equity waits for the state that is written after each bar, and goes with it.

    Args:
        journal: Where it goes.
        now_ns: Wall clock, UTC nanoseconds; stamps the records.
    """

    def __init__(self, journal: Appender, now_ns: Callable[[], int]) -> None:
        self._journal = journal
        self._now_ns = now_ns
        self.counts = dict.fromkeys(_NAMES.values(), 0)
        """Records taken, by what they are about."""
        self._equity: dict[str, EquityRecord] = {}

    def write(self, record: Record) -> None:
        """Take one record; neither blocks nor raises."""
        self.counts[_NAMES[type(record)]] += 1
        if isinstance(record, EquityRecord):
            self._equity[record.strategy] = record
            return
        kind, body = journaled(record)
        self._journal.append(kind, body, self._now_ns())

    def take_equity(self, strategy: str) -> EquityRecord | None:
        """The newest reading of a strategy, once; None where there is none that was not taken."""
        return self._equity.pop(strategy, None)


def journaled(record: Record) -> tuple[Kind, dict[str, Any]]:
    """Kind and body of a record in the journal; a reading of equity has none of its own."""
    kind = _KINDS[type(record)]
    if isinstance(record, OrderRecord) and record.status == "SUBMITTED":
        kind = Kind.SUBMIT
    return kind, record._asdict()
