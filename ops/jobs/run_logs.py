"""Where the output of runs lies. Imports nothing heavy, for commands that only look."""

from pathlib import Path

from ops.jobs.ledger import Run

LOGS = "jobs"
"""Folder of the logs in the state directory."""


def log_path(state_dir: Path, run: Run) -> Path:
    """Where a run's output is."""
    return state_dir / LOGS / f"{run.job}-{run.run_id:06d}.log"


def read_log(state_dir: Path, run: Run, most_bytes: int = 2**20) -> str:
    """What a run has said so far, or the end of it; empty where it said nothing or its log is gone."""
    try:
        with log_path(state_dir, run).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - most_bytes))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
