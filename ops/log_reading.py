"""Reads the daemon's log as `ops.log_files` wrote it: entries, oldest first, a line on its way left out."""

import contextlib
import json
import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

LEVELS = ("debug", "info", "warning", "error", "critical")
LOG = Path("logs") / "argonaut.jsonl"
"""In the state directory."""
MOST_BYTES = 2 * 2**20
"""Of the log's end, where only the newest entries are asked for."""


_STAMP = re.compile(rb'\{"(?:ts|timestamp)": ?"([^"]{23})')
_MOST_READ_BYTES = 64 * 2**20


class Part(NamedTuple):
    """Some lines of a log."""

    text: bytes
    is_whole: bool
    """Whether none of them was left out."""


class Wanted:
    """Which entries somebody wants.

    Args:
        level: Of `LEVELS`; at least.
        since: Beginning of the time of the oldest, as the log writes it.
        text: What an entry has somewhere in it, whatever its case.
    """

    def __init__(self, level: str = "debug", since: str = "", text: str = "") -> None:
        self._levels = {name.upper() for name in LEVELS[LEVELS.index(level) :]}
        self._since = since
        self._text = text.lower()

    def __call__(self, entry: dict[str, Any]) -> bool:
        """Whether an entry is one of them."""
        return (
            entry.get("level") in self._levels
            and str(entry.get("ts", "")) >= self._since
            and self._text in json.dumps(entry, ensure_ascii=False).lower()
        )


def entries(text: bytes) -> Iterator[dict[str, Any]]:
    """The entries of some lines."""
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry


def rotated(path: Path) -> list[Path]:
    """Files that were put aside, oldest first."""
    found = [one for one in path.parent.glob(f"{path.name}.*") if one.suffix[1:].isdecimal()]
    return sorted(found, key=lambda one: -int(one.suffix[1:]))


def part_between(path: Path, since: str, until: str, most_bytes: int) -> Part:
    """The lines of a log, ours or the engine's, from one time to another; the newest where they are many.

    Args:
        path: Of the newest file; it need not be there.
        since: ISO time, UTC, to the millisecond.
        until: The same.
        most_bytes: Of the answer.
    """
    kept: deque[bytes] = deque()
    size, is_whole = 0, True
    for one in [*rotated(path), path]:
        with contextlib.suppress(OSError), one.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST_READ_BYTES))
            for line in file:
                stamp = _STAMP.match(line)
                if stamp is None or not since <= stamp[1].decode("ascii", "replace") <= until:
                    continue
                kept.append(line)
                size += len(line)
                while size > most_bytes:
                    size -= len(kept.popleft())
                    is_whole = False
    return Part(b"".join(kept), is_whole)


def newest_entries(path: Path, wanted: Wanted, limit: int) -> dict[str, Any]:
    """The newest entries of a log, oldest first, of as much of its end as is quickly read.

    Args:
        path: Of the newest file; it need not be there.
        wanted: Which.
        limit: How many at most.
    """
    text, left, is_whole = b"", MOST_BYTES, True
    for one in reversed([*rotated(path), path]):
        with contextlib.suppress(OSError), one.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - left))
            text = file.read(left) + text
            is_whole = is_whole and size <= left
            left -= min(left, size)
        if not left:
            break
    found = [entry for entry in entries(text) if wanted(entry)]
    return {"rows": found[-limit:], "is_whole": is_whole and len(found) <= limit}
