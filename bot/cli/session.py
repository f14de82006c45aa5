"""``argonaut session``: what a session left, for people and spreadsheets."""

from typing import Annotated

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode
from bot.sessions.files import NEWEST, leave_session


def session(
    name: Annotated[
        str, typer.Argument(metavar="SESSION", help="Name of a session, or how it begins.")
    ] = NEWEST,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Write a session's orders, executions, trades, positions and equity, with a summary.

    `sessions/latest` in the state directory points to the newest that was written. A daemon that ends in
    order writes its own; after a kill, or while it runs, this does.

    Examples:
      argonaut session

      argonaut session 20261126T0301

    Exit codes: 0 done; 70 the journal is damaged; 74 the disk refused; 78 there is no such session.
    """
    place = leave_session(state_dir, name)
    emit_json({"path": str(place)}) if as_json else emit_text(str(place / "session.md"))
    return ExitCode.OK
