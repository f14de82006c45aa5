"""Whatever operator, venue and crashes do, in any order: nothing lost, nothing doubled, stop means stop.

A venue of the test's own keeps orders and executions; the bot is judged by these, and by its journal's bytes.
"""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ops.journal import Kind, Record
from ops.latch import TradingLatch
from ops.reconciliation import settle_orders
from strategies.delivery import Fill, intents_of
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.orders import Bracket, OrderIntent
from strategies.restrictions import Origin, Restriction, Scope
from tests.support.journals import open_journal
from tests.support.latch_disk import RefusingDisk
from tests.support.memory_disk import MemoryDisk
from tests.support.recovery import ALPHA, CAPITAL, NAMES, Bench

SEGMENT_BYTES = 1 << 22
LATCH = Path("/state/latch.json")
SCOPES = tuple(Scope.parse(text) for text in ("all", "strategy:one", f"instrument:{ALPHA}", "venue:DEMO"))
STATES = (TradingState.HALTED, TradingState.REDUCING)
THEN = ("sync", "sync", "sync", "wait", "kill", "crash")
TOLD = ("once", "twice", "not")
# What is simplest stands first: Hypothesis likes it, and it is what trades.
WEIGHTS = st.sampled_from([0.5, 0.2, 0.0])
MOVES = st.sampled_from([1.0, 0.9, 1.1])
WHICH = st.integers(0, 5)

type Held = dict[tuple[Scope, Origin], TradingState]


@dataclass
class Order:
    """As the venue has it."""

    intent: OrderIntent
    status: str = "ACCEPTED"
    filled: Decimal = Decimal(0)
    reason: str = ""
    ts_last: int = 0

    def __post_init__(self) -> None:
        self.client_order_id = self.intent.client_order_id
        self.instrument_id = self.intent.instrument_id
        self.side = str(self.intent.side)
        self.quantity = Decimal(str(self.intent.quantity))


@dataclass(frozen=True)
class Execution:
    """As the venue booked it."""

    trade_id: str
    client_order_id: str
    instrument_id: str
    side: str
    quantity: Decimal
    price: Decimal
    ts_event: int
    fee: Decimal = Decimal("0.01")
    is_maker: bool = False

    @property
    def signed(self) -> Decimal:
        return self.quantity if self.side == "BUY" else -self.quantity


class Venue:
    """Takes every order, and remembers what was forbidden when it came."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.executions: list[Execution] = []
        self.cancels: list[str] = []
        self.held: Held = {}
        """What an operator was told holds."""
        self.complaints: list[str] = []

    def submit(self, planned: OrderIntent | Bracket) -> None:
        for intent in intents_of(planned):
            own_id = intent.client_order_id
            if own_id in self.orders:
                self.complaints.append(f"{own_id} came twice")
            if any(intent.decision_id == one.intent.decision_id for one in self.orders.values()):
                self.complaints.append(f"{own_id} repeats a decision")
            # Spot: whatever is bought adds to what can be lost.
            if intent.side == "BUY" and any(
                scope.covers("one", intent.instrument_id) for scope, _ in self.held
            ):
                self.complaints.append(f"{own_id} buys while {self.held} holds")
            self.orders[own_id] = Order(intent)

    def cancel(self, client_order_id: str) -> None:
        self.cancels.append(client_order_id)

    def position(self, instrument_id: str) -> Decimal:
        return sum((one.signed for one in self.executions if one.instrument_id == instrument_id), Decimal(0))

    def order(self, client_order_id: str) -> Order | None:
        return self.orders.get(client_order_id)

    def open_orders(self) -> list[Order]:
        return [one for one in self.orders.values() if one.status in {"ACCEPTED", "PARTIALLY_FILLED"}]

    def fills(self, since_ns: int) -> list[Execution]:
        return [one for one in self.executions if one.ts_event >= since_ns]


class Machine(RuleBasedStateMachine):
    """One operator, one venue, one bot."""

    def __init__(self) -> None:
        super().__init__()
        self.venue = Venue()
        self.disk, self.latch_disk = MemoryDisk(), RefusingDisk()
        self.closes = [100.0, 50.0]
        self.are_all_told = True
        self.gate = TradingGate(armed=True)
        options = {"segment_bytes": SEGMENT_BYTES}
        self.bench = Bench(self.disk, journal_options=options, gate=self.gate)
        self.take_up()
        for weights in ((0.0, 0.0), (0.0, 0.0), (0.4, 0.4)):  # it begins with something to lose
            self.bar((1.0, 1.0), weights, "sync", "once", is_free=True)

    def take_up(self) -> None:
        def record(kind: str, fields: dict[str, Any]) -> None:
            self.bench.journal.append(Kind(kind), fields, self.bench.now_ns)

        self.bench.strategy.door._courier = self.venue
        self.latch = TradingLatch(
            LATCH, self.latch_disk, self.gate, record=record, now=lambda: self.bench.now_ns
        )
        self.latch.load()

    # -- what happens ------------------------------------------------------------------------------

    def bar(
        self, moves: tuple[float, float], weights: tuple[float, float], then: str, told: str, *, is_free: bool
    ) -> None:
        """A decision, what happens before its intents are on the disk, and the venue's first answer."""
        if is_free:
            self.resume()  # or nearly every run would stand still after its first kill
        self.closes = [round(close * move, 2) for close, move in zip(self.closes, moves, strict=True)]
        self.bench.bar(self.closes, weights)
        match then:
            case "crash":
                self.crash()
            case "kill":
                self.hold(SCOPES[0], TradingState.HALTED, Origin.OPERATOR)
                self.bench.writer.step()
            case "sync":
                self.bench.writer.step()
                for _ in self.venue.open_orders():  # an instrument with an order that works gets no other
                    self.fill(0, "1", told)

    # More than once: Hypothesis draws among rules, and leaves some of them out of each run.
    bar_1, bar_2, bar_3, bar_4 = (
        rule(
            moves=st.tuples(MOVES, MOVES),
            weights=st.tuples(WEIGHTS, WEIGHTS),
            is_free=st.sampled_from([True, True, False]),
            then=st.sampled_from(THEN),
            told=st.sampled_from(TOLD),
        )(bar)
        for bar in (bar,) * 4
    )

    @rule()
    def sync(self) -> None:
        self.bench.writer.step()

    @rule(which=WHICH, part=st.sampled_from(["0.3", "1"]), told=st.sampled_from(TOLD))
    def fill(self, which: int, part: str, told: str) -> None:
        if not (orders := self.venue.open_orders()):
            return
        order = orders[which % len(orders)]
        quantity = max(Decimal("0.001"), round((order.quantity - order.filled) * Decimal(part), 3))
        if order.side == "SELL":
            quantity = min(quantity, self.venue.position(order.instrument_id))
        if not quantity:
            return
        self.bench.now_ns += 1
        execution = Execution(
            f"T{len(self.venue.executions)}",
            order.client_order_id,
            order.instrument_id,
            order.side,
            quantity,
            Decimal(str(self.closes[NAMES.index(order.instrument_id)])),
            self.bench.now_ns,
        )
        self.venue.executions.append(execution)
        order.filled += quantity
        order.status = "FILLED" if order.filled == order.quantity else "PARTIALLY_FILLED"
        for _ in range(2 if told == "twice" else 1):
            self.tell(execution, is_told=told != "not")

    @rule(which=WHICH)
    def fill_said_again(self, which: int) -> None:
        if self.venue.executions:
            self.tell(self.venue.executions[which % len(self.venue.executions)], is_told=True)

    def tell(self, one: Execution, *, is_told: bool) -> None:
        self.are_all_told &= is_told
        if is_told:
            numbers = float(one.quantity), float(one.price), float(one.fee)
            fill = Fill(one.client_order_id, one.trade_id, one.ts_event, *numbers, "TAKER")
            self.bench.strategy.door.filled(fill)

    @rule(which=WHICH, is_told=st.booleans())
    def reject(self, which: int, *, is_told: bool) -> None:
        orders = [one for one in self.venue.open_orders() if not one.filled]
        if orders:
            self.end(orders[which % len(orders)], "REJECTED", is_told=is_told)

    @rule(is_told=st.booleans())
    def cancels_arrive(self, *, is_told: bool) -> None:
        cancels, self.venue.cancels = self.venue.cancels, []
        for own_id in cancels:
            if self.venue.orders[own_id] in self.venue.open_orders():
                self.end(self.venue.orders[own_id], "CANCELED", is_told=is_told)

    def end(self, order: Order, status: str, *, is_told: bool) -> None:
        order.status = status
        if is_told:
            self.bench.strategy.door.ended(order.client_order_id, self.bench.now_ns, status, "said the venue")

    # -- what an operator does -----------------------------------------------------------------------

    @rule(scope=st.sampled_from(SCOPES), state=st.sampled_from(STATES), cancels=st.booleans())
    def kill(self, scope: Scope, state: TradingState, *, cancels: bool) -> None:
        self.hold(scope, state, Origin.OPERATOR)
        if cancels:
            self.bench.strategy.cancel_entries()

    @rule()
    def resume(self) -> None:
        for scope, origin in tuple(self.venue.held):
            self.lift(scope, origin)

    @rule()
    def pause(self) -> None:
        self.hold(SCOPES[1], TradingState.REDUCING, Origin.PAUSE)

    @rule()
    def unpause(self) -> None:
        self.lift(SCOPES[1], Origin.PAUSE)

    @rule()
    def flatten(self) -> None:
        self.hold(SCOPES[0], TradingState.HALTED, Origin.OPERATOR)
        self.bench.strategy.flatten()

    def hold(self, scope: Scope, state: TradingState, origin: Origin) -> None:
        self.latch.hold(Restriction(scope, state, "a person said so", "operator", self.bench.now_ns, origin))
        self.venue.held[scope, origin] = state

    def lift(self, scope: Scope, origin: Origin) -> None:
        self.latch.lift(scope, (origin,))
        self.venue.held.pop((scope, origin), None)

    @rule()
    def reconcile(self) -> None:
        self.settle(is_final=False)

    @rule()
    def crash(self) -> None:
        self.disk.crash()
        self.gate = TradingGate(armed=True)
        self.bench.begin(gate=self.gate)
        self.take_up()
        self.settle(is_final=True)
        self.bench.rewarm()

    def settle(self, *, is_final: bool) -> None:
        report = settle_orders([self.bench.strategy.door], self.venue, since_ns=0, is_final=is_final)
        assert report.is_clean, report.unexplained
        self.are_all_told = True

    # -- what never changes --------------------------------------------------------------------------

    @invariant()
    def nothing_fails(self) -> None:
        assert self.bench.strategy.failure is None

    @invariant()
    def every_decision_is_sent_once_and_nothing_restricted(self) -> None:
        assert self.venue.complaints == []

    @invariant()
    def restrictions_hold(self) -> None:
        kept = {(one.scope, one.origin) for one in self.latch.restrictions}
        assert kept == set(self.venue.held)

    @invariant()
    def books_equal_executions(self) -> None:
        if self.are_all_told:
            ledger = self.bench.strategy.pipeline.stages.ledger
            spent = sum((one.signed * one.price + one.fee for one in self.venue.executions), Decimal(0))
            held = [float(self.venue.position(name)) for name in NAMES]
            assert list(ledger.positions) == pytest.approx(held, abs=1e-9)
            assert ledger.cash == pytest.approx(CAPITAL - float(spent), abs=1e-6)

    def check(self) -> None:
        """All of it at once, for a run that is written out."""
        self.nothing_fails()
        self.every_decision_is_sent_once_and_nothing_restricted()
        self.restrictions_hold()
        self.books_equal_executions()

    def teardown(self) -> None:
        self.settle(is_final=True)
        while self.bench.writer.step():
            pass
        records: list[Record] = []
        open_journal(self.disk, replay=records.append, segment_bytes=SEGMENT_BYTES)
        booked = Counter(one.body["trade_id"] for one in records if one.kind is Kind.FILL)
        assert booked == Counter(one.trade_id for one in self.venue.executions)


def test_promises_hold_in_whatever_order_things_happen() -> None:
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=40, stateful_step_count=30, deadline=None)
    )


@pytest.mark.parametrize("then", ["kill", "crash"])
def test_promises_hold_where_something_comes_between_a_decision_and_the_disk(then: str) -> None:
    machine = Machine()

    machine.bar((1.0, 1.0), (0.8, 0.1), then, "once", is_free=True)  # which buys the one and sells the other
    machine.check()
    machine.bar((1.0, 1.0), (0.1, 0.8), "sync", "twice", is_free=True)
    machine.check()
    machine.crash()
    machine.check()
    machine.teardown()

    assert len(machine.venue.orders) > 2
