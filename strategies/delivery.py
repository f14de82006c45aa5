"""What lies between an intent and the venue: what is written down, who carries it, what comes back.

Flow: orders → **delivery** → door.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from strategies.errors import SafetyError
from strategies.orders import Bracket, OrderIntent, OrderKind, OrderRole, OrderSide
from strategies.tape import FillRecord, OrderRecord

REMEMBERED = 20_000
"""Ended orders, and trades, that are still known: a late or repeated answer is told from a foreign one."""


class Written(StrEnum):
    """What became of writing an intent down."""

    DURABLE = "durable"
    """It will be there after a crash."""
    LATE = "late"
    """The disk is slow, but the order reduces risk and need not wait."""
    EXPIRED = "expired"
    """It was not durable in time, or never will be; the order must not leave."""


class IntentLog(Protocol):
    """Where an intent is written down before its order leaves."""

    def record(self, intents: Sequence[OrderIntent], then: Callable[[Written], None], /) -> None:
        """Write intents down.

        Args:
            intents: One order, or a bracket's two or three.
            then: Called once, on the same thread, perhaps before this returns.
        """


class Unwritten:
    """Writes nothing down: for a run that is over when its process is."""

    def record(self, _intents: Sequence[OrderIntent], then: Callable[[Written], None], /) -> None:
        then(Written.DURABLE)


class ContainedLog:
    """Has what follows once the disk has answered done by whoever contains a fault; the engine has no part.

    Args:
        log: Where intents are written down.
        contain: ``contain(then, written)`` calls ``then(written)``, and sees to it where that raises.
    """

    def __init__(self, log: IntentLog, contain: Callable[[Callable[[Written], None], Written], None]) -> None:
        self._log = log
        self._contain = contain

    def record(self, intents: Sequence[OrderIntent], then: Callable[[Written], None], /) -> None:
        """Write intents down; see `IntentLog`."""
        self._log.record(intents, lambda written: self._contain(then, written))


class Courier(Protocol):
    """Carries orders to the venue."""

    def submit(self, planned: OrderIntent | Bracket) -> None:
        """Send an order, or a bracket as one list."""

    def cancel(self, client_order_id: str) -> None:
        """Ask for an order's end."""


class Fill(NamedTuple):
    """One execution, as the venue tells it."""

    client_order_id: str
    trade_id: str
    ts_event: int
    """UTC nanoseconds."""
    quantity: float
    """Base units, positive."""
    price: float
    """Quote currency."""
    fee: float
    """Everything charged, quote currency."""
    liquidity: str
    """MAKER or TAKER."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other execution.

        A venue's trade ids repeat from market to market, and both orders of a trade with oneself share one.
        """
        return self.client_order_id, self.trade_id


class WorkingOrder:
    """An order that is not done."""

    __slots__ = ("filled", "intent", "is_leaving", "is_sent", "is_taken")

    def __init__(self, intent: OrderIntent) -> None:
        self.intent = intent
        self.filled = 0.0
        """Base units."""
        self.is_sent = False
        """Whether it was handed to the courier; before that its intent is on the way to the disk."""
        self.is_taken = False
        """Whether the venue has said that it has the order; it cannot say later that it never had it."""
        self.is_leaving = False
        """Whether a flatten has asked for its end and the venue has not answered; or, where it has not left,
        whether it never will."""

    def take_back(self, courier: Courier) -> None:
        """Ask for its end; the courier knows nothing of one that has not left, and it stays here."""
        if self.is_sent:
            courier.cancel(self.intent.client_order_id)
        else:
            self.is_leaving = True


def still_to_fill(
    orders: Sequence[WorkingOrder], index_of: Mapping[str, int]
) -> tuple[frozenset[int], Sequence[float], Sequence[float]]:
    """Add up what working orders have left to do.

    Args:
        orders: Those that count.
        index_of: Position of each instrument.

    Returns:
        Instruments with such an order, and for each instrument the base units still to be bought and to be
        sold, both positive; empty without any order, as mostly.
    """
    if not orders:
        return frozenset(), (), ()
    buys, sells = [0.0] * len(index_of), [0.0] * len(index_of)
    busy: set[int] = set()
    for order in orders:
        index = index_of[order.intent.instrument_id]
        busy.add(index)
        working = buys if order.intent.side == "BUY" else sells
        working[index] += order.intent.quantity - order.filled
    return frozenset(busy), buys, sells


def intent_from(fields: Mapping[str, Any]) -> OrderIntent:
    """The intent that was written down as plain JSON values.

    Raises:
        SafetyError: If it is damaged.
    """
    try:
        intent = OrderIntent(**fields)
        return intent._replace(
            side=OrderSide(intent.side), kind=OrderKind(intent.kind), role=OrderRole(intent.role)
        )
    except (TypeError, ValueError) as error:
        raise SafetyError(
            f"expected an order intent as it was written down, found {dict(fields)!r} ({error})"
        ) from error


def intents_of(planned: OrderIntent | Bracket) -> tuple[OrderIntent, ...]:
    """A single order, or a bracket's two or three, entry first."""
    if isinstance(planned, OrderIntent):
        return (planned,)
    return tuple(one for one in (planned.entry, planned.stop, planned.target) if one is not None)


def require_execution(fill: Fill) -> None:
    """See that something was traded.

    Raises:
        SafetyError: If quantity or price is not a number above 0, or the fee none.
    """
    if not (0.0 < fill.quantity < math.inf and 0.0 < fill.price < math.inf and math.isfinite(fill.fee)):
        raise SafetyError(
            f"{fill.client_order_id}: expected an execution with a quantity and a price above 0, and a fee, "
            f"found {fill.quantity:g} at {fill.price:g}, fee {fill.fee:g} (trade {fill.trade_id}); nothing "
            "was booked"
        )


def order_record(intent: OrderIntent, ts_event: int, status: str, reason: str) -> OrderRecord:
    """What the tape is told of an order at one moment of its life."""
    return OrderRecord(
        ts_event=ts_event,
        strategy=intent.strategy,
        instrument_id=intent.instrument_id,
        decision_id=intent.decision_id,
        client_order_id=intent.client_order_id,
        side=str(intent.side),
        quantity=intent.quantity,
        kind=str(intent.kind),
        role=str(intent.role),
        price=math.nan if intent.price is None else intent.price,
        trigger_price=math.nan if intent.trigger_price is None else intent.trigger_price,
        status=status,
        reason=reason,
    )


def fill_record(intent: OrderIntent, fill: Fill) -> FillRecord:
    """What the tape is told of an execution."""
    return FillRecord(
        ts_event=fill.ts_event,
        strategy=intent.strategy,
        instrument_id=intent.instrument_id,
        client_order_id=fill.client_order_id,
        trade_id=fill.trade_id,
        side=str(intent.side),
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        liquidity=fill.liquidity,
    )


def note_newest[K, T](known: dict[K, T], name: K, value: T) -> None:
    """Remember something, and forget the oldest where there are more than `REMEMBERED`."""
    known[name] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
