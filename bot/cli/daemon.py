"""``argonaut status | positions | stop``: what an operator asks of a daemon that runs.

Asked often, so nothing that reads configurations is loaded here.
"""

import os
import select
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bot.cli.ask import get, post
from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    ReasonOption,
    StateDirOption,
    emit_json,
    emit_text,
)
from bot.cli.standing import show_live
from bot.exit_codes import ExitCode
from strategies.errors import TransientError

_STOPPED: dict[str, Any] = {
    "state": "STOPPED",
    "trading_state": None,
    "reason": "no daemon runs on this state directory",
    "api_url": None,
    "config_sha256": None,
    "bundle_id": None,
    "strategies": [],
    "feeds": [],
    "restrictions": [],
}


def status(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """Say what the daemon is doing and whether it is well.

    Examples:
      argonaut status

      argonaut status --json

    Exit codes: 0 it runs; 69 no daemon answers.
    """
    document = get(state_dir, "/v1/status")
    if document is None:
        (emit_json if as_json else _print_status)(_STOPPED)
        return ExitCode.UNAVAILABLE
    (emit_json if as_json else _print_status)(document)
    return ExitCode.OK


def positions(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """Show what each strategy holds.

    Examples:
      argonaut positions --json

    Exit codes: 0 done; 69 no daemon answers.
    """
    columns = ("strategy", "instrument_id", "quantity", "average_price", "last_price", "value", "unrealised")
    return show_live("/v1/positions", columns, "no positions", as_json, state_dir)


def stop(
    reason: ReasonOption = "argonaut stop",
    flatten: Annotated[
        bool | None, typer.Option("--flatten/--keep", help="Close positions first, or keep them.")
    ] = None,
    wait_secs: Annotated[float, typer.Option("--wait", help="Seconds to wait for the end.")] = 60.0,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Stop the daemon in order and wait until it is gone.

    Examples:
      argonaut stop

      argonaut stop --flatten --reason "moving to another machine"

    Exit codes: 0 it is stopped (or none ran); 75 it has not ended in time; else the daemon's own, for
    example 1 where positions were to be closed and are not.
    """
    running = get(state_dir, "/v1/status")
    if running is None:
        emit_json(_STOPPED | {"was_running": False}) if as_json else emit_text("no daemon was running")
        return ExitCode.OK
    from bot.cli.records import session_end  # only here: the rest of this module has to be quick

    process = os.pidfd_open(running["pid"])
    try:
        post(state_dir, "/v1/stop", {"reason": reason, "flatten": flatten})
        ended, _, _ = select.select([process], [], [], wait_secs)
    finally:
        os.close(process)
    if not ended:
        raise TransientError(f"the daemon has not ended within {wait_secs:g} s; `argonaut status` says why")
    end = session_end(state_dir, running["session"])
    if as_json:
        emit_json(_STOPPED | {"was_running": True, "end": end})
    else:
        held = {name: positions for name, positions in end["holdings"].items() if positions}
        emit_text(f"stopped, {f'still holding {held}' if held else 'flat'} by its own books")
    return ExitCode(end["exit_code"])


def _print_status(document: dict[str, Any]) -> None:
    lines = [f"{document['state']}  trading {document['trading_state']}  {document['reason']}".rstrip()]
    lines += [
        (
            f"  {strategy['name']}: {strategy['trading_state']}, equity {strategy['equity']:,.2f}, "
            f"profit {strategy['profit']:+,.2f}, {strategy['decisions']} decisions"
            + (f", {strategy['reason']}" if strategy["reason"] else "")
        )
        for strategy in document.get("strategies", ())
    ]
    for feed in document.get("feeds", ()):
        at = datetime.fromtimestamp(feed["ts_event"] // 1_000_000_000, UTC)
        lines.append(f"  feed {feed['name']}: {feed['state']} at {at:%Y-%m-%d %H:%M:%S}, {feed['bars']} bars")
    lines += [
        f"  {one['scope']} {one['state']}: {one['reason']} ({one['who']})"
        for one in document.get("restrictions", ())
    ]
    if not document.get("latch", {}).get("durable", True):
        lines.append(f"  {document['latch']['fault']}")
    if document.get("flatten", {}).get("state") in {"FLATTENING", "NOT_FLAT"}:
        lines.append(f"  flatten: {document['flatten']['state']} {document['flatten']['detail']}")
    emit_text("\n".join(lines))
