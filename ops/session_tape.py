"""One session of the daemon, gathered from the journal's records.

Flow: journal → **session tape** → session artifacts.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, get_origin, get_type_hints

from ops.journal import Kind, Record
from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    MemoryTape,
    OrderRecord,
    VerdictRecord,
)

_TYPES: Mapping[Kind, type] = {
    Kind.DECISION: DecisionRecord,
    Kind.VERDICT: VerdictRecord,
    Kind.SUBMIT: OrderRecord,
    Kind.OUTCOME: OrderRecord,
    Kind.FILL: FillRecord,
    Kind.NOTE: HaltRecord,
}


class SessionTape:
    """Takes a journal's records, oldest first, and keeps those of one session.

    Args:
        session: Its name, or how that begins.
    """

    def __init__(self, session: str) -> None:
        self._wanted = session
        self._is_on = False
        self._is_over = False
        self.names: list[str] = []
        """Sessions that were seen."""
        self.pins: Mapping[str, Any] = {}
        """How the session began; empty where it was not found."""
        self.end: Mapping[str, Any] = {}
        """How it ended; empty where it was killed, or runs."""
        self.tape = MemoryTape()
        self.fills_before: list[FillRecord] = []
        """Executions of earlier sessions: what was held at the beginning came from them."""
        self.ended_ns: int | None = None
        """Wall time at which it ended, or the next one began, UTC nanoseconds; None where neither did."""
        self.commands: list[Mapping[str, Any]] = []
        """What operators asked for."""
        self.bar_times: tuple[int, int] | None = None
        """First and last close time of the bars that it saw, UTC nanoseconds; None where it saw none."""
        self.records = 0

    def take(self, record: Record) -> None:
        """Take the next record."""
        if self._is_over:
            return
        if record.kind is Kind.SESSION_START:
            self._begin(record)
        elif not self._is_on:
            if record.kind is Kind.FILL:
                self.fills_before.append(_read(FillRecord, record.body))
            return
        self.records += 1
        if record.kind is Kind.STATE and "equity" in record.body:
            self.tape.write(_read(EquityRecord, record.body["equity"]))
        elif record.kind is Kind.INPUT and "bars" in record.body:
            ts_event = record.body["ts_event"]
            self.bar_times = (self.bar_times[0] if self.bar_times else ts_event, ts_event)
        elif record.kind is Kind.STOP:
            self.end, self.ended_ns = record.body, record.ts_ns
            for reading in record.body.get("equity", ()):
                self._finish(_read(EquityRecord, reading))
        elif record.kind is Kind.CONTROL:
            self.commands.append(record.body)
        elif record.kind in _TYPES and "strategy" in record.body:
            self.tape.write(_read(_TYPES[record.kind], record.body))

    def _finish(self, reading: EquityRecord) -> None:
        """A book as it ended: it takes the place of what the newest bar left of it."""
        equity = self.tape.equity
        for at in range(len(equity) - 1, -1, -1):
            if equity[at].ts_event != reading.ts_event:
                break
            if equity[at].strategy == reading.strategy:
                equity[at] = reading
                return
        equity.append(reading)

    def _begin(self, record: Record) -> None:
        body = record.body
        name = str(body.get("session", ""))
        self.names.append(name)
        self._is_over = self._is_on
        if self._is_over and self.ended_ns is None:
            self.ended_ns = record.ts_ns
        if not self._is_on and name.startswith(self._wanted):
            self._is_on, self.pins = True, body


def _read(kind: type, body: Mapping[str, Any]) -> Any:
    """A record of the tape as it was; a number that was not finite is NaN."""
    values = {}
    for name, (is_tuple, is_float) in _fields(kind).items():
        value = body[name]
        if is_tuple:
            value = tuple([math.nan if one is None else one for one in value])
        elif is_float and value is None:
            value = math.nan
        values[name] = value
    return kind(**values)


@cache
def _fields(kind: type) -> Mapping[str, tuple[bool, bool]]:
    """Of each field of a kind, whether it is a tuple, and whether it is a number."""
    return {name: (get_origin(hint) is tuple, hint is float) for name, hint in get_type_hints(kind).items()}
