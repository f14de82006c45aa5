import json
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.model_store import POINTERS
from ops.retention import delete_runs, delete_surplus, old_files, old_runs

DAY = 86_400
NOW = 1_000 * DAY

type Captured = pytest.CaptureFixture[str]


def make_run(runs_dir: Path, name: str, days_old: float, now: float = NOW) -> Path:
    path = runs_dir / name
    (path / "plots").mkdir(parents=True)
    (path / "plots" / "equity.svg").write_bytes(b"x" * 1_000)
    (path / "manifest.json").write_bytes(b"{}")
    os.utime(path / "manifest.json", (now - days_old * DAY, now - days_old * DAY))
    return path


def names(runs_dir: Path, *, keep: int, older_than_days: float = 30.0) -> list[str]:
    found = old_runs(
        runs_dir, keep=keep, older_than_days=older_than_days, now_secs=NOW, manifest="manifest.json"
    )
    return [run.path.name for run in found]


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Runs of 10, 20, ... 60 days, whose names are in another order."""
    place = tmp_path / "var" / "runs"
    for name, days in zip("fbdace", (10, 20, 30, 40, 50, 60), strict=True):
        make_run(place, name, days)
    return place


def test_old_runs_are_the_oldest_but_never_of_the_newest(runs_dir: Path) -> None:
    assert names(runs_dir, keep=1) == ["e", "c", "a"]
    assert names(runs_dir, keep=1, older_than_days=0.0) == ["e", "c", "a", "d", "b"]
    assert names(runs_dir, keep=5) == ["e"]
    assert names(runs_dir, keep=6, older_than_days=0.0) == []
    assert names(runs_dir, keep=600, older_than_days=0.0) == []


def test_old_runs_say_how_old_and_large_they_are(runs_dir: Path) -> None:
    (run, *_) = old_runs(runs_dir, keep=5, older_than_days=1.0, now_secs=NOW, manifest="manifest.json")

    assert (run.age_days, run.size_bytes) == (60.0, 1_002)


def test_old_runs_where_none_is_to_be_kept_are_refused(runs_dir: Path) -> None:
    with pytest.raises(ValueError, match="keep 1 run or more, found 0"):
        names(runs_dir, keep=0)


def test_old_runs_are_neither_links_nor_their_targets_nor_anything_without_a_manifest(
    runs_dir: Path, tmp_path: Path
) -> None:
    elsewhere = make_run(tmp_path / "elsewhere", "mine", 900)
    (runs_dir / "latest").symlink_to("c")
    (runs_dir / "linked").symlink_to(elsewhere)
    (runs_dir / "notes").mkdir()
    (runs_dir / "notes.txt").touch()
    make_run(runs_dir, ".draft-of-another", 900)

    assert names(runs_dir, keep=1) == ["e", "a"]


def test_old_runs_where_nothing_ever_ran_are_none(tmp_path: Path) -> None:
    assert names(tmp_path / "never", keep=1) == []


def test_deleted_runs_are_gone_and_so_is_what_an_earlier_deletion_left(runs_dir: Path) -> None:
    make_run(runs_dir, ".z.deleting", 70)

    found = old_runs(runs_dir, keep=5, older_than_days=1.0, now_secs=NOW, manifest="manifest.json")
    delete_runs(runs_dir, found)

    assert sorted(path.name for path in runs_dir.iterdir()) == ["a", "b", "c", "d", "f"]


def test_cleanup_deletes_only_when_it_is_told_to(tmp_path: Path, capsys: Captured) -> None:
    for name, days in (("old", 90), ("older", 100), ("new", 1)):
        make_run(tmp_path / "runs", name, days, now=time.time())
    command = ["cleanup", "--keep", "1", "--state-dir", str(tmp_path)]

    assert main([*command, "--json"]) == ExitCode.OK
    planned = json.loads(capsys.readouterr().out)
    assert (planned["is_deleted"], len(planned["runs"]), planned["size_bytes"]) == (False, 2, 2_004)
    assert len(list((tmp_path / "runs").iterdir())) == 3
    assert main([*command, "--delete"]) == ExitCode.OK
    assert "2 runs and 0 files, 0.0 MiB, are deleted" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["new"]
    assert main(["cleanup", "--keep", "0", "--state-dir", str(tmp_path)]) == ExitCode.USAGE


def make_file(path: Path, days_old: float, now: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 10)
    os.utime(path, (now - days_old * DAY, now - days_old * DAY))
    return path


def test_old_files_are_the_oldest_of_their_pattern_and_never_links_or_folders(tmp_path: Path) -> None:
    for days in (5, 40, 50, 60):
        make_file(tmp_path / f"run-{days}.log", days, NOW)
    make_file(tmp_path / "notes.txt", 900, NOW)
    (tmp_path / "folder.log").mkdir()
    (tmp_path / "linked.log").symlink_to(tmp_path / "notes.txt")

    def found(keep: int, days: float) -> list[str]:
        files = old_files(tmp_path, "*.log", keep=keep, older_than_days=days, now_secs=NOW)
        return [one.path.name for one in files]

    assert found(0, 0.0) == ["run-60.log", "run-50.log", "run-40.log", "run-5.log"]
    assert found(0, 45.0) == ["run-60.log", "run-50.log"]
    assert found(3, 0.0) == ["run-60.log"]
    assert old_files(tmp_path / "never", "*", keep=0, older_than_days=0.0, now_secs=NOW) == []


def test_cleanup_takes_old_reports_and_logs_of_jobs_beyond_the_newest_of_each(
    tmp_path: Path, capsys: Captured
) -> None:
    now = time.time()
    for number in range(22):
        make_file(tmp_path / "jobs" / f"backup-{number:06d}.log", 100 - number, now)
        make_file(tmp_path / "incidents" / f"{number:02d}.md", 100 - number, now)
    kept = make_file(tmp_path / "logs" / "argonaut.jsonl", 900, now)
    command = ["cleanup", "--delete", "--json", "--state-dir", str(tmp_path)]

    assert main(command) == ExitCode.OK

    gone = json.loads(capsys.readouterr().out)["files"]
    assert [Path(one["path"]).name for one in gone] == ["backup-000000.log", "backup-000001.log"]
    assert len(list((tmp_path / "jobs").iterdir())) == 20
    assert len(list((tmp_path / "incidents").iterdir())) == 22
    assert kept.exists()


def test_surplus_is_what_has_the_name_and_a_manifest_but_for_the_newest_by_name(tmp_path: Path) -> None:
    for name in ("argonaut-1", "argonaut-2", "argonaut-3", "mine"):
        make_run(tmp_path, name, 1)
    (tmp_path / "argonaut-0").mkdir()

    gone = delete_surplus(tmp_path, "argonaut-?", keep=2, manifest="manifest.json")

    assert [path.name for path in gone] == ["argonaut-1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "argonaut-0",
        "argonaut-2",
        "argonaut-3",
        "mine",
    ]
    with pytest.raises(ValueError, match="keep 1 or more, found 0"):
        delete_surplus(tmp_path, "*", keep=0, manifest="manifest.json")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ages=st.lists(st.floats(0.0, 5_000.0), min_size=1, max_size=8),
    pointers=st.dictionaries(st.sampled_from(POINTERS), st.integers(0, 7)),
    keep=st.integers(1, 3),
    days=st.floats(0.0, 1_000.0),
)
def test_cleanup_never_takes_a_model_to_which_a_link_leads_or_one_of_the_newest(
    tmp_path: Path, ages: list[float], pointers: dict[str, int], keep: int, days: float
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        state_dir = Path(name)
        folder = state_dir / "models" / "learner"
        for number, age in enumerate(ages):
            make_run(folder, f"{number:012x}", age, time.time())
        linked = {f"{number % len(ages):012x}" for number in pointers.values()}
        for pointer, number in pointers.items():
            (folder / pointer).symlink_to(f"{number % len(ages):012x}")
        command = ["cleanup", "--delete", "--keep", str(keep), "--reports-older-than-days", str(days)]

        assert main([*command, "--state-dir", str(state_dir)]) == ExitCode.OK

        left = {path.name for path in folder.iterdir() if not path.is_symlink()}
        young = {f"{number:012x}" for number, age in enumerate(ages) if age < days - 0.01}
        assert linked | young <= left
        assert len(left) >= min(keep, len(ages))
        assert all((folder / pointer / "manifest.json").exists() for pointer in pointers)
        # What is old, beyond the newest and linked to by nothing is gone.
        oldest_first = sorted(range(len(ages)), key=lambda number: (-ages[number], f"{number:012x}"))
        surplus = {f"{number:012x}" for number in oldest_first[: max(0, len(ages) - keep)]}
        old = {f"{number:012x}" for number, age in enumerate(ages) if age > days + 0.01}
        assert not (surplus & old - linked) & left


@pytest.mark.parametrize(
    ("folder", "manifest", "days"),
    [
        ("sessions", "session.md", 365),
        ("walk-forwards", "plan.json", 365),
        ("training", "progress.jsonl", 30),
    ],
)
def test_cleanup_takes_other_runs_by_an_age_of_their_own(
    tmp_path: Path, capsys: Captured, folder: str, manifest: str, days: int
) -> None:
    for name, age in (("old", days + 1), ("young", days - 1), ("new", 0)):
        path = make_run(tmp_path / folder, name, age, time.time())
        (path / "manifest.json").rename(path / manifest)
    if folder == "sessions":
        (tmp_path / folder / "latest").symlink_to("new")

    assert main(["cleanup", "--keep", "1", "--delete", "--json", "--state-dir", str(tmp_path)]) == ExitCode.OK

    gone = [Path(one["path"]).name for one in json.loads(capsys.readouterr().out)["runs"]]
    assert gone == ["old"]
    assert not (tmp_path / folder / "old").exists()
    assert (tmp_path / folder / "young").exists()
