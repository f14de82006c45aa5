"""The writer's thread: results come back on the loop, in order, once each; a slow disk stops nothing else."""

import asyncio
import errno
import threading
from collections.abc import Callable
from pathlib import Path

from ops.disk import LocalDisk
from ops.journal import Journal, Kind, Ticket, WriterThread, read_chain
from tests.support.journals import FOLDER, KEY
from tests.support.memory_disk import MemoryDisk


def _open(disk: MemoryDisk, faults: list[OSError]) -> Journal:
    writer = WriterThread(asyncio.get_running_loop())
    return Journal.open(disk, FOLDER, KEY, writer, ts_ns=0, on_fault=faults.append, segment_bytes=1 << 20)


def _waiting_for(gate: threading.Event) -> Callable[[], None]:
    def wait() -> None:
        gate.wait(10)

    return wait


async def _settled(tickets: list[Ticket]) -> None:
    async with asyncio.timeout(10):
        for ticket in tickets:
            done = asyncio.Event()
            ticket.then(lambda _, done=done: done.set())  # type: ignore[misc]
            await done.wait()


def test_tickets_settle_on_the_loop_in_order(tmp_path: Path) -> None:
    order: list[int] = []
    threads: set[int] = set()

    def note(ticket: Ticket) -> None:
        order.append(ticket.seq)
        threads.add(threading.get_ident())

    async def run() -> list[Ticket]:
        writer = WriterThread(asyncio.get_running_loop())
        journal = Journal.open(LocalDisk(), tmp_path, KEY, writer, ts_ns=0, on_fault=lambda _: None)
        tickets = [journal.append(Kind.NOTE, {"n": n}, n) for n in range(3_000)]
        for ticket in tickets:
            ticket.then(note)
        await _settled(tickets)
        assert journal.close(9_999)
        return tickets

    tickets = asyncio.run(run())

    assert order == [ticket.seq for ticket in tickets]
    assert threads == {threading.get_ident()}
    assert read_chain(LocalDisk(), tmp_path, KEY.verify_key).signed_seq == tickets[-1].seq + 1


def test_many_records_share_a_sync() -> None:
    disk = MemoryDisk()
    gate = threading.Event()

    async def run() -> None:
        journal = _open(disk, [])
        disk.on_sync = _waiting_for(gate)
        tickets = [journal.append(Kind.NOTE, {}, n) for n in range(500)]
        gate.set()
        await _settled(tickets)
        journal.close(1)

    asyncio.run(run())

    assert disk.calls.count("sync") < 20


def test_a_stalled_disk_leaves_the_loop_free_and_tickets_pending() -> None:
    disk = MemoryDisk()
    gate, stalled = threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        gate.wait(10)

    async def run() -> bool:
        journal = _open(disk, [])
        disk.on_sync = stall
        ticket = journal.append(Kind.INTENT, {}, 1)
        while not stalled.is_set():
            await asyncio.sleep(0)
        turns = 0
        for turns in range(100):  # noqa: B007 - the loop goes on turning
            await asyncio.sleep(0)
        was_pending = not ticket.is_settled
        gate.set()
        await _settled([ticket])
        journal.close(2)
        return was_pending and turns == 99 and ticket.is_durable

    assert asyncio.run(run())


def test_closing_settles_what_is_pending_without_another_turn_of_the_loop() -> None:
    disk = MemoryDisk()
    called: list[int] = []

    async def run() -> list[Ticket]:
        journal = _open(disk, [])
        tickets = [journal.append(Kind.NOTE, {}, n) for n in range(50)]
        for ticket in tickets:
            ticket.then(lambda one: called.append(one.seq))
        assert journal.close(99)
        assert all(ticket.is_durable for ticket in tickets)
        return tickets

    tickets = asyncio.run(run())

    assert called == [ticket.seq for ticket in tickets]


def test_closing_over_a_disk_that_does_not_answer_fails_what_waits_in_time() -> None:
    disk = MemoryDisk()
    gate = threading.Event()
    faults: list[OSError] = []

    async def run() -> Ticket:
        journal = _open(disk, faults)
        disk.on_sync = _waiting_for(gate)
        ticket = journal.append(Kind.NOTE, {}, 1)
        assert not journal.close(2, timeout_secs=0.05)
        gate.set()
        return ticket

    ticket = asyncio.run(run())

    assert ticket.fault is not None
    assert ticket.fault.errno == errno.ETIMEDOUT
    assert len(faults) == 1


def test_a_refusal_reaches_the_loop_as_a_fault() -> None:
    disk = MemoryDisk()
    faults: list[OSError] = []

    def refuse() -> None:
        raise OSError(errno.EIO, "planted")

    async def run() -> list[Ticket]:
        journal = _open(disk, faults)
        disk.on_sync = refuse
        tickets = [journal.append(Kind.INTENT, {}, n) for n in range(10)]
        await _settled(tickets)
        tickets.append(journal.append(Kind.INTENT, {}, 11))
        assert not journal.close(12)
        return tickets

    tickets = asyncio.run(run())

    assert {ticket.fault and ticket.fault.errno for ticket in tickets} == {errno.EIO}
    assert len(faults) == 1


def test_a_writer_that_fails_in_an_unforeseen_way_is_a_fault_too() -> None:
    disk = MemoryDisk()
    faults: list[OSError] = []

    def fail() -> None:
        raise ZeroDivisionError("planted")

    async def run() -> Ticket:
        journal = _open(disk, faults)
        disk.on_sync = fail
        ticket = journal.append(Kind.INTENT, {}, 1)
        await _settled([ticket])
        disk.on_sync = lambda: None
        journal.append(Kind.INTENT, {}, 2)
        journal.close(3)
        return ticket

    ticket = asyncio.run(run())

    assert "ZeroDivisionError: planted" in str(ticket.fault)
    assert len(faults) == 1
