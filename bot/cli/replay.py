"""``argonaut replay``: a recorded session decided again."""

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode
from bot.sessions.files import NEWEST
from bot.sessions.replay import ReplayReport, replay_session

_SHOWN = 20


def replay(
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="Name of a session, or how it begins.")
    ] = NEWEST,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Decide with this host file instead of the session's configuration."),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option("--catalog", help="Decide on the bars of this catalog instead of those it saw."),
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Decide a recorded session again, offline: observations, beliefs, actions, targets and verdicts.

    The journal is enough: it holds configuration, rules, the bars that were seen, and what the venue
    answered. What differs has a cause: late_data, warm_up, config, code, fill, or unexplained. It works
    beside a running daemon and changes nothing.

    Examples:
      argonaut replay

      argonaut replay 20261126T0301 --catalog catalog    # what did bars do that came late?

    Exit codes: 0 everything is the same; 1 something differs; 65 the catalog is damaged; 70 the journal is
    damaged; 78 there is no such session, or it cannot be replayed.
    """
    report = replay_session(state_dir, session, config=config, catalog=catalog)
    emit_json(report.as_json()) if as_json else emit_text(_text(report))
    return ExitCode.OK if report.is_identical else ExitCode.FINDINGS


def _text(report: ReplayReport) -> str:
    compared = ", ".join(f"{count} {kind}s" for kind, count in sorted(report.compared.items()))
    lines = [f"session {report.session}: {report.bars} bars; compared {compared or 'nothing'}"]
    if not report.is_complete:
        lines.append("it has not ended in order: its last bar is compared as far as it was recorded")
    if not report.is_same_config:
        lines.append("the configuration is another than the session's")
    if not report.is_same_code:
        lines.append("the code is other than the session's")
    lines += [f"the books refuse: {one}" for one in report.refused[:_SHOWN]]
    for cause, count in report.causes.most_common():
        lines.append(f"{count} differences: {cause}")
    for one in report.differences[:_SHOWN]:
        about = " ".join(part for part in (one.strategy, one.instrument_id, one.what, one.field) if part)
        lines.append(f"  {one.ts_event} {about}: recorded {one.recorded}, now {one.replayed} ({one.cause})")
    if report.is_identical:
        lines.append("identical")
    return "\n".join(lines)
