"""``argonaut compare``: a session beside a backtest of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode
from bot.session_comparison import Comparison, compare_with_backtest
from bot.session_files import NEWEST


def compare(
    session: Annotated[
        str, typer.Option("--session", metavar="SESSION", help="Name of a session, or how it begins.")
    ] = NEWEST,
    backtest: Annotated[bool, typer.Option("--backtest", help="Beside a backtest; the only way yet.")] = True,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", help="Where the bars lie; else where the session had them.")
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Lay a session beside a backtest of its configuration over its bars: decisions, prices, costs, timing.

    Orders have the same names in both, so each execution is beside its counterpart. A session that went on
    with positions from before differs from the start: the backtest begins flat.

    Examples:
      argonaut compare --session latest --backtest

    Exit codes: 0 the backtest says the same; 1 it does not; 65 bars are missing; 70 the journal is damaged;
    78 there is no such session.
    """
    del backtest
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
