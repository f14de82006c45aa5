"""Who may use a state directory, and every reason for a refusal."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ops.disk import LocalDisk
from ops.state_dir import IDENTITY, JOURNAL, START_BYTES, Purpose, StateDir, take_state_dir
from strategies.errors import ConfigError

_PAPER = Purpose("paper", "BINANCE")


class _SmallDisk(LocalDisk):
    def free_bytes(self, folder: Path) -> int:
        return START_BYTES - 1


def _take(path: Path, purpose: Purpose = _PAPER, *, machine: str = "one", **options: Any) -> StateDir:
    machine_id = path.parent / f"machine-{machine}"
    if machine != "absent":
        machine_id.write_text(f"{machine}\n")
    disk = options.pop("disk", LocalDisk())
    return take_state_dir(
        path,
        purpose,
        disk,
        config="paper.toml",
        created="2026-01-01T00:00:00+00:00",
        machine_id_path=machine_id,
        **options,
    )


def _content(path: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in path.iterdir() if found.is_file()}


def test_a_directory_is_made_for_its_owner_only_with_its_identity(tmp_path: Path) -> None:
    _take(tmp_path / "var").release()

    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
    identity = json.loads((tmp_path / "var" / IDENTITY).read_text())
    assert (identity["state_version"], identity["kind"], identity["venue"]) == (1, "paper", "BINANCE")
    assert (identity["config"], identity["created"]) == ("paper.toml", "2026-01-01T00:00:00+00:00")
    assert "one" not in identity["machine"]


def test_the_same_daemon_may_take_it_again(tmp_path: Path) -> None:
    _take(tmp_path / "var").release()
    before = (tmp_path / "var" / IDENTITY).read_bytes()
    _take(tmp_path / "var").release()

    assert (tmp_path / "var" / IDENTITY).read_bytes() == before


def test_a_directory_in_use_is_refused_and_the_holder_named(tmp_path: Path) -> None:
    held = _take(tmp_path / "var")

    with pytest.raises(ConfigError, match=f"found process {os.getpid()} using it"):
        _take(tmp_path / "var")
    held.release()
    _take(tmp_path / "var").release()


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")

    with pytest.raises(ConfigError, match="expected a directory"):
        _take(tmp_path / "var")
    assert (tmp_path / "var").read_text() == "a file"


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _take(tmp_path / "var").release()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    with pytest.raises(ConfigError, match="found one of user"):
        _take(tmp_path / "var")


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    _take(tmp_path / "var").release()
    (tmp_path / "var").chmod(0o777)

    with pytest.raises(ConfigError, match="found mode 777; chmod 700"):
        _take(tmp_path / "var")


def test_a_newer_version_is_refused_even_when_adopted(tmp_path: Path) -> None:
    _take(tmp_path / "var").release()
    identity = json.loads((tmp_path / "var" / IDENTITY).read_text()) | {"state_version": 2}
    (tmp_path / "var" / IDENTITY).write_text(json.dumps(identity))

    for adopt in (False, True):
        with pytest.raises(ConfigError, match="found version 2"):
            _take(tmp_path / "var", adopt=adopt)


@pytest.mark.parametrize(
    ("purpose", "machine", "message"),
    [
        (_PAPER, "two", "made on another machine"),
        (_PAPER, "absent", "made on another machine"),
        (Purpose("live", "BINANCE"), "one", "for kind live, found state for paper"),
        (Purpose("paper", "KRAKEN"), "one", "for venue KRAKEN, found state for BINANCE"),
    ],
)
def test_state_that_was_made_for_something_else_is_refused_until_it_is_adopted(
    tmp_path: Path, purpose: Purpose, machine: str, message: str
) -> None:
    _take(tmp_path / "var").release()
    before = _content(tmp_path / "var")

    with pytest.raises(ConfigError, match=message):
        _take(tmp_path / "var", purpose, machine=machine)
    assert _content(tmp_path / "var")[IDENTITY] == before[IDENTITY]
    _take(tmp_path / "var", purpose, machine=machine, adopt=True).release()
    _take(tmp_path / "var", purpose, machine=machine).release()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"state_version": "1"}', "\x00"])
def test_a_damaged_identity_is_refused_even_when_adopted(tmp_path: Path, content: str) -> None:
    _take(tmp_path / "var").release()
    (tmp_path / "var" / IDENTITY).write_text(content)

    for adopt in (False, True):
        with pytest.raises(ConfigError, match="expected the identity"):
            _take(tmp_path / "var", adopt=adopt)


def test_a_journal_without_identity_is_refused_until_it_is_adopted(tmp_path: Path) -> None:
    (tmp_path / "var" / JOURNAL).mkdir(parents=True)

    with pytest.raises(ConfigError, match="beside the journal, found none"):
        _take(tmp_path / "var")
    _take(tmp_path / "var", adopt=True).release()
    _take(tmp_path / "var").release()


def test_a_full_disk_is_refused_and_the_directory_is_free_again(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected at least 128 MiB free"):
        _take(tmp_path / "var", disk=_SmallDisk())
    assert IDENTITY not in _content(tmp_path / "var")
    _take(tmp_path / "var").release()
