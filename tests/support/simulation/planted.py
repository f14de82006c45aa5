"""Bugs, planted: each one is a way in which bots have lost money, and each one must be caught."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

import ops.journal.recovery
from ops.journal import Kind, Record
from ops.outbox import Outbox
from ops.recall import Recall, StrategyMemory, restore
from ops.reconciliation import Report
from strategies.delivery import Written
from strategies.door import OrderDoor
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.orders import OrderIntent
from strategies.restrictions import EVERYTHING, Origin, Restriction
from tests.support.simulation import process
from tests.support.simulation.disk import SimDisk
from tests.support.simulation.process import Process
from tests.support.simulation.trader import Trader
from tests.support.simulation.venue import Answer


class Planted(NamedTuple):
    """One bug."""

    name: str
    plant: Callable[[pytest.MonkeyPatch], type[Process]]
    """Puts it in, and gives the process to run."""
    seeds: int = 300
    """It must be caught within so many."""


class _Impatient(Process):
    """Sends an order again when nothing is heard of it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._heard: set[str] = set()
        self._carry, self.courier.carry = self.courier.carry, self._carry_twice  # type: ignore[method-assign]

    def receive(self, answer: Answer) -> None:
        self._heard.add(answer.client_order_id)
        super().receive(answer)

    def renamed(self, intents: tuple[OrderIntent, ...]) -> tuple[OrderIntent, ...]:
        """What is sent the second time."""
        return intents

    def _carry_twice(self, intents: tuple[OrderIntent, ...]) -> None:
        self._carry(intents)

        def again() -> None:
            if intents[0].client_order_id not in self._heard:
                self._carry(self.renamed(intents))

        self.later(1.0, "again", again)


class _Renaming(_Impatient):
    """And gives it a new name each time."""

    def renamed(self, intents: tuple[OrderIntent, ...]) -> tuple[OrderIntent, ...]:
        rng = random.Random(intents[0].client_order_id)
        return tuple(one._replace(client_order_id=f"AR{rng.getrandbits(120):030x}") for one in intents)


class _Stubborn(Process):
    """Sends what never arrived after a restart."""

    def on_settled(self, report: Report) -> None:
        for memory in self._recall.strategies.values():
            for own_id, order in memory.orders.items():
                if own_id in report.abandoned:
                    self.courier.carry((order.intent,))


class _Toggling(Process):
    """A second halt takes the first one back."""

    def halt(self) -> None:
        if self.gate.state() is TradingState.HALTED:
            self.latch.lift(EVERYTHING, (Origin.OPERATOR,))
            self._world.operator.note(self._now(), is_halted=True)
        else:
            super().halt()


class _Hasty(Process):
    """Confirms a halt before it is on the disk."""

    def halt(self) -> None:
        halt = Restriction(EVERYTHING, TradingState.HALTED, "a person said so", "operator", self._now())
        keep, self.gate.on_hold = self.gate.on_hold, None
        self.gate.hold(halt)
        self.gate.on_hold = keep
        self._world.operator.note(self._now(), is_halted=True)
        self.later(5.0, "latch", super().halt)


class _Eager(Process):
    """Trades while its books are still being compared."""

    def start(self) -> None:
        super().start()
        self.gate.reconciled = self.is_ready = True


class _Curt(Process):
    """Takes what the venue does not know yet for lost."""

    in_flight_secs = 0.0


def _record_after_submit(patch: pytest.MonkeyPatch) -> type[Process]:
    def record(self: Outbox, intents: Sequence[OrderIntent], then: Callable[[Written], None], /) -> None:
        then(Written.DURABLE)
        body = {"strategy": intents[0].strategy, "intents": [intent._asdict() for intent in intents]}
        self._journal.append(Kind.INTENT, body, self._now_ns())

    patch.setattr(Outbox, "record", record)
    return Process


def _no_fsync(patch: pytest.MonkeyPatch) -> type[Process]:
    patch.setattr(SimDisk, "sync", lambda self, inode: self._moment("sync"))
    return Process


def _late_latch_check(patch: pytest.MonkeyPatch) -> type[Process]:
    objection, open_gate = OrderDoor._objection, TradingGate(armed=True)

    def asked_before(self: OrderDoor, intent: OrderIntent, written: Written) -> str:
        # What a kill takes back on the way must leave, too, or it would hide the bug.
        order = self._working[intent.client_order_id]
        leaving, order.is_leaving = order.is_leaving, False
        gate, self._gate = self._gate, open_gate
        try:
            return objection(self, intent, written)
        finally:
            self._gate, order.is_leaving = gate, leaving

    patch.setattr(OrderDoor, "_objection", asked_before)
    return Process


def _partial_replay(patch: pytest.MonkeyPatch) -> type[Process]:
    take = Recall.take

    def take_newest_session(self: Recall, record: Record) -> None:
        if record.kind is Kind.SESSION_START:
            vars(self).update(vars(Recall()))
        take(self, record)

    patch.setattr(Recall, "take", take_newest_session)
    return Process


def _fills_booked_twice(patch: pytest.MonkeyPatch) -> type[Process]:
    filled = OrderDoor.filled

    def forgetful(self: OrderDoor, fill: Any) -> None:
        self._booked.clear()
        filled(self, fill)

    patch.setattr(OrderDoor, "filled", forgetful)
    return Process


def _no_records_since(patch: pytest.MonkeyPatch) -> type[Process]:
    def restore_state_only(trader: Trader, memory: StrategyMemory) -> None:
        memory.since.clear()
        restore(trader, memory)

    patch.setattr(process, "restore", restore_state_only)
    return Process


def _unordered_replay(patch: pytest.MonkeyPatch) -> type[Process]:
    def restore_newest_first(trader: Trader, memory: StrategyMemory) -> None:
        memory.since.reverse()
        restore(trader, memory)

    patch.setattr(process, "restore", restore_newest_first)
    return Process


def _torn_tail_kept(patch: pytest.MonkeyPatch) -> type[Process]:
    patch.setattr(SimDisk, "truncate", lambda self, inode, size: self._moment("truncate"))
    return Process


def _opening_without_record(patch: pytest.MonkeyPatch) -> type[Process]:
    objection = OrderDoor._objection

    def no_deadline(self: OrderDoor, intent: OrderIntent, written: Written) -> str:
        return objection(self, intent, Written.LATE if written is Written.EXPIRED else written)

    patch.setattr(OrderDoor, "_objection", no_deadline)
    return Process


def _trusting_recovery(patch: pytest.MonkeyPatch) -> type[Process]:
    patch.setattr(ops.journal.recovery, "_write_back", lambda *_: None)
    return Process


def _is(kind: type[Process]) -> Callable[[pytest.MonkeyPatch], type[Process]]:
    return lambda patch: kind


PLANTED = (
    Planted("a new client order id for each attempt", _is(_Renaming)),
    Planted("sent again on a timeout", _is(_Impatient)),
    Planted("sent before it is written down", _record_after_submit),
    Planted("no fsync", _no_fsync),
    Planted("the latch asked only before the intent is written", _late_latch_check),
    Planted("only the newest session replayed", _partial_replay),
    Planted("executions booked twice", _fills_booked_twice),
    Planted("abandoned intents sent after a restart", _is(_Stubborn)),
    Planted("orders given up that are still on their way", _is(_Curt)),
    Planted("a kill command that toggles", _is(_Toggling)),
    Planted("a halt confirmed before it is durable", _is(_Hasty)),
    Planted("the state restored without the records since", _no_records_since),
    Planted("the records since taken in another order", _unordered_replay),
    Planted("a torn tail that is not cut", _torn_tail_kept),
    Planted("an opening that does not wait for the disk", _opening_without_record),
    Planted("trading before the books were compared", _is(_Eager)),
    Planted("a recovery that trusts what a refused sync left", _trusting_recovery, seeds=1_000),
)
