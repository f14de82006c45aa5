"""``argonaut orders | fills | trades | decisions | regimes | pnl``: what the journal says, daemon or none.

Questions are answered from the index, which is brought up to date here, in the process of whoever asks,
and never on the daemon's loop.
"""

from datetime import UTC, datetime
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
_COLUMNS: dict[Question, tuple[str, ...]] = {
    Question.ORDERS: (
        "ts_event", "strategy", "instrument_id", "side", "quantity", "filled_quantity", "kind", "role",
        "status", "reason",
    ),
    Question.FILLS: (
        "ts_event", "strategy", "instrument_id", "side", "quantity", "price", "fee", "liquidity",
    ),
    Question.TRADES: (
        "exit_ts", "strategy", "instrument_id", "side", "quantity", "entry_price", "exit_price", "net_pnl",
        "return_bps", "exit_role",
    ),
    Question.DECISIONS: (
        "ts_event", "strategy", "regime_state", "confidence", "action", "weights", "targets",
    ),
    Question.REGIMES: ("first_ts", "last_ts", "strategy", "state", "bars", "mean_probability"),
    Question.PNL: ("day", "strategy", "profit", "equity", "realised", "unrealised", "fees", "drawdown"),
}  # fmt: skip

StrategyOption = Annotated[str | None, typer.Option("--strategy", help="Only of this one.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Only so many, the newest.")]
SinceOption = Annotated[
    datetime | None, typer.Option("--since", help="Only at or after this market time, UTC.")
]


def orders(
    show_all: Annotated[bool, typer.Option("--all", help="Closed orders too.")] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show orders as they stand, oldest first; works while the daemon is stopped.

    Examples:
      argonaut orders

      argonaut orders --all --json

    Exit codes: 0 done; 70 the journal is broken; 74 a file cannot be read or written.
    """
    return _show(Question.ORDERS, Filter(open_only=not show_all, limit=_ALL), as_json, state_dir)


def fills(
    strategy: StrategyOption = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show executions, oldest first; works while the daemon is stopped.

    Examples:
      argonaut fills --since 2026-01-31

    Exit codes: as for `argonaut orders`.
    """
    return _show(Question.FILLS, _filter(strategy, since, limit), as_json, state_dir)


def trades(
    strategy: StrategyOption = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show round trips with what they earned, oldest first; works while the daemon is stopped.

    Examples:
      argonaut trades --strategy donchian --json

    Exit codes: as for `argonaut orders`.
    """
    return _show(Question.TRADES, _filter(strategy, since, limit), as_json, state_dir)


def decisions(
    strategy: StrategyOption = None,
    since: SinceOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show decisions, oldest first; works while the daemon is stopped.

    Examples:
      argonaut decisions --strategy donchian --limit 5

    Exit codes: as for `argonaut orders`.
    """
    return _show(Question.DECISIONS, _filter(strategy, since, limit), as_json, state_dir)


def regimes(
    strategy: StrategyOption = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show stays in regime states, oldest first; works while the daemon is stopped.

    Examples:
      argonaut regimes --since 2026-01-31

    Exit codes: as for `argonaut orders`.
    """
    return _show(Question.REGIMES, _filter(strategy, since, limit), as_json, state_dir)


def pnl(
    strategy: StrategyOption = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show each strategy's profit by UTC day, oldest first; works while the daemon is stopped.

    Examples:
      argonaut pnl --strategy donchian

    Exit codes: as for `argonaut orders`.
    """
    return _show(Question.PNL, _filter(strategy, since, limit), as_json, state_dir)


def _filter(strategy: str | None, since: datetime | None, limit: int) -> Filter:
    since_ns = None if since is None else int(since.replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    return Filter(strategy=strategy, since_ns=since_ns, limit=limit)


def _show(question: Question, asked: Filter, as_json: bool, state_dir: Path) -> ExitCode:
    rows: list[dict[str, Any]] = []
    if segment_numbers(LocalDisk(), state_dir / JOURNAL):
        with open_index(state_dir / JOURNAL, state_dir / INDEX) as index:
            rows = index.page(question, asked).rows[::-1]
    emit_json(rows) if as_json else print_rows(rows, _COLUMNS[question], f"no {question.value}")
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
