"""A venue with a ledger of its own: what it did is what happened, whatever anybody remembers."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from strategies.errors import TransientError
from strategies.orders import OrderIntent, OrderKind, OrderRole
from tests.support.simulation.market import INDEX, Market
from tests.support.simulation.schedule import Schedule
from tests.support.simulation.weather import Weather

CASH = 100_000.0
_FEE = 2e-4
_ENTRY_KINDS = (OrderKind.MARKET, OrderKind.LIMIT_IOC)
_OPEN = ("SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED")


class Request(NamedTuple):
    """Orders as they travel: one, or a bracket's two or three."""

    number: int
    """Told apart from every other request, not from its own copies."""
    sent_ns: int
    intents: tuple[OrderIntent, ...]


class VenueFill(NamedTuple):
    """One execution; implements `ops.reconciliation.VenueFill`."""

    trade_id: str
    client_order_id: str
    instrument_id: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    is_maker: bool
    ts_event: int


class Answer(NamedTuple):
    """What the venue tells about an order."""

    what: str
    """accepted, rejected, canceled, updated, cancel_rejected or fill."""
    client_order_id: str
    ts_event: int
    detail: str = ""
    quantity: float = 0.0
    fill: VenueFill | None = None


@dataclass(slots=True)
class VenueOrder:
    """One order; implements `ops.reconciliation.VenueOrder`."""

    intent: OrderIntent
    first_sent_ns: int
    requests: set[int]
    """Numbers of the requests that brought it: more than one, and it was sent again."""
    lots: int
    status: str = "ACCEPTED"
    reason: str = ""
    filled: int = 0
    ts_last: int = 0
    children: tuple[str, ...] = ()

    @property
    def client_order_id(self) -> str:
        return self.intent.client_order_id

    @property
    def instrument_id(self) -> str:
        return self.intent.instrument_id

    @property
    def side(self) -> str:
        return str(self.intent.side)

    @property
    def quantity(self) -> Decimal:
        return Decimal(self.lots) / 1000

    @property
    def is_open(self) -> bool:
        return self.status in _OPEN


class SeenOrder(NamedTuple):
    """An order as a view shows it."""

    client_order_id: str
    instrument_id: str
    status: str
    side: str
    quantity: Decimal
    filled: Decimal
    reason: str
    ts_last: int


@dataclass(frozen=True, slots=True)
class View:
    """One state of the venue; implements `ops.reconciliation.VenueView`."""

    ts_ns: int
    orders: dict[str, SeenOrder]
    executions: tuple[VenueFill, ...]
    positions: dict[str, float]
    cash: float
    unanswered: frozenset[str]

    def order(self, client_order_id: str) -> SeenOrder | None:
        if client_order_id in self.unanswered:
            raise TransientError("expected an answer about an order, found none; ask again")
        return self.orders.get(client_order_id)

    def open_orders(self) -> Sequence[SeenOrder]:
        return [order for order in self.orders.values() if order.status in _OPEN]

    def fills(self, since_ns: int) -> Sequence[VenueFill]:
        return [fill for fill in self.executions if fill.ts_event >= since_ns]


@dataclass(slots=True)
class Books:
    """What is held, in whole lots and in quote currency."""

    lots: list[int] = field(default_factory=lambda: [0] * len(INDEX))
    cash: float = CASH


class SimVenue:
    """Takes orders, fills them at the market's prices, and never takes a name twice."""

    def __init__(self, rng: random.Random, weather: Weather, schedule: Schedule, market: Market) -> None:
        self.orders: dict[str, VenueOrder] = {}
        self.fills: list[VenueFill] = []
        self.books = Books()
        self.tell: Callable[[Answer], None] = lambda answer: None
        self.is_well = False
        self._rng = rng
        self._weather = weather
        self._schedule = schedule
        self._market = market
        self._ended: dict[str, SeenOrder] = {}

    # -- requests ----------------------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Take orders, unless a name of theirs was taken before."""
        known = [self.orders[one.client_order_id] for one in request.intents if self._has(one)]
        if known:
            for order in known:
                order.requests.add(request.number)
            return
        entry, *children = request.intents
        now_ns = self._schedule.now_ns
        for intent in request.intents:
            self.orders[intent.client_order_id] = VenueOrder(
                intent, request.sent_ns, {request.number}, round(intent.quantity * 1000), ts_last=now_ns
            )
        order = self.orders[entry.client_order_id]
        order.children = tuple(child.client_order_id for child in children)
        if not self.is_well and self._rng.random() < self._weather.rejected:
            self._end(order, "REJECTED", "the venue would not have it")
            return
        self._say("accepted", order)
        for child in children:
            waiting = self.orders[child.client_order_id]
            waiting.status = "SUBMITTED"
            waiting.children = tuple(other.client_order_id for other in children if other is not child)
        if entry.kind in _ENTRY_KINDS:
            self._schedule.after(self._rng.uniform(0.001, 0.2), "match", lambda: self._match(order))

    def cancel(self, client_order_id: str) -> None:
        """End an order, or say that it cannot be."""
        order = self.orders.get(client_order_id)
        if order is not None and order.is_open:
            self._end(order, "CANCELED", "asked for")
            return
        status = "unknown" if order is None else order.status
        self.tell(Answer("cancel_rejected", client_order_id, self._schedule.now_ns, status))

    def view(self) -> View:
        """Everything as it is now."""
        odds = 0.0 if self.is_well else self._weather.unanswered
        names = [name for name in self.orders if self._rng.random() < odds] if odds else []
        return View(
            ts_ns=self._schedule.now_ns,
            orders={name: self._seen(name, one) for name, one in self.orders.items()},
            executions=tuple(self.fills),
            positions={name: self.books.lots[index] / 1000 for name, index in INDEX.items()},
            cash=self.books.cash,
            unanswered=frozenset(names),
        )

    def _seen(self, name: str, one: VenueOrder) -> SeenOrder:
        if name in self._ended:
            return self._ended[name]
        seen = SeenOrder(
            client_order_id=name,
            instrument_id=one.instrument_id,
            status=one.status,
            side=one.side,
            quantity=one.quantity,
            filled=Decimal(one.filled) / 1000,
            reason=one.reason,
            ts_last=one.ts_last,
        )
        if not one.is_open:
            self._ended[name] = seen
        return seen

    # -- the market --------------------------------------------------------------------------------

    def on_price(self) -> None:
        """Fill what a new price reaches."""
        for order in list(self.orders.values()):
            if (
                order.status == "ACCEPTED"
                and order.intent.kind not in _ENTRY_KINDS
                and self._is_reached(order)
            ):
                self._fill(order, order.lots - order.filled)

    def _is_reached(self, order: VenueOrder) -> bool:
        intent, price = order.intent, self._price(order)
        is_sale = intent.side == "SELL"
        if intent.kind is OrderKind.STOP_MARKET:
            assert intent.trigger_price is not None
            return price <= intent.trigger_price if is_sale else price >= intent.trigger_price
        assert intent.price is not None
        return price >= intent.price if is_sale else price <= intent.price

    def _match(self, order: VenueOrder) -> None:
        if not order.is_open:
            return
        left = order.lots - order.filled
        is_part = not self.is_well and left > 1 and self._rng.random() < self._weather.partial
        if order.intent.kind is OrderKind.LIMIT_IOC and not self._is_reached(order):
            self._end(order, "CANCELED", "its price was not there")
            return
        self._fill(order, self._rng.randrange(1, left) if is_part else left)
        if is_part and order.status == "PARTIALLY_FILLED":
            if order.intent.kind is OrderKind.LIMIT_IOC:
                self._end(order, "CANCELED", "the rest was not there")
            else:
                self._schedule.after(self._rng.uniform(0.01, 12.0), "match", lambda: self._match(order))

    def _fill(self, order: VenueOrder, lots: int) -> None:
        intent = order.intent
        index = INDEX[intent.instrument_id]
        held = self.books.lots[index]
        sign = 1 if intent.side == "BUY" else -1
        if intent.reduce_only:
            lots = min(lots, max(0, -sign * held))
            if lots == 0:
                self._end(order, "CANCELED", "reduce only, and there is nothing to reduce")
                return
        price, quantity = self._price(order), lots / 1000
        fee = quantity * price * _FEE
        self.books.lots[index] += sign * lots
        self.books.cash -= sign * quantity * price + fee
        order.filled += lots
        order.ts_last = self._schedule.now_ns
        fill = VenueFill(
            trade_id=f"T{len(self.fills) + 1}",
            client_order_id=intent.client_order_id,
            instrument_id=intent.instrument_id,
            side=str(intent.side),
            quantity=Decimal(lots) / 1000,
            price=Decimal(repr(price)),
            fee=Decimal(repr(fee)),
            is_maker=intent.kind is OrderKind.LIMIT,
            ts_event=self._schedule.now_ns,
        )
        self.fills.append(fill)
        is_done = order.filled == order.lots
        order.status = "FILLED" if is_done else "PARTIALLY_FILLED"
        self.tell(Answer("fill", intent.client_order_id, fill.ts_event, fill=fill))
        if is_done:
            self._settle_children(order)
        elif intent.reduce_only and self.books.lots[index] == 0:
            self._end(order, "CANCELED", "reduce only, and there is nothing left to reduce")

    def _end(self, order: VenueOrder, status: str, reason: str) -> None:
        order.status, order.reason, order.ts_last = status, reason, self._schedule.now_ns
        self._say("rejected" if status == "REJECTED" else "canceled", order)
        self._settle_children(order)

    def _settle_children(self, order: VenueOrder) -> None:
        children = [self.orders[name] for name in order.children if self.orders[name].is_open]
        is_entry = order.intent.role not in (OrderRole.STOP, OrderRole.TARGET)
        for child in children:
            if is_entry and order.filled:
                child.status, child.ts_last = "ACCEPTED", self._schedule.now_ns
                if child.lots != order.filled:
                    child.lots = order.filled
                    self._say("updated", child)
                self._say("accepted", child)
            elif is_entry or order.filled:
                self._end(child, order.status if order.status == "REJECTED" else "CANCELED", "with its order")

    def _say(self, what: str, order: VenueOrder) -> None:
        name, now_ns = order.client_order_id, self._schedule.now_ns
        self.tell(Answer(what, name, now_ns, order.reason, order.lots / 1000))

    def _price(self, order: VenueOrder) -> float:
        return self._market.price(INDEX[order.instrument_id], self._schedule.now_ns)

    def _has(self, intent: OrderIntent) -> bool:
        return intent.client_order_id in self.orders
