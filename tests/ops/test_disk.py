"""The operating system's disk, as durable state uses it."""

import errno
import os
import stat
from pathlib import Path

import pytest

from ops.disk import FULL_BYTES, LOW_BYTES, LocalDisk, Room, room


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (LOW_BYTES, Room.AMPLE),
        (LOW_BYTES - 1, Room.LOW),
        (FULL_BYTES, Room.LOW),
        (FULL_BYTES - 1, Room.FULL),
        (0, Room.FULL),
    ],
)
def test_room_follows_the_watermarks(free: int, expected: Room) -> None:
    assert room(free) is expected


def test_watermarks_are_those_that_are_documented() -> None:
    assert (LOW_BYTES, FULL_BYTES) == (256 * 2**20, 64 * 2**20)


def test_a_file_has_its_room_reserved_and_reads_as_zeros_until_written(tmp_path: Path) -> None:
    file = LocalDisk().create(tmp_path / "a", reserve_bytes=8192)
    file.write_at(4, b"abc")
    file.sync()

    assert LocalDisk().read(tmp_path / "a", 2, 6) == b"\0\0abc\0"
    found = (tmp_path / "a").stat()
    assert (found.st_size, stat.S_IMODE(found.st_mode)) == (8192, 0o600)
    assert found.st_blocks * 512 >= 8192
    file.truncate(7)
    file.close()
    assert LocalDisk().read(tmp_path / "a") == b"\0\0\0\0abc"


def test_a_file_is_never_made_over_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"kept")

    with pytest.raises(FileExistsError):
        LocalDisk().create(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"kept"


def test_room_that_cannot_be_reserved_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "planted")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(OSError, match="planted"):
        LocalDisk().create(tmp_path / "a", reserve_bytes=10)
    assert LocalDisk().names(tmp_path) == []


def test_where_room_cannot_be_reserved_at_all_files_are_made_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "planted")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    LocalDisk().create(tmp_path / "a", reserve_bytes=10).close()

    assert LocalDisk().read(tmp_path / "a") == b""


def test_a_replaced_file_is_the_new_one_and_nothing_staged_is_left(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        LocalDisk().replace(tmp_path / "a", content)

    assert LocalDisk().names(tmp_path) == ["a"]
    assert LocalDisk().read(tmp_path / "a") == b"new"
    LocalDisk().remove(tmp_path / "a")
    assert LocalDisk().names(tmp_path) == []


def test_folders_are_made_for_their_owner_only(tmp_path: Path) -> None:
    LocalDisk().make_folder(tmp_path / "a" / "b")
    LocalDisk().make_folder(tmp_path / "a" / "b")

    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert LocalDisk().names(tmp_path / "absent") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_device_refuses_the_write(tmp_path: Path) -> None:
    file = LocalDisk().open(Path("/dev/full"))

    with pytest.raises(OSError, match="No space left"):
        file.write_at(0, b"x")
    file.close()
