"""What the paper venue keeps of an order, what it is asked, and what it answers.

Prices and quantities inside the venue are integers, in units of the instrument's last decimal, so that
sums are exact and a snapshot is plain JSON. The edges speak `Decimal` (orders) and float (market data).
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum


class Side(StrEnum):
    """Direction of an order."""

    BUY = "BUY"
    SELL = "SELL"


class Kind(StrEnum):
    """How an order finds its price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"


class TimeInForce(StrEnum):
    """How long an order lives."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Contingency(StrEnum):
    """What an order means for the orders it is linked to."""

    NONE = "NONE"
    OTO = "OTO"
    """A fill of this order activates the linked ones (a bracket's entry)."""
    OCO = "OCO"
    """A fill of this order cancels the linked ones."""
    OUO = "OUO"
    """A fill of this order reduces the linked ones to what is left of it (a bracket's exits)."""


class OrderState(StrEnum):
    """Where an order stands at the venue."""

    HELD = "HELD"
    """Taken, but waiting for its parent to fill."""
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"

    @property
    def is_closed(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self in _CLOSED


_CLOSED = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED})


def venue_order_id(venue: str, client_order_id: str) -> str:
    """Give the venue's own id of an order; known as soon as the order is, even before it arrives."""
    return f"{venue}-{client_order_id}"


class RefusalError(ValueError):
    """The venue will not do what it was asked; the text is the reason it gives."""


@dataclass(frozen=True, slots=True)
class VenueInstrument:
    """The venue's rules for one instrument."""

    instrument_id: str
    base_currency: str | None
    """Currency that a cash account receives when it buys; None where a holding is no currency (equities)."""
    quote_currency: str
    price_precision: int
    """Decimals of a price."""
    size_precision: int
    """Decimals of a quantity."""
    tick_size: Decimal
    """Smallest price step, quote currency."""
    lot_size: Decimal
    """Smallest quantity step, base units."""
    min_quantity: Decimal = Decimal(0)
    """Smallest order, base units. Orders that only reduce are exempt from both minima."""
    min_notional: Decimal = Decimal(0)
    """Smallest order, quote currency."""
    margin_init_frac: Decimal = Decimal(1)
    """Margin account: share of the notional that a position ties up at leverage 1."""
    quote_precision: int = 8
    """Decimals of an amount of quote currency."""

    def price_units(self, price: Decimal) -> int:
        """Turn a price into venue units.

        Raises:
            RefusalError: If the price is not a positive multiple of the tick.
        """
        if not price.is_finite() or price <= 0 or price % self.tick_size:
            raise RefusalError(
                f"INVALID_PRICE: expected a positive multiple of {self.tick_size}, found {price}"
            )
        return int(price.scaleb(self.price_precision))

    def size_units(self, quantity: Decimal) -> int:
        """Turn a quantity into venue units.

        Raises:
            RefusalError: If the quantity is not a positive multiple of the lot.
        """
        if not quantity.is_finite() or quantity <= 0 or quantity % self.lot_size:
            raise RefusalError(
                f"INVALID_QUANTITY: expected a positive multiple of {self.lot_size}, found {quantity}"
            )
        return int(quantity.scaleb(self.size_precision))

    def price(self, units: int) -> Decimal:
        """Turn venue units into a price."""
        return Decimal(units).scaleb(-self.price_precision)

    def quantity(self, units: int) -> Decimal:
        """Turn venue units into a quantity."""
        return Decimal(units).scaleb(-self.size_precision)

    def amount(self, value: Decimal) -> Decimal:
        """Round a value to what can be booked in the quote currency, half to even."""
        return value.quantize(Decimal(1).scaleb(-self.quote_precision), ROUND_HALF_EVEN)

    def notional(self, size_units: int, price_units: int) -> Decimal:
        """Value of a quantity at a price, quote currency, exact."""
        return Decimal(size_units * price_units).scaleb(-self.size_precision - self.price_precision)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as it is sent to the venue."""

    client_order_id: str
    instrument_id: str
    side: Side
    kind: Kind
    quantity: Decimal
    """Base units."""
    price: Decimal | None = None
    """Limit price."""
    trigger_price: Decimal | None = None
    """Stop price."""
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    """Whether the order may only make the owner's position smaller."""
    post_only: bool = False
    """Whether a limit order is rejected rather than traded on arrival."""
    owner: str = ""
    """Whose position the order changes; a strategy's name. Reduce-only is judged against it."""
    parent_id: str | None = None
    """Client order id of the order whose fill activates this one."""
    linked_ids: tuple[str, ...] = ()
    contingency: Contingency = Contingency.NONE
    order_list_id: str | None = None


@dataclass(slots=True)
class Order:
    """One order at the venue. Prices and quantities are in venue units."""

    client_order_id: str
    venue_order_id: str
    instrument_id: str
    side: Side
    kind: Kind
    quantity: int
    price: int | None
    trigger_price: int | None
    time_in_force: TimeInForce
    reduce_only: bool
    post_only: bool
    owner: str
    parent_id: str | None
    linked_ids: tuple[str, ...]
    contingency: Contingency
    order_list_id: str | None
    ts_accepted: int
    """Arrival at the venue, event time, UTC nanoseconds."""
    ts_last: int
    """Last change."""
    sequence: int
    """Time priority: a lower number came first."""
    state: OrderState = OrderState.HELD
    filled: int = 0
    filled_value: int = 0
    """Sum of quantity times price over all fills."""
    is_maker: bool = False
    """Whether the order rested before it filled."""
    reason: str = ""
    """Why it was rejected or canceled."""

    @property
    def leaves(self) -> int:
        """Quantity not filled yet."""
        return self.quantity - self.filled

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self.side is Side.BUY else -1

    @property
    def is_open(self) -> bool:
        """Whether the order is working in the market."""
        return self.state in (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, as the venue books it."""

    trade_id: str
    client_order_id: str
    venue_order_id: str
    instrument_id: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    """Quote currency; negative for a rebate."""
    is_maker: bool
    ts_event: int
    owner: str = ""
    """Whose position it changed."""


class EventKind(StrEnum):
    """What happened to an order."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    UPDATED = "UPDATED"
    CANCEL_REJECTED = "CANCEL_REJECTED"
    MODIFY_REJECTED = "MODIFY_REJECTED"


@dataclass(frozen=True, slots=True)
class VenueEvent:
    """One message from the venue about one order."""

    kind: EventKind
    ts_event: int
    client_order_id: str
    venue_order_id: str | None
    """None where the venue does not know the order."""
    reason: str = ""
    fill: Fill | None = None
    """Only with FILLED."""
    quantity: Decimal | None = None
    """The order's quantity, with UPDATED; so are the prices."""
    price: Decimal | None = None
    trigger_price: Decimal | None = None
