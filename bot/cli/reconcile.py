"""``argonaut reconcile``: our books beside the venue's, and an operator's word about a difference."""

from typing import Annotated, Any

import typer

from bot.cli.ask import operator_name, post
from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text, note
from bot.exit_codes import ExitCode
from ops.refusals import RefusedError

_TITLES = {
    "unexplained": "differences without a name; trading stays halted",
    "doubtful": "instruments in doubt: nothing is sent there but an operator's flatten, not even a reduction",
    "unknown": "orders without an answer; their instruments are left alone",
    "waiting": "orders that the venue does not know and that may still arrive",
    "abandoned": "orders that never arrived and were given up",
    "booked": "executions booked now",
    "ended": "orders that ended unheard",
    "working": "orders at work",
    "foreign_orders": "orders of others, never touched",
    "foreign_fills": "executions of others",
}


def reconcile(
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="What the account holds beside ours is somebody else's from now on; needs --reason.",
        ),
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is recorded.")] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Compare our books with the venue's and show every difference.

    The running daemon compares anew; without one the newest comparison is shown. Once nothing is unexplained,
    `argonaut resume --scope all` lets trading go on.

    Examples:
      argonaut reconcile

      argonaut reconcile --accept --reason "10 BTC were moved in from the other account"

    Exit codes: 0 every difference has a name; 64 no reason was given; 69 no daemon runs, so that nothing was
    compared or accepted; 71 there are differences without a name.
    """
    if accept and not reason:
        raise typer.BadParameter("expected why the differences are not ours", param_hint="--reason")
    body = {"accept": accept, "who": operator_name(), "reason": reason or "argonaut reconcile"}
    try:
        answer = post(state_dir, "/v1/reconcile", body)
    except RefusedError as error:
        if as_json:
            emit_json({"error": {"kind": "Refused", "message": str(error), "exit_code": ExitCode.TEMPORARY}})
        note(f"argonaut: refused: {error}")
        return ExitCode.TEMPORARY
    if answer is None:
        return _show_newest(as_json, state_dir)
    if not as_json and answer["is_clean"] and answer["halted"]:
        note("trading is still halted for what was found before: argonaut resume --scope all --reason …")
    emit_json(answer) if as_json else emit_text(_text(answer["report"]))
    return ExitCode.OK if answer["is_clean"] else ExitCode.UNRECONCILED


def _show_newest(as_json: bool, state_dir: StateDirOption) -> ExitCode:
    from bot.cli.records import newest_record
    from ops.journal import Kind

    record = newest_record(state_dir, Kind.RECONCILE)
    report = None if record is None else record.body
    note("no daemon runs; nothing was compared now" + ("" if report is None else ", this was found last:"))
    if as_json:
        emit_json({"is_clean": None if report is None else not report["unexplained"], "report": report})
    elif report is not None:
        emit_text(_text(report))
    return ExitCode.UNAVAILABLE


def _text(report: dict[str, Any]) -> str:
    lines: list[str] = []
    for key, title in _TITLES.items():
        found = report[key]
        if found:
            lines.append(f"{title}:")
            one_each = [f"{name}: {status}" for name, status in found.items()] if key == "ended" else found
            lines += [f"  {one}" for one in one_each]
    if not report["unexplained"]:
        lines.append("our books and the venue's agree")
    return "\n".join(lines)
