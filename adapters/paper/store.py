"""A paper venue's memory on disk: what it has answered survives a kill, and so does what is over.

One SQLite file holds the snapshot of what lives, every closed order and every execution. One transaction a
save: after a kill at any instant the file is as before the save or as after it. A save that must last is
on the disk when it returns (write-ahead log, ``synchronous=FULL``); one that only notes how far the market
is survives a kill of the process, and a power failure takes back no more than that.

Rows carry a digest, and the snapshot the number of rows, because SQLite itself does not notice a byte that
has changed. Whoever copies the file copies the ``-wal`` beside it: a file that says it is in use, with no
log beside it, has lost what was answered last, and is refused.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from adapters.errors import StateError, StateWriteError
from adapters.paper.orders import Fill, Order
from adapters.paper.snapshot import fill_of, order_of, plain_of, restore, snapshot
from adapters.paper.venue import PaperVenue

_APPLICATION_ID = 0x41524756
_AT_REST, _IN_USE = 3, 4
"""Versions of the file: all is in it, or some of it may be in the log beside it."""
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_AT_REST};
CREATE TABLE venue (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY, venue_order_id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE fills (
    number INTEGER PRIMARY KEY, trade_id TEXT NOT NULL UNIQUE, client_order_id TEXT NOT NULL,
    ts_event INTEGER NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE INDEX fills_by_order ON fills (client_order_id);
CREATE INDEX fills_by_time ON fills (ts_event);
"""
VENUE_FILE = "paper-venue.sqlite"
"""Its name in a state directory."""
_LOG_PAGES = 1_000
"""Length of the log at which it is worked into the file; SQLite's own default."""
_ADVICE = "restore it from a backup, or move it away to begin with a new account"


class VenueStore:
    """The file of one paper venue; the venue's archive, too.

    Only one process can have it open. Use it on one thread.

    Args:
        path: The file; made if nothing is there.

    Raises:
        StateError: If the file is damaged, no paper venue's, or open in another process. It is unchanged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.saves = 0
        """How many saves have waited for the disk."""
        self._orders: dict[str, Order] = {}
        self._fills: list[Fill] = []
        if not path.exists():
            _make(path)
        try:
            address = f"{path.absolute().as_uri()}?mode=rw"
            self._db = sqlite3.connect(address, uri=True, timeout=0, autocommit=True)
        except sqlite3.Error as error:
            raise StateError(f"{path}: expected a file that can be opened, found: {error}") from error
        has_log = _has_content(_log_of(path))
        try:
            self._lock()
            self._plain = self._verify(has_log)
            self._begin_use()
        except StateError:
            self._db.close()
            raise
        except (sqlite3.DatabaseError, ValueError, KeyError) as error:  # a changed byte may break any layer
            self._db.close()
            raise StateError(
                f"{path}: expected a paper venue's memory, found: {error!r}; {_ADVICE}"
            ) from error

    def restore(self, venue: PaperVenue) -> None:
        """Let a venue continue from the file; one that is new stays as it is.

        Raises:
            StateError: If the file is of another venue or account, or has a position or an order in what
                the venue does not trade. Neither file nor venue is changed.
        """
        if self._plain is None:
            return
        try:
            restore(venue, self._plain)
        except ValueError as error:
            raise StateError(f"{self.path}: {error}") from error

    def save(self, venue: PaperVenue, *, lasting: bool = True) -> None:
        """Write down what the venue remembers, and retire what is over.

        Args:
            venue: The venue.
            lasting: Wait for the disk.

        Raises:
            StateWriteError: If the disk refuses. The file is as it was; the venue goes on in memory, and
                the next save that succeeds writes this one's share, too.
        """
        orders, fills = venue.retire()
        self._orders |= {order.client_order_id: order for order in orders}
        self._fills += fills
        try:
            self._write(venue, lasting)
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):  # where the disk is full, SQLite may have done it
                self._db.execute("ROLLBACK")
            raise StateWriteError(
                f"{self.path}: expected to write the paper venue's memory, found: {error}; "
                "free space and start again"
            ) from error
        self._orders, self._fills = {}, []
        self.saves += lasting

    def close(self) -> None:
        """Give the file back; nothing is saved."""
        with contextlib.suppress(sqlite3.Error):  # then it stays marked as in use, and keeps its log
            self._db.execute(f"PRAGMA user_version = {_AT_REST}")
        self._db.close()

    def copy_to(self, path: Path) -> None:
        """Copy the file, as it was saved last, to another that needs no log; what was there is replaced.

        Raises:
            StateWriteError: If the disk refuses.
        """
        try:
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            with closing(sqlite3.connect(path, autocommit=True)) as copy:
                self._db.backup(copy)
            put_at_rest(path)
        except (sqlite3.Error, OSError) as error:
            raise StateWriteError(
                f"{path}: expected to copy the paper venue's memory, found: {error}"
            ) from error

    @contextlib.contextmanager
    def held_still(self) -> Iterator[None]:
        """While the block runs, the file is as it was saved last; what is saved meanwhile goes to its log.

        So somebody else can copy the file. It must be another process: where ours closes a file that it has
        opened twice, the system lets go of our lock on it.

        Raises:
            StateWriteError: If the disk refuses; nothing is held.
        """
        try:
            is_busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._db.execute("PRAGMA wal_autocheckpoint = 0")
        except sqlite3.Error as error:
            raise StateWriteError(
                f"{self.path}: expected to bring the paper venue's file up to date, found: {error}"
            ) from error
        try:
            if is_busy:
                raise StateWriteError(f"{self.path}: expected to be alone with the paper venue's file")
            yield
        finally:
            self._db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")

    # ---- what is over

    def order(self, client_order_id: str) -> Order | None:
        """Find an order by its client id."""
        return self._orders.get(client_order_id) or self._order("client_order_id", client_order_id)

    def order_numbered(self, venue_order_id: str) -> Order | None:
        """Find an order by the venue's own id."""
        unsaved = (one for one in self._orders.values() if one.venue_order_id == venue_order_id)
        return next(unsaved, None) or self._order("venue_order_id", venue_order_id)

    def fills_of(self, client_order_id: str) -> list[Fill]:
        """List an order's executions, oldest first."""
        unsaved = [fill for fill in self._fills if fill.client_order_id == client_order_id]
        return self._read_fills("client_order_id = ?", client_order_id) + unsaved

    def fills_since(self, since_ns: int) -> list[Fill]:
        """List executions at or after a market time, oldest first."""
        unsaved = [fill for fill in self._fills if fill.ts_event >= since_ns]
        return self._read_fills("ts_event >= ?", since_ns) + unsaved

    def _order(self, column: str, name: str) -> Order | None:
        query = f"SELECT body, digest FROM orders WHERE {column} = ?"  # noqa: S608 - the column is ours
        row = self._db.execute(query, (name,)).fetchone()
        return None if row is None else order_of(self._checked(*row))

    def _read_fills(self, condition: str, value: str | int) -> list[Fill]:
        query = f"SELECT body, digest FROM fills WHERE {condition} ORDER BY number"  # noqa: S608 - ours, too
        return [fill_of(self._checked(*row)) for row in self._db.execute(query, (value,))]

    # ---- the file

    def _lock(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            if self._db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
                raise StateError(f"{self.path}: expected a file system that can keep a write-ahead log")
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise StateError(
                f"{self.path}: expected to be alone with the paper venue's memory, found it open in another "
                "process; stop that one"
            ) from error

    def _begin_use(self) -> None:
        """Mark the file itself, not only its log, so that a log that is lost is missed."""
        try:
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(f"PRAGMA user_version = {_IN_USE}")
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            raise StateWriteError(
                f"{self.path}: expected to mark the paper venue's memory as in use, found: {error}; "
                "free space and start again"
            ) from error

    def _verify(self, has_log: bool) -> Any:
        """Check the whole file and give the snapshot; None in a new one."""
        marks = [
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        ]
        if marks not in ([_APPLICATION_ID, _AT_REST], [_APPLICATION_ID, _IN_USE]):
            raise StateError(
                f"{self.path}: expected a paper venue's memory of format {_AT_REST}, found marks {marks}; "
                f"{_ADVICE}"
            )
        if marks[1] == _IN_USE and not has_log:
            raise StateError(
                f"{self.path}: expected {_log_of(self.path).name} beside it, for it was in use when its "
                f"process ended; found none, so what was answered last is lost; put it back, {_ADVICE}"
            )
        found = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StateError(f"{self.path}: expected an undamaged file, found: {found}; {_ADVICE}")
        row = self._db.execute("SELECT body, digest FROM venue").fetchone()
        if row is None:
            raise StateError(f"{self.path}: expected a snapshot, found none; {_ADVICE}")
        written = self._checked(*row)
        counts = [self._check_rows("orders"), self._check_rows("fills")]
        if written["rows"] != counts:
            raise StateError(
                f"{self.path}: expected {written['rows']} closed orders and executions, found {counts}; "
                f"{_ADVICE}"
            )
        return written["snapshot"]

    def _check_rows(self, table: str) -> int:
        count = 0
        name = {"orders": "client_order_id", "fills": "trade_id"}[table]
        for key, body, digest in self._db.execute(f"SELECT {name}, body, digest FROM {table}"):  # noqa: S608
            if self._checked(body, digest)[name] != key:
                raise StateError(
                    f"{self.path}: expected {table} under their own names, found {key}; {_ADVICE}"
                )
            count += 1
        return count

    def _checked(self, body: str, digest: str) -> Any:
        if _digest(body) != digest:
            raise StateError(f"{self.path}: expected rows as they were written, found one changed; {_ADVICE}")
        return json.loads(body)

    def _write(self, venue: PaperVenue, lasting: bool) -> None:
        self._db.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        for order in self._orders.values():
            row = (order.client_order_id, order.venue_order_id, *_sealed(plain_of(order)))
            self._db.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", row)
        self._db.executemany(
            "INSERT INTO fills (trade_id, client_order_id, ts_event, body, digest) VALUES (?, ?, ?, ?, ?)",
            ((f.trade_id, f.client_order_id, f.ts_event, *_sealed(plain_of(f))) for f in self._fills),
        )
        self._db.execute(
            "UPDATE venue SET body = ?, digest = ?",
            _sealed({"snapshot": snapshot(venue), "rows": self._rows()}),
        )
        self._db.execute("COMMIT")

    def _rows(self) -> list[int]:
        # Rows are never deleted, so the largest number counts them; COUNT(*) would read all of them.
        count = "SELECT max(rowid) FROM "
        return [self._db.execute(count + table).fetchone()[0] or 0 for table in ("orders", "fills")]


def put_at_rest(copy: Path) -> None:
    """Mark a copy of the file as one that nobody uses and that needs no log.

    Raises:
        sqlite3.Error: If it is no such copy, or the disk refuses.
    """
    with closing(sqlite3.connect(copy, autocommit=True)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute(f"PRAGMA user_version = {_AT_REST}")


def _make(path: Path) -> None:
    """Make the file under another name first: what stands under its own name is whole."""
    stray = _log_of(path)
    if stray.exists():
        raise StateError(f"{path}: expected it beside {stray.name}, found only that; {_ADVICE}")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(draft, autocommit=True)) as db:
            db.executescript(_SCHEMA)
            db.execute("INSERT INTO venue VALUES (1, ?, ?)", _sealed({"snapshot": None, "rows": [0, 0]}))
        with contextlib.suppress(FileExistsError):  # another process was first, and has it
            path.hardlink_to(draft)
        draft.unlink()
        _flush(path.parent)
    except (sqlite3.Error, OSError) as error:
        raise StateWriteError(f"{path}: expected to make the paper venue's memory, found: {error}") from error


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sealed(plain: Any) -> tuple[str, str]:
    body = json.dumps(plain, separators=(",", ":"))
    return body, _digest(body)


def _digest(body: str) -> str:
    return hashlib.blake2b(body.encode(), digest_size=16).hexdigest()
