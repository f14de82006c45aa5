"""What may go: old runs, reports, models and logs, and backups beyond those that are kept.

Of each the newest are never among them, nor is what a link beside it leads to. Nothing else is ever deleted:
no journal, no state, no catalog, no link, no directory without a manifest.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_DAY_SECS = 86_400.0
_GOING = ".deleting"


class Old(NamedTuple):
    """A run or a file that may go."""

    path: Path
    age_days: float
    size_bytes: int


def old_runs(
    runs_dir: Path, *, keep: int, older_than_days: float, now_secs: float, manifest: str
) -> list[Old]:
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
            found.append(Old(path, age_days, _size(path)))
    return found


def delete_runs(runs_dir: Path, runs: list[Old]) -> None:
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


def old_files(folder: Path, pattern: str, *, keep: int, older_than_days: float, now_secs: float) -> list[Old]:
    """Files that may go, oldest first.

    Args:
        folder: Where they lie; nothing is found where there is none.
        pattern: Of their names.
        keep: How many of the newest stay, whatever their age.
        older_than_days: Younger ones stay, however many there are.
        now_secs: Wall clock, seconds since 1970.
    """
    named = [path for path in _entries(folder) if path.match(pattern) and not path.is_symlink()]
    found = []
    for path in named:
        if path.is_file():
            status = path.stat()
            found.append(Old(path, (now_secs - status.st_mtime) / _DAY_SECS, status.st_size))
    found.sort(key=lambda one: (-one.age_days, one.path.name))
    return [one for one in found[: max(0, len(found) - keep)] if one.age_days > older_than_days]


def delete_surplus(folder: Path, pattern: str, *, keep: int, manifest: str) -> list[Path]:
    """Delete directories of a name and with a manifest but the newest by name, and what was half deleted.

    Raises:
        ValueError: If all were to go.
        OSError: If the disk refuses; those before that one are gone.
    """
    if keep < 1:
        raise ValueError(f"expected to keep 1 or more, found {keep}")
    surplus = [path for path in _entries(folder) if path.match(pattern) and _is_run(path, manifest)][:-keep]
    delete_runs(folder, [Old(path, 0.0, 0) for path in surplus])
    return surplus


def _entries(runs_dir: Path) -> Iterator[Path]:
    return iter(sorted(runs_dir.iterdir()) if runs_dir.is_dir() else ())


def _is_run(path: Path, manifest: str) -> bool:
    is_folder = path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    return is_folder and (path / manifest).is_file()


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
