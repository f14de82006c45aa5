"""Damage: any byte, any cut, any record out of place is found, and nothing but a torn tail is let through."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.disk import LocalDisk
from ops.journal import BrokenChainError, Kind, read_chain
from ops.journal.reading import StoredLine, newest_lines, read_on, segment_start
from ops.journal.records import decode
from ops.journal.recovery import recover
from ops.journal.segments import segment_path
from tests.support.journals import FOLDER, KEY, OTHER_KEY, changed, open_journal, segments_of, three_segments
from tests.support.memory_disk import MemoryDisk

_DISK = three_segments()
_SEGMENTS = segments_of(_DISK)
_RECORDS = read_chain(_DISK, FOLDER, KEY.verify_key).chain.seq
_LINES = [line for path in _SEGMENTS for line in bytes(_DISK.files[path]).splitlines(keepends=True)]


def _seq_up_to(disk: MemoryDisk) -> int:
    return read_chain(disk, FOLDER, None).chain.seq


@pytest.mark.parametrize("bit", [0, 5])
@pytest.mark.parametrize("path", _SEGMENTS, ids=lambda path: path.stem)
def test_any_flipped_bit_is_found(path: Path, bit: int) -> None:
    content = bytes(_DISK.files[path])
    missed = []
    for offset in range(len(content)):
        flipped = bytearray(content)
        flipped[offset] ^= 1 << (bit + offset) % 8
        with changed(_DISK, path, flipped):
            try:
                end = read_chain(_DISK, FOLDER, None)
            except BrokenChainError:
                continue
            # Without its newline the very last line is an unfinished one: that is cut and kept, not lost.
            if end.tail is None or path != _SEGMENTS[-1] or offset != len(content) - 1:
                missed.append(offset)

    assert missed == []


@pytest.mark.parametrize("path", _SEGMENTS, ids=lambda path: path.stem)
def test_any_byte_that_reads_as_nonsense_is_found(path: Path) -> None:
    content = bytes(_DISK.files[path])
    for offset in range(0, len(content) - 1, 7):
        for nonsense in {b"\xff", b"\0", b"\n", b"\r"} - {content[offset : offset + 1]}:
            with (
                changed(_DISK, path, content[:offset] + nonsense + content[offset + 1 :]),
                pytest.raises(BrokenChainError),
            ):
                read_chain(_DISK, FOLDER, None)


@pytest.mark.parametrize("path", _SEGMENTS[:-1], ids=lambda path: path.stem)
def test_a_cut_at_any_byte_of_an_earlier_segment_is_found(path: Path) -> None:
    content = bytes(_DISK.files[path])
    for size in range(len(content)):
        with changed(_DISK, path, content[:size]), pytest.raises(BrokenChainError):
            read_chain(_DISK, FOLDER, None)


@pytest.mark.parametrize("room", [0, 5_000])
def test_a_cut_at_any_byte_of_the_last_segment_leaves_the_whole_lines_and_keeps_the_rest(room: int) -> None:
    path, earlier = _SEGMENTS[-1], _RECORDS - len(bytes(_DISK.files[_SEGMENTS[-1]]).splitlines())
    content = bytes(_DISK.files[path])
    for size in range(len(content) + 1):
        disk = MemoryDisk(files={name: bytearray(held) for name, held in _DISK.files.items()})
        disk.files[path] = bytearray(content[:size] + bytes(room))
        whole = content[:size].rfind(b"\n") + 1

        found = recover(disk, FOLDER, KEY.verify_key)

        assert found.chain.seq == earlier + content[:size].count(b"\n")
        kept = b"" if found.tail is None else bytes(disk.files[FOLDER / found.kept_as])
        assert kept == content[whole:size]
        assert bytes(disk.files.get(path, b"")) == content[:whole]


def _rebuilt(lines: list[bytes]) -> MemoryDisk:
    """The lines in as many segments as before; the last takes what is over."""
    disk = MemoryDisk()
    for number, path in enumerate(_SEGMENTS):
        size = len(bytes(_DISK.files[path]).splitlines())
        part, lines = (lines, []) if number == len(_SEGMENTS) - 1 else (lines[:size], lines[size:])
        disk.files[path] = bytearray(b"".join(part))
    return disk


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_record_dropped_repeated_or_swapped_is_found(data: st.DataObject) -> None:
    lines, at = list(_LINES), data.draw(st.integers(0, len(_LINES) - 2))
    match data.draw(st.sampled_from(["drop", "repeat", "swap", "move"])):
        case "drop":
            del lines[at]
        case "repeat":
            lines.insert(data.draw(st.integers(0, len(lines))), lines[at])
        case "swap":
            other = data.draw(st.integers(0, len(lines) - 1).filter(lambda one: one != at))
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            lines.insert(
                data.draw(st.integers(0, len(lines) - 1).filter(lambda one: one != at)), lines.pop(at)
            )

    with pytest.raises(BrokenChainError):
        _seq_up_to(_rebuilt(lines))


def test_a_report_of_damage_says_where_it_is() -> None:
    path = _SEGMENTS[1]
    content = bytearray(_DISK.files[path])
    begin = content.index(b"\n") + 1
    content[begin + 60] ^= 1

    with changed(_DISK, path, content), pytest.raises(BrokenChainError, match="hash does not fit") as raised:
        read_chain(_DISK, FOLDER, None)

    first = decode(bytes(_DISK.files[path]).splitlines(keepends=True)[0])
    assert (raised.value.segment, raised.value.offset, raised.value.seq) == (path.name, begin, first.seq + 1)


@pytest.mark.parametrize("path", _SEGMENTS[:-1], ids=lambda path: path.stem)
def test_a_segment_that_is_missing_is_found(path: Path) -> None:
    disk = MemoryDisk(files={name: held for name, held in _DISK.files.items() if name != path})

    with pytest.raises(BrokenChainError, match="is missing"):
        read_chain(disk, FOLDER, None)


def test_a_journal_that_another_key_signed_is_refused_by_name() -> None:
    with pytest.raises(BrokenChainError, match=OTHER_KEY.verify_key.fingerprint) as raised:
        read_chain(_DISK, FOLDER, OTHER_KEY.verify_key)

    assert KEY.verify_key.fingerprint in str(raised.value)
    assert raised.value.seq == 1


def test_a_history_rewritten_without_the_key_is_found_at_its_first_checkpoint() -> None:
    disk = MemoryDisk()
    journal, _ = open_journal(disk, key=OTHER_KEY)
    journal.append(Kind.NOTE, {"text": "another past"}, 1)
    journal.close(2)
    lines = [
        line.replace(OTHER_KEY.verify_key.fingerprint.encode(), KEY.verify_key.fingerprint.encode())
        for line in bytes(disk.files[segment_path(FOLDER, 1)]).splitlines(keepends=True)
    ]
    disk.files[segment_path(FOLDER, 1)] = bytearray(b"".join(lines))

    with pytest.raises(BrokenChainError):
        read_chain(disk, FOLDER, KEY.verify_key)


def test_zeros_behind_the_last_line_of_any_segment_are_no_damage() -> None:
    disk = MemoryDisk(
        files={path: bytearray(bytes(held) + bytes(3 << 20)) for path, held in _DISK.files.items()}
    )

    end = read_chain(disk, FOLDER, KEY.verify_key)

    assert (end.chain.seq, end.tail) == (_RECORDS, None)


def _torn_batch(lost_sectors: set[int]) -> tuple[bytes, int, int]:
    """A last segment whose last write of ten lines lost sectors; its bytes, and the good lines before."""
    content = b"".join(_LINES)
    lines = content.splitlines(keepends=True)
    good = b"".join(lines[:-10])
    torn = bytearray(content + bytes(4_000))
    for sector in lost_sectors:
        at = len(good) // 512 * 512 + sector * 512
        begin = max(at, len(good))
        torn[begin : at + 512] = bytes(at + 512 - begin)
    return bytes(torn), len(lines) - 10, len(good)


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 2}, {1, 2}, {3}, {0, 1, 2, 3, 4}])
def test_a_write_that_lost_some_of_its_sectors_is_cut_and_kept(lost: set[int]) -> None:
    content, good, size = _torn_batch(lost)
    disk = MemoryDisk(files={segment_path(FOLDER, 1): bytearray(content)})

    found = recover(disk, FOLDER, KEY.verify_key)

    assert found.chain.seq >= good
    assert found.tail is not None
    assert found.tail.offset >= size
    assert bytes(disk.files[FOLDER / found.kept_as]) == content[found.tail.offset :].rstrip(b"\0")


def test_a_zeroed_sector_further_back_than_one_write_is_damage() -> None:
    lines = _LINES * 200
    disk = MemoryDisk()
    content = bytearray(b"".join(lines))
    content[1024:1536] = bytes(512)
    disk.files[segment_path(FOLDER, 1)] = content

    with pytest.raises(BrokenChainError):
        read_chain(disk, FOLDER, None)


def test_bytes_behind_the_last_line_of_an_earlier_segment_are_damage() -> None:
    path = _SEGMENTS[0]

    with changed(_DISK, path, bytes(_DISK.files[path]) + b'{"seq":'), pytest.raises(BrokenChainError):
        read_chain(_DISK, FOLDER, KEY.verify_key)


def test_a_torn_line_in_an_earlier_segment_is_damage_and_nothing_is_touched() -> None:
    disk = MemoryDisk(files={path: bytearray(held) for path, held in _DISK.files.items()})
    del disk.files[_SEGMENTS[0]][-20:]
    before = {path: bytes(held) for path, held in disk.files.items()}

    with pytest.raises(BrokenChainError):
        recover(disk, FOLDER, KEY.verify_key)

    assert {path: bytes(held) for path, held in disk.files.items()} == before


def test_a_line_that_is_being_written_is_read_again() -> None:
    """The file changes between two looks at it, as it does under a reader beside the daemon."""
    disk = MemoryDisk(files={path: bytearray(held) for path, held in _DISK.files.items()})
    path = _SEGMENTS[-1]
    finished = bytes(disk.files[path])
    disk.files[path][-300:-200] = bytes(100)
    looks = []

    class Changing(MemoryDisk):
        def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
            if path == _SEGMENTS[-1]:
                looks.append(offset)
                if len(looks) > 3:
                    self.files[path] = bytearray(finished)
            return super().read(path, offset, size)

    assert read_chain(Changing(files=disk.files), FOLDER, KEY.verify_key).chain.seq == _RECORDS


def test_reading_on_from_any_segment_gives_the_rest_of_the_records() -> None:
    start = segment_start(_DISK, FOLDER, 2)
    assert start is not None
    lines: list[StoredLine] = []

    end = read_on(_DISK, FOLDER, start, lines.append)
    again = read_on(_DISK, FOLDER, end, lines.append)

    assert [line.seq for line in lines] == list(range(start.seq + 1, _RECORDS + 1))
    assert again == end


def test_reading_on_from_a_place_that_is_not_in_the_journal_is_refused() -> None:
    start = segment_start(_DISK, FOLDER, 2)
    assert start is not None

    with pytest.raises(BrokenChainError):
        read_on(_DISK, FOLDER, start._replace(head=bytes(32)), lambda line: None)


@pytest.mark.parametrize("limit", [1, 5, 25, 1_000])
def test_the_newest_lines_come_in_order_from_as_many_segments_as_it_takes(limit: int) -> None:
    wanted = [decode(line) for line in _LINES if decode(line).kind is Kind.INTENT]

    found = newest_lines(_DISK, FOLDER, lambda line: line.kind is Kind.INTENT, limit)

    assert [decode(line.content) for line in found] == wanted[-limit:]


def test_reading_works_on_a_real_disk_beside_a_writer(tmp_path: Path) -> None:
    journal, writer = open_journal(LocalDisk(), folder=tmp_path / "journal", segment_bytes=4096)
    counts = []
    for number in range(60):
        journal.append(Kind.NOTE, {"text": "x" * number}, number)
        writer.step()
        counts.append(read_chain(LocalDisk(), tmp_path / "journal", KEY.verify_key).chain.seq == journal.seq)
    journal.close(100)
    shutil.copytree(tmp_path / "journal", tmp_path / "copy")

    assert all(counts)
    assert read_chain(LocalDisk(), tmp_path / "copy", KEY.verify_key).chain.head.hex() == journal.head


class _CountingDisk(MemoryDisk):
    """Says how much was read."""

    read_bytes = 0

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        content = super().read(path, offset, size)
        self.read_bytes += len(content)
        return content


def test_whoever_follows_a_journal_does_not_read_all_the_room_that_is_reserved_for_more() -> None:
    disk = _CountingDisk(files={path: bytearray(bytes(held)) for path, held in _DISK.files.items()})
    disk.files[_SEGMENTS[-1]] += bytes(64 << 20)
    start = segment_start(disk, FOLDER, 2)
    assert start is not None
    end = read_on(disk, FOLDER, start, lambda line: None)
    disk.read_bytes = 0

    again = read_on(disk, FOLDER, end, lambda line: None)

    assert again == end
    assert disk.read_bytes < 8 << 20


@pytest.mark.parametrize(("behind", "is_found"), [(2_000, True), (3 << 20, False)])
def test_what_stands_behind_the_last_line_is_found_by_followers_nearby_and_by_a_check_everywhere(
    behind: int, is_found: bool
) -> None:
    path = _SEGMENTS[-1]
    disk = MemoryDisk(files={name: bytearray(bytes(held)) for name, held in _DISK.files.items()})
    start = segment_start(disk, FOLDER, len(_SEGMENTS))
    assert start is not None
    disk.files[path] += bytes(behind) + b"x" * (2 << 20)

    with pytest.raises(BrokenChainError):
        read_chain(disk, FOLDER, KEY.verify_key)
    if is_found:
        with pytest.raises(BrokenChainError):
            read_on(disk, FOLDER, start, lambda line: None)
    else:
        assert read_on(disk, FOLDER, start, lambda line: None).seq == _RECORDS
