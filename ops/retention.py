"""Which backtests may go: old ones, of which the newest are never among them.

Nothing but whole run directories is ever deleted: no journal, no state, no catalog, no link, nothing without
a manifest.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_DAY_SECS = 86_400.0
_GOING = ".deleting"


class OldRun(NamedTuple):
    """A run that may go."""

    path: Path
    age_days: float
    size_bytes: int


def old_runs(
    runs_dir: Path, *, keep: int, older_than_days: float, now_secs: float, manifest: str
) -> list[OldRun]:
    """Runs that may go, oldest first.

    Args:
        runs_dir: Where runs lie; nothing is found where there is none.
        keep: How many of the newest stay, whatever their age; at least 1.
        older_than_days: Younger ones stay, however many there are.
        now_secs: Wall clock, seconds since 1970.
        manifest: Name of the file that makes a directory a run; its age is the run's.

    Raises:
        ValueError: If all were to go.
    """
    if keep < 1:
        raise ValueError(f"expected to keep 1 run or more, found {keep}")
    pointed_at = {link.resolve() for link in _entries(runs_dir) if link.is_symlink()}
    runs = [path for path in _entries(runs_dir) if _is_run(path, manifest)]
    runs.sort(key=lambda path: ((path / manifest).stat().st_mtime, path.name))
    found = []
    for path in runs[:-keep]:
        age_days = (now_secs - (path / manifest).stat().st_mtime) / _DAY_SECS
        if age_days > older_than_days and path.resolve() not in pointed_at:
            found.append(OldRun(path, age_days, _size(path)))
    return found


def delete_runs(runs_dir: Path, runs: list[OldRun]) -> None:
    """Delete runs, and what an earlier deletion that was cut short has left.

    A run goes from under its name at once, so that no half of one is ever taken for a run.

    Raises:
        OSError: If the disk refuses; runs before that one are gone.
    """
    for run in runs:
        run.path.rename(run.path.with_name(f".{run.path.name}{_GOING}"))
    for path in _entries(runs_dir):
        if path.name.startswith(".") and path.name.endswith(_GOING) and not path.is_symlink():
            shutil.rmtree(path)


def _entries(runs_dir: Path) -> Iterator[Path]:
    return iter(sorted(runs_dir.iterdir()) if runs_dir.is_dir() else ())


def _is_run(path: Path, manifest: str) -> bool:
    is_folder = path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    return is_folder and (path / manifest).is_file()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
