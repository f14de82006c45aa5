"""Which jobs a host has, and what they may take."""

from pathlib import Path

import pytest

from bot.config import load_host
from bot.operation.jobs import jobs_of
from ops.jobs.job import Command, Job
from strategies.errors import ConfigError
from tests.support.bots import write_bot


async def summarise() -> str:
    return "all is well"


def jobs(folder: Path, more: str = "", *, kind: str = "paper") -> dict[str, Job]:
    path = write_bot(folder, folder / "catalog", ("holder",), kind=kind)
    path.write_text(path.read_text().replace("[jobs]\n", f"[jobs]\n{more}"))
    return {job.name: job for job in jobs_of(load_host(path), folder / "var", summarise)}


def words(job: Job) -> tuple[str, ...]:
    """What is done, without the program."""
    assert isinstance(job.does, Command)
    return job.does.args[4:]


def test_paper_host_has_the_jobs_of_the_documentation_at_its_times(tmp_path: Path) -> None:
    path = write_bot(tmp_path, tmp_path / "catalog", ("holder",), kind="paper")
    path.write_text(path.read_text().replace('[jobs]\nkill_drill = "off"\n', ""))
    found = jobs_of(load_host(path), tmp_path, summarise)

    assert [(job.name, job.schedule.text) for job in found] == [
        ("daily-summary", "0 0 * * *"),
        ("replay", "0 1 * * *"),
        ("verify-data", "15 2 * * *"),
        ("backup", "30 2 * * *"),
        ("cleanup", "45 2 * * *"),
        ("mark-journal", "30 3 * * *"),
        ("kill-drill", "0 3 * * sun"),
    ]


def test_live_host_is_not_drilled(tmp_path: Path) -> None:
    assert "kill-drill" not in jobs(tmp_path, kind="live")


def test_backups_go_where_the_host_file_says_or_into_the_state_directory(tmp_path: Path) -> None:
    here = jobs(tmp_path)["backup"]
    there = jobs(tmp_path, 'backup_dir = "../elsewhere"\nbackups_kept = 7\n')["backup"]

    assert words(here)[:5] == ("backup", "--into", str(tmp_path / "var" / "backups"), "--keep", "3")
    assert words(there)[:5] == ("backup", "--into", str(tmp_path.parent / "elsewhere"), "--keep", "7")
    assert words(here)[5:] == ("--state-dir", str(tmp_path / "var"))


def test_only_the_bars_that_are_traded_on_are_checked(tmp_path: Path) -> None:
    found = words(jobs(tmp_path)["verify-data"])

    assert found[:6] == (
        "data", "verify", "--catalog", str(tmp_path / "catalog"),
        "--bar-type", "BETAUSDT.DEMO-1-MINUTE-LAST-EXTERNAL",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("speed", "secs"),
    # Three bars of a minute at the feed's pace, and thirty seconds; but never more than five minutes beyond.
    [("60.0", "33.0"), ("1.0", "210.0"), ("0.5", "330.0"), ('"max"', "30.0")],
)
def test_drill_waits_for_bars_at_the_pace_of_the_feed(tmp_path: Path, speed: str, secs: str) -> None:
    path = write_bot(tmp_path, tmp_path / "catalog", ("holder",), kind="paper")
    path.write_text(path.read_text() + f"\n[replay]\nspeed = {speed}\n")

    drill = jobs_of(load_host(path), tmp_path, summarise)[-1]

    assert words(drill)[:4] == ("drill", "kill", "--watch", secs)


def test_retraining_is_there_with_a_training_file_and_refused_without(tmp_path: Path) -> None:
    asked = 'retrain = "0 4 * * sat"\n'

    found = jobs(tmp_path, f'{asked}training = "training.toml"\n')["retrain"]

    assert words(found)[:2] == ("train", str(tmp_path / "training.toml"))
    assert "retrain" not in jobs(tmp_path)
    with pytest.raises(ConfigError, match="retrain needs a training file"):
        jobs(tmp_path, asked)


def test_schedule_that_makes_no_sense_is_refused_by_file_and_key(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r'paper.toml: jobs.backup = "0 2 \* \* 1": expected days of the week'
    ):
        jobs(tmp_path, 'backup = "0 2 * * 1"\n')


def test_jobs_do_not_change_the_hash_that_pins_a_run(tmp_path: Path) -> None:
    path = write_bot(tmp_path, tmp_path / "catalog", ("holder",), kind="paper")
    before = load_host(path).sha256
    path.write_text(path.read_text().replace("[jobs]\n", '[jobs]\nbackup = "every 6h"\n'))

    host = load_host(path)

    assert host.sha256 == before
    assert host.document()["host"]["jobs"]["backup"] == "every 6h"
