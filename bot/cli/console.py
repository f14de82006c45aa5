"""What every command shares: its two options, and who reads which stream.

With ``--json`` standard output carries one JSON document and nothing else. Without it, standard output
carries the result as text. Notes and progress always go to standard error.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from bot.exit_codes import ExitCode
from ops.refusals import RefusedError

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

StateDirOption = Annotated[
    Path,
    typer.Option(
        "--state-dir", envvar="ARGONAUT_STATE_DIR", help="Where runs and the daemon keep their state."
    ),
]

DEFAULT_STATE_DIR = Path("var")

HostCatalogOption = Annotated[
    Path | None, typer.Option("--catalog", help="Catalog; replaces that of CONFIG.")
]

_LONGEST_REASON = 500
"""As long as the daemon takes one."""


def _reason(text: str | None) -> str | None:
    if text is not None and not 0 < len(text) <= _LONGEST_REASON:
        raise typer.BadParameter(f"expected 1 to {_LONGEST_REASON} characters, found {len(text)}")
    return text


ReasonOption = Annotated[str, typer.Option("--reason", callback=_reason, help="Why; it is recorded.")]

_PATIENCE_SECS = 2.0
_WIDTH_UNWATCHED = 180
_TIMES = frozenset({"ts_event", "entry_ts", "exit_ts", "first_ts", "last_ts"})
"""Columns of UTC nanoseconds."""


def note(text: str) -> None:
    """Tell a person something that is not the result."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where printing happens


def emit_text(text: str) -> None:
    """Print the result for a person."""
    print(text)  # noqa: T201 - this is where printing happens


def emit_json(document: Any) -> None:
    """Print the result as the one JSON document of this command.

    Raises:
        ValueError: If the document holds NaN or infinity, which are not JSON.
    """
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))  # noqa: T201 - see above


def refuse(error: RefusedError, *, as_json: bool) -> ExitCode:
    """Tell that the daemon turned a command down.

    Returns:
        64 where it names what there is not, 75 where it may be asked for again later, else 1.
    """
    code = ExitCode.FINDINGS if error.retry_after_secs is None else ExitCode.TEMPORARY
    code = ExitCode.USAGE if error.is_unknown else code
    if as_json:
        content = {"kind": "Refused", "message": str(error), "exit_code": int(code)}
        emit_json({"error": content | {"retry_after_secs": error.retry_after_secs}})
    note(f"argonaut: refused: {error}")
    return code


def say_unavailable(message: str, *, as_json: bool, where: str = "") -> ExitCode:
    """Tell that no daemon answers.

    Args:
        message: What a program reads, too.
        where: For people only.
    """
    code = ExitCode.UNAVAILABLE
    if as_json:
        emit_json({"error": {"kind": "Unavailable", "message": message, "exit_code": int(code)}})
    note(f"argonaut: {message}{where}")
    return code


def print_table(table: Table) -> None:
    """Print a table; where nobody watches, wide enough that nothing is cut off."""
    Console(width=None if sys.stdout.isatty() else _WIDTH_UNWATCHED).print(table)


def print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], empty: str) -> None:
    """Print rows as a table, or say that there are none."""
    if not rows:
        emit_text(empty)
        return
    table = Table()
    for column in columns:
        table.add_column(column, justify="right" if isinstance(rows[0].get(column), float) else "left")
    for row in rows:
        table.add_row(*(_cell(column, row.get(column)) for column in columns))
    print_table(table)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far something is, on standard error, once it has taken longer than two seconds.

    Yields:
        A function of how much is done and how much there is.
    """
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    task = bar.add_task(what, total=None)

    def advance(done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() - started > _PATIENCE_SECS:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        bar.stop()


def _cell(column: str, value: Any) -> str:
    if column in _TIMES and isinstance(value, int):
        return f"{datetime.fromtimestamp(value // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:,.8g}"
    if isinstance(value, list):
        return " ".join(_cell("", one) or "-" for one in value)
    return "" if value is None else str(value)
