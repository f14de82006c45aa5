"""``argonaut orders``: what the journal says, whether or not a daemon runs.

Questions are answered from the index, which is brought up to date here, in the process of whoever asks,
and never on the daemon's loop.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, print_rows
from bot.exit_codes import ExitCode
from ops.disk import LocalDisk
from ops.journal import Kind
from ops.journal.index import open_index
from ops.journal.questions import Filter, Question
from ops.journal.reading import newest_lines
from ops.journal.records import Record, decode
from ops.journal.segments import segment_numbers
from ops.state_dir import INDEX, JOURNAL

_ALL = -1
_ORDER_COLUMNS = (
    "ts_event", "strategy", "instrument_id", "side", "quantity", "filled_quantity", "kind", "role", "status",
    "reason",
)  # fmt: skip


def orders(
    show_all: Annotated[bool, typer.Option("--all", help="Closed orders too.")] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show orders as they stand, oldest first; works while the daemon is stopped.

    Exit codes: 0 done; 70 the journal is broken; 74 a file cannot be read or written.
    """
    rows: list[dict[str, Any]] = []
    if segment_numbers(LocalDisk(), state_dir / JOURNAL):
        with open_index(state_dir / JOURNAL, state_dir / INDEX) as index:
            asked = Filter(open_only=not show_all, limit=_ALL)
            rows = index.page(Question.ORDERS, asked).rows[::-1]
    emit_json(rows) if as_json else print_rows(rows, _ORDER_COLUMNS, "no orders")
    return ExitCode.OK


def newest_record(state_dir: Path, kind: Kind) -> Record | None:
    """The newest record of a kind; None where there is none.

    Raises:
        BrokenChainError: If the journal is damaged.
    """
    lines = newest_lines(LocalDisk(), state_dir / JOURNAL, lambda line: line.kind is kind, 1)
    return decode(lines[0].content) if lines else None


def session_end(state_dir: Path, session: str) -> dict[str, Any]:
    """How a session that is over says that it ended.

    Raises:
        OSError: If the journal does not say.
    """
    record = newest_record(state_dir, Kind.STOP)
    if record is None or record.body.get("session") != session:
        raise OSError(
            f"the daemon is gone, and {state_dir / JOURNAL} does not say how it ended: it was killed, or the "
            f"disk refused; its last words are in {state_dir / 'logs'}"
        )
    return record.body
