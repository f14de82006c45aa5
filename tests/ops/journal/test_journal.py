"""The journal as its callers see it: tickets, faults, checkpoints, and what a restart finds."""

import errno
import math
from typing import Any

import pytest

from ops.journal import Kind, Record, Ticket, read_chain
from ops.journal.reading import StoredLine, newest_lines
from ops.journal.records import decode
from ops.journal.segments import segment_numbers, segment_path
from strategies.errors import AuditError
from tests.support.journals import FOLDER, KEY, OTHER_KEY, open_journal
from tests.support.memory_disk import MemoryDisk

_SECOND = 10**9


def _raise(code: int) -> Any:
    def fail(*_: object) -> None:
        raise OSError(code, "planted")

    return fail


def _fail(_: Ticket) -> None:
    raise ZeroDivisionError("planted")


def _records(disk: MemoryDisk) -> list[Record]:
    lines: list[StoredLine] = []
    read_chain(disk, FOLDER, KEY.verify_key, lines.append)
    return [decode(line.content) for line in lines]


def test_a_ticket_is_durable_once_its_record_survives_a_loss_of_power_and_not_before() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk)
    first = journal.append(Kind.INTENT, {"client_order_id": "AR1"}, 1)
    writer.step()
    second = journal.append(Kind.INTENT, {"client_order_id": "AR2"}, 2)

    assert (first.is_durable, second.is_durable, second.fault) == (True, False, None)
    assert (journal.durable_seq, journal.backlog) == (first.seq, 1)
    disk.crash()
    assert [record.body.get("client_order_id") for record in _records(disk)] == [None, "AR1"]


def test_callbacks_run_in_order_and_exactly_once_each_also_when_added_afterwards() -> None:
    journal, writer = open_journal(MemoryDisk())
    called: list[tuple[str, int]] = []
    one, two = (journal.append(Kind.NOTE, {}, 1) for _ in range(2))
    two.then(lambda ticket: called.append(("c", ticket.seq)))
    one.then(lambda ticket: called.append(("a", ticket.seq)))
    one.then(lambda ticket: called.append(("b", ticket.seq)))

    assert called == []
    writer.step()
    writer.step()
    one.then(lambda ticket: called.append(("d", ticket.seq)))
    assert called == [("a", one.seq), ("b", one.seq), ("c", two.seq), ("d", one.seq)]


def test_a_callback_may_append_and_one_that_raises_keeps_nobody_else_waiting() -> None:
    journal, writer = open_journal(MemoryDisk())
    later: list[Ticket] = []
    one, two = (journal.append(Kind.INTENT, {}, 1) for _ in range(2))
    one.then(lambda ticket: later.append(journal.append(Kind.SUBMIT, {}, 2)))
    one.then(_fail)

    with pytest.raises(ExceptionGroup, match="callbacks of the journal failed"):
        writer.step()
    assert two.is_durable
    assert not later[0].is_durable
    writer.step()
    assert later[0].is_durable


def test_a_stall_leaves_tickets_pending_and_loses_nothing() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk)
    tickets = [journal.append(Kind.NOTE, {"n": n}, n) for n in range(5)]

    assert not any(ticket.is_settled for ticket in tickets)
    writer.step()
    assert all(ticket.is_durable for ticket in tickets)


@pytest.mark.parametrize(
    ("fault", "code"), [("on_write", errno.EIO), ("on_write", errno.EROFS), ("on_sync", errno.EIO)]
)
def test_a_refusal_of_the_disk_fails_what_waits_and_all_that_comes_and_is_told_once(
    fault: str, code: int
) -> None:
    told: list[OSError] = []
    disk = MemoryDisk()
    journal, writer = open_journal(disk, on_fault=told.append)
    good = journal.append(Kind.NOTE, {}, 1)
    writer.step()
    setattr(disk, fault, _raise(code))
    waiting = [journal.append(Kind.INTENT, {}, 2) for _ in range(3)]
    seen: list[Ticket] = []
    waiting[1].then(seen.append)
    writer.step()
    late = journal.append(Kind.INTENT, {}, 3)
    writer.step()
    journal.tick(10**15)

    assert good.is_durable
    assert [ticket.fault and ticket.fault.errno for ticket in (*waiting, late)] == [code] * 4
    assert seen == [waiting[1]]
    assert late.seq == 0
    assert journal.fault is not None
    assert len(told) == 1
    assert not journal.close(4)
    assert [record.kind for record in _records(disk)][:2] == [Kind.CHECKPOINT, Kind.NOTE]


def test_after_a_sync_that_failed_the_file_is_neither_synced_nor_written_again() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk)
    disk.on_sync = _raise(errno.EIO)
    journal.append(Kind.INTENT, {}, 1)
    writer.step()
    disk.on_sync = lambda: None
    calls = len(disk.calls)
    journal.append(Kind.INTENT, {}, 2)
    journal.close(3)

    assert disk.calls[calls:] == ["close"]


def test_a_disk_that_takes_writes_in_small_pieces_still_gets_all_of_them() -> None:
    disk = MemoryDisk(write_limit=7)
    journal, writer = open_journal(disk)
    ticket = journal.append(Kind.NOTE, {"text": "x" * 500}, 1)
    writer.step()

    assert ticket.is_durable
    disk.crash()
    assert _records(disk)[-1].body == {"text": "x" * 500}


def test_a_disk_that_fills_up_within_a_write_is_cut_back_to_what_was_durable() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk, segment_bytes=600)
    good = journal.append(Kind.NOTE, {}, 1)
    writer.step()
    disk.free = 650
    journal.append(Kind.NOTE, {"text": "x" * 400}, 2)
    bad = journal.append(Kind.NOTE, {"text": "x" * 400}, 2)
    writer.step()

    assert good.is_durable
    assert bad.fault is not None
    assert bad.fault.errno == errno.ENOSPC
    assert _records(disk)[-1].seq >= good.seq
    disk.free = 1 << 20
    again, _ = open_journal(disk)
    assert again.seq >= good.seq


def test_what_a_failed_write_left_behind_is_cut_off_again() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk)
    journal.append(Kind.NOTE, {}, 1)
    writer.step()
    durable = bytes(disk.files[segment_path(FOLDER, 1)]).rstrip(b"\0")
    disk.write_limit = 50
    pieces: list[int] = []

    def fail_later(offset: int, content: bytes) -> None:
        pieces.append(offset)
        if len(pieces) == 3:
            raise OSError(errno.ENOSPC, "planted")

    disk.on_write = fail_later
    journal.append(Kind.NOTE, {"text": "x" * 500}, 2)
    writer.step()

    assert bytes(disk.files[segment_path(FOLDER, 1)]) == durable


def test_no_room_for_a_first_segment_refuses_to_open() -> None:
    with pytest.raises(OSError, match="no space left"):
        open_journal(MemoryDisk(free=100))


def test_a_body_that_cannot_be_stored_takes_no_number_and_breaks_nothing() -> None:
    disk = MemoryDisk()
    journal, _ = open_journal(disk)
    seq = journal.seq
    with pytest.raises(TypeError):
        journal.append(Kind.NOTE, {"a": object()}, 1)
    with pytest.raises(ValueError, match="at most"):
        journal.append(Kind.NOTE, {"a": "x" * 300_000}, 1)
    ticket = journal.append(Kind.NOTE, {"a": math.nan}, 1)

    assert ticket.seq == seq + 1
    assert journal.close(2)
    assert _records(disk)[1].body == {"a": None}


def test_after_closing_nothing_is_taken() -> None:
    disk = MemoryDisk()
    journal, _ = open_journal(disk)
    waiting = journal.append(Kind.STOP, {}, 1)

    assert journal.close(1)
    assert journal.close(1)
    late = journal.append(Kind.NOTE, {}, 2)
    assert waiting.is_durable
    assert (late.seq, late.is_durable, late.fault and late.fault.errno) == (0, False, errno.ESHUTDOWN)
    assert len(_records(disk)) == journal.seq
    assert journal.fault is None


def test_what_the_last_answer_of_the_disk_sets_off_leaves_no_record_and_raises_nothing() -> None:
    disk = MemoryDisk()
    journal, _ = open_journal(disk)
    journal.append(Kind.INTENT, {}, 1).then(lambda _: late.append(journal.append(Kind.SUBMIT, {}, 2)))
    late: list[Ticket] = []

    assert journal.close(3)
    assert [ticket.is_durable for ticket in late] == [False]
    assert [record.kind for record in _records(disk)] == [Kind.CHECKPOINT, Kind.INTENT, Kind.CHECKPOINT]


def test_checkpoints_come_at_start_after_a_thousand_records_after_a_minute_and_at_the_end() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk, ts_ns=0)
    for number in range(1_000):
        journal.append(Kind.NOTE, {}, number)
    journal.append(Kind.NOTE, {}, 2_000)
    journal.tick(59 * _SECOND)
    journal.tick(61 * _SECOND)
    journal.tick(200 * _SECOND)  # nothing was written since: nothing to sign
    journal.append(Kind.NOTE, {}, 300 * _SECOND)
    writer.step()
    journal.close(301 * _SECOND)

    signed = [record.seq for record in _records(disk) if record.kind is Kind.CHECKPOINT]
    assert signed == [1, 1_002, 1_004, 1_006, 1_007]


def test_a_clock_that_goes_back_stops_no_checkpoint_by_count() -> None:
    disk = MemoryDisk()
    journal, _ = open_journal(disk, ts_ns=10**18)
    for _ in range(1_000):
        journal.append(Kind.NOTE, {}, 5)
    journal.close(5)

    assert [record.seq for record in _records(disk) if record.kind is Kind.CHECKPOINT] == [1, 1_002, 1_003]


def test_a_restart_replays_all_records_in_order_and_goes_on_in_a_new_segment() -> None:
    disk = MemoryDisk()
    for run in range(3):
        replayed: list[Record] = []
        journal, _ = open_journal(disk, replay=replayed.append)
        journal.append(Kind.NOTE, {"run": run}, run)
        journal.close(run)

    assert [record.body["run"] for record in replayed if record.kind is Kind.NOTE] == [0, 1]
    assert [record.seq for record in replayed] == list(range(1, 7))
    assert segment_numbers(disk, FOLDER) == [1, 2, 3]
    assert _records(disk)[-1].seq == 9


def test_a_crash_costs_what_was_not_durable_and_the_torn_bytes_are_kept_and_noted() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk)
    journal.append(Kind.INTENT, {"client_order_id": "AR1"}, 1)
    writer.step()
    end = disk.files[segment_path(FOLDER, 1)].index(b"\0")
    disk.files[segment_path(FOLDER, 1)][end : end + 30] = b'{"seq":3,"ts_ns":2,"kind":"int'
    again, _ = open_journal(disk)
    again.close(5)

    kept = [name for name in disk.names(FOLDER) if name.endswith(".torn")]
    assert bytes(disk.files[FOLDER / kept[0]]) == b'{"seq":3,"ts_ns":2,"kind":"int'
    kinds = [record.kind for record in _records(disk)]
    assert kinds == [Kind.CHECKPOINT, Kind.INTENT, Kind.CHECKPOINT, Kind.NOTE, Kind.CHECKPOINT]
    assert _records(disk)[3].body["file"] == kept[0]


@pytest.mark.parametrize("left", [b"", b'{"seq":3,"ts', bytes(4096)])
def test_a_crash_while_a_segment_begins_begins_it_again(left: bytes) -> None:
    disk = MemoryDisk()
    journal, _ = open_journal(disk)
    journal.close(1)
    disk.files[segment_path(FOLDER, 2)] = bytearray(left)
    again, _ = open_journal(disk)
    again.append(Kind.NOTE, {}, 2)
    again.close(2)

    assert segment_numbers(disk, FOLDER) == [1, 2]
    assert _records(disk)[-1].seq == again.seq


def test_a_journal_of_another_key_is_not_opened_and_not_touched() -> None:
    disk = MemoryDisk()
    journal, _ = open_journal(disk, key=OTHER_KEY)
    journal.close(1)
    before = {path: bytes(content) for path, content in disk.files.items()}

    with pytest.raises(AuditError, match="its key was replaced"):
        open_journal(disk, key=KEY)
    assert {path: bytes(content) for path, content in disk.files.items()} == before


def test_a_full_segment_is_followed_by_one_that_opens_with_the_last_head() -> None:
    disk = MemoryDisk()
    journal, writer = open_journal(disk, segment_bytes=1_500)
    for number in range(30):
        journal.append(Kind.NOTE, {"n": number}, number)
        if number % 4 == 0:
            writer.step()
    journal.close(99)

    numbers = segment_numbers(disk, FOLDER)
    assert len(numbers) > 3
    for number in numbers:
        first = decode(bytes(disk.files[segment_path(FOLDER, number)]).splitlines(keepends=True)[0])
        assert first.kind is Kind.CHECKPOINT
        assert first.body["seq"] == first.seq - 1
    assert all(b"\0" not in disk.files[segment_path(FOLDER, number)] for number in numbers)
    notes = newest_lines(disk, FOLDER, lambda line: line.kind is Kind.NOTE, 100)
    assert [decode(line.content).body["n"] for line in notes] == list(range(30))


def test_equal_records_at_equal_times_make_equal_bytes() -> None:
    disks = []
    for steps in (1, 3):
        disk = MemoryDisk()
        journal, writer = open_journal(disk, segment_bytes=2_000)
        for number in range(20):
            journal.append(Kind.DECISION, {"n": number / 3}, number)
            if number % steps == 0:
                writer.step()
        journal.close(99)
        disks.append({path: bytes(content) for path, content in disk.files.items()})

    assert disks[0] == disks[1]


def test_a_restart_after_a_refused_sync_writes_once_more_what_the_disk_may_not_have_kept() -> None:
    # The system shows such bytes, takes them for written, and lets the next sync succeed over them.
    disk = MemoryDisk()
    journal, writer = open_journal(disk)
    journal.append(Kind.INTENT, {"client_order_id": "AR1"}, 1)
    disk.on_sync = _raise(errno.EIO)
    writer.step()
    shown = bytes(disk.files[segment_path(FOLDER, 1)]).rstrip(b"\0")
    written: list[tuple[int, bytes]] = []
    disk.on_sync, disk.on_write = lambda: None, lambda offset, content: written.append((offset, content))

    open_journal(disk)

    assert written[0] == (0, shown)
