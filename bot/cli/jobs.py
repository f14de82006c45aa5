"""``argonaut jobs list | run | cancel | log``: what the daemon does beside trading."""

import time
from datetime import UTC, datetime
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
    print_rows,
    refuse,
    say_unavailable,
)
from bot.exit_codes import ExitCode
from ops.jobs.ledger import LEDGER, OPEN, Run, RunState, read_runs
from ops.jobs.run_logs import read_log
from ops.refusals import RefusedError
from strategies.errors import TransientError

app = typer.Typer(no_args_is_help=True)

_POLL_SECS = 0.2
_JOB_COLUMNS = ("name", "schedule", "due", "last", "ended", "detail", "about")
_RUN_COLUMNS = ("run", "job", "slot", "who", "state", "began", "secs", "detail")
_ALL = 1_000_000

RunId = Annotated[int, typer.Argument(metavar="ID", min=1, help="Number of the run; `jobs list` shows it.")]


@app.command("list")
def list_jobs(
    runs: Annotated[int, typer.Option("--runs", min=0, max=1000, help="Show so many runs instead.")] = 0,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show the jobs, when each is due and how it ended last; or, with --runs, the newest runs.

    Times are UTC. Runs are shown while the daemon is stopped, too.

    Examples:
      argonaut jobs list

      argonaut jobs list --runs 20

    Exit codes: 0 done; 69 no daemon answers, and without one only --runs can be shown.
    """
    if runs:
        rows = get(state_dir, f"/v1/jobs/runs?limit={runs}")
        rows = [_as_found(run) for run in read_runs(state_dir / LEDGER, runs)] if rows is None else rows
        emit_json(rows) if as_json else print_rows(
            [run_row(row) for row in rows], _RUN_COLUMNS, "no runs yet"
        )
        return ExitCode.OK
    jobs = get(state_dir, "/v1/jobs")
    if jobs is None:
        return _unavailable(as_json=as_json)
    emit_json(jobs) if as_json else print_rows([_job_row(job) for job in jobs], _JOB_COLUMNS, "no jobs")
    return ExitCode.OK


@app.command("run")
def run_job(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Job; `jobs list` shows them.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end, and show what it said.")] = False,
    reason: ReasonOption = "argonaut jobs run",
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Run a job now, whatever its schedule says.

    Examples:
      argonaut jobs run backup --wait

    Exit codes: 0 it is under way, or with --wait has succeeded; 1 it was under way already, or with --wait
    has not succeeded; 64 there is no such job; 69 no daemon answers; 75 the daemon ended meanwhile.
    """
    try:
        run = post(state_dir, "/v1/jobs/run", {"name": name, "who": operator_name(), "reason": reason})
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    if run is None:
        return _unavailable(as_json=as_json)
    if not wait:
        emit_json(run) if as_json else emit_text(f"run {run['run_id']} of {name} is under way")
        return ExitCode.OK
    while (found := get(state_dir, f"/v1/jobs/runs/{run['run_id']}")) is not None:
        if found["run"]["state"] not in OPEN:
            emit_json(found) if as_json else emit_text(_ending(found))
            return ExitCode.OK if found["run"]["state"] == RunState.SUCCEEDED else ExitCode.FINDINGS
        time.sleep(_POLL_SECS)
    raise TransientError("the daemon ended before the job; its next start runs it once more")


@app.command("cancel")
def cancel_run(
    run_id: RunId,
    reason: ReasonOption = "argonaut jobs cancel",
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """End a run that is under way, with all that it has started.

    Examples:
      argonaut jobs cancel 17 --reason "wrong file"

    Exit codes: 0 it has ended; 69 no daemon answers; 64 it is not under way.
    """
    body = {"run_id": run_id, "who": operator_name(), "reason": reason}
    try:
        run = post(state_dir, "/v1/jobs/cancel", body)
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    if run is None:
        return _unavailable(as_json=as_json)
    emit_json(run) if as_json else emit_text(f"run {run_id} of {run['job']}: {run['state']}")
    return ExitCode.OK


@app.command("log")
def show_log(
    run_id: RunId,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Show what a run has said so far; works while the daemon is stopped, too.

    Examples:
      argonaut jobs log 17

    Exit codes: 0 done; 64 there is no such run.
    """
    try:
        found = get(state_dir, f"/v1/jobs/runs/{run_id}")
    except RefusedError as error:
        return refuse(error, as_json=as_json)
    if found is None:
        runs = [run for run in read_runs(state_dir / LEDGER, _ALL) if run.run_id == run_id]
        if not runs:
            raise typer.BadParameter(f"no run {run_id}; `argonaut jobs list --runs 50` shows them")
        found = {"run": _as_found(runs[0]), "log": read_log(state_dir, runs[0])}
    emit_json(found) if as_json else emit_text(_ending(found))
    return ExitCode.OK


def _unavailable(*, as_json: bool) -> ExitCode:
    message = "no daemon answers; `argonaut jobs list --runs 20` shows what was done"
    return say_unavailable(message, as_json=as_json)


def _as_found(run: Run) -> dict[str, Any]:
    """A run as it stands where no daemon runs: what has no end was cut off."""
    return (run._replace(state=RunState.INTERRUPTED) if run.state in OPEN else run).as_json()


def _job_row(job: dict[str, Any]) -> dict[str, Any]:
    newest = job["newest"] or {}
    return {
        "name": job["name"],
        "schedule": job["schedule"],
        "due": _time(job["due_at"]),
        "last": f"{newest['state']} (run {newest['run_id']})" if newest else "",
        "ended": _time(newest.get("ended_at")),
        "detail": job["progress"] or first_line(newest.get("detail", "")),
        "about": job["about"],
    }


def run_row(run: dict[str, Any]) -> dict[str, Any]:
    """A run as a row of a table."""
    ended, began = run["ended_at"], run["started_at"]
    return {
        "run": str(run["run_id"]),
        "job": run["job"] + (", once more" if run["attempt"] > 1 else ""),
        "slot": _time(run["slot"]),
        "who": run["who"],
        "state": run["state"],
        "began": _time(began),
        "secs": "" if None in {ended, began} else f"{ended - began:.1f}",
        "detail": first_line(run["detail"]),
    }


def _ending(found: dict[str, Any]) -> str:
    run, log = found["run"], found["log"].rstrip()
    words = f"{run['state']} {run['detail']}".rstrip()
    return "\n".join(filter(None, [log, f"run {run['run_id']} of {run['job']}: {words}"]))


def first_line(text: str) -> str:
    """What fits into a table."""
    return text.partition("\n")[0]


def _time(secs: float | None) -> str:
    return "" if secs is None else f"{datetime.fromtimestamp(secs, UTC):%Y-%m-%d %H:%M:%S}"
