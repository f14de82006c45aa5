"""An index of the journal, for questions (`ops.journal.questions`).

Flow: journal → **index** → operator.

Only the journal is true. The index is SQLite, which does not notice when a bit of it flips, so nothing that
trades reads it: it may be deleted at any time and is made again from the journal, equal to the last row.
"""

import contextlib
import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ops.disk import Disk, LocalDisk
from ops.journal.questions import EVERY, Filter, Page, Question, page
from ops.journal.reading import BrokenChainError, Position, StoredLine, read_on
from ops.journal.records import GENESIS, decode, stored_hash
from ops.journal.segments import segment_path
from ops.journal.tables import SCHEMA, TAKES, VERSION

_PATIENCE_SECS = 5.0
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_START = Position(1, 0, 0, GENESIS)
_HASH_BYTES = 76


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

    def page(self, question: Question, asked: Filter = EVERY) -> Page:
        """Answer a question about what `update` has taken in."""
        return page(self._connection, question, asked)

    def dump(self) -> str:
        """All of it as SQL; equal for equal journals."""
        return "\n".join(self._connection.iterdump())

    def check(self) -> bool:
        """Whether it says what the journal says, and nothing else; if not, it is made again.

        The journal is read from its beginning, as it stands when that is done.

        Raises:
            BrokenChainError: If the journal is damaged; what the index holds stays as it was.
            OSError, sqlite3.Error: If the disk refuses.
        """
        beside = None if self._path is None else self._path.parent
        with tempfile.TemporaryDirectory(dir=beside, prefix=".index-") as scratch:
            fresh = JournalIndex(self._disk, self._folder, Path(scratch) / "index.sqlite")
            try:
                with contextlib.suppress(sqlite3.DatabaseError):
                    # A daemon may write on: until both stand at one place.
                    while self._stand() != fresh._stand():
                        fresh.update()
                        self.update()
                    if self._is_consistent() and self._digest() == fresh._digest():
                        return True
            finally:
                fresh.close()
        self._discard()
        self.update()
        return False

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

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

    def _stand(self) -> tuple[int, bytes] | None:
        found: tuple[int, bytes] | None = self._connection.execute("SELECT seq, head FROM place").fetchone()
        return found

    def _is_consistent(self) -> bool:
        """Whether SQLite's own indices say what the tables say, of which a dump shows nothing."""
        return bool(self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")

    def _digest(self) -> bytes:
        state = hashlib.sha256()
        for statement in self._connection.iterdump():
            state.update(statement.encode() + b"\n")
        return state.digest()

    def _take(self, line: StoredLine) -> None:
        takes = TAKES.get(line.kind)
        if takes is not None:
            takes(self._connection, decode(line.content))

    def _discard(self) -> None:
        with contextlib.suppress(AttributeError, sqlite3.Error):
            self._connection.close()
        if self._path is not None:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._connection = _connect(self._path)


@contextlib.contextmanager
def open_index(folder: Path, path: Path) -> Iterator[JournalIndex]:
    """The index of a journal, up to date.

    Where its file cannot be written (a full disk, another user's directory), it is made in memory for this
    once.

    Args:
        folder: The journal.
        path: The index's file.

    Raises:
        BrokenChainError: If the journal is damaged.
        OSError: If the journal cannot be read.
    """
    index = _up_to_date(folder, path) or _up_to_date(folder, None)
    assert index is not None, "memory takes what a disk does not"
    try:
        yield index
    finally:
        index.close()


def _up_to_date(folder: Path, path: Path | None) -> JournalIndex | None:
    index: JournalIndex | None = None
    try:
        index = JournalIndex(LocalDisk(), folder, path)
        index.update()
    except sqlite3.Error:
        if index is not None:
            index.close()
        return None
    except BaseException:
        if index is not None:
            index.close()
        raise
    return index


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
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
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
    for statement in filter(str.strip, SCHEMA.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE
