"""``argonaut logs``: what the daemon has logged."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode
from ops.log_reading import LEVELS, LOG, Wanted, entries, rotated
from strategies.errors import ConfigError

_SHOWN_ASIDE = frozenset({"ts", "level", "logger", "message"})
_POLL_SECS = 0.2


def logs(
    last: Annotated[int, typer.Option("--last", min=0, help="So many of the newest lines.")] = 50,
    level: Annotated[str, typer.Option("--level", help="At least: debug, info, warning or error.")] = "debug",
    since: Annotated[str | None, typer.Option("--since", help="ISO date or time, UTC.")] = None,
    grep: Annotated[str, typer.Option("--grep", help="Only lines with this text, whatever its case.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show the newest lines of the daemon's log, oldest first, its rotated files included.

    With --json one document, with --json --follow one line of JSON for each. The engine's own log lies beside
    it in logs/, what was decided in the journal (`argonaut audit show`).

    Examples:
      argonaut logs --level warning --since 2026-11-26

      argonaut logs -f --grep alert

    Exit codes: 0 done; 64 no such level; 78 there is no log.
    """
    if level not in LEVELS:
        raise typer.BadParameter(f"expected one of {', '.join(LEVELS)}, found {level}", param_hint="--level")
    is_wanted = Wanted(level, _utc(since), grep)
    path = state_dir / LOG
    if not path.exists():
        raise ConfigError(f"{path}: expected the log of a daemon, found none; give the daemon's --state-dir")

    with path.open("rb") as newest:
        text = b"".join(file.read_bytes() for file in rotated(path)) + newest.read()
        found = [entry for entry in entries(text) if is_wanted(entry)]
        shown = found[-last:] if last else []
        if as_json and not follow:
            emit_json(shown)
            return ExitCode.OK
        for entry in shown:
            emit_text(json.dumps(entry, ensure_ascii=False) if as_json else _line(entry))
        if follow:
            with contextlib.suppress(KeyboardInterrupt):
                for entry in filter(is_wanted, _following(path, newest)):
                    emit_text(json.dumps(entry, ensure_ascii=False) if as_json else _line(entry))
    return ExitCode.OK


def _following(path: Path, file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Lines as they come, over a rotation."""
    rest = b""
    with contextlib.ExitStack() as later:
        while True:
            content = file.read()
            if content:
                *lines, rest = (rest + content).split(b"\n")
                yield from entries(b"\n".join(lines))
            elif path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
                later.close()
                file = later.enter_context(path.open("rb"))
            else:
                time.sleep(_POLL_SECS)


def _line(entry: dict[str, Any]) -> str:
    ts, level = str(entry.get("ts", ""))[:23].replace("T", " "), str(entry.get("level", ""))
    more = {key: value for key, value in entry.items() if key not in _SHOWN_ASIDE | {"exception"}}
    line = f"{ts} {level:8} {entry.get('logger', '')}: {entry.get('message', '')}"
    line += f" {json.dumps(more, ensure_ascii=False)}" if more else ""
    return f"{line}\n{entry['exception']}" if "exception" in entry else line


def _utc(text: str | None) -> str:
    if text is None:
        return ""
    try:
        return datetime.fromisoformat(text).isoformat(timespec="milliseconds")
    except ValueError:
        raise typer.BadParameter(
            f"expected an ISO date or time such as 2026-11-26, found {text}", param_hint="--since"
        ) from None
