"""The daemon's log: JSON lines in files of bounded size, of which a bounded number stays.

A log that cannot be written stops nothing: lines are lost, and counted, and trading goes on.
"""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path


class LogFiles(RotatingFileHandler):
    """Writes to ``path``; what is full is renamed to ``path.1``, what was that to ``path.2``, and so on.

    Args:
        path: Of the newest file.
        file_bytes: Size at which a file is put aside.
        files_kept: How many that were put aside stay.
    """

    def __init__(self, path: Path, *, file_bytes: int, files_kept: int) -> None:
        super().__init__(path, maxBytes=file_bytes, backupCount=files_kept, encoding="utf-8")
        self.lost = 0
        """Lines that the disk refused."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the library's
        """Count a line that was lost; whoever logged it is not told."""
        self.lost += 1
