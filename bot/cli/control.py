"""``argonaut kill | resume | pause | unpause | flatten``: what an operator may do to trading.

A kill works whether or not a daemon runs, and whether or not it listens: it is told to the daemon, else
written into the latch that the next start reads, else the kill-switch file is left for a daemon that
does not answer. Nothing is loaded that telling the daemon does not need: a kill is wanted now.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.ask import get, operator_name, post
from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    ReasonOption,
    StateDirOption,
    emit_json,
    emit_text,
    note,
    refuse,
)
from bot.exit_codes import ExitCode
from ops.kill_mode import KillMode
from ops.refusals import RefusedError
from ops.state_lock import lock_holder
from strategies.errors import TransientError
from strategies.restrictions import EVERYTHING, Scope, ScopeKind

_POLL_SECS = 0.1

ScopeOption = Annotated[str, typer.Option("--scope", help="all, venue:NAME, strategy:NAME or instrument:ID.")]
StrategyArgument = Annotated[str, typer.Argument(metavar="STRATEGY", help="Name of the strategy.")]
WaitOption = Annotated[float, typer.Option("--wait", help="Seconds to wait until positions are closed.")]


def kill(
    reason: ReasonOption,
    scope: ScopeOption = "all",
    mode: Annotated[
        KillMode, typer.Option("--mode", help="How far it goes; flatten closes positions, too.")
    ] = KillMode.HALT,
    wait_secs: WaitOption = 150.0,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Stop trading now, and keep it stopped over restarts until `argonaut resume`.

    Examples:
      argonaut kill --reason "prices look wrong"

      argonaut kill --scope strategy:donchian --mode flatten --reason "retired"

    Exit codes: 0 it holds; 1 it holds, and positions are not closed; 64 there is no such scope; 69 positions
    cannot be closed because no daemon runs; 74 it could not be written; 75 a daemon is there and does not
    answer: it finds the file KILL_SWITCH as soon as it looks.
    """
    return _kill(_scope(scope), mode, reason, wait_secs, as_json, state_dir)


def flatten(
    reason: ReasonOption,
    strategy: Annotated[str | None, typer.Option("--strategy", help="Only this one.")] = None,
    wait_secs: WaitOption = 150.0,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Close all positions, or one strategy's, and halt: short for `argonaut kill --mode flatten`.

    Examples:
      argonaut flatten --reason "going away"

      argonaut flatten --strategy donchian --reason "retired"

    Exit codes: as for `argonaut kill`.
    """
    scope = EVERYTHING if strategy is None else Scope(ScopeKind.STRATEGY, strategy)
    return _kill(scope, KillMode.FLATTEN, reason, wait_secs, as_json, state_dir)


def resume(
    scope: ScopeOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Lift what was imposed on exactly this scope, by a kill or by a limit; works without a daemon, too.

    Examples:
      argonaut resume --scope all --reason "looked at it"

    Exit codes: 0 it is lifted, though something else may hold; 1 refused; 64 there is no such scope; 75
    refused for now: it has to cool down.
    """
    asked = _scope(scope)
    body = {"scope": scope, "reason": reason, "who": operator_name()}

    def lift() -> dict[str, Any] | None:
        from bot.cli import control_offline

        return control_offline.resume(asked, state_dir)

    def say(answer: dict[str, Any]) -> str:
        lifted = ", ".join(one["reason"] for one in answer["lifted"]) or "nothing was held there"
        held = "".join(f"\nstill held: {one}" for one in answer["remaining"])
        return f"resumed {scope}: {lifted}{held}"

    return _change("/v1/resume", body, lift, say, as_json, state_dir)


def pause(
    strategy: StrategyArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Let a strategy add no risk while it goes on watching the market.

    Examples:
      argonaut pause donchian --reason "news at two"

    Exit codes: 0 it is paused; 64 there is no such strategy.
    """
    who = operator_name()

    def hold() -> dict[str, Any] | None:
        from bot.cli import control_offline

        return control_offline.pause(strategy, reason, who, state_dir)

    body = {"strategy": strategy, "reason": reason, "who": who}
    return _change("/v1/pause", body, hold, lambda _: f"paused {strategy}", as_json, state_dir)


def unpause(
    strategy: StrategyArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """End a pause; whatever else restricts the strategy stays.

    Examples:
      argonaut unpause donchian --reason "news is over"

    Exit codes: 0 it is not paused; 64 there is no such strategy.
    """

    def lift() -> dict[str, Any] | None:
        from bot.cli import control_offline

        return control_offline.unpause(strategy, state_dir)

    body = {"strategy": strategy, "reason": reason, "who": operator_name()}
    return _change("/v1/unpause", body, lift, lambda _: f"{strategy} is not paused", as_json, state_dir)


def _kill(
    scope: Scope, mode: KillMode, reason: str, wait_secs: float, as_json: bool, state_dir: Path
) -> ExitCode:
    who = operator_name()
    body = {"scope": str(scope), "mode": mode.value, "reason": reason, "who": who}
    try:
        answer = post(state_dir, "/v1/kill", body)
    except RefusedError as error:
        if scope == EVERYTHING and error.is_unknown:
            # Everything is always there: a daemon that does not know what that means is of another version.
            return _leave_file(mode, f"the daemon did not understand a kill: {error}", as_json, state_dir)
        return refuse(error, as_json=as_json)
    except TransientError as error:
        return _leave_file(mode, str(error), as_json, state_dir)
    if answer is None:
        return _kill_offline(scope, mode, reason, who, as_json, state_dir)
    code = ExitCode.OK if answer["durable"] else ExitCode.IO
    if mode is KillMode.FLATTEN:
        answer["flatten"] = _wait_until_flat(state_dir, wait_secs)
        code = code or (ExitCode.OK if answer["flatten"]["state"] == "FLAT" else ExitCode.FINDINGS)
    text = f"{answer['trading_state']}: {scope}, {answer['cancels_sent']} cancels sent"
    text += (
        "" if answer["durable"] else f"\nNOT DURABLE, it holds only while the daemon runs: {answer['detail']}"
    )
    if "flatten" in answer:
        text += f"\n{answer['flatten']['state']} {answer['flatten']['detail']}".rstrip()
    emit_json(answer) if as_json else emit_text(text)
    return code


def _wait_until_flat(state_dir: Path, wait_secs: float) -> dict[str, Any]:
    deadline = time.monotonic() + wait_secs
    while True:
        status = get(state_dir, "/v1/status")
        if status is None:
            return {"state": "UNKNOWN", "scopes": [], "detail": "the daemon has ended"}
        if status["flatten"]["state"] != "FLATTENING" or time.monotonic() > deadline:
            flatten_status: dict[str, Any] = status["flatten"]
            return flatten_status
        time.sleep(_POLL_SECS)


def _kill_offline(
    scope: Scope, mode: KillMode, reason: str, who: str, as_json: bool, state_dir: Path
) -> ExitCode:
    from bot.cli import control_offline

    try:
        answer = control_offline.kill(scope, mode, reason, who, state_dir)
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    if answer is None:
        return _leave_file(mode, f"process {lock_holder(state_dir)} does not listen", as_json, state_dir)
    if not answer["durable"]:
        raise OSError(answer["detail"])
    text = f"no daemon was running; the next one starts {answer['trading_state']} for {scope}"
    if mode is KillMode.FLATTEN:
        text += "\npositions were NOT closed: start the daemon and flatten, or close them at the venue"
    emit_json(answer) if as_json else emit_text(text)
    return ExitCode.UNAVAILABLE if mode is KillMode.FLATTEN else ExitCode.OK


def _leave_file(mode: KillMode, why: str, as_json: bool, state_dir: Path) -> ExitCode:
    from ops.kill_switch import KILL_SWITCH

    path = state_dir / KILL_SWITCH
    staged = path.with_name(f".{KILL_SWITCH}.staged")
    staged.write_text(f"{mode.value}\n")
    staged.replace(path)
    message = (
        f"{why}; left the file {path}, which kills everything as soon as a daemon looks, now or at its "
        f"next start. If it hangs: kill -9 {lock_holder(state_dir)}"
    )
    if as_json:
        emit_json({"error": {"kind": "TransientError", "message": message, "exit_code": 75}})
    note(f"argonaut: {message}")
    return ExitCode.TEMPORARY


def _change(
    route: str,
    body: dict[str, Any],
    offline: Callable[[], dict[str, Any] | None],
    say: Callable[[dict[str, Any]], str],
    as_json: bool,
    state_dir: Path,
) -> ExitCode:
    """Give a command to the daemon, or carry it out on the latch where none runs."""
    try:
        answer = post(state_dir, route, body)
        if answer is None:
            answer = offline()
            if answer is None:
                raise TransientError(
                    f"process {lock_holder(state_dir)} uses {state_dir} and does not listen (yet); try again"
                )
            note("no daemon was running; the next one starts so")
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    emit_json(answer) if as_json else emit_text(say(answer))
    return ExitCode.OK


def _scope(text: str) -> Scope:
    try:
        return Scope.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--scope") from None
