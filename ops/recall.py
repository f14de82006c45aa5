"""What the journal remembers of the strategies: the newest state, and what happened after it.

Flow: journal → **recall** → strategies, reconciliation.

A state is written after every bar. Between two states lie the few records of one bar, so a strategy is as
it was at the crash once its state is restored and those records are gone through again.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ops.journal import Kind, Record
from strategies.delivery import Fill, intent_from
from strategies.errors import SafetyError
from strategies.orders import OrderIntent

CLOSED = frozenset({"FILLED", "CANCELED", "REJECTED", "DENIED", "EXPIRED", "ABANDONED"})
"""Statuses after which nothing more is expected of an order."""

_REMEMBERED = 20_000


@dataclass(slots=True)
class OrderMemory:
    """One order as the journal knows it."""

    intent: OrderIntent
    status: str = "INTENT"
    """INTENT until it was handed over; then the last status recorded."""
    filled: float = 0.0
    """Base units."""

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
    """Intents, outcomes and executions after it, in order."""
    orders: dict[str, OrderMemory] = field(default_factory=dict)
    """By client order id: all that are not closed, and the newest of the others."""
    trade_ids: dict[str, None] = field(default_factory=dict)
    """Newest executions."""
    last_fill_ts: int = 0
    """Time of the newest execution, UTC nanoseconds."""


class Door(Protocol):
    """A strategy's door, as recall needs it."""

    def resume(self, intent: OrderIntent, *, filled: float, is_working: bool) -> None:
        """Know an order of an earlier process again."""

    def recount(self, intent: OrderIntent) -> None:
        """Count and know an order that was written down after the state."""

    def mark_booked(self, trade_id: str) -> None:
        """An execution of this name is in the ledger already."""

    def knows(self, client_order_id: str) -> bool:
        """Whether an order of that name is or was ours."""

    def filled(self, fill: Fill) -> None:
        """Book an execution, once."""

    def ended(self, client_order_id: str, ts_event: int, status: str, reason: str = "") -> None:
        """The order is done."""

    def silenced(self) -> AbstractContextManager[None]:
        """Record nothing meanwhile."""


class Restorable(Protocol):
    """A strategy, as recall needs it."""

    @property
    def name(self) -> str:
        """Name in the configuration."""

    @property
    def door(self) -> Door:
        """Everything that it has sent."""

    def restore(self, snapshot: Mapping[str, Any], seen: list[str]) -> None:
        """Take over a state."""


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
        """Whether the newest session wrote its end."""
        self.last_ts_ns = 0
        """Newest record, wall clock, UTC nanoseconds."""
        self._takers: dict[Kind, Callable[[Record], None]] = {
            Kind.STATE: self._take_state,
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

    def _of(self, strategy: str) -> StrategyMemory:
        return self.strategies.setdefault(strategy, StrategyMemory())

    def _take_state(self, record: Record) -> None:
        if "account" in record.body:
            self.account = record.body
            return
        memory = self._of(record.body["strategy"])
        memory.state, memory.since = record.body["state"], []

    def _take_intents(self, record: Record) -> None:
        memory = self._of(record.body["strategy"])
        memory.since.append(record)
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

    def _take_fill(self, record: Record) -> None:
        memory = self._of(record.body["strategy"])
        memory.since.append(record)
        memory.trade_ids[record.body["trade_id"]] = None
        if len(memory.trade_ids) > _REMEMBERED:
            del memory.trade_ids[next(iter(memory.trade_ids))]
        memory.last_fill_ts = max(memory.last_fill_ts, record.body["ts_event"])
        order = memory.orders.get(record.body["client_order_id"])
        if order is not None:
            order.filled += record.body["quantity"]

    def _take_reconcile(self, record: Record) -> None:
        if "baseline" in record.body:
            self.baseline = record.body["baseline"]

    def _take_latch(self, record: Record) -> None:
        self.latch = record.body

    def _take_start(self, record: Record) -> None:
        self.session, self.ended_in_order = record.body, False

    def _take_stop(self, _record: Record) -> None:
        self.ended_in_order = True


def restore(strategy: Restorable, memory: StrategyMemory) -> None:
    """Make a strategy what it was when the last record of it was written; before the first bar.

    Raises:
        SafetyError: If what was written down is damaged; the strategy must not trade.
    """
    door = strategy.door
    if memory.state is not None:
        strategy.restore(memory.state, [order.intent.decision_id for order in memory.orders.values()])
    booked_later = {one.body["trade_id"] for one in memory.since if one.kind is Kind.FILL}
    for trade_id in memory.trade_ids:
        if trade_id not in booked_later:
            door.mark_booked(trade_id)
    with door.silenced():
        for record in memory.since:
            _live_through(door, record)
    for own_id, order in memory.orders.items():
        if not door.knows(own_id):
            door.resume(order.intent, filled=order.filled, is_working=not order.is_closed)


def _live_through(door: Door, record: Record) -> None:
    body = record.body
    if record.kind is Kind.INTENT:
        for fields in body["intents"]:
            door.recount(intent_from(fields))
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
    elif body["status"] in CLOSED and body["status"] != "FILLED":
        door.ended(body["client_order_id"], body["ts_event"], body["status"], body["reason"])


def _forget_oldest(orders: dict[str, OrderMemory]) -> None:
    if len(orders) <= _REMEMBERED:
        return
    oldest = next(iter(orders))
    order = orders.pop(oldest)
    if not order.is_closed:
        orders[oldest] = order  # what is not done is never forgotten; it moves to the new end
