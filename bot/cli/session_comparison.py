"""A session beside a backtest of it, for ``argonaut compare``."""

from datetime import UTC, datetime
from pathlib import Path

from bot.cli.console import emit_json, emit_text
from bot.exit_codes import ExitCode
from bot.sessions.comparison import Comparison, compare_with_backtest


def show_comparison(session: str, catalog: Path | None, state_dir: Path, *, as_json: bool) -> ExitCode:
    """Compare, print, and say by the exit code whether the backtest says the same."""
    found = compare_with_backtest(state_dir, session, catalog=catalog)
    emit_json(found.as_json()) if as_json else emit_text(_text(found))
    return ExitCode.OK if found.is_identical else ExitCode.FINDINGS


def _text(found: Comparison) -> str:
    span = " to ".join(
        f"{datetime.fromtimestamp(ts // 1_000_000_000, UTC):%Y-%m-%d %H:%M}"
        for ts in (found.first_ts, found.last_ts)
    )
    lines = [f"session {found.session}, {span}, beside a backtest"]
    if not found.began_flat:
        lines.append("it went on with what earlier sessions held; the backtest begins flat")
    for one in found.strategies:
        lines += [
            f"{one.strategy}: {one.same_decisions} of {one.decisions} decisions the same",
            f"  {one.fills} executions in both: prices {one.price_bps:+.3f} bps worse, "
            f"fees {one.fee_quote:+,.2f}, {one.late_ns / 1e9:+.3f} s later; "
            f"{one.only_session} only in the session, {one.only_backtest} only in the backtest",
            f"  profit {one.profit_session:+,.2f}, in the backtest {one.profit_backtest:+,.2f}",
        ]
    if found.is_identical:
        lines.append("identical")
    return "\n".join(lines)
