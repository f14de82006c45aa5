"""``argonaut cleanup``: old backtests give their space back."""

import time
from typing import Annotated

import typer

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode
from ops.artifacts import MANIFEST
from ops.retention import delete_runs, old_runs


def cleanup(
    keep: Annotated[int, typer.Option("--keep", min=1, help="So many of the newest runs stay.")] = 20,
    older_than_days: Annotated[
        float, typer.Option("--older-than-days", min=0.0, help="Younger runs stay.")
    ] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run/--delete", help="Only say what would go.")] = True,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Say which old backtests could go from the state directory's runs/, and with --delete delete them.

    The newest --keep runs stay, and whatever a link in runs/ points at. Journal, state, logs and catalog are
    never touched.

    Examples:
      argonaut cleanup

      argonaut cleanup --keep 5 --older-than-days 7 --delete

    Exit codes: 0 done; 64 the command line is wrong; 74 the disk refused.
    """
    runs_dir = state_dir / "runs"
    found = old_runs(
        runs_dir, keep=keep, older_than_days=older_than_days, now_secs=time.time(), manifest=MANIFEST
    )
    if not dry_run:
        delete_runs(runs_dir, found)
    size = sum(run.size_bytes for run in found)
    if as_json:
        runs = [run._asdict() | {"path": str(run.path)} for run in found]
        emit_json({"is_deleted": not dry_run, "runs": runs, "size_bytes": size})
        return ExitCode.OK
    lines = [
        f"{run.path.name}  {run.age_days:.0f} days old, {run.size_bytes / 2**20:.1f} MiB" for run in found
    ]
    what = "would go; --delete deletes them" if dry_run else "are deleted"
    emit_text("\n".join([*lines, f"{len(found)} runs of {size / 2**20:.1f} MiB {what}"]))
    return ExitCode.OK
