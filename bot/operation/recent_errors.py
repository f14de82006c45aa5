"""The newest errors of the log, for an operator who asks how it goes before reading files."""

import logging
from collections import deque
from datetime import UTC, datetime
from typing import Any

MOST = 20
_LONGEST = 300


class RecentErrors(logging.Handler):
    """Keeps what was logged as an error or worse: when, where, and the first line."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._newest: deque[dict[str, Any]] = deque(maxlen=MOST)

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record; never raises."""
        try:
            text = record.getMessage().partition("\n")[0][:_LONGEST]
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is told of as it is
            text = str(record.msg)[:_LONGEST]
        at = datetime.fromtimestamp(record.created, UTC)
        kind = record.exc_info[0] if record.exc_info else None
        self._newest.append(
            {
                "at": at.isoformat(timespec="milliseconds"),
                "level": record.levelname,
                "logger": record.name,
                "message": text,
                "error": None if kind is None else kind.__name__,
            }
        )

    def status(self) -> list[dict[str, Any]]:
        """Newest last."""
        return list(self._newest)
