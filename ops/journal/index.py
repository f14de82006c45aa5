"""An index of the journal for questions: orders, executions, decisions, verdicts, equity, commands.

Flow: journal → **index** → operator.

Only the journal is true. The index is SQLite, which does not notice when a bit of it flips, so nothing that
trades reads it: it may be deleted at any time and is made again from the journal, equal to the last row.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops.disk import Disk
from ops.journal.reading import BrokenChainError, Position, StoredLine, read_on
from ops.journal.records import GENESIS, Kind, Record, decode, encode_body, stored_hash
from ops.journal.segments import segment_path

_VERSION = 2
_PATIENCE_SECS = 5.0
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_START = Position(1, 0, 0, GENESIS)
_HASH_BYTES = 76

_SCHEMA = """
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
CREATE TABLE fills (
    instrument_id TEXT, trade_id TEXT, seq INTEGER, ts_ns INTEGER, ts_event INTEGER, strategy TEXT,
    client_order_id TEXT, side TEXT, quantity REAL, price REAL, fee REAL, liquidity TEXT,
    PRIMARY KEY (instrument_id, trade_id)
);
CREATE INDEX fills_by_order ON fills (client_order_id);
CREATE INDEX fills_by_strategy ON fills (strategy, ts_event);
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
_ORDERS = """
    SELECT orders.*, COALESCE((SELECT SUM(quantity) FROM fills
        WHERE fills.client_order_id = orders.client_order_id), 0.0) AS filled_quantity
    FROM orders WHERE strategy = COALESCE(:strategy, strategy)
    AND NOT (:open_only AND status IN ('FILLED', 'CANCELED', 'REJECTED', 'DENIED', 'EXPIRED', 'ABANDONED'))
    ORDER BY seq DESC, client_order_id LIMIT :limit
"""
_PUT_COMMAND = "INSERT INTO commands VALUES (:seq, :ts_ns, :kind, :command, :scope, :who, :reason, :body)"


class JournalIndex:
    """Answers questions about a journal; for one thread.

    Args:
        path: The SQLite file; made where there is none, thrown away where it is damaged or another version's.
            None keeps the index in memory.
        folder: The journal.

    Raises:
        sqlite3.Error: If the file cannot be used though it is not damaged, for example on a full disk.
    """

    def __init__(self, disk: Disk, folder: Path, path: Path | None) -> None:
        self._disk = disk
        self._folder = folder
        self._path = path
        try:
            self._connection = _connect(path)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._discard()

    def update(self) -> int:
        """Take in what the journal has gained; how many records that was.

        The work is one pass over the new records, in one transaction.

        Raises:
            BrokenChainError: If the journal is damaged; what the index holds stays as it was.
            OSError, sqlite3.Error: If the disk refuses.
        """
        try:
            return self._update()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
        self._discard()
        return self._update()

    def orders(
        self, *, strategy: str | None = None, open_only: bool = False, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """Orders as they stand, newest first, with what was filled; a negative limit is none."""
        return self._rows(_ORDERS, strategy=strategy, open_only=open_only, limit=limit)

    def fills(
        self, *, strategy: str | None = None, since_ns: int = 0, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """Executions at or after a market time, newest first."""
        return self._rows(
            """SELECT * FROM fills WHERE strategy = COALESCE(:strategy, strategy) AND ts_event >= :since_ns
               ORDER BY seq DESC LIMIT :limit""",
            strategy=strategy,
            since_ns=since_ns,
            limit=limit,
        )

    def decisions(
        self, *, strategy: str | None = None, since_ns: int = 0, until_ns: int = 2**63 - 1, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """Decisions on bars that closed in a span of market time, both ends included, newest first."""
        return self._span("decisions", strategy, since_ns, until_ns, limit)

    def verdicts(
        self, *, strategy: str | None = None, since_ns: int = 0, until_ns: int = 2**63 - 1, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """What the guardrails said in a span of market time, both ends included, newest first."""
        return self._span("verdicts", strategy, since_ns, until_ns, limit)

    def equity(
        self, *, strategy: str | None = None, since_ns: int = 0, until_ns: int = 2**63 - 1, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """Books marked at bars that closed in a span of market time, both ends included, newest first."""
        return self._span("equity", strategy, since_ns, until_ns, limit)

    def commands(self, *, since_ns: int = 0, limit: int = 1_000) -> list[dict[str, Any]]:
        """Commands and changes of the latch at or after a wall-clock time, newest first."""
        return self._rows(
            "SELECT * FROM commands WHERE ts_ns >= :since_ns ORDER BY seq DESC LIMIT :limit",
            since_ns=since_ns,
            limit=limit,
        )

    def dump(self) -> str:
        """All of it as SQL; equal for equal journals."""
        return "\n".join(self._connection.iterdump())

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _span(
        self, table: str, strategy: str | None, since_ns: int, until_ns: int, limit: int
    ) -> list[dict[str, Any]]:
        where = "WHERE strategy = COALESCE(:strategy, strategy) AND ts_event BETWEEN :since_ns AND :until_ns"
        query = f"SELECT * FROM {table} {where} ORDER BY seq DESC LIMIT :limit"  # noqa: S608 - a table of ours
        return self._rows(query, strategy=strategy, since_ns=since_ns, until_ns=until_ns, limit=limit)

    def _rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        cursor = self._connection.execute(query, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def _update(self) -> int:
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            start = self._place()
            if start is None:
                _wipe(self._connection)
                start = _START
            try:
                end = read_on(self._disk, self._folder, start, self._take)
            except BrokenChainError:
                if start is _START:
                    raise
                # The journal is not the one that was indexed, or is damaged further on: begin again and see.
                _wipe(self._connection)
                start = _START
                end = read_on(self._disk, self._folder, start, self._take)
            self._connection.execute("DELETE FROM place")
            self._connection.execute("INSERT INTO place VALUES (?, ?, ?, ?)", end)
        return end.seq - start.seq

    def _place(self) -> Position | None:
        """Where the index stands; None where the journal has no such place."""
        row = self._connection.execute("SELECT segment, offset, seq, head FROM place").fetchone()
        if row is None:
            return None
        place = Position(*row)
        if place.offset < _HASH_BYTES:
            return None
        with contextlib.suppress(OSError, ValueError):
            path = segment_path(self._folder, place.segment)
            line_end = self._disk.read(path, place.offset - _HASH_BYTES, _HASH_BYTES)
            if line_end.endswith(b"\n") and stored_hash(line_end) == place.head:
                return place
        return None

    def _take(self, line: StoredLine) -> None:
        takes = _TAKES.get(line.kind)
        if takes is not None:
            takes(self._connection, decode(line.content))

    def _discard(self) -> None:
        with contextlib.suppress(AttributeError, sqlite3.Error):
            self._connection.close()
        if self._path is not None:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._connection = _connect(self._path)


def _connect(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path or ":memory:", timeout=_PATIENCE_SECS, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # what a crash takes is read from the journal again
        problems = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problems != "ok":
            error = sqlite3.DatabaseError(problems)
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                _wipe(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _wipe(connection: sqlite3.Connection) -> None:
    """Begin with empty tables, inside the transaction that is open."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (name,) in tables:
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"DROP TABLE {quoted}")
    for statement in filter(str.strip, _SCHEMA.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {_VERSION}")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def _take_decision(connection: sqlite3.Connection, record: Record) -> None:
    row = _row(record, record.body, ("ts_event", "strategy"))
    connection.execute(_PUT_DECISION, row | {"body": encode_body(record.body).decode()})


def _take_intents(connection: sqlite3.Connection, record: Record) -> None:
    for intent in record.body.get("intents", ()):
        connection.execute(
            _PUT_INTENT, _row(record, intent, _ORDER_KEYS) | {"status": "INTENT", "reason": ""}
        )


def _take_outcome(connection: sqlite3.Connection, record: Record) -> None:
    connection.execute(_PUT_OUTCOME, _row(record, record.body, (*_ORDER_KEYS, "status", "reason")))


def _take_fill(connection: sqlite3.Connection, record: Record) -> None:
    connection.execute(_PUT_FILL, _row(record, record.body, _FILL_KEYS))


def _take_verdict(connection: sqlite3.Connection, record: Record) -> None:
    connection.execute(_PUT_VERDICT, _row(record, record.body, _VERDICT_KEYS))


def _take_state(connection: sqlite3.Connection, record: Record) -> None:
    reading = record.body.get("equity")
    if reading is not None:
        connection.execute(_PUT_EQUITY, _row(record, reading, _EQUITY_KEYS))


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
_EQUITY_KEYS = (
    "ts_event", "strategy", "equity", "cash", "gross_exposure", "net_exposure", "realised", "unrealised",
    "fees", "drawdown",
)  # fmt: skip
_TAKES: Mapping[Kind, Callable[[sqlite3.Connection, Record], None]] = {
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


def _row(record: Record, fields: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """A row's values; what a record does not say is null, and what is no plain value is kept as JSON."""
    row: dict[str, Any] = {"seq": record.seq, "ts_ns": record.ts_ns}
    for key in keys:
        value = fields.get(key)
        row[key] = json.dumps(value) if isinstance(value, dict | list) else value
    return row
