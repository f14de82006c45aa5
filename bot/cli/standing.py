"""``argonaut strategies | limits``: how a running daemon stands, as tables."""

from pathlib import Path
from typing import Any

from bot.cli.ask import get
from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    StateDirOption,
    emit_json,
    print_rows,
    say_unavailable,
)
from bot.exit_codes import ExitCode

_STRATEGY_COLUMNS = (
    "name", "trading_state", "reason", "instruments", "policy_id", "decisions", "equity", "profit",
    "drawdown_frac", "regime_state",
)  # fmt: skip
_LIMIT_COLUMNS = ("scope", "limit", "used", "allowed", "used_frac", "latched")


def strategies(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """Show what trades and how it stands; with --json its configuration, too.

    Examples:
      argonaut strategies --json

    Exit codes: 0 done; 69 no daemon answers.
    """
    return show_live("/v1/strategies", _STRATEGY_COLUMNS, "no strategies", as_json, state_dir)


def limits(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """Show every limit that is set, of each strategy and of the account, beside what is used of it.

    Examples:
      argonaut limits

    Exit codes: 0 done; 69 no daemon answers.
    """
    return show_live("/v1/limits", _LIMIT_COLUMNS, "no limits", as_json, state_dir)


def show_live(route: str, columns: tuple[str, ...], empty: str, as_json: bool, state_dir: Path) -> ExitCode:
    """Show rows that a running daemon answers with."""
    rows: list[dict[str, Any]] | None = get(state_dir, route)
    if rows is None:
        message = "no daemon runs on this state directory"
        return say_unavailable(message, as_json=as_json, where=f" ({state_dir})")
    emit_json(rows) if as_json else print_rows(rows, columns, empty)
    return ExitCode.OK
