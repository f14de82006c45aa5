"""Key and identity of a state directory, damaged at every byte: refused, or nothing that counts changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.disk import LocalDisk
from ops.journal import BrokenChainError, Kind, load_or_create_key, load_verify_key, public_path
from ops.journal.verifying import verify
from ops.state_dir import IDENTITY, Purpose, take_state_dir
from strategies.errors import ConfigError
from tests.support.journals import open_journal

COUNTS = ("state_version", "machine", "kind", "venue")
"""The rest of an identity is noted for people."""
PURPOSE = Purpose("paper", "DEMO")


def damaged(content: bytes) -> Iterator[bytes]:
    """Cut at every byte, and one bit changed in every byte."""
    for at in range(len(content)):
        yield content[:at]
        yield content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]


def test_signing_key_damaged_anywhere_is_refused_or_the_journal_is(tmp_path: Path) -> None:
    disk, path, folder = LocalDisk(), tmp_path / "journal.key", tmp_path / "journal"
    key = load_or_create_key(disk, path)
    journal, _ = open_journal(disk, folder=folder, key=key)
    journal.append(Kind.NOTE, {"about": "nothing"}, 1)
    journal.close(2)
    content, refused = path.read_bytes(), 0

    for changed in damaged(content):
        path.write_bytes(changed)
        try:
            found = load_or_create_key(disk, path)
            if found.verify_key.fingerprint == key.verify_key.fingerprint:
                continue  # in the frame of the file a changed letter may mean nothing
            with pytest.raises(BrokenChainError, match="signed by key"):
                verify(disk, folder, found.verify_key)
        except ConfigError:
            pass
        refused += 1
        assert path.read_bytes() == changed

    assert refused > 1.5 * len(content)


def test_public_key_damaged_anywhere_verifies_nothing_that_it_did_not_sign(tmp_path: Path) -> None:
    disk, path, folder = LocalDisk(), tmp_path / "journal.key", tmp_path / "journal"
    key = load_or_create_key(disk, path)
    journal, _ = open_journal(disk, folder=folder, key=key)
    journal.close(2)
    public = public_path(path)
    content, refused = public.read_bytes(), 0

    for changed in damaged(content):
        public.write_bytes(changed)
        try:
            found = load_verify_key(disk, public)
            if found.fingerprint == key.verify_key.fingerprint:
                continue
            with pytest.raises(BrokenChainError, match="signed by key"):
                verify(disk, folder, found)
        except ConfigError:
            pass
        refused += 1

    assert refused > 1.5 * len(content)


def test_identity_damaged_anywhere_is_refused_or_says_the_same(tmp_path: Path) -> None:
    place = tmp_path / "var"

    def take() -> None:
        take_state_dir(place, PURPOSE, LocalDisk(), config="paper.toml", created="today").release()

    take()
    path = place / IDENTITY
    content, refused = path.read_bytes(), 0
    for changed in damaged(content):
        path.write_bytes(changed)
        try:
            take()
        except ConfigError:
            refused += 1
        else:
            says, said = json.loads(changed), json.loads(content)
            assert [says[name] for name in COUNTS] == [said[name] for name in COUNTS]
        assert path.read_bytes() == changed

    assert refused > 1.4 * len(content)
