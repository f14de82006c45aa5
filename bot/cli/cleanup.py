"""``argonaut cleanup``: old backtests, reports and logs give their space back."""

import time
from typing import Annotated, Any

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode
from ops.artifacts import MANIFEST
from ops.jobs.run_logs import LOGS
from ops.model_store import MODELS
from ops.retention import Old, delete_runs, old_files, old_runs
from ops.session_artifacts import SESSIONS
from strategies.bundle import MANIFEST as BUNDLE

_KEPT_FILES = 20
_REPORTS = (("incidents", "*.md"), ("drills", "*.json"))
_MADE_AGAIN = (("training", "progress.jsonl"), ("evaluations", "report.json"))
"""Folders of runs that can be made again, by the file that makes one a run."""
_KEPT_LONG = ((SESSIONS, "session.md"), ("walk-forwards", "plan.json"))
"""Such folders that people come back to."""
_LOGS = ((LOGS, "*.log"),)


def cleanup(
    keep: Annotated[int, typer.Option("--keep", min=1, help="So many of the newest runs stay.")] = 20,
    older_than_days: Annotated[
        float, typer.Option("--older-than-days", min=0.0, help="Younger runs stay.")
    ] = 30.0,
    reports_older_than_days: Annotated[
        float,
        typer.Option(
            "--reports-older-than-days",
            min=0.0,
            help="Younger reports of incidents and drills, sessions, walk-forwards and models stay.",
        ),
    ] = 365.0,
    logs_older_than_days: Annotated[
        float, typer.Option("--logs-older-than-days", min=0.0, help="Younger logs of jobs stay.")
    ] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run/--delete", help="Only say what would go.")] = True,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Say which old runs, reports, models and logs of jobs could go, and with --delete delete them.

    The newest --keep of each kind stay, and whatever a link beside them leads to: the models that are active,
    previous or latest. So do the newest 20 reports and logs of each kind. Journal, state, the daemon's own
    logs and the catalog are never touched; a session's folder is made again by `argonaut session`.

    Examples:
      argonaut cleanup

      argonaut cleanup --keep 5 --older-than-days 7 --delete

    Exit codes: 0 done; 64 the command line is wrong; 74 the disk refused.
    """
    now = time.time()
    models = [(str(folder.relative_to(state_dir)), BUNDLE) for folder in (state_dir / MODELS).glob("*/")]
    kinds = [(*place, older_than_days) for place in (("runs", MANIFEST), *_MADE_AGAIN)]
    kinds += [(*place, reports_older_than_days) for place in (*_KEPT_LONG, *models)]
    going = {
        state_dir / folder: old_runs(
            state_dir / folder, keep=keep, older_than_days=days, now_secs=now, manifest=manifest
        )
        for folder, manifest, days in kinds
    }
    runs = [one for found in going.values() for one in found]
    ages = [(*place, reports_older_than_days) for place in _REPORTS]
    ages += [(*place, logs_older_than_days) for place in _LOGS]
    files = [
        one
        for folder, pattern, days in ages
        for one in old_files(
            state_dir / folder, pattern, keep=_KEPT_FILES, older_than_days=days, now_secs=now
        )
    ]
    if not dry_run:
        for folder, found in going.items():
            delete_runs(folder, found)
        for one in files:
            one.path.unlink(missing_ok=True)
    size = sum(one.size_bytes for one in [*runs, *files])
    if as_json:
        told = {"runs": [_document(one) for one in runs], "files": [_document(one) for one in files]}
        emit_json({"is_deleted": not dry_run, **told, "size_bytes": size})
        return ExitCode.OK
    lines = [
        f"{one.path.relative_to(state_dir)}  {one.age_days:.0f} days old, {one.size_bytes / 2**20:.1f} MiB"
        for one in [*runs, *files]
    ]
    what = "would go; --delete deletes them" if dry_run else "are deleted"
    emit_text("\n".join([*lines, f"{len(runs)} runs and {len(files)} files, {size / 2**20:.1f} MiB, {what}"]))
    return ExitCode.OK


def _document(old: Old) -> dict[str, Any]:
    return old._asdict() | {"path": str(old.path)}
