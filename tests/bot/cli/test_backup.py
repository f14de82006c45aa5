"""Backups of several daemons in one folder."""

from pathlib import Path

import pytest

from bot.cli.app import main
from ops.disk import LocalDisk
from ops.journal import Kind, load_or_create_key
from ops.state_dir import JOURNAL, JOURNAL_KEY
from tests.support.journals import open_journal


def state_with_journal(place: Path) -> Path:
    disk = LocalDisk()
    disk.make_folder(place / JOURNAL_KEY.parent)
    key = load_or_create_key(disk, place / JOURNAL_KEY)
    journal, writer = open_journal(disk, folder=place / JOURNAL, key=key)
    journal.append(Kind.NOTE, {"what": "x"}, 1)
    writer.step()
    journal.close(2)
    return place


def test_backup_deletes_older_ones_of_its_own_daemon_and_nobody_elses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = (state_with_journal(tmp_path / name) for name in ("ours", "theirs"))
    shared = tmp_path / "shared"
    shared.mkdir()

    def backup(state_dir: Path) -> None:
        code = main(["backup", "--into", str(shared), "--keep", "1", "--state-dir", str(state_dir)])
        assert code == 0, capsys.readouterr().err

    backup(theirs)
    (their_backup,) = shared.iterdir()
    backup(ours)
    (our_backup,) = set(shared.iterdir()) - {their_backup}
    earlier = our_backup.with_name(our_backup.name.rpartition("-")[0] + "-20200101T000000Z")
    our_backup.rename(earlier)
    backup(ours)

    assert their_backup in shared.iterdir()
    assert not earlier.exists()
    assert len(list(shared.iterdir())) == 2
