"""What lies between an intent and the venue: what is written down, who carries it, what comes back.

Flow: orders → **delivery** → door.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from strategies.errors import SafetyError
from strategies.orders import Bracket, OrderIntent, OrderKind, OrderRole, OrderSide


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


class WorkingOrder:
    """An order that is not done."""

    __slots__ = ("filled", "intent", "is_leaving", "is_sent")

    def __init__(self, intent: OrderIntent) -> None:
        self.intent = intent
        self.filled = 0.0
        """Base units."""
        self.is_sent = False
        """Whether it was handed to the courier; before that its intent is on the way to the disk."""
        self.is_leaving = False
        """Whether a flatten has asked for its end and the venue has not answered."""


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
