"""``argonaut runs list | show | logs | cancel | delete``: what was asked for over the HTTP interface."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from bot.cli.ask import delete, get, operator_name, post
from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    ReasonOption,
    StateDirOption,
    emit_json,
    emit_text,
    print_rows,
    refuse,
    say_unavailable,
)
from bot.cli.jobs import run_row
from bot.config.problems import flat
from bot.exit_codes import ExitCode
from ops.jobs.ledger import Run, RunState, read_runs
from ops.refusals import RefusedError
from ops.runs.folder import LEDGER, PROGRESS, REQUEST, RESULT, RunFolder

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("run", "kind", "who", "state", "began", "secs", "detail")
_ALL = 1_000_000

RunId = Annotated[int, typer.Argument(metavar="ID", min=1, help="Number of the run; `runs list` shows it.")]


@app.command("list")
def list_runs(
    last: Annotated[int, typer.Option("--last", min=1, max=1000, help="So many of the newest.")] = 20,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show the newest backtests, trainings, walk-forwards and fits that were asked for over HTTP.

    Works while the daemon is stopped, too. Times are UTC.

    Examples:
      argonaut runs list --last 5

    Exit codes: 0 done.
    """
    rows = get(state_dir, f"/v1/runs?limit={last}")
    if rows is None:
        rows = [_as_found(run).as_json() for run in read_runs(state_dir / LEDGER, last)]
    if as_json:
        emit_json(rows)
    else:
        print_rows([run_row(row) | {"kind": row["job"]} for row in rows], _COLUMNS, "no runs yet")
    return ExitCode.OK


@app.command()
def show(
    run_id: RunId, as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR
) -> ExitCode:
    """Show what was asked for, how far it is, where its output lies, and what came out.

    Works while the daemon is stopped, too.

    Examples:
      argonaut runs show 17 --json

    Exit codes: 0 done; 64 there is no such run.
    """
    try:
        found = get(state_dir, f"/v1/runs/{run_id}")
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    if found is None:
        folder = RunFolder.of(state_dir, run_id)
        found = {
            "run": _as_found(_recorded(state_dir, run_id)).as_json(),
            "request": folder.read(REQUEST),
            "progress": folder.read(PROGRESS),
            "outputs": {name: str(path) for name, path in folder.outputs(state_dir).items()},
            "result": folder.read(RESULT),
        }
    emit_json(found) if as_json else emit_text("\n".join(flat("", found)))
    return ExitCode.OK


@app.command()
def logs(
    run_id: RunId, as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR
) -> ExitCode:
    """Show what a run has said so far; works while the daemon is stopped, too.

    Examples:
      argonaut runs logs 17

    Exit codes: 0 done; 64 there is no such run.
    """
    try:
        found = get(state_dir, f"/v1/runs/{run_id}")
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    run = _as_found(_recorded(state_dir, run_id)).as_json() if found is None else found["run"]
    try:
        text = RunFolder.of(state_dir, run_id).log.read_text(errors="replace")
    except FileNotFoundError:
        text = ""
    if as_json:
        emit_json({"run": run, "log": text})
    else:
        ending = f"run {run_id}: {run['state']} {run['detail']}".rstrip()
        emit_text("\n".join(filter(None, [text.rstrip(), ending])))
    return ExitCode.OK


@app.command()
def cancel(
    run_id: RunId,
    reason: ReasonOption = "argonaut runs cancel",
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """End a run with all that it has started, or let it never begin.

    Examples:
      argonaut runs cancel 17

    Exit codes: 0 it has ended; 1 it had ended before; 64 there is no such run; 69 no daemon answers.
    """
    body = {"reason": reason, "who": operator_name()}
    return _command(lambda: post(state_dir, f"/v1/runs/{run_id}/cancel", body), as_json=as_json)


@app.command("delete")
def delete_run(
    run_id: RunId,
    reason: ReasonOption = "argonaut runs delete",
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Take a run that has ended away, with its output; never a model.

    Examples:
      argonaut runs delete 17

    Exit codes: 0 it is gone; 1 it has not ended, or something uses its output; 64 there is no such run; 69 no
    daemon answers.
    """
    query = urlencode({"reason": reason, "who": operator_name()})
    return _command(lambda: delete(state_dir, f"/v1/runs/{run_id}?{query}"), as_json=as_json)


def _command(give: Callable[[], Any], *, as_json: bool) -> ExitCode:
    try:
        run = give()
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    if run is None:
        message = "no daemon answers; `argonaut runs list` shows what was done"
        return say_unavailable(message, as_json=as_json)
    emit_json(run) if as_json else emit_text(f"run {run['run_id']} ({run['job']}): {run['state']}")
    return ExitCode.OK


def _recorded(state_dir: Path, run_id: int) -> Run:
    found = [run for run in read_runs(state_dir / LEDGER, _ALL) if run.run_id == run_id]
    if not found:
        raise typer.BadParameter(f"no run {run_id}; `argonaut runs list` shows them")
    return found[0]


def _as_found(run: Run) -> Run:
    """A run as it stands where no daemon runs: what ran was cut off, what waits still does."""
    return run._replace(state=RunState.INTERRUPTED) if run.state is RunState.RUNNING else run
