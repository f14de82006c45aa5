import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.catalog import Catalog
from adapters.errors import CatalogError
from adapters.ingest.importer import ImportStatus, import_files
from adapters.ingest.verification import verify_catalog
from adapters.instruments import find_spec
from adapters.staging import recover, stage
from tests.support.bars import BTC_MINUTES, bar_columns, bar_table, write_parquet
from tests.support.data import ROOT

BTC = find_spec("BTCUSDT.BINANCE")

# For n = 0, 1, …: a child imports into catalog n and is killed at its n-th call that changes the disk for
# good, until one comes through. The parent only forks, so that children start without threads.
IMPORT_AND_DIE = """
import json, os, pathlib, shutil, signal, sys
from adapters.ingest.importer import import_files
from adapters.instruments import find_spec

source, before, directory = map(pathlib.Path, sys.argv[1:])

def die_at_call(number):
    def deadly(function):
        def wrapped(*args, **kwargs):
            nonlocal number
            if number == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            number -= 1
            return function(*args, **kwargs)
        return wrapped
    os.fsync = deadly(os.fsync)
    for name in ("rename", "replace", "unlink"):
        setattr(pathlib.Path, name, deadly(getattr(pathlib.Path, name)))

codes = []
while len(codes) < 100 and (not codes or codes[-1] != 0):
    catalog = directory / f"catalog {len(codes)}"
    if before.is_dir():
        shutil.copytree(before, catalog)
    child = os.fork()
    if child == 0:
        die_at_call(len(codes))
        import_files([source], catalog, find_spec("BTCUSDT.BINANCE"), replace=True)
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


def import_and_die(source: Path, before: Path, directory: Path) -> list[Path]:
    """Catalogs left behind by imports that were killed ever later; the last came through."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_AND_DIE, source, before, directory],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    codes = json.loads(done.stdout)
    assert codes[:-1] == [-signal.SIGKILL] * (len(codes) - 1)
    assert codes[-1] == 0
    return [directory / f"catalog {number}" for number in range(len(codes))]


def closes(catalog: Path) -> list[int]:
    """Closes held after recovery, in ticks; empty where there are no bars."""
    opened = Catalog(catalog)
    assert all(report.is_clean for report in verify_catalog(opened)) if opened.bar_types() else True
    assert not list(catalog.glob(".commit-*"))
    return opened.read_columns(BTC_MINUTES).close.tolist() if opened.bar_types() else []


def test_import_killed_at_any_moment_leaves_all_or_nothing(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "bars.parquet", bar_table(300))
    complete = bar_columns(300).close.tolist()
    catalogs = import_and_die(source, tmp_path / "none", tmp_path)
    found = [closes(catalog) for catalog in catalogs]
    commit = found.index(complete)

    assert 3 < commit < len(found) - 3  # it died often on both sides of the commit
    assert found == [[]] * commit + [complete] * (len(found) - commit)


def test_replacement_killed_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    before = tmp_path / "before"
    import_files([write_parquet(tmp_path / "old.parquet", bar_table(300))], before, BTC)
    source = write_parquet(tmp_path / "new.parquet", bar_table(200, first=150, seed=2))
    old, new = bar_columns(300).close.tolist(), bar_columns(200, first=150, seed=2).close.tolist()
    catalogs = import_and_die(source, before, tmp_path)
    found = [closes(catalog) for catalog in catalogs]
    commit = found.index(old[:150] + new)

    assert 3 < commit < len(found) - 3
    assert found == [old] * commit + [old[:150] + new] * (len(found) - commit)


def test_rubbish_of_a_killed_import_is_no_hindrance_to_the_next(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "bars.parquet", bar_table(30))
    (tmp_path / "catalog/.staging-dead/data").mkdir(parents=True)
    result = import_files([source], tmp_path / "catalog", BTC)

    assert result.status is ImportStatus.IMPORTED
    assert not list((tmp_path / "catalog").glob(".staging-*"))


def write_and_fail(catalog: Path, error: Exception) -> None:
    with stage(catalog) as staging:
        staging.path_for(Path("a/b")).write_text("x")
        raise error


def test_changes_that_are_not_committed_leave_no_trace(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_and_fail(tmp_path / "catalog", ZeroDivisionError())

    assert [path.name for path in (tmp_path / "catalog").iterdir()] == [".lock"]


def test_committed_changes_take_their_places(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "both").write_text("old")
    with stage(tmp_path) as staging:
        staging.path_for(Path("new/file")).write_text("new")
        staging.path_for(Path("both")).write_text("new")
        staging.remove(Path("old"))
        staging.remove(Path("both"))
        staging.commit()

    assert (tmp_path / "new/file").read_text() == "new"
    assert (tmp_path / "both").read_text() == "new"
    assert not (tmp_path / "old").exists()


def test_cut_off_commit_is_taken_up_where_it_ended(tmp_path: Path) -> None:
    commit = tmp_path / ".commit-x"
    commit.mkdir()
    (tmp_path / "moved already").write_text("new")
    (commit / "still to move").write_text("new")
    (commit / "plan.json").write_text(
        json.dumps({"move": ["moved already", "still to move"], "remove": ["gone already"]})
    )
    recover(tmp_path)

    assert (tmp_path / "moved already").read_text() == "new"
    assert (tmp_path / "still to move").read_text() == "new"
    assert not commit.exists()


def overwrite(catalog: Path) -> None:
    with stage(catalog) as staging:
        staging.path_for(Path("both")).write_text("new")
        staging.remove(Path("both"))
        staging.commit()


def test_file_that_is_removed_and_written_survives_a_second_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def fail_at_the_plan(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == "plan.json":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok=missing_ok)

    (tmp_path / "both").write_text("old")
    monkeypatch.setattr(Path, "unlink", fail_at_the_plan)
    with pytest.raises(CatalogError, match="the new bars are safe and will be put in place"):
        overwrite(tmp_path)
    monkeypatch.undo()
    recover(tmp_path)

    assert (tmp_path / "both").read_text() == "new"


def test_second_import_at_the_same_time_is_refused(tmp_path: Path) -> None:
    with (
        stage(tmp_path),
        pytest.raises(CatalogError, match="found another import running; wait for it to end"),
        stage(tmp_path),
    ):
        pass


def test_full_disk_is_named_and_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="found a full disk; nothing was changed"):
        write_and_fail(tmp_path / "catalog", OSError(28, "No space left on device"))

    assert not list((tmp_path / "catalog").glob(".staging-*"))
