"""Changes to a catalog that happen wholly or not at all, whenever the power goes.

New files are first written into ``.staging-…`` inside the catalog and flushed to disk. Renaming that
directory to ``.commit-…`` is the moment of commitment: before it, the catalog is as it was and the
directory is rubbish; after it, moving the files to their places can be cut off anywhere and is taken
up again by whoever opens the catalog next.
"""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.errors import CatalogError

_STAGING = ".staging-"
_COMMIT = ".commit-"
_PLAN = "plan.json"
_LOCK = ".lock"


class Staging:
    """A set of changes to a catalog, being prepared.

    Args:
        root: The catalog.
        directory: Where the new files are written.
    """

    def __init__(self, root: Path, directory: Path) -> None:
        self.root = root
        self.directory = directory
        self.is_committed = False
        self._removed: set[str] = set()

    def path_for(self, relative: Path) -> Path:
        """Where to write a new file that shall lie at ``relative`` in the catalog."""
        path = self.directory / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self, relative: Path) -> None:
        """Have a file of the catalog removed at the commit."""
        self._removed.add(relative.as_posix())

    def commit(self) -> None:
        """Make all the changes take effect."""
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        written = sorted(path.relative_to(self.directory).as_posix() for path in files)
        # A path that is also written is overwritten by the move; removing it would not be repeatable.
        plan = {"move": written, "remove": sorted(self._removed - set(written))}
        (self.directory / _PLAN).write_text(json.dumps(plan), encoding="utf-8")
        for relative in (*written, _PLAN):
            _flush(self.directory / relative)
        for folder in {self.directory, *((self.directory / name).parent for name in written)}:
            _flush(folder)
        committed = self.root / self.directory.name.replace(_STAGING, _COMMIT)
        self.directory.rename(committed)
        self.is_committed = True
        _flush(self.root)
        _roll_forward(self.root, committed)


@contextmanager
def stage(root: Path) -> Iterator[Staging]:
    """Prepare changes to a catalog; without `Staging.commit` nothing of them remains.

    Args:
        root: The catalog; made if it is not there.

    Raises:
        CatalogError: If another process is changing the catalog, or it cannot be written.
    """
    staging: Staging | None = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root, wait=False):
            _clean_up(root)
            staging = Staging(root, Path(tempfile.mkdtemp(prefix=_STAGING, dir=root)))
            try:
                yield staging
            finally:
                shutil.rmtree(staging.directory, ignore_errors=True)
    except OSError as error:
        found = "a full disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
        is_safe = staging is not None and staging.is_committed
        state = "the new bars are safe and will be put in place" if is_safe else "nothing was changed"
        raise CatalogError(
            f"{root}: expected a catalog that can be written, found {found}; {state}: "
            "mend that and run the command again"
        ) from error


def recover(root: Path) -> None:
    """Finish what was committed but cut off; does nothing where all is well.

    Raises:
        CatalogError: If it cannot be finished.
    """
    if not any(root.glob(f"{_COMMIT}*")):
        return
    try:
        with _locked(root, wait=True):
            _clean_up(root)
    except OSError as error:
        raise CatalogError(
            f"{root}: expected to finish an import that was cut off, found {error}; "
            "make the catalog writable and run the command again"
        ) from error


@contextmanager
def _locked(root: Path, *, wait: bool) -> Iterator[None]:
    with (root / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CatalogError(
                f"{root}: expected to be the only one that changes the catalog, found another import "
                "running; wait for it to end"
            ) from error
        yield


def _clean_up(root: Path) -> None:
    for committed in sorted(root.glob(f"{_COMMIT}*")):
        _roll_forward(root, committed)
    for rubbish in root.glob(f"{_STAGING}*"):
        shutil.rmtree(rubbish)


def _roll_forward(root: Path, committed: Path) -> None:
    plan_file = committed / _PLAN
    if plan_file.exists():  # the plan goes last, so that what is left without one is done
        plan = json.loads(plan_file.read_text(encoding="utf-8"))
        touched = {root / relative for relative in plan["move"] + plan["remove"]}
        for relative in plan["remove"]:
            (root / relative).unlink(missing_ok=True)
        for relative in plan["move"]:
            source = committed / relative
            if source.exists():
                (root / relative).parent.mkdir(parents=True, exist_ok=True)
                source.replace(root / relative)
        # Folders up to the root: one of them may be new, and its entry lies in its parent.
        for folder in {folder for path in touched for folder in path.relative_to(root).parents}:
            if (root / folder).is_dir():
                _flush(root / folder)
        plan_file.unlink()
    shutil.rmtree(committed)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
