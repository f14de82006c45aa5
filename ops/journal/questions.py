"""What may be asked of the journal's index, a page at a time, newest first.

A page ends where its limit says, and names the cursor at which the next one goes on. What is recorded in
between changes no page that is still to come.
"""

import json
import re
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ml.round_trips import Closing
from ops.journal.tables import DAY_NS

LATEST_NS = 2**63 - 1
"""Later than anything."""

_CURSOR = re.compile(r"([0-9]{1,18})(?::([\x21-\x7e]{0,200}))?")
_DONE = "('FILLED', 'CANCELED', 'REJECTED', 'DENIED', 'EXPIRED', 'ABANDONED')"


class Question(StrEnum):
    """What is asked for."""

    ORDERS = "orders"
    """Orders as they stand, with what was filled."""
    FILLS = "fills"
    TRADES = "trades"
    """Round trips, first in first out; a closing order that goes on filling goes on changing its own."""
    DECISIONS = "decisions"
    VERDICTS = "verdicts"
    """What the guardrails said."""
    EQUITY = "equity"
    """Books marked at the close of bars."""
    REGIMES = "regimes"
    """Unbroken stays of a strategy in a regime state; the newest goes on."""
    PNL = "pnl"
    """Profit of each strategy by UTC day; the newest day goes on."""
    COMMANDS = "commands"
    """Commands and changes of the latch; their time is the wall clock's."""
    BARS = "bars"
    """Bars as strategies saw them."""


class Cursor(NamedTuple):
    """Where a page ended."""

    seq: int
    tie: str = ""
    """Tells rows of one record apart."""

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read what `str` gave.

        Raises:
            ValueError: If it did not.
        """
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise ValueError(f"expected the next_cursor of an earlier page, found {text[:60]!r}")
        return cls(int(found[1]), found[2] or "")

    def __str__(self) -> str:
        return f"{self.seq}:{self.tie}" if self.tie else str(self.seq)


class Filter(NamedTuple):
    """Which rows are asked for; None asks for all."""

    strategy: str | None = None
    instrument_id: str | None = None
    """Of orders, fills, trades, verdicts and bars; nothing else has one."""
    since_ns: int | None = None
    """Market time at or after which a row is, UTC nanoseconds."""
    until_ns: int | None = None
    """Market time at or before which it is."""
    open_only: bool = False
    """Only orders that are not done."""
    before: Cursor | None = None
    limit: int = 1_000
    """Most rows; a negative one is none."""
    every_secs: int | None = None
    """Of equity and bars: one row of each stretch of market time of this length."""


EVERY = Filter()


class Page(NamedTuple):
    """Some rows."""

    rows: list[dict[str, Any]]
    next_cursor: str | None
    """Where the next page goes on; None where there is none."""


class _Table(NamedTuple):
    query: str
    time: str = "ts_event"
    tie: str = ""
    sparse: str = ""
    """The query for `Filter.every_secs`; conditions go in place of ``{}``, and its rows still have a seq."""


# A close at the end of a stretch belongs to it.
_STRETCH = "(ts_event - 1) / (:every_secs * 1000000000)"

_TABLES: Mapping[Question, _Table] = {
    Question.ORDERS: _Table(
        """SELECT *, COALESCE((SELECT SUM(quantity) FROM fills
               WHERE fills.client_order_id = orders.client_order_id), 0.0) AS filled_quantity
           FROM orders""",
        tie="client_order_id",
    ),
    Question.FILLS: _Table("SELECT * FROM fills"),
    Question.TRADES: _Table(
        """SELECT *, COALESCE((SELECT role FROM orders WHERE client_order_id = exit_order_id), '') AS role
           FROM trades""",
        time="exit_ts",
        tie="exit_order_id",
    ),
    Question.DECISIONS: _Table("SELECT * FROM decisions"),
    Question.VERDICTS: _Table("SELECT * FROM verdicts"),
    Question.EQUITY: _Table(
        "SELECT * FROM equity",
        sparse=f"""SELECT * FROM (SELECT * FROM equity WHERE seq IN
            (SELECT MAX(seq) FROM equity WHERE {{}} GROUP BY strategy, {_STRETCH}))""",  # noqa: S608 - a clause of ours
    ),
    Question.BARS: _Table(
        "SELECT *, 1 AS bars FROM bars",
        tie="bar_type",
        sparse=f"""SELECT * FROM (
            SELECT newest.seq, newest.ts_ns, newest.bar_type, newest.instrument_id, newest.ts_event,
                oldest.open, joined.high, joined.low, newest.close, joined.volume, joined.bars
            FROM (SELECT bar_type, MIN(ts_event) AS first_ts, MAX(ts_event) AS last_ts, MAX(high) AS high,
                    MIN(low) AS low, SUM(volume) AS volume, COUNT(*) AS bars
                FROM bars WHERE {{}} GROUP BY bar_type, {_STRETCH}) AS joined
            JOIN bars AS newest ON newest.bar_type = joined.bar_type AND newest.ts_event = last_ts
            JOIN bars AS oldest ON oldest.bar_type = joined.bar_type AND oldest.ts_event = first_ts)""",  # noqa: S608 - likewise
    ),
    Question.REGIMES: _Table("SELECT * FROM regimes", time="last_ts"),
    Question.PNL: _Table(
        """SELECT * FROM (SELECT seq, ts_ns, ts_event, strategy, day, equity - COALESCE(
               LAG(equity) OVER (PARTITION BY strategy ORDER BY day), first_equity) AS profit,
               equity, realised, unrealised, fees, drawdown FROM days)""",
    ),
    Question.COMMANDS: _Table("SELECT * FROM commands", time="ts_ns"),
}
WITH_INSTRUMENT = frozenset(
    {Question.ORDERS, Question.FILLS, Question.TRADES, Question.VERDICTS, Question.BARS}
)


def page(connection: sqlite3.Connection, question: Question, asked: Filter) -> Page:
    """Answer one question."""
    table = _TABLES[question]
    parameters = asked._asdict() | {"more": asked.limit + 1 if asked.limit >= 0 else -1}
    if asked.before is not None:
        parameters |= asked.before._asdict()
    rows_meant, place = _conditions(table, asked), _place(table, asked)
    query = table.query
    if asked.every_secs is not None and table.sparse:  # where a page begins must not cut a stretch in two
        query, rows_meant = table.sparse.format(_all(rows_meant)), []
    order = f"seq DESC, {table.tie} DESC" if table.tie else "seq DESC"
    cursor = connection.execute(
        f"{query} WHERE {_all(rows_meant + place)} ORDER BY {order} LIMIT :more",
        {name: value for name, value in parameters.items() if isinstance(value, int | str)},
    )
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    if len(rows) <= asked.limit or asked.limit < 0:
        return Page([_shaped(question, row) for row in rows], None)
    rows = rows[: asked.limit]
    end = Cursor(rows[-1]["seq"], rows[-1][table.tie] if table.tie else "")
    return Page([_shaped(question, row) for row in rows], str(end))


def _conditions(table: _Table, asked: Filter) -> list[str]:
    # Only what is asked for: an index helps with a condition, not with one that may be none.
    found = []
    if asked.strategy is not None:
        found.append("strategy = :strategy")
    if asked.instrument_id is not None:
        found.append("instrument_id = :instrument_id")
    if asked.since_ns is not None:
        found.append(f"{table.time} >= :since_ns")
    if asked.until_ns is not None:
        found.append(f"{table.time} <= :until_ns")
    if asked.open_only:
        found.append(f"status NOT IN {_DONE}")
    return found


def _place(table: _Table, asked: Filter) -> list[str]:
    if asked.before is None:
        return []
    return [f"(seq, {table.tie}) < (:seq, :tie)" if table.tie else "seq < :seq"]


def _all(conditions: list[str]) -> str:
    return " AND ".join(conditions) or "TRUE"


def _shaped(question: Question, row: dict[str, Any]) -> dict[str, Any]:
    placed = {"seq": row["seq"], "ts_ns": row["ts_ns"]}
    match question:
        case Question.DECISIONS:
            return placed | dict(json.loads(row["body"]))
        case Question.COMMANDS:
            return row | {"body": json.loads(row["body"])}
        case Question.TRADES:
            sums = Closing(**{name: row[name] for name in Closing.__dataclass_fields__})
            own = (row["strategy"], row["instrument_id"], row["exit_order_id"], row["sign"], row["role"])
            return placed | sums.round_trip(*own)._asdict()
        case Question.REGIMES:
            total = row.pop("probability")
            return row | {"mean_probability": total / row["bars"]}
        case Question.PNL:
            start = datetime.fromtimestamp(row["day"] * DAY_NS // 1_000_000_000, UTC)
            return row | {"day": f"{start:%Y-%m-%d}"}
    return row
