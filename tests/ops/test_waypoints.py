"""A waypoint saves the reading, and is believed in nothing that the journal does not bear out."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.disk import LocalDisk
from ops.journal import BrokenChainError, Journal, Kind, SigningKey, StepWriter, read_chain
from ops.journal.segments import segment_numbers, segment_path
from ops.quick_recall import QuickRecall
from ops.recall import Recall
from ops.state_dir import JOURNAL, WAYPOINT
from ops.waypoints import advance_waypoint, load_waypoint
from tests.support.journals import KEY, OTHER_KEY, open_journal

VERSION = "v1"
DISK = LocalDisk()


def session(place: Path, number: int, records: int = 30) -> None:
    """One life of a bot: what it writes fills some segments of 2 KiB."""
    journal, _ = open_journal(DISK, folder=place / JOURNAL, segment_bytes=2_048)
    journal.append(Kind.SESSION_START, {"session": f"s{number}"}, number)
    for at in range(records):
        journal.append(Kind.DECISION, {"ts_event": at, "strategy": "one"}, 100 * number + at)
        journal.append(Kind.STATE, {"strategy": "one", "state": {"n": at, "of": number}}, 100 * number + at)
    journal.append(Kind.STOP, {"exit_code": number % 2}, number)
    journal.close(number)


def memory(recall: Recall) -> dict[str, Any]:
    return {name: value for name, value in vars(recall).items() if name != "_takers"}


def read(place: Path, *, from_waypoint: bool) -> tuple[Any, ...]:
    """All that a start knows: where the chain stands, and what was remembered."""
    checked, _, recall = load_waypoint(DISK, place, KEY.verify_key, VERSION if from_waypoint else "none")
    lines = QuickRecall(recall)
    end = read_chain(DISK, place / JOURNAL, KEY.verify_key, lines.take, checked=checked)
    lines.settle()
    chain = end.chain
    stand = (chain.seq, chain.head, chain.tree.root(), end.segments, end.offset, end.checkpoints)
    return (checked is not None, stand, end.signed_seq, memory(recall))


def used(place: Path) -> bool:
    return load_waypoint(DISK, place, KEY.verify_key, VERSION).checked is not None


def test_start_from_a_waypoint_knows_what_a_start_from_the_beginning_knows(tmp_path: Path) -> None:
    seen = []
    for number in range(1, 5):
        session(tmp_path, number)
        seen.append(advance_waypoint(DISK, tmp_path, KEY, VERSION))
        (is_short, *short), (is_whole, *whole) = (
            read(tmp_path, from_waypoint=True),
            read(tmp_path, from_waypoint=False),
        )

        assert short == whole
        assert (is_short, is_whole) == (True, False)
    assert seen == sorted(set(seen)), "each goes further than the one before"


def test_journal_goes_on_from_a_waypoint_with_lines_that_fit_the_whole_chain(tmp_path: Path) -> None:
    session(tmp_path, 1)
    advance_waypoint(DISK, tmp_path, KEY, VERSION)
    checked = load_waypoint(DISK, tmp_path, KEY.verify_key, VERSION).checked
    replayed: list[int] = []
    writer = StepWriter()
    journal = Journal.open(
        DISK,
        tmp_path / JOURNAL,
        KEY,
        writer,
        ts_ns=500,
        on_fault=lambda _: None,
        replay=lambda line: replayed.append(line.seq),
        checked=checked,
        segment_bytes=2_048,
    )
    journal.append(Kind.NOTE, {"about": "what came after"}, 501)
    while writer.step():
        pass
    journal.close(502)

    assert checked is not None
    assert replayed[0] == checked.seq + 1
    end = read_chain(DISK, tmp_path / JOURNAL, KEY.verify_key)
    assert end.chain.seq == journal.seq > replayed[-1]


def test_journal_of_one_segment_has_nothing_to_mark(tmp_path: Path) -> None:
    session(tmp_path, 1, records=1)
    assert len(segment_numbers(DISK, tmp_path / JOURNAL)) == 1

    assert advance_waypoint(DISK, tmp_path, KEY, VERSION) == 0
    assert not (tmp_path / WAYPOINT).exists()


def test_waypoint_with_a_changed_byte_anywhere_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session(tmp_path, 1)
    advance_waypoint(DISK, tmp_path, KEY, VERSION)
    path = tmp_path / WAYPOINT
    content = path.read_bytes()

    with caplog.at_level(logging.ERROR):
        for at in range(0, len(content), 7):
            bit = 1 << at % 5  # the sixth would only make a capital letter of a digit of the signature
            path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
            assert not used(tmp_path)
            path.write_bytes(content[:at])
            assert not used(tmp_path)
    path.write_bytes(content)
    assert used(tmp_path)


def _flip(place: Path) -> None:
    path = segment_path(place / JOURNAL, 1)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"strategy":"one"', b'"strategy":"two"', 1))


def _cut(place: Path) -> None:
    path = segment_path(place / JOURNAL, 2)
    path.write_bytes(path.read_bytes()[:-1])


def _exchange(place: Path) -> None:
    first, second = (segment_path(place / JOURNAL, number) for number in (1, 2))
    contents = first.read_bytes(), second.read_bytes()
    second.write_bytes(contents[0])
    first.write_bytes(contents[1])


def _lose(place: Path) -> None:
    segment_path(place / JOURNAL, 1).unlink()


@pytest.mark.parametrize("damage", [_flip, _cut, _exchange, _lose])
def test_segment_that_is_not_as_it_was_is_found_as_without_a_waypoint(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    session(tmp_path, 1)
    advance_waypoint(DISK, tmp_path, KEY, VERSION)
    damage(tmp_path)

    with caplog.at_level(logging.WARNING):
        assert not used(tmp_path)
    assert "the whole journal is read" in caplog.text
    with pytest.raises(BrokenChainError):
        read(tmp_path, from_waypoint=True)
    with pytest.raises(BrokenChainError):
        advance_waypoint(DISK, tmp_path, KEY, VERSION)


def test_journal_that_lost_all_after_the_waypoint_is_read_whole(tmp_path: Path) -> None:
    # Without a segment after what was checked, a start would take the newest one for empty, and remove it.
    session(tmp_path, 1)
    advance_waypoint(DISK, tmp_path, KEY, VERSION)
    newest = segment_path(tmp_path / JOURNAL, segment_numbers(DISK, tmp_path / JOURNAL)[-1])
    checked = load_waypoint(DISK, tmp_path, KEY.verify_key, VERSION).checked
    newest.unlink()

    assert not used(tmp_path)
    with pytest.raises(ValueError, match="expected a segment after"):
        read_chain(DISK, tmp_path / JOURNAL, KEY.verify_key, checked=checked)


def test_waypoint_that_cannot_be_read_keeps_nobody_from_starting(tmp_path: Path) -> None:
    # As one that an operator made as root, and a service that is another user finds.
    session(tmp_path, 1)
    (tmp_path / WAYPOINT).mkdir()

    assert not used(tmp_path)


@pytest.mark.parametrize(("key", "version"), [(OTHER_KEY, VERSION), (KEY, "v2")])
def test_waypoint_of_another_key_or_version_is_not_used(
    tmp_path: Path, key: SigningKey, version: str
) -> None:
    session(tmp_path, 1)
    advance_waypoint(DISK, tmp_path, KEY, VERSION)

    assert load_waypoint(DISK, tmp_path, key.verify_key, version).checked is None
