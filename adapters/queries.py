"""What a venue is asked before anything trades: what became of our orders, and what we hold.

Recovery after a crash asks these questions first. The paper venue lives in the process and answers at
once; a client of a real venue fetches orders, executions, balances and positions first (``await``) and then
answers from what it fetched, so that recovery itself is plain code and sees one state.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class OrderStatus(StrEnum):
    """Where an order stands; the names are the engine's."""

    SUBMITTED = "SUBMITTED"
    """The venue has it, but it does not work in the market yet: under way, or waiting for its parent."""
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"

    @property
    def is_closed(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self in (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order as the venue sees it."""

    client_order_id: str
    venue_order_id: str
    instrument_id: str
    owner: str
    """Engine's id of the strategy that sent it."""
    side: str
    """BUY or SELL."""
    kind: str
    """MARKET, LIMIT or STOP_MARKET."""
    status: OrderStatus
    quantity: Decimal
    """Base units."""
    filled: Decimal
    """Base units."""
    average_price: Decimal | None
    """Over all executions; None without one."""
    price: Decimal | None
    """Limit price."""
    trigger_price: Decimal | None
    """Stop price."""
    reduce_only: bool
    parent_id: str | None
    linked_ids: tuple[str, ...]
    reason: str
    """Why it was rejected or canceled."""
    ts_last: int
    """Last change, venue time, UTC nanoseconds."""


@dataclass(frozen=True, slots=True)
class FillView:
    """One execution as the venue booked it."""

    trade_id: str
    client_order_id: str
    instrument_id: str
    owner: str
    side: str
    quantity: Decimal
    """Base units."""
    price: Decimal
    fee: Decimal
    """Quote currency; negative for a rebate."""
    is_maker: bool
    ts_event: int
    """Venue time, UTC nanoseconds."""


@dataclass(frozen=True, slots=True)
class BalanceView:
    """What the account has of one currency."""

    currency: str
    total: Decimal
    locked: Decimal
    """Part of the total that open orders and positions reserve."""


@dataclass(frozen=True, slots=True)
class PositionView:
    """What one strategy holds of one instrument."""

    instrument_id: str
    owner: str
    """Engine's id of the strategy; empty where the venue only knows the account's net position."""
    quantity: Decimal
    """Signed, base units; never 0."""
    average_price: Decimal
    """Average entry price."""


class VenueQueries(Protocol):
    """Answers about one account at one venue, all of one state."""

    def order(self, client_order_id: str) -> OrderView | None:
        """Find an order by its client id, open or closed; None if the venue never had it."""

    def open_orders(self) -> list[OrderView]:
        """List the orders that something can still happen to."""

    def fills(self, since_ns: int) -> list[FillView]:
        """List executions at or after a venue time, UTC nanoseconds, oldest first."""

    def balances(self) -> list[BalanceView]:
        """List the currencies of the account."""

    def positions(self) -> list[PositionView]:
        """List what is held."""
