"""What a paper venue is configured with, is told, and remembers."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from adapters.paper.book import Book
from adapters.paper.ledger import AccountKind, Ledger
from adapters.paper.orders import Fill, Order, OrderRequest, Side

type Commission = Callable[[str, float, float, bool, float], float]
"""``commission(instrument_id, quantity, price, is_maker, bar_volume)`` in quote currency."""


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """How one paper venue behaves."""

    venue: str
    """Name; the prefix of order and trade ids."""
    account: AccountKind
    balances: Mapping[str, Decimal]
    """Starting balance by currency."""
    leverage: Decimal = Decimal(1)
    """Margin account only."""
    latency_ns: int = 1
    """Time that a command travels; at least 1, or a decision could meet the price that it was made on."""
    unlimited_size: bool = False
    """Fill every order whole at one price, whatever size is displayed."""
    nearest_extreme_first: bool = False
    """Within a bar, visit the nearer of high and low first; otherwise high comes before low."""
    reject_stops_in_market: bool = False
    """Reject a stop whose trigger is already passed on arrival, instead of filling it."""

    def __post_init__(self) -> None:
        if self.latency_ns < 1:
            raise ValueError(f"latency_ns: expected at least 1, found {self.latency_ns}")
        if self.leverage <= 0:
            raise ValueError(f"leverage: expected more than 0, found {self.leverage}")


@dataclass(frozen=True, slots=True)
class Submit:
    """Place orders; more than one is a list that is taken or refused as one."""

    orders: tuple[OrderRequest, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take one order out of the market."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class CancelAll:
    """Take an instrument's orders out of the market."""

    instrument_id: str
    side: Side | None = None
    owner: str | None = None
    """Only this owner's orders; None means everybody's."""


@dataclass(frozen=True, slots=True)
class Modify:
    """Change an order that works in the market; None leaves a value."""

    client_order_id: str
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None


type Command = Submit | Cancel | CancelAll | Modify


@dataclass(slots=True)
class Counters:
    """Numbers from which ids are made; part of a snapshot, so that no id is ever given twice."""

    trades: int = 0
    sequence: int = 0
    account: int = 0
    """Raised whenever balances, positions or reservations change."""

    def next_sequence(self) -> int:
        """Give the next place in the queue."""
        self.sequence += 1
        return self.sequence


@dataclass(slots=True)
class VenueState:
    """All that the venue remembers; what `adapters.paper.snapshot` writes and reads."""

    ledger: Ledger
    ts: int = 0
    """Time of the last market event, UTC nanoseconds."""
    orders: dict[str, Order] = field(default_factory=dict)
    """Orders by client order id: all that live, and those that are over until they are retired."""
    fills: list[Fill] = field(default_factory=list)
    """Executions until they are retired, oldest first."""
    books: dict[str, Book] = field(default_factory=dict)
    travelling: deque[tuple[int, Command]] = field(default_factory=deque)
    """Commands under way with their arrival times, first come first."""
    counters: Counters = field(default_factory=Counters)
    seen: dict[str, int] = field(default_factory=dict)
    """How many events of each series were taken at `ts`, so that after a restart none counts twice."""
    barred: set[str] = field(default_factory=set)
    """Client order ids that somebody was told the venue has never seen; it never will."""


class Archive(Protocol):
    """What is over: orders and executions that were retired from a venue's memory, for good."""

    def order(self, client_order_id: str) -> Order | None:
        """Find an order by its client id."""

    def order_numbered(self, venue_order_id: str) -> Order | None:
        """Find an order by the venue's own id."""

    def fills_of(self, client_order_id: str) -> list[Fill]:
        """List an order's executions, oldest first."""

    def fills_since(self, since_ns: int) -> list[Fill]:
        """List executions at or after a market time, oldest first."""


class NoArchive:
    """Of a venue that retires nothing, because it lives as long as the process."""

    def order(self, client_order_id: str) -> Order | None:  # noqa: ARG002 - it holds nothing
        """Find nothing."""
        return None

    def order_numbered(self, venue_order_id: str) -> Order | None:  # noqa: ARG002
        """Find nothing."""
        return None

    def fills_of(self, client_order_id: str) -> list[Fill]:  # noqa: ARG002
        """Find nothing."""
        return []

    def fills_since(self, since_ns: int) -> list[Fill]:  # noqa: ARG002
        """Find nothing."""
        return []
