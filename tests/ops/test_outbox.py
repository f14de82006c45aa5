"""The outbox with a journal whose disk answers when the test says so, and a clock that rings on demand."""

from collections.abc import Callable

import pytest

from ops.journal import Journal, Kind, Record, StepWriter
from ops.outbox import Outbox
from strategies.delivery import Written, intent_from
from strategies.orders import OrderIntent, OrderKind, OrderRole, OrderSide
from tests.support.journals import open_journal
from tests.support.memory_disk import MemoryDisk

NOW = 1_764_000_000_000_000_000


class Loop:
    """Keeps what is to be called later, with the seconds to wait."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, secs: float, call: Callable[[], None]) -> None:
        self.later.append((secs, call))

    def ring(self) -> None:
        for _, call in self.later:
            call()


class Desk:
    """An outbox over a journal, and every answer that it gave."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self.loop = Loop()
        self.journal: Journal
        self.writer: StepWriter
        self.journal, self.writer = open_journal(self.disk, ts_ns=NOW)
        self.outbox = Outbox(self.journal, lambda: NOW, self.loop.call_later)
        self.missed: list[tuple[Written, str]] = []
        self.outbox.missed = lambda *told: self.missed.append(told)
        self.answers: list[Written] = []

    def send(self, *intents: OrderIntent) -> None:
        self.outbox.record(intents, self.answers.append)


def order(name: str = "AR1", role: OrderRole = OrderRole.OPEN) -> OrderIntent:
    return OrderIntent(
        decision_id=f"decision of {name}",
        client_order_id=name,
        strategy="one",
        instrument_id="ALPHAUSDT.DEMO",
        ts_event=NOW,
        side=OrderSide.BUY if role is OrderRole.OPEN else OrderSide.SELL,
        quantity=0.1 + 0.2,
        kind=OrderKind.MARKET,
        price=None,
        trigger_price=90.0 if role is OrderRole.STOP else None,
        reduce_only=role is not OrderRole.OPEN,
        role=role,
    )


def bracket() -> tuple[OrderIntent, ...]:
    return order("AR1"), order("AR2", OrderRole.STOP), order("AR3", OrderRole.TARGET)


def fail_on_sync() -> None:
    raise OSError(5, "the disk is broken")


def test_intent_is_answered_for_only_once_it_is_on_the_disk() -> None:
    desk = Desk()

    desk.send(order())
    before = list(desk.answers)
    desk.writer.step()

    assert before == []
    assert desk.answers == [Written.DURABLE]
    assert desk.journal.durable_seq == desk.journal.seq


def test_opening_order_that_is_not_durable_within_a_quarter_of_a_second_is_dropped() -> None:
    desk = Desk()
    desk.send(order())

    desk.loop.ring()

    assert [secs for secs, _ in desk.loop.later] == [0.25]
    assert desk.answers == [Written.EXPIRED]
    assert (desk.outbox.expired, desk.outbox.late) == (1, 0)
    assert desk.missed == [(Written.EXPIRED, order().strategy)]


@pytest.mark.parametrize("role", [role for role in OrderRole if role is not OrderRole.OPEN])
def test_reducing_order_leaves_after_fifty_milliseconds_whether_or_not_it_is_durable(role: OrderRole) -> None:
    desk = Desk()
    desk.send(order(role=role))

    desk.loop.ring()

    assert [secs for secs, _ in desk.loop.later] == [0.05]
    assert desk.answers == [Written.LATE]
    assert (desk.outbox.expired, desk.outbox.late) == (0, 1)
    assert desk.missed == [(Written.LATE, order().strategy)]


@pytest.mark.parametrize(
    ("role", "answer"), [(OrderRole.OPEN, Written.EXPIRED), (OrderRole.CLOSE, Written.LATE)]
)
def test_disk_that_answers_after_the_deadline_changes_nothing(role: OrderRole, answer: Written) -> None:
    desk = Desk()
    desk.send(order(role=role))
    desk.loop.ring()

    desk.writer.step()
    desk.loop.ring()

    assert desk.answers == [answer]


@pytest.mark.parametrize("role", [OrderRole.OPEN, OrderRole.FLATTEN])
def test_deadline_after_the_disk_has_answered_changes_nothing(role: OrderRole) -> None:
    desk = Desk()
    desk.send(order(role=role))
    desk.writer.step()

    desk.loop.ring()

    assert desk.answers == [Written.DURABLE]
    assert (desk.outbox.expired, desk.outbox.late) == (0, 0)
    assert desk.missed == []


@pytest.mark.parametrize(
    ("role", "answer"), [(OrderRole.OPEN, Written.EXPIRED), (OrderRole.STOP, Written.LATE)]
)
def test_disk_that_refuses_drops_what_opens_and_lets_go_what_reduces(
    role: OrderRole, answer: Written
) -> None:
    desk = Desk()
    desk.disk.on_sync = fail_on_sync
    desk.send(order(role=role))

    desk.writer.step()
    desk.loop.ring()

    assert desk.answers == [answer]


@pytest.mark.parametrize(
    ("role", "answer"), [(OrderRole.OPEN, Written.EXPIRED), (OrderRole.FLATTEN, Written.LATE)]
)
def test_journal_that_had_failed_before_is_answered_for_at_once_and_without_a_deadline(
    role: OrderRole, answer: Written
) -> None:
    desk = Desk()
    desk.disk.on_sync = fail_on_sync
    desk.journal.append(Kind.NOTE, {"text": "x"}, NOW)
    desk.writer.step()

    desk.send(order(role=role))

    assert desk.answers == [answer]
    assert desk.loop.later == []


def test_bracket_waits_as_long_as_its_entry_and_is_one_record() -> None:
    desk = Desk()
    before = desk.journal.seq

    desk.send(*bracket())

    assert desk.journal.seq == before + 1
    assert [secs for secs, _ in desk.loop.later] == [0.25]


def test_bracket_is_read_back_to_the_bit_after_a_power_cut() -> None:
    desk = Desk()
    desk.send(*bracket())
    desk.writer.step()
    desk.disk.crash()
    records: list[Record] = []

    open_journal(desk.disk, replay=records.append)

    [found] = [one for one in records if one.kind is Kind.INTENT]
    assert found.body["strategy"] == "one"
    assert found.ts_ns == NOW
    assert tuple(map(intent_from, found.body["intents"])) == bracket()


def test_callback_that_fails_is_called_once_and_does_not_keep_the_next_from_its_answer() -> None:
    desk = Desk()
    calls: list[Written] = []

    def break_down(written: Written) -> None:
        calls.append(written)
        raise ZeroDivisionError

    desk.outbox.record((order("AR1"),), break_down)
    desk.send(order("AR2"))

    with pytest.raises(ExceptionGroup):
        desk.writer.step()
    desk.loop.ring()

    assert calls == [Written.DURABLE]
    assert desk.answers == [Written.DURABLE]


def test_outbox_says_that_it_is_empty_once_the_last_order_has_its_answer() -> None:
    desk = Desk()
    desk.send(order("AR1"))
    desk.send(order("AR2", OrderRole.CLOSE))
    seen: list[int] = []
    desk.outbox.when_empty(lambda: seen.append(len(desk.answers)))

    desk.loop.later[1][1]()
    between = list(seen)
    desk.writer.step()

    assert between == []
    assert seen == [2]
