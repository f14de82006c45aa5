"""The way of an order from intent to its end, without an engine.

Flow: decision → **door** → courier → venue → fill → ledger, tape.

    send      refuse what was sent before → count it → write the intent down
    proceed   once that is durable: ask trading state and staleness again → hand it to the courier
    answers   accepted, filled, cancelled, refused: booked once each, whether or not the strategy is well

Nothing here knows Nautilus, a clock or a disk: the same code runs in the engine, in the daemon, and in the
simulator that looks for a crash at which an order is lost or doubled.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from strategies.delivery import (
    REMEMBERED,
    Courier,
    Fill,
    IntentLog,
    WorkingOrder,
    Written,
    fill_record,
    intents_of,
    note_newest,
    order_record,
    require_execution,
)
from strategies.errors import SafetyError
from strategies.gate import TradingGate
from strategies.guardrails import RiskBook
from strategies.market import Instrument
from strategies.orders import Bracket, OrderIntent, OrderRole
from strategies.portfolio import Ledger
from strategies.tape import MemoryTape, TapeSink

_PROTECTION = (OrderRole.STOP, OrderRole.TARGET)


class OrderDoor:
    """Everything that one strategy has sent, and the rules by which it may send more.

    Args:
        strategy: Its name.
        instruments: In configuration order.
        ledger: Booked to by fills.
        book: Told of every order and outcome; knows which decisions were sent.
        gate: Asked before an order is written down by the guardrails, and again here before it leaves.
        tape: Told of every step.
        log: Where intents are written down.
        courier: Carries orders on.
    """

    def __init__(
        self,
        strategy: str,
        instruments: Sequence[Instrument],
        *,
        ledger: Ledger,
        book: RiskBook,
        gate: TradingGate,
        tape: TapeSink,
        log: IntentLog,
        courier: Courier,
    ) -> None:
        self._strategy = strategy
        self._index = {instrument.instrument_id: n for n, instrument in enumerate(instruments)}
        self._decimals = [instrument.quantity_decimals for instrument in instruments]
        self._ledger = ledger
        self._book = book
        self._gate = gate
        self._tape = tape
        self._log = log
        self._courier = courier
        self._working: dict[str, WorkingOrder] = {}
        self._ended: dict[str, WorkingOrder] = {}
        self._booked: dict[tuple[str, str], int] = {}
        self._is_silent = False
        self.unknown: dict[str, int] = {}
        """Orders of unknown outcome, with the position of their instrument."""
        self.last_fill_ts = 0
        """Time of the newest execution, UTC nanoseconds."""
        self.last_bar_ts = 0
        """Close time of the newest bar that the strategy has seen, UTC nanoseconds."""

    # -- sending -----------------------------------------------------------------------------------

    def send(self, planned: OrderIntent | Bracket) -> None:
        """Write an order or a bracket down, and send it when that is durable.

        Raises:
            SafetyError: If an order of that name was sent before, or it makes no sense. Nothing is sent.
        """
        intents = intents_of(planned)
        for intent in intents:
            if self.knows(intent.client_order_id) or self._book.has_seen(intent.decision_id):
                raise SafetyError(
                    f"{intent.client_order_id}: expected a decision that was not sent before, found one of "
                    f"bar {intent.ts_event} that was; nothing was sent twice"
                )
        for intent in intents:
            self._count(intent)
        for intent in intents:
            self._working[intent.client_order_id] = WorkingOrder(intent)
        try:
            self._log.record(intents, lambda written: self._proceed(planned, written))
        except BaseException:
            for intent in intents:
                if not self._working[intent.client_order_id].is_sent:
                    self._forget(intent.client_order_id)  # nobody will ever say that it is durable
            raise

    def cancel_entries(self, instrument_ids: Collection[str] | None = None) -> None:
        """Ask for the end of every order that is not a protective stop or target.

        Args:
            instrument_ids: Of these instruments; None is all.
        """
        for order in self.working_entries(instrument_ids):
            order.take_back(self._courier)

    def flatten(self, closes: Sequence[OrderIntent], instrument_ids: Collection[str] | None = None) -> None:
        """Ask for the end of everything, and send the orders that close what is held.

        Call it until `is_flat`: an entry may fill before its cancel arrives. A close that still works is left
        alone, and one that is done is sent again only under another name.

        Args:
            closes: Orders that would make the strategy flat now.
            instrument_ids: Only these instruments; None is all.
        """
        closing: set[str] = set()
        for order in self.working(instrument_ids):
            if order.intent.role is OrderRole.FLATTEN:
                closing.add(order.intent.instrument_id)
            elif not order.is_leaving:
                order.is_leaving = True
                order.take_back(self._courier)
        for close in closes:
            if instrument_ids is not None and close.instrument_id not in instrument_ids:
                continue
            if close.instrument_id not in closing and not self._book.has_seen(close.decision_id):
                self.send(close)

    def _count(self, intent: OrderIntent) -> None:
        if intent.role not in _PROTECTION:
            index = self._index[intent.instrument_id]
            notional = intent.quantity * self._ledger.closes[index]
            side = 1 if intent.side == "BUY" else -1
            self._book.on_order_sent(intent.ts_event, index, side, notional, intent.decision_id)

    def _proceed(self, planned: OrderIntent | Bracket, written: Written) -> None:
        intents = intents_of(planned)
        first = intents[0]
        if first.client_order_id not in self._working:
            return  # it was given up in the meantime
        reason = self._objection(first, written)
        if reason:
            status = "EXPIRED" if written is Written.EXPIRED else "DENIED"
            for intent in intents:
                self._record(intent, intent.ts_event, status, reason)
                self._forget(intent.client_order_id)
            return
        if first.role is OrderRole.CLOSE:
            self._cancel_protection(first.instrument_id)
        for intent in intents:
            self._working[intent.client_order_id].is_sent = True
            self._record(
                intent, intent.ts_event, "SUBMITTED", "late_record" if written is Written.LATE else ""
            )
        self._courier.submit(planned)

    def _objection(self, intent: OrderIntent, written: Written) -> str:
        """Why an order must not leave after all; empty where nothing speaks against it."""
        if written is Written.EXPIRED:
            return "its intent was not durable in time"
        if intent.role is OrderRole.FLATTEN:
            return ""
        if self._working[intent.client_order_id].is_leaving:
            return "it was taken back before it left"
        if intent.ts_event < self.last_bar_ts:
            return f"a later bar closed at {self.last_bar_ts} before it left"
        if self._index[intent.instrument_id] in self.unknown.values():
            return f"nobody knows what became of an order in {intent.instrument_id}"
        return self._gate.objection(self._strategy, intent.instrument_id, reduces=intent.reduce_only)

    def _cancel_protection(self, instrument_id: str) -> None:
        for order in self.working():
            if order.intent.instrument_id == instrument_id and order.intent.role in _PROTECTION:
                order.take_back(self._courier)

    # -- what works --------------------------------------------------------------------------------

    def working(self, instrument_ids: Collection[str] | None = None) -> tuple[WorkingOrder, ...]:
        """Orders that are not done, in the order in which they were decided; of all instruments, or some."""
        orders = self._working.values()
        if instrument_ids is None:
            return tuple(orders)
        return tuple(order for order in orders if order.intent.instrument_id in instrument_ids)

    def working_entries(self, instrument_ids: Collection[str] | None = None) -> tuple[WorkingOrder, ...]:
        """Those that are no protective stop or target."""
        if not self._working:
            return ()
        return tuple(order for order in self.working(instrument_ids) if order.intent.role not in _PROTECTION)

    def is_working(self, client_order_id: str) -> bool:
        """Whether an order of that name is not done."""
        return client_order_id in self._working

    @property
    def is_settled(self) -> bool:
        """Whether every intent that was written down has been sent or dropped."""
        return all(order.is_sent for order in self._working.values())

    @property
    def is_flat(self) -> bool:
        """Whether the strategy holds nothing and has nothing working."""
        return not self._working and not any(self._ledger.positions)

    def knows(self, client_order_id: str) -> bool:
        """Whether an order of that name is or was ours."""
        return client_order_id in self._working or client_order_id in self._ended

    def known(self) -> Iterator[OrderIntent]:
        """Every order that works, and the newest of those that are done."""
        for orders in (self._working, self._ended):
            yield from (order.intent for order in orders.values())

    # -- after a restart ---------------------------------------------------------------------------

    def snapshot(self) -> list[dict[str, Any]]:
        """The orders that are not done, as plain JSON values; their intents were written down before."""
        return [
            {"client_order_id": own_id, "quantity": order.intent.quantity, "filled": order.filled}
            for own_id, order in self._working.items()
        ]

    def resume(self, intent: OrderIntent, *, filled: float, is_working: bool) -> None:
        """Know an order of an earlier process again; it is neither counted nor recorded anew.

        Args:
            intent: As it was written down.
            filled: Base units booked so far.
            is_working: Whether the venue still has it.

        Raises:
            SafetyError: If it is of an instrument that is not the strategy's; nothing has changed.
        """
        decimals = self._decimals[self._index_of(intent)]
        order = WorkingOrder(intent)
        order.filled, order.is_sent = round(filled, decimals), True
        if is_working:
            self._working[intent.client_order_id] = order
        else:
            note_newest(self._ended, intent.client_order_id, order)

    def recount(self, intent: OrderIntent) -> None:
        """Know an order that was written down after the state, and count it; may raise as `resume`."""
        self._index_of(intent)
        self._count(intent)
        self._working[intent.client_order_id] = WorkingOrder(intent)
        self._working[intent.client_order_id].is_sent = True

    def drop(self, client_order_id: str) -> None:
        """The order never left, and the venue had no say in it."""
        if client_order_id in self._working:
            self._forget(client_order_id)

    @contextlib.contextmanager
    def silenced(self) -> Iterator[None]:
        """Record and refuse nothing while the block runs: it goes through what was recorded before."""
        tape, self._tape, self._is_silent = self._tape, MemoryTape(), True
        try:
            yield
        finally:
            self._tape, self._is_silent = tape, False

    def mark_booked(self, client_order_id: str, trade_id: str, ts_event: int) -> None:
        """An execution is in the ledger already.

        Args:
            ts_event: Its time, UTC nanoseconds.
        """
        note_newest(self._booked, (client_order_id, trade_id), ts_event)
        self.last_fill_ts = max(self.last_fill_ts, ts_event)

    def has_booked(self, client_order_id: str, trade_id: str) -> bool:
        """Whether an execution is in the ledger."""
        return (client_order_id, trade_id) in self._booked

    @property
    def booked_since_ns(self) -> int:
        """Time after which every execution in the ledger is remembered, UTC nanoseconds."""
        return next(iter(self._booked.values())) + 1 if len(self._booked) == REMEMBERED else 0

    def mark_unknown(self, client_order_id: str) -> None:
        """Nobody knows what became of an order: its instrument is left alone until an answer comes."""
        intent = self._working[client_order_id].intent
        self.unknown[client_order_id] = self._index[intent.instrument_id]

    # -- answers -----------------------------------------------------------------------------------

    def accepted(self, client_order_id: str, ts_event: int) -> None:
        """The venue has the order."""
        self.unknown.pop(client_order_id, None)
        if (order := self._working.get(client_order_id)) is not None:
            order.is_taken = True
        self._note(client_order_id, ts_event, "ACCEPTED", "")

    def updated(self, client_order_id: str, quantity: float) -> None:
        """The venue changed the order's size: an exit follows what is left of its position."""
        order = self._working.get(client_order_id)
        if order is not None:
            order.intent = order.intent._replace(quantity=quantity)

    def cancel_rejected(self, client_order_id: str) -> None:
        """The order is done already, or a flatten has to cancel it again."""
        order = self._working.get(client_order_id)
        if order is not None:
            order.is_leaving = False

    def ended(self, client_order_id: str, ts_event: int, status: str, reason: str = "") -> None:
        """The order is done without being filled, or but for the rest.

        Args:
            status: CANCELED, EXPIRED, REJECTED or DENIED.
        """
        self.unknown.pop(client_order_id, None)
        self._note(client_order_id, ts_event, status, reason)
        self._finish(client_order_id, rejected=status in {"REJECTED", "DENIED"})

    def filled(self, fill: Fill) -> None:
        """Book an execution, once.

        Raises:
            SafetyError: If it is of an order that was never ours, or no execution at all: then nothing is
                booked; or if it exceeds the order: then it is booked, for the venue did it.
        """
        if fill.key in self._booked:
            return
        own_id = fill.client_order_id
        order = self._working.get(own_id) or self._ended.get(own_id)
        if order is None:
            raise SafetyError(
                f"expected executions of this strategy's orders, found {fill.quantity:g} at {fill.price:g} "
                f"of {own_id}, which it never sent; nothing was booked, `argonaut reconcile` shows the rest"
            )
        require_execution(fill)
        self._book_fill(order, fill)
        if order.filled > order.intent.quantity and not self._is_silent:
            raise SafetyError(
                f"{own_id}: expected at most {order.intent.quantity:g} to be filled, found {order.filled:g}; "
                "it is booked, for the venue did it, and the strategy halts"
            )

    def _book_fill(self, order: WorkingOrder, fill: Fill) -> None:
        intent = order.intent
        index = self._index[intent.instrument_id]
        signed = fill.quantity if intent.side == "BUY" else -fill.quantity
        self._ledger.apply_fill(index, signed, fill.price, fill.fee)
        note_newest(self._booked, fill.key, fill.ts_event)
        self.unknown.pop(fill.client_order_id, None)
        self.last_fill_ts = max(self.last_fill_ts, fill.ts_event)
        self._tape.write(fill_record(intent, fill))
        order.filled = round(order.filled + fill.quantity, self._decimals[index])
        if fill.client_order_id in self._working:
            done = order.filled >= intent.quantity
            self._record(intent, fill.ts_event, "FILLED" if done else "PARTIALLY_FILLED", "")
            if done:
                self._finish(fill.client_order_id, rejected=False)

    def _note(self, client_order_id: str, ts_event: int, status: str, reason: str) -> None:
        order = self._working.get(client_order_id)
        if order is not None:
            self._record(order.intent, ts_event, status, reason)

    def _finish(self, client_order_id: str, *, rejected: bool) -> None:
        if client_order_id in self._working:
            self._forget(client_order_id)
            self._book.on_outcome(rejected)

    def _index_of(self, intent: OrderIntent) -> int:
        index = self._index.get(intent.instrument_id)
        if index is None:
            raise SafetyError(
                f"{intent.client_order_id}: expected an order of {list(self._index)}, found one of "
                f"{intent.instrument_id}; name the instrument in strategy {self._strategy} again until the "
                "order is done and nothing is held"
            )
        return index

    def _forget(self, client_order_id: str) -> None:
        note_newest(self._ended, client_order_id, self._working.pop(client_order_id))

    def _record(self, intent: OrderIntent, ts_event: int, status: str, reason: str) -> None:
        self._tape.write(order_record(intent, ts_event, status, reason))
