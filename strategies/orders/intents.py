"""Order intents: everything about an order but its fate.

Flow: guardrails → plan → **intents** → the door.
"""

from enum import StrEnum
from typing import NamedTuple


class OrderSide(StrEnum):
    """Whether base units come in or go out."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "OrderSide":
        """The side that undoes this one."""
        return OrderSide.SELL if self is OrderSide.BUY else OrderSide.BUY


class OrderKind(StrEnum):
    """How an order meets the market."""

    MARKET = "MARKET"
    LIMIT_IOC = "LIMIT_IOC"
    """At its price or better, at once; what is not filled is cancelled."""
    STOP_MARKET = "STOP_MARKET"
    """A market order once the trigger price trades."""
    LIMIT = "LIMIT"
    """At its price or better, until cancelled."""


class OrderRole(StrEnum):
    """What an order is for."""

    OPEN = "OPEN"
    """Adds exposure."""
    REDUCE = "REDUCE"
    """Takes part of a position away."""
    CLOSE = "CLOSE"
    """Takes all of a position away."""
    FLATTEN = "FLATTEN"
    """Takes all of a position away on an operator's command, whatever the strategy wants."""
    STOP = "STOP"
    """Ends a losing position."""
    TARGET = "TARGET"
    """Ends a winning one."""
    ADOPT = "ADOPT"
    """Takes over what the account held already; it is booked, and never sent."""


class OrderIntent(NamedTuple):
    """One order that is to be sent."""

    decision_id: str
    """SHA-256, hexadecimal, of what decided; see `decision_id`."""
    client_order_id: str
    strategy: str
    instrument_id: str
    ts_event: int
    """Close time of the bar that was decided on, UTC nanoseconds."""
    side: OrderSide
    quantity: float
    """Base units, positive, whole lots."""
    kind: OrderKind
    price: float | None
    """Limit price on the tick; None for kinds without one."""
    trigger_price: float | None
    """Stop price on the tick; None for kinds without one."""
    reduce_only: bool
    """Whether it may only ever shrink a position."""
    role: OrderRole


class Bracket(NamedTuple):
    """An entry with what protects it: both live once the entry fills, and one cancels the other."""

    entry: OrderIntent
    stop: OrderIntent | None
    target: OrderIntent | None
