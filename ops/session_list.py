"""Which sessions have left a folder, and how each went: out of what `ops.session_artifacts` wrote.

Of a file only its two ends are read, so that a list costs little however long the sessions were. A folder
that is not whole is told of with what is wrong with it.
"""

import contextlib
import csv
import json
import os
import re
from pathlib import Path
from typing import Any

from ops.session_artifacts import SESSIONS

_END_BYTES = 4096
_ACCOUNT, _PINS, _TOLD = "account.csv", "pins.json", "session.md"
_COUNTS = re.compile(r"^- (\d+) decisions, (\d+) executions?, (\d+) round trips?", re.MULTILINE)
_ENDED = re.compile(r"^- Ended: (.+)$", re.MULTILINE)


def newest_sessions(state_dir: Path, limit: int) -> list[dict[str, Any]]:
    """A row for each session that has ended, newest first.

    Args:
        state_dir: Of the daemon.
        limit: How many at most.
    """
    try:
        with os.scandir(state_dir / SESSIONS) as found:
            names = [one.name for one in found if one.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    newest = sorted((name for name in names if not name.startswith(".")), reverse=True)[:limit]
    return [_row(state_dir / SESSIONS / name) for name in newest]


def _row(folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {
        "session": folder.name,
        "started_at": None,
        "ended": None,
        "strategies": [],
        "equity": None,
        "profit": None,
        "decisions": None,
        "fills": None,
        "trades": None,
        "first_ts": None,
        "last_ts": None,
        "problem": None,
    }
    try:
        pins = json.loads((folder / _PINS).read_bytes())
        row |= {"started_at": pins["started_at"], "strategies": sorted(pins["strategies"])}
        row |= _account(folder / _ACCOUNT)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        row["problem"] = f"not whole: {type(error).__name__}: {error}"[:300]
    with contextlib.suppress(OSError):
        told = _ends(folder / _TOLD)[0].decode(errors="replace")
        if counts := _COUNTS.search(told):
            row |= dict(zip(("decisions", "fills", "trades"), map(int, counts.groups()), strict=True))
        if ended := _ENDED.search(told):
            row["ended"] = ended[1]
    return row


def _account(path: Path) -> dict[str, Any]:
    """What the account was worth at its first bar and at its last."""
    head, tail = _ends(path)
    names, first = list(csv.reader(head.decode().splitlines()[:2]))
    last = next(csv.reader([tail.decode(errors="replace").splitlines()[-1]]))
    at_first, at_last = dict(zip(names, first, strict=True)), dict(zip(names, last, strict=True))
    equity = float(at_last["equity"])
    return {
        "equity": equity,
        "profit": equity - float(at_first["equity"]),
        "first_ts": int(at_first["ts_event"]),
        "last_ts": int(at_last["ts_event"]),
    }


def _ends(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(_END_BYTES)
        file.seek(max(0, os.fstat(file.fileno()).st_size - _END_BYTES))
        return head, file.read(_END_BYTES)
