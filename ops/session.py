"""The record of one daemon session on disk, and what can be read back from it.

Flow: tape → **session** → operator.

Each record is one line of JSON, written when it happens; the daemon flushes every few hundredths of a
second, so a session can be read while it runs and, but for the last moment, after it was killed. A last
line that was cut off is ignored.
"""

import contextlib
import json
import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    OrderRecord,
    Record,
    VerdictRecord,
)

_LOG = logging.getLogger(__name__)
_TAPE = "tape.jsonl"
_END = "end.json"
_TYPES: dict[type, str] = {
    DecisionRecord: "decision",
    VerdictRecord: "verdict",
    OrderRecord: "order",
    FillRecord: "fill",
    EquityRecord: "equity",
    HaltRecord: "halt",
}
_CLOSED = frozenset({"FILLED", "CANCELED", "REJECTED", "DENIED", "EXPIRED"})


class SessionRecorder:
    """Writes a session's records as they come and keeps the newest ones for the operator.

    Args:
        sessions_dir: Where sessions lie; made if absent.
        session_id: Name of this one; sorts by time.
        pins: What the session is pinned to; written beside the records.

    Raises:
        FileExistsError: If a session of that name exists.
        OSError: If the disk refuses.
    """

    def __init__(self, sessions_dir: Path, session_id: str, pins: dict[str, Any]) -> None:
        self.session_id = session_id
        self.directory = sessions_dir / session_id
        self.directory.mkdir(parents=True)
        (self.directory / "session.json").write_text(json.dumps(pins, indent=2, sort_keys=True) + "\n")
        self._file = (self.directory / _TAPE).open("ab", buffering=1 << 16)
        self.fault: OSError | None = None
        """The first error of the disk; from then on nothing is written and nothing may trade."""
        self.counts = dict.fromkeys(_TYPES.values(), 0)
        self.last_equity: dict[str, EquityRecord] = {}
        self.halts: list[HaltRecord] = []
        _point_latest(sessions_dir, session_id)

    def write(self, record: Record) -> None:
        """Append one record; a refusal of the disk is kept in ``fault`` and not raised."""
        kind = _TYPES[type(record)]
        self.counts[kind] += 1
        if isinstance(record, EquityRecord):
            self.last_equity[record.strategy] = record
        elif isinstance(record, HaltRecord):
            self.halts.append(record)
        if self.fault is None:
            try:
                self._file.write(_line(kind, record))
            except OSError as error:
                self.fault = error

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        if self.fault is None:
            try:
                self._file.flush()
            except OSError as error:
                self.fault = error

    def close(self) -> None:
        """Flush to the disk and close; the session can still be read."""
        self.flush()
        if self.fault is None:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                self.fault = error
        try:
            self._file.close()
        except OSError as error:
            self.fault = self.fault or error


def write_end(session_dir: Path, end: dict[str, Any]) -> None:
    """Note how a session ended; its presence says that the daemon is gone. A full disk leaves it out."""
    staged = session_dir / ".end.json"
    with contextlib.suppress(OSError):
        staged.write_text(json.dumps(end, indent=2, sort_keys=True) + "\n")
        staged.replace(session_dir / _END)


def read_end(session_dir: Path) -> dict[str, Any] | None:
    """How a session ended; None while it runs, and where it was killed."""
    try:
        end: dict[str, Any] = json.loads((session_dir / _END).read_text())
    except FileNotFoundError:
        return None
    return end


def read_records(session_dir: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield a session's records in order, as dictionaries with a ``type``.

    Args:
        session_dir: Directory of the session.
        kind: ``decision``, ``verdict``, ``order``, ``fill``, ``equity`` or ``halt``; None for all.
    """
    path = session_dir / _TAPE
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                record: dict[str, Any] = json.loads(line)
            except ValueError:
                # The rest of the record is worth more than a refusal to read any of it.
                _LOG.warning("%s: a damaged line was left out", path)
                continue
            if kind is None or record["type"] == kind:
                yield record


def list_sessions(sessions_dir: Path) -> list[Path]:
    """Directories of all sessions, oldest first."""
    if not sessions_dir.is_dir():
        return []
    return sorted(path for path in sessions_dir.iterdir() if path.is_dir() and not path.is_symlink())


def read_orders(sessions_dir: Path, *, open_only: bool) -> list[dict[str, Any]]:
    """The orders of all sessions as they stand, in the order in which they were sent.

    Args:
        sessions_dir: Where sessions lie.
        open_only: Leave out what is filled, cancelled, rejected, denied or expired.
    """
    orders: dict[str, dict[str, Any]] = {}
    for session in list_sessions(sessions_dir):
        for record in read_records(session):
            if record["type"] == "order":
                own_id = record["client_order_id"]
                held = orders.get(own_id)
                if held is None or held["session"] != session.name:
                    # A replay from the start decides the same again, under the same ids: the newest counts.
                    held = {"filled_quantity": 0.0, "ts_submitted": record["ts_event"]}
                    orders[own_id] = held
                held.update({key: value for key, value in record.items() if key != "type"})
                held["session"] = session.name
            elif record["type"] == "fill" and record["client_order_id"] in orders:
                orders[record["client_order_id"]]["filled_quantity"] += record["quantity"]
    return [order for order in orders.values() if not (open_only and order["status"] in _CLOSED)]


def _line(kind: str, record: Record) -> bytes:
    fields = {"type": kind} | {name: _plain(value) for name, value in record._asdict().items()}
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _point_latest(sessions_dir: Path, session_id: str) -> None:
    staged = sessions_dir / f".latest-{session_id}"
    staged.symlink_to(session_id)
    staged.replace(sessions_dir / "latest")
