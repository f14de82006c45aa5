"""What verification, anchors and proofs show, and what they do not let through."""

import errno
import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ops.journal import BrokenChainError, FileAnchor, Kind, LogAnchor, ThreadedAnchor
from ops.journal.anchors import AnchoredHead, read_anchors
from ops.journal.chain import Chain
from ops.journal.checkpoints import signed_message
from ops.journal.records import GENESIS, encode_body
from ops.journal.segments import segment_path
from ops.journal.verifying import Proof, check_proof, prove, verify
from strategies.errors import AuditError, ConfigError
from tests.support.journals import FOLDER, KEY, OTHER_KEY, open_journal, three_segments
from tests.support.memory_disk import MemoryDisk

_DISK = three_segments()


def _history(price: float, anchors: list[Any]) -> MemoryDisk:
    disk = MemoryDisk()
    journal, writer = open_journal(disk, anchors=anchors)
    for number in range(5):
        journal.append(Kind.FILL, {"trade_id": number, "price": price}, number)
        writer.step()
    journal.close(9)
    return disk


def test_a_whole_journal_is_summed_up() -> None:
    found = verify(_DISK, FOLDER, KEY.verify_key)

    assert (found.records, found.segments, found.checkpoints, found.unfinished_bytes) == (40, 3, 4, 0)
    assert found.signed_seq == 39


def test_a_history_rewritten_with_the_key_passes_until_an_anchor_is_given(tmp_path: Path) -> None:
    anchors = tmp_path / "anchors.jsonl"
    _history(100.0, [FileAnchor(anchors)])
    forged = _history(101.0, [])

    heads = read_anchors(anchors)

    assert verify(forged, FOLDER, KEY.verify_key).records == 7
    assert [head.seq for head in heads] == [1, 7]
    with pytest.raises(AuditError, match="cut or rewritten"):
        verify(forged, FOLDER, KEY.verify_key, heads[1:])


def test_a_tail_cut_at_a_line_passes_until_an_anchor_is_given(tmp_path: Path) -> None:
    anchors = tmp_path / "anchors.jsonl"
    disk = _history(100.0, [FileAnchor(anchors)])
    path = segment_path(FOLDER, 1)
    lines = bytes(disk.files[path]).splitlines(keepends=True)
    disk.files[path] = bytearray(b"".join(lines[:-2]))

    assert verify(disk, FOLDER, KEY.verify_key).records == 5
    with pytest.raises(AuditError, match="expected the anchored record 7"):
        verify(disk, FOLDER, KEY.verify_key, read_anchors(anchors))


def test_an_anchor_of_a_hash_alone_is_found() -> None:
    found = verify(_DISK, FOLDER, KEY.verify_key)

    assert verify(_DISK, FOLDER, KEY.verify_key, [AnchoredHead(0, found.head)]).anchors == 1
    with pytest.raises(AuditError):
        verify(_DISK, FOLDER, KEY.verify_key, [AnchoredHead(3, found.head)])


def test_only_what_is_durable_is_anchored(tmp_path: Path) -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk, anchors=[FileAnchor(tmp_path / "anchors")])
    journal.append(Kind.NOTE, {}, 1)
    journal.tick(61 * 10**9)
    before = len(read_anchors(tmp_path / "anchors"))
    writer.step()

    assert before == 1
    assert [head.seq for head in read_anchors(tmp_path / "anchors")] == [1, 3]


def test_what_the_disk_refused_is_not_anchored(tmp_path: Path) -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk, anchors=[FileAnchor(tmp_path / "anchors")])

    def refuse() -> None:
        raise OSError(errno.EIO, "planted")

    disk.on_sync = refuse
    journal.append(Kind.NOTE, {}, 1)
    journal.tick(61 * 10**9)
    writer.step()

    assert journal.fault is not None
    assert [head.seq for head in read_anchors(tmp_path / "anchors")] == [1]


def test_a_checkpoint_with_another_root_is_found_though_its_key_is_right() -> None:
    root = "00" * 32
    body = {
        "seq": 0,
        "head": GENESIS.hex(),
        "root": root,
        "key": KEY.verify_key.fingerprint,
        "signature": KEY.sign(signed_message(0, GENESIS.hex(), root)).hex(),
    }
    line = Chain().extend(Kind.CHECKPOINT, encode_body(body), 1)
    disk = MemoryDisk(files={segment_path(FOLDER, 1): bytearray(line)})

    with pytest.raises(BrokenChainError, match="Merkle root"):
        verify(disk, FOLDER, KEY.verify_key)


def test_an_anchor_that_cannot_be_published_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    journal, writer = open_journal(MemoryDisk(), anchors=[FileAnchor(tmp_path / "absent" / "anchors")])
    ticket = journal.append(Kind.NOTE, {}, 1)
    writer.step()

    assert journal.anchor_faults == 1
    assert ticket.is_durable


def test_the_log_says_the_head(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "argonaut.journal.anchor"):
        journal, _ = open_journal(MemoryDisk(), anchors=[LogAnchor()])

    assert f"record 1 has hash {journal.head}" in caplog.text


def test_anchors_around_a_line_that_was_cut_short_anywhere_are_read(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    FileAnchor(whole).publish(1, "11" * 32, 5)
    line = whole.read_bytes()

    for end in range(len(line)):
        file = tmp_path / f"cut-{end}"
        file.write_bytes(line + line[:end])
        FileAnchor(file).publish(2, "22" * 32, 6)

        cut_line = [AnchoredHead(1, "11" * 32)] * (end == len(line) - 1)
        assert read_anchors(file) == [AnchoredHead(1, "11" * 32), *cut_line, AnchoredHead(2, "22" * 32)]


def test_a_file_of_anchors_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "anchors").write_text('{"seq": 1, "head": "00"}\n{"seq": 1}\n')

    with pytest.raises(ConfigError, match=":2: expected an anchor"):
        read_anchors(tmp_path / "anchors")


@pytest.mark.parametrize("seq", [1, 2, 17, 39])
def test_a_proof_holds_for_whoever_has_the_public_key(seq: int) -> None:
    check_proof(prove(_DISK, FOLDER, KEY.verify_key, seq), KEY.verify_key)


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof._replace(line=proof.line.replace("100.", "101.")),
        lambda proof: proof._replace(seq=proof.seq + 1),
        lambda proof: proof._replace(path=proof.path[1:]),
        lambda proof: proof._replace(path=("00" * 32, *proof.path[1:])),
        lambda proof: proof._replace(path=("not hex", *proof.path[1:])),
        lambda proof: proof._replace(previous="00" * 32),
        lambda proof: proof._replace(checkpoint=proof.checkpoint | {"root": "00" * 32}),
        lambda proof: proof._replace(checkpoint=proof.checkpoint | {"seq": proof.checkpoint["seq"] + 1}),
        lambda proof: proof._replace(checkpoint=proof.checkpoint | {"signature": "00" * 64}),
        lambda proof: proof._replace(checkpoint=proof.checkpoint | {"signature": 5}),
        lambda proof: proof._replace(checkpoint={}),
    ],
)
def test_a_proof_with_anything_changed_does_not_hold(change: Callable[[Proof], Proof]) -> None:
    proof = prove(_DISK, FOLDER, KEY.verify_key, 5)
    check_proof(proof, KEY.verify_key)

    with pytest.raises(AuditError):
        check_proof(change(proof), KEY.verify_key)


def test_a_proof_under_another_key_does_not_hold() -> None:
    with pytest.raises(AuditError, match=OTHER_KEY.verify_key.fingerprint):
        check_proof(prove(_DISK, FOLDER, KEY.verify_key, 5), OTHER_KEY.verify_key)


@pytest.mark.parametrize("seq", [40, 41])
def test_a_record_that_no_checkpoint_stands_for_cannot_be_proven(seq: int) -> None:
    with pytest.raises(LookupError):
        prove(_DISK, FOLDER, KEY.verify_key, seq)


class HungPlace:
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        self.let_go = Event()
        self.said: list[int] = []

    def publish(self, seq: int, head: str, ts_ns: int) -> None:
        self.let_go.wait(10.0)
        self.said.append(seq)

    def close(self) -> None:
        """Nothing waits."""


def test_anchor_that_hangs_holds_nobody_up_and_is_counted_once_too_much_waits() -> None:
    place = HungPlace()
    journal, writer = open_journal(MemoryDisk(), anchors=[ThreadedAnchor(place, most_waiting=2)])
    for number in range(1, 6):
        journal.tick(number * 61 * 10**9)
        journal.append(Kind.NOTE, {}, number)
        writer.step()

    assert journal.anchor_faults > 0
    assert journal.fault is None
    place.let_go.set()
    journal.close(10**12)
    assert place.said == sorted(place.said)
    assert len(place.said) >= 2


def test_threaded_anchor_says_all_that_waits_before_the_journal_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "anchors"
    disk = MemoryDisk()
    journal, writer = open_journal(disk, anchors=[ThreadedAnchor(FileAnchor(file))])
    journal.append(Kind.NOTE, {}, 1)
    journal.tick(61 * 10**9)
    writer.step()
    journal.close(62 * 10**9)

    assert verify(disk, FOLDER, KEY.verify_key, read_anchors(file)).anchors == 3


def _publish_until_it_fails(anchor: ThreadedAnchor) -> None:
    for number in range(2, 1_000):  # it is a thread of its own that finds out
        time.sleep(0.01)
        anchor.publish(number, "11" * 32, number)


def test_what_a_threaded_anchor_could_not_say_is_counted_at_the_next_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    anchor = ThreadedAnchor(FileAnchor(tmp_path / "absent" / "anchors"))
    anchor.publish(1, "00" * 32, 1)
    with pytest.raises(FileNotFoundError):
        _publish_until_it_fails(anchor)
    anchor.close()

    assert "the newest heads could not be anchored" in caplog.text
