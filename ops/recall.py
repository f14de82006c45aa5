"""What the journal remembers of the strategies: the newest state, and what happened after it.

Flow: journal → **recall** → strategies, reconciliation.

A state is written after every bar. Between two states lie the few records of one bar, so a strategy is as
it was at the crash once its state is restored and those records are gone through again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ops.journal import Kind, Record
from strategies.delivery import Fill, intent_from
from strategies.errors import SafetyError
from strategies.orders import OrderIntent, OrderRole

CLOSED = frozenset({"FILLED", "CANCELED", "REJECTED", "DENIED", "EXPIRED", "ABANDONED"})
"""Statuses after which nothing more is expected of an order."""

_TAKEN = frozenset({"ACCEPTED", "PARTIALLY_FILLED"})
"""Statuses by which the venue has said that it has an order."""
_DROPPED = frozenset({"DENIED", "EXPIRED"})
"""Statuses that the door gives an order that it does not let go; it counts as no answer of the venue."""
_AS_TOLD = frozenset({0, 1})
"""Exit codes of a daemon that was told to stop; 1 where a strategy had halted."""
_REMEMBERED = 20_000
_DAY_NS = 86_400 * 10**9


@dataclass(slots=True)
class OrderMemory:
    """One order as the journal knows it."""

    intent: OrderIntent
    status: str = "INTENT"
    """INTENT until it was handed over; then the last status recorded."""
    filled: float = 0.0
    """Base units."""
    is_sent: bool = False
    """Whether it left, or was taken to have left because the process that held it ended."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is expected of it."""
        return self.status in CLOSED


@dataclass(slots=True)
class StrategyMemory:
    """What the journal knows of one strategy."""

    state: Mapping[str, Any] | None = None
    """Newest snapshot; None where none was ever written."""
    since: list[Record] = field(default_factory=list)
    """Decisions, intents, outcomes and executions after it, in order."""
    orders: dict[str, OrderMemory] = field(default_factory=dict)
    """By client order id: all that are not closed, and the newest of the others."""
    executions: dict[tuple[str, str], int] = field(default_factory=dict)
    """Times of the newest executions, UTC nanoseconds, by client order id and trade id."""
    forgotten_until: int = 0
    """Time of the newest execution that is not among them any more."""
    last_fill_ts: int = 0
    """Time of the newest execution, UTC nanoseconds."""

    def open_orders(self) -> list[str]:
        """Names of the orders that more is expected of."""
        return [own_id for own_id, order in self.orders.items() if not order.is_closed]

    def positions(self) -> dict[str, float]:
        """What the strategy holds, signed base units by instrument, for one that does not run any more."""
        held: dict[str, float] = {}
        if self.state is not None:
            ledger = self.state["ledger"]
            held = dict(zip(self.state["instruments"], ledger["positions"], strict=True))
        for record in self.since:
            if record.kind is Kind.FILL:
                name, quantity = record.body["instrument_id"], record.body["quantity"]
                signed = quantity if record.body["side"] == "BUY" else -quantity
                held[name] = round(held.get(name, 0.0) + signed, 12)
        return {name: quantity for name, quantity in held.items() if quantity}

    def cash_left(self) -> float | None:
        """What a strategy that does not run any more leaves in the account, quote currency.

        Of a flat book that is the same number at a venue that lends and at one that does not.

        Returns:
            None where it holds something or has an order open: what it leaves is not known yet.
        """
        if self.state is None or self.positions() or self.open_orders():
            return None
        cash = float(self.state["ledger"]["cash"])
        for record in self.since:
            if record.kind is Kind.FILL:
                value = record.body["quantity"] * record.body["price"]
                cash -= (value if record.body["side"] == "BUY" else -value) + record.body["fee"]
        return cash


class Door(Protocol):
    """A strategy's door, as recall needs it."""

    def resume(self, intent: OrderIntent, *, filled: float, is_working: bool) -> None:
        """Know an order of an earlier process again."""

    def recount(self, intent: OrderIntent) -> None:
        """Count and know an order that was written down after the state."""

    def mark_booked(self, client_order_id: str, trade_id: str, ts_event: int) -> None:
        """An execution is in the ledger already."""

    def knows(self, client_order_id: str) -> bool:
        """Whether an order of that name is or was ours."""

    def accepted(self, client_order_id: str, ts_event: int) -> None:
        """The venue has the order."""

    def filled(self, fill: Fill) -> None:
        """Book an execution, once."""

    def ended(self, client_order_id: str, ts_event: int, status: str, reason: str = "") -> None:
        """The order is done."""

    def drop(self, client_order_id: str) -> None:
        """The order never left."""

    def silenced(self) -> AbstractContextManager[None]:
        """Record and refuse nothing meanwhile."""


class Restorable(Protocol):
    """A strategy, as recall needs it."""

    @property
    def name(self) -> str:
        """Name in the configuration."""

    @property
    def door(self) -> Door:
        """Everything that it has sent."""

    def restore(self, snapshot: Mapping[str, Any], intents: Mapping[str, OrderIntent]) -> None:
        """Take over a state."""

    def relive(self, ts_event: int, closes: Sequence[float], regime_state: int | None) -> None:
        """Mark the books at a bar that was decided on after the state."""


class Recall:
    """Gathers what strategies need after a restart from the records of a journal, oldest first."""

    def __init__(self) -> None:
        self.strategies: dict[str, StrategyMemory] = {}
        self.account: Mapping[str, Any] | None = None
        """Newest state of what all strategies share."""
        self.baseline: Mapping[str, Any] | None = None
        """What the account held beside ours when it was last agreed on."""
        self.latch: Mapping[str, Any] | None = None
        """Newest change of the latch, with what held after it."""
        self.session: Mapping[str, Any] | None = None
        """How the newest session began."""
        self.ended_in_order = True
        """Whether the newest session ended as it was told to; if not, the next one goes on with it."""
        self.went_on = False
        """Whether that session began as one that goes on with the one before it."""
        self.last_ts_ns = 0
        """Newest record, wall clock, UTC nanoseconds."""
        self._takers: dict[Kind, Callable[[Record], None]] = {
            Kind.STATE: self._take_state,
            Kind.DECISION: self._take_decision,
            Kind.INTENT: self._take_intents,
            Kind.SUBMIT: self._take_outcome,
            Kind.OUTCOME: self._take_outcome,
            Kind.FILL: self._take_fill,
            Kind.RECONCILE: self._take_reconcile,
            Kind.LATCH: self._take_latch,
            Kind.SESSION_START: self._take_start,
            Kind.STOP: self._take_stop,
        }

    def take(self, record: Record) -> None:
        """Take in the next record.

        Raises:
            SafetyError: If it is not what this version writes.
        """
        self.last_ts_ns = max(self.last_ts_ns, record.ts_ns)
        taker = self._takers.get(record.kind)
        if taker is None:
            return
        try:
            taker(record)
        except (KeyError, TypeError, ValueError) as error:
            raise SafetyError(
                f"journal record {record.seq} ({record.kind}): expected what this version writes, found "
                f"{error!r}; it was written by another version, nothing was started"
            ) from error

    def remembers(self, kind: Kind) -> bool:
        """Whether records of a kind leave anything but their time."""
        return kind in self._takers

    @property
    def fills_since_ns(self) -> int:
        """Time from which the venue must be asked for executions, UTC nanoseconds.

        A day before the newest execution and the oldest order without an end, whichever is earlier, so that
        nothing is missed; but after what is not remembered any more, so that nothing is booked twice.
        """
        memories = self.strategies.values()
        begun = [
            order.intent.ts_event for one in memories for order in one.orders.values() if not order.is_closed
        ]
        newest = max((one.last_fill_ts for one in memories), default=0)
        forgotten = max((one.forgotten_until for one in memories), default=0)
        earliest = min([newest, *begun] if newest else begun, default=0) - _DAY_NS
        return max(earliest, forgotten + 1 if forgotten else 0, 0)

    def _of(self, strategy: str) -> StrategyMemory:
        return self.strategies.setdefault(strategy, StrategyMemory())

    def _take_state(self, record: Record) -> None:
        if "account" in record.body:
            self.account = record.body
            return
        memory = self._of(record.body["strategy"])
        memory.state, memory.since = record.body["state"], []

    def _take_decision(self, record: Record) -> None:
        self._of(record.body["strategy"]).since.append(record)

    def _take_intents(self, record: Record) -> None:
        memory = self._of(record.body["strategy"])
        memory.since.append(record)
        if "baseline" in record.body:  # an adoption: what was beside ours is ours
            self.baseline = record.body["baseline"]
        for fields in record.body["intents"]:
            intent = intent_from(fields)
            memory.orders[intent.client_order_id] = OrderMemory(intent)
            _forget_oldest(memory.orders)

    def _take_outcome(self, record: Record) -> None:
        memory = self._of(record.body["strategy"])
        memory.since.append(record)
        order = memory.orders.get(record.body["client_order_id"])
        if order is not None and not order.is_closed:
            order.status = record.body["status"]
            order.is_sent |= record.kind is Kind.SUBMIT

    def _take_fill(self, record: Record) -> None:
        memory = self._of(record.body["strategy"])
        memory.since.append(record)
        own_id, ts_event = record.body["client_order_id"], record.body["ts_event"]
        memory.executions[own_id, record.body["trade_id"]] = ts_event
        if len(memory.executions) > _REMEMBERED:
            oldest = memory.executions.pop(next(iter(memory.executions)))
            memory.forgotten_until = max(memory.forgotten_until, oldest)
        memory.last_fill_ts = max(memory.last_fill_ts, ts_event)
        order = memory.orders.get(own_id)
        if order is not None:
            order.filled += record.body["quantity"]

    def _take_reconcile(self, record: Record) -> None:
        if "baseline" in record.body:
            self.baseline = record.body["baseline"]
        for name in record.body.get("forgotten", ()):
            self.strategies.pop(name, None)

    def _take_latch(self, record: Record) -> None:
        self.latch = record.body

    def _take_start(self, record: Record) -> None:
        self.session = record.body
        self.went_on, self.ended_in_order = not self.ended_in_order, False
        for memory in self.strategies.values():
            for own_id in memory.open_orders():
                memory.orders[own_id].is_sent = True

    def _take_stop(self, record: Record) -> None:
        code = record.body.get("exit_code")
        # None is of a session that did not start, which changes nothing.
        self.ended_in_order = not self.went_on if code is None else code in _AS_TOLD


def restore(strategy: Restorable, memory: StrategyMemory) -> None:
    """Make a strategy what it was when the last record of it was written; before the first bar.

    Raises:
        SafetyError: If what was written down is damaged; the strategy must not trade.
    """
    door = strategy.door
    if memory.state is not None:
        intents = {own_id: order.intent for own_id, order in memory.orders.items()}
        strategy.restore(memory.state, intents)
    later = _since(memory)
    for own_id, order in memory.orders.items():
        # An order that has ended may still be filled: the door must know it before it lives through that.
        if own_id not in later.intents and not door.knows(own_id):
            filled = order.filled - later.filled.get(own_id, 0.0)
            door.resume(order.intent, filled=filled, is_working=not order.is_closed)
    for (own_id, trade_id), ts_event in memory.executions.items():
        if (own_id, trade_id) not in later.executions:
            door.mark_booked(own_id, trade_id, ts_event)
    with door.silenced():
        for record in memory.since:
            _live_through(strategy, memory, record)
        for own_id, order in memory.orders.items():
            if order.status in _TAKEN:
                door.accepted(own_id, order.intent.ts_event)


class _Since(NamedTuple):
    """What the records after the newest state are about."""

    intents: frozenset[str]
    executions: frozenset[tuple[str, str]]
    filled: Mapping[str, float]
    """Base units by client order id."""


def _since(memory: StrategyMemory) -> _Since:
    fills = [one.body for one in memory.since if one.kind is Kind.FILL]
    filled: dict[str, float] = {}
    for body in fills:
        own_id = body["client_order_id"]
        filled[own_id] = filled.get(own_id, 0.0) + body["quantity"]
    return _Since(
        frozenset(
            fields["client_order_id"]
            for one in memory.since
            if one.kind is Kind.INTENT
            for fields in one.body["intents"]
        ),
        frozenset((body["client_order_id"], body["trade_id"]) for body in fills),
        filled,
    )


def _live_through(strategy: Restorable, memory: StrategyMemory, record: Record) -> None:
    door, body = strategy.door, record.body
    if record.kind is Kind.DECISION:
        regime_state = body["regime_state"]
        strategy.relive(body["ts_event"], body["closes"], None if regime_state < 0 else regime_state)
    elif record.kind is Kind.INTENT:
        for intent in map(intent_from, body["intents"]):
            if intent.role is OrderRole.ADOPT:  # counts for no limit
                door.resume(intent, filled=0.0, is_working=True)
            else:
                door.recount(intent)
    elif record.kind is Kind.FILL:
        door.filled(
            Fill(
                client_order_id=body["client_order_id"],
                trade_id=body["trade_id"],
                ts_event=body["ts_event"],
                quantity=body["quantity"],
                price=body["price"],
                fee=body["fee"],
                liquidity=body["liquidity"],
            )
        )
    elif body["status"] in CLOSED:
        order = memory.orders.get(body["client_order_id"])
        if body["status"] in _DROPPED and order is not None and not order.is_sent:
            door.drop(body["client_order_id"])
        else:
            door.ended(body["client_order_id"], body["ts_event"], body["status"], body["reason"])


def _forget_oldest(orders: dict[str, OrderMemory]) -> None:
    if len(orders) <= _REMEMBERED:
        return
    oldest = next(iter(orders))
    order = orders.pop(oldest)
    if not order.is_closed:
        orders[oldest] = order  # what is not done is never forgotten; it moves to the new end
