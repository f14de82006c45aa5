"""The signing key: made once, readable by its owner only, never silently replaced."""

import stat
from pathlib import Path

import pytest

from ops.disk import LocalDisk
from ops.journal import load_or_create_key, load_verify_key, public_path
from strategies.errors import ConfigError


def test_a_key_is_made_once_with_its_public_half_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "journal.key"
    first = load_or_create_key(LocalDisk(), path)
    second = load_or_create_key(LocalDisk(), path)
    public = load_verify_key(LocalDisk(), public_path(path))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public.is_signed(b"m", second.sign(b"m"))
    assert not public.is_signed(b"n", second.sign(b"m"))
    assert first.verify_key.fingerprint == public.fingerprint
    assert b"PRIVATE" not in public_path(path).read_bytes()


def test_a_public_half_that_is_missing_is_written_again(tmp_path: Path) -> None:
    key = load_or_create_key(LocalDisk(), tmp_path / "journal.key")
    (tmp_path / "journal.pub").unlink()
    load_or_create_key(LocalDisk(), tmp_path / "journal.key")

    assert load_verify_key(LocalDisk(), tmp_path / "journal.pub").fingerprint == key.verify_key.fingerprint


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    load_or_create_key(LocalDisk(), tmp_path / "journal.key")
    (tmp_path / "journal.key").chmod(0o640)

    with pytest.raises(ConfigError, match="chmod 600"):
        load_or_create_key(LocalDisk(), tmp_path / "journal.key")


def test_files_that_are_no_keys_are_refused_and_left_alone(tmp_path: Path) -> None:
    for name in ("journal.key", "journal.pub"):
        (tmp_path / name).write_bytes(b"nonsense")
        (tmp_path / name).chmod(0o600)

    with pytest.raises(ConfigError, match="expected a private key"):
        load_or_create_key(LocalDisk(), tmp_path / "journal.key")
    with pytest.raises(ConfigError, match="expected a public key"):
        load_verify_key(LocalDisk(), tmp_path / "journal.pub")
    assert (tmp_path / "journal.key").read_bytes() == b"nonsense"
