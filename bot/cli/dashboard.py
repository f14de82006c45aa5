"""``argonaut dashboard``: where the page of a running daemon is."""

import webbrowser
from typing import Annotated

import typer

from bot.cli.ask import get
from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
    say_unavailable,
)
from bot.exit_codes import ExitCode


def dashboard(
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser as well.")] = False,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Say where the dashboard of the running daemon is.

    Examples:
      argonaut dashboard

    Exit codes: 0 done; 1 the daemon serves none, and why; 69 no daemon answers.
    """
    status = get(state_dir, "/v1/status")
    if status is None:
        message = "no daemon runs on this state directory"
        return say_unavailable(message, as_json=as_json, where=f" ({state_dir})")
    url = status["dashboard_url"]
    if as_json:
        emit_json({"url": url})
    elif url is not None:
        emit_text(url)
    if url is None:
        note(
            "argonaut: no dashboard: expected a port, and open_to_read = true or tokens = true under [api] "
            "in the host file, found neither; set one, and start again"
        )
        return ExitCode.FINDINGS
    if open_it and not webbrowser.open(url):
        note("no browser was found here; open the address in one")
    return ExitCode.OK
