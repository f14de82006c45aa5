"""What one run leaves: a folder that its process writes and the daemon reads.

    supervised/000007/
      request.json    what was asked for
      progress.json   how far it is
      place.json      where its output lies, from the state directory
      result.json     what came out, or what was wrong
      run.log         what it said, bounded

Each document is replaced as a whole, so that a reader finds an old one or a new one, never half of one.
Imports nothing heavy, for commands that only look.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = "supervised"
"""In the state directory."""
LEDGER = "runs.sqlite"
"""Likewise: which runs there are, in the form of `ops.jobs.ledger`."""
OUTPUTS = ("runs", "training", "walk-forwards", "regimes", "models")
"""Folders of the state directory in which the output of a run may lie."""

REQUEST, PROGRESS, PLACE, RESULT, LOG = (
    "request.json",
    "progress.json",
    "place.json",
    "result.json",
    "run.log",
)
_MOST_DOCUMENT_BYTES = 2**20


class LogPiece(NamedTuple):
    """Some of what a run has said."""

    text: str
    next_at: int
    """Where the next piece begins."""
    is_cut: bool
    """Whether something between this piece and the one before it is gone."""


class RunFolder:
    """The folder of one run.

    Args:
        path: It need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, state_dir: Path, run_id: int) -> "RunFolder":
        """The folder of a run, by its number."""
        return cls(state_dir / FOLDER / f"{run_id:06d}")

    @property
    def log(self) -> Path:
        """What the run said."""
        return self.path / LOG

    def read(self, name: str) -> Any:
        """One of the documents; None where there is none, it is too long to be shown, or is none."""
        try:
            with (self.path / name).open("rb") as file:
                content = file.read(_MOST_DOCUMENT_BYTES + 1)
            return None if len(content) > _MOST_DOCUMENT_BYTES else json.loads(content)
        except (OSError, ValueError):
            return None

    def write(self, name: str, document: Any) -> None:
        """Replace one of the documents.

        Raises:
            OSError: If the disk refuses; the one before is still there.
            ValueError: If the document holds NaN or infinity, which are not JSON.
        """
        partial = self.path / f".{name}.partial"
        partial.write_text(json.dumps(document, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")
        partial.replace(self.path / name)

    def outputs(self, state_dir: Path) -> dict[str, Path]:
        """Directories in which output lies, by what they hold (``output``, ``model``); only those there are.

        Whatever the document says, nothing outside of the folders for output is ever one of them.
        """
        place, found = self.read(PLACE), {}
        allowed = [(state_dir / name).resolve() for name in OUTPUTS]
        for name, given in place.items() if isinstance(place, dict) else ():
            path = (state_dir / str(given)).resolve()
            if any(path != one and path.is_relative_to(one) for one in allowed) and path.is_dir():
                found[str(name)] = path
        return found

    def said(self, at: int, *, is_over: bool = False, most_bytes: int = 65_536) -> LogPiece:
        """What the run has said from a byte on, line by line; the newest of it where that is too much.

        Args:
            at: ``next_at`` of the piece before; 0 for the first.
            is_over: Whether nothing more comes, so that a line without an end is one.
            most_bytes: Of the piece.
        """
        try:
            with self.log.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                # The log is bounded: where it is shorter than it was, its middle was left out.
                begin = max(at if at <= size else 0, size - most_bytes)
                file.seek(begin)
                content = file.read(size - begin)
        except OSError:
            return LogPiece("", 0, is_cut=False)
        whole = len(content) if is_over else content.rfind(b"\n") + 1
        return LogPiece(content[:whole].decode(errors="replace"), begin + whole, is_cut=begin != at)
