"""The tables of the journal's index, and how a record becomes rows of them.

What is worked out of several records (round trips, stays in a regime, days) is a fold: a record changes the
rows that its predecessors left, so an index made bit by bit equals one made at once.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from ml.round_trips import Closing, FillBook, Lot
from ops.journal.records import Kind, Record, encode_body
from strategies.tape import FillRecord

VERSION = 4
"""Of the tables; an index of another version is made again."""

DAY_NS = 86_400_000_000_000

SCHEMA = """
CREATE TABLE place (segment INTEGER, offset INTEGER, seq INTEGER, head BLOB);
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY, ts_ns INTEGER, ts_event INTEGER, strategy TEXT, body TEXT
);
CREATE INDEX decisions_by_strategy ON decisions (strategy, ts_event);
CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY, seq INTEGER, ts_ns INTEGER, last_seq INTEGER, last_ts_ns INTEGER,
    ts_event INTEGER, decision_id TEXT, strategy TEXT, instrument_id TEXT, side TEXT, quantity REAL,
    kind TEXT, role TEXT, price REAL, trigger_price REAL, status TEXT, reason TEXT
);
CREATE INDEX orders_by_strategy ON orders (strategy, ts_event);
CREATE INDEX orders_by_seq ON orders (seq, client_order_id);
CREATE TABLE fills (
    instrument_id TEXT, trade_id TEXT, seq INTEGER, ts_ns INTEGER, ts_event INTEGER, strategy TEXT,
    client_order_id TEXT, side TEXT, quantity REAL, price REAL, fee REAL, liquidity TEXT,
    PRIMARY KEY (instrument_id, trade_id)
);
CREATE INDEX fills_by_order ON fills (client_order_id);
CREATE INDEX fills_by_strategy ON fills (strategy, ts_event);
CREATE INDEX fills_by_seq ON fills (seq);
CREATE TABLE verdicts (
    seq INTEGER PRIMARY KEY, ts_ns INTEGER, ts_event INTEGER, strategy TEXT, instrument_id TEXT,
    requested REAL, approved REAL, reason TEXT, "limit" REAL, value REAL
);
CREATE INDEX verdicts_by_strategy ON verdicts (strategy, ts_event);
CREATE TABLE equity (
    seq INTEGER PRIMARY KEY, ts_ns INTEGER, ts_event INTEGER, strategy TEXT, equity REAL, cash REAL,
    gross_exposure REAL, net_exposure REAL, realised REAL, unrealised REAL, fees REAL, drawdown REAL
);
CREATE INDEX equity_by_strategy ON equity (strategy, ts_event);
CREATE TABLE lots (
    strategy TEXT, instrument_id TEXT, seq INTEGER, sign INTEGER, quantity REAL, price REAL, ts_event INTEGER,
    fee_per_unit REAL, opened REAL, PRIMARY KEY (strategy, instrument_id, seq)
);
CREATE TABLE trades (
    strategy TEXT, instrument_id TEXT, exit_order_id TEXT, sign INTEGER, seq INTEGER, ts_ns INTEGER,
    entry_ts INTEGER, exit_ts INTEGER, quantity REAL, entry_value REAL, exit_value REAL, fees REAL,
    unit_seconds REAL, PRIMARY KEY (strategy, instrument_id, exit_order_id, sign)
);
CREATE INDEX trades_by_seq ON trades (seq);
CREATE TABLE regimes (
    seq INTEGER PRIMARY KEY, ts_ns INTEGER, strategy TEXT, state INTEGER, first_ts INTEGER, last_ts INTEGER,
    bars INTEGER, probability REAL
);
CREATE INDEX regimes_by_strategy ON regimes (strategy, seq);
CREATE TABLE days (
    strategy TEXT, day INTEGER, seq INTEGER, ts_ns INTEGER, ts_event INTEGER, first_equity REAL, equity REAL,
    realised REAL, unrealised REAL, fees REAL, drawdown REAL, PRIMARY KEY (strategy, day)
);
CREATE TABLE bars (
    seq INTEGER, ts_ns INTEGER, bar_type TEXT, instrument_id TEXT, ts_event INTEGER, open REAL, high REAL,
    low REAL, close REAL, volume REAL, PRIMARY KEY (bar_type, ts_event)
);
CREATE INDEX bars_by_instrument ON bars (instrument_id, ts_event);
CREATE TABLE commands (
    seq INTEGER PRIMARY KEY, ts_ns INTEGER, kind TEXT, command TEXT, scope TEXT, who TEXT, reason TEXT,
    body TEXT
);
"""

_PUT_DECISION = "INSERT INTO decisions VALUES (:seq, :ts_ns, :ts_event, :strategy, :body)"
_ORDER_VALUES = """
    VALUES (:client_order_id, :seq, :ts_ns, :seq, :ts_ns, :ts_event, :decision_id, :strategy, :instrument_id,
            :side, :quantity, :kind, :role, :price, :trigger_price, :status, :reason)
"""
_PUT_INTENT = "INSERT OR REPLACE INTO orders " + _ORDER_VALUES
# What is done stays done: an answer that comes late changes nothing.
_PUT_OUTCOME = (
    "INSERT INTO orders "
    + _ORDER_VALUES
    + """
    ON CONFLICT (client_order_id) DO UPDATE SET
        last_seq = excluded.last_seq, last_ts_ns = excluded.last_ts_ns, status = excluded.status,
        reason = excluded.reason
    WHERE status NOT IN ('FILLED', 'CANCELED', 'REJECTED', 'DENIED', 'EXPIRED', 'ABANDONED')
"""
)
# What the venue said twice is counted once.
_PUT_FILL = """
    INSERT OR IGNORE INTO fills
    VALUES (:instrument_id, :trade_id, :seq, :ts_ns, :ts_event, :strategy, :client_order_id, :side, :quantity,
            :price, :fee, :liquidity)
"""
_PUT_VERDICT = """
    INSERT INTO verdicts
    VALUES (:seq, :ts_ns, :ts_event, :strategy, :instrument_id, :requested, :approved, :reason, :limit,
            :value)
"""
_PUT_EQUITY = """
    INSERT INTO equity
    VALUES (:seq, :ts_ns, :ts_event, :strategy, :equity, :cash, :gross_exposure, :net_exposure, :realised,
            :unrealised, :fees, :drawdown)
"""
_NEWEST_REGIME = "SELECT seq, state FROM regimes WHERE strategy = :strategy ORDER BY seq DESC LIMIT 1"
_PUT_REGIME = """
    INSERT INTO regimes VALUES (:seq, :ts_ns, :strategy, :state, :ts_event, :ts_event, 1, :probability)
"""
_LENGTHEN_REGIME = """
    UPDATE regimes SET last_ts = :ts_event, bars = bars + 1, probability = probability + :probability
    WHERE seq = :stay
"""
_OF_BOOK = "WHERE strategy = :strategy AND instrument_id = :instrument_id"
_LOTS = f"""
    SELECT seq, sign, quantity, price, ts_event, fee_per_unit, opened FROM lots {_OF_BOOK} ORDER BY seq
"""  # noqa: S608 - a clause of ours
_CLOSINGS = f"""
    SELECT sign, quantity, entry_value, exit_value, fees, unit_seconds, entry_ts, exit_ts FROM trades
    {_OF_BOOK} AND exit_order_id = :client_order_id
"""  # noqa: S608 - likewise
_PUT_LOT = """
    INSERT OR REPLACE INTO lots
    VALUES (:strategy, :instrument_id, :seq, :sign, :quantity, :price, :ts_event, :fee_per_unit, :opened)
"""
_DROP_LOT = f"DELETE FROM lots {_OF_BOOK} AND seq = :seq"  # noqa: S608 - likewise
_PUT_TRADE = """
    INSERT OR REPLACE INTO trades
    VALUES (:strategy, :instrument_id, :client_order_id, :sign, :seq, :ts_ns, :entry_ts, :exit_ts, :quantity,
            :entry_value, :exit_value, :fees, :unit_seconds)
"""
# A mark at midnight ends the day before.
_PUT_DAY = """
    INSERT INTO days
    VALUES (:strategy, :day, :seq, :ts_ns, :ts_event, :equity, :equity, :realised, :unrealised, :fees,
            :drawdown)
    ON CONFLICT (strategy, day) DO UPDATE SET
        seq = excluded.seq, ts_ns = excluded.ts_ns, ts_event = excluded.ts_event, equity = excluded.equity,
        realised = excluded.realised, unrealised = excluded.unrealised, fees = excluded.fees,
        drawdown = max(drawdown, excluded.drawdown)
"""
# A bar that was played again after a restart is the one that was seen before.
_PUT_BAR = """
    INSERT OR IGNORE INTO bars
    VALUES (:seq, :ts_ns, :bar_type, :instrument_id, :ts_event, :open, :high, :low, :close, :volume)
"""
_PUT_COMMAND = "INSERT INTO commands VALUES (:seq, :ts_ns, :kind, :command, :scope, :who, :reason, :body)"


def _take_decision(connection: sqlite3.Connection, record: Record) -> None:
    row = _row(record, record.body, ("ts_event", "strategy"))
    connection.execute(_PUT_DECISION, row | {"body": encode_body(record.body).decode()})
    state, probs = record.body.get("regime_state", -1), record.body.get("regime_probs", ())
    if state < 0:
        return
    row |= {"state": state, "probability": probs[state] or 0.0}
    newest = connection.execute(_NEWEST_REGIME, row).fetchone()
    if newest is not None and newest[1] == state:
        connection.execute(_LENGTHEN_REGIME, row | {"stay": newest[0]})
    else:
        connection.execute(_PUT_REGIME, row)


def _take_intents(connection: sqlite3.Connection, record: Record) -> None:
    for intent in record.body.get("intents", ()):
        connection.execute(
            _PUT_INTENT, _row(record, intent, _ORDER_KEYS) | {"status": "INTENT", "reason": ""}
        )


def _take_outcome(connection: sqlite3.Connection, record: Record) -> None:
    connection.execute(_PUT_OUTCOME, _row(record, record.body, (*_ORDER_KEYS, "status", "reason")))


def _take_fill(connection: sqlite3.Connection, record: Record) -> None:
    row = _row(record, record.body, _FILL_KEYS)
    is_new = connection.execute(_PUT_FILL, row).rowcount == 1
    if is_new and (row["quantity"] or 0.0) > 0.0 and (row["price"] or 0.0) > 0.0:
        _match(connection, row)


def _match(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    """Let a fill open or close lots, first in, first out."""
    book, order_id = FillBook(), row["client_order_id"]
    loaded, reach = {}, 0.0
    for seq, book.sign, *lot in connection.execute(_LOTS, row):
        if book.sign == (1 if row["side"] == "BUY" else -1):
            break  # it adds to what is open, however many lots that are
        loaded[seq] = Lot(*lot)
        reach += loaded[seq].quantity
        if reach > row["quantity"]:
            break
    book.lots.extend(loaded.values())
    if loaded:
        for sign, *sums in connection.execute(_CLOSINGS, row):
            book.closings[order_id, sign] = Closing(*sums)
    names = {name: row[name] for name in FillRecord._fields}
    book.apply(FillRecord(**names | {"fee": row["fee"] or 0.0}))
    left = {id(lot) for lot in book.lots}
    for seq, held in loaded.items():
        if id(held) in left:
            connection.execute(_PUT_LOT, row | {"sign": book.sign, "seq": seq} | dataclasses.asdict(held))
        else:
            connection.execute(_DROP_LOT, row | {"seq": seq})
    if book.lots and all(book.lots[-1] is not held for held in loaded.values()):
        connection.execute(_PUT_LOT, row | {"sign": book.sign} | dataclasses.asdict(book.lots[-1]))
    for (_, sign), closing in book.closings.items():
        connection.execute(_PUT_TRADE, row | {"sign": sign} | dataclasses.asdict(closing))


def _take_verdict(connection: sqlite3.Connection, record: Record) -> None:
    connection.execute(_PUT_VERDICT, _row(record, record.body, _VERDICT_KEYS))


def _take_state(connection: sqlite3.Connection, record: Record) -> None:
    reading = record.body.get("equity")
    if reading is None:
        return
    row = _row(record, reading, _EQUITY_KEYS)
    connection.execute(_PUT_EQUITY, row)
    connection.execute(_PUT_DAY, row | {"day": (row["ts_event"] - 1) // DAY_NS})


def _take_input(connection: sqlite3.Connection, record: Record) -> None:
    for bar_type, values in record.body.get("bars", {}).items():
        row = _row(record, record.body, ("ts_event",)) | dict(zip(_BAR_KEYS, values, strict=True))
        name = {"bar_type": bar_type, "instrument_id": bar_type.rsplit("-", _WORDS_OF_A_SERIES)[0]}
        connection.execute(_PUT_BAR, row | name)


def _take_command(connection: sqlite3.Connection, record: Record) -> None:
    row = _row(record, record.body, ("command", "scope", "who", "reason"))
    connection.execute(
        _PUT_COMMAND, row | {"kind": record.kind.value, "body": encode_body(record.body).decode()}
    )


_ORDER_KEYS = (
    "client_order_id", "ts_event", "decision_id", "strategy", "instrument_id", "side", "quantity", "kind",
    "role", "price", "trigger_price",
)  # fmt: skip
_FILL_KEYS = (
    "instrument_id", "trade_id", "ts_event", "strategy", "client_order_id", "side", "quantity", "price",
    "fee", "liquidity",
)  # fmt: skip
_VERDICT_KEYS = (
    "ts_event", "strategy", "instrument_id", "requested", "approved", "reason", "limit", "value",
)  # fmt: skip
_BAR_KEYS = ("open", "high", "low", "close", "volume")
_WORDS_OF_A_SERIES = 4
"""That follow the instrument in a bar type: step, unit, price and source."""
_EQUITY_KEYS = (
    "ts_event", "strategy", "equity", "cash", "gross_exposure", "net_exposure", "realised", "unrealised",
    "fees", "drawdown",
)  # fmt: skip
TAKES: Mapping[Kind, Callable[[sqlite3.Connection, Record], None]] = {
    Kind.INPUT: _take_input,
    Kind.DECISION: _take_decision,
    Kind.VERDICT: _take_verdict,
    Kind.STATE: _take_state,
    Kind.INTENT: _take_intents,
    Kind.SUBMIT: _take_outcome,
    Kind.OUTCOME: _take_outcome,
    Kind.FILL: _take_fill,
    Kind.CONTROL: _take_command,
    Kind.LATCH: _take_command,
}
"""What a record of each kind does; the others change nothing."""


def _row(record: Record, fields: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """A row's values; what a record does not say is null, and what is no plain value is kept as JSON."""
    row: dict[str, Any] = {"seq": record.seq, "ts_ns": record.ts_ns}
    for key in keys:
        value = fields.get(key)
        row[key] = json.dumps(value) if isinstance(value, dict | list) else value
    return row
