"""What a session leaves behind, made from the journal; see `ops.session_artifacts`."""

from datetime import UTC, datetime
from pathlib import Path

from ops.disk import LocalDisk
from ops.journal import Kind, load_verify_key, public_path, read_chain
from ops.journal.reading import StoredLine, newest_lines
from ops.journal.records import decode
from ops.log_reading import LOG, Part, part_between
from ops.session_artifacts import SESSIONS, write_session
from ops.session_tape import SessionTape
from ops.state_dir import JOURNAL, JOURNAL_KEY
from strategies.errors import ConfigError

NEWEST = "latest"

_MOST_LOG_BYTES = 4 * 2**20
_STAMP_LENGTH = len("2026-11-26T03:01:02.123")

_LEFT_OUT = frozenset({Kind.CHECKPOINT, Kind.INTENT})


def newest_session(disk: LocalDisk, folder: Path) -> str:
    """Name of a journal's newest session.

    Raises:
        ConfigError: If there is none.
    """
    lines = newest_lines(disk, folder, lambda line: line.kind is Kind.SESSION_START, 1)
    if not lines:
        raise ConfigError(f"{folder}: expected a session, found a journal without any")
    return str(decode(lines[0].content).body["session"])


def read_session(state_dir: Path, session: str = NEWEST) -> SessionTape:
    """Gather a session from the journal; works beside a running daemon.

    Args:
        session: Its name, how that begins, or ``latest``.

    Raises:
        BrokenChainError: If the journal is damaged.
        ConfigError: If there is no such session.
    """
    folder, disk = state_dir / JOURNAL, LocalDisk()
    if not folder.is_dir():
        raise ConfigError(f"{state_dir}: expected a state directory with a journal, found none")
    found = SessionTape(newest_session(disk, folder) if session == NEWEST else session)

    def visit(line: StoredLine) -> None:
        if line.kind not in _LEFT_OUT:
            found.take(decode(line.content))

    read_chain(disk, folder, load_verify_key(disk, state_dir / public_path(JOURNAL_KEY)), visit)
    if not found.pins:
        known = ", ".join(found.names[-5:]) or "none"
        raise ConfigError(f"expected a session of this journal, found {session!r}; the newest are: {known}")
    return found


def leave_session(state_dir: Path, session: str = NEWEST) -> Path:
    """Write the folder of a session; the folder's path. Raises as `read_session`, or OSError of the disk."""
    found = read_session(state_dir, session)
    return write_session(state_dir / SESSIONS, found, _logs(state_dir, found))


def _logs(state_dir: Path, found: SessionTape) -> dict[str, Part]:
    since = str(found.pins["started_at"])[:_STAMP_LENGTH]
    until = "9999" if found.ended_ns is None else _stamp(found.ended_ns)
    engine = LOG.with_name("engine.jsonl")
    return {
        path.name: part_between(state_dir / path, since, until, _MOST_LOG_BYTES) for path in (LOG, engine)
    }


def _stamp(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns / 1e9, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:_STAMP_LENGTH]
