"""What an order would fill at, given a book: pure, and equal to the backtest engine's rules.

- A market order and a triggered stop take the displayed quantity at the book's price; what is left fills
  one tick worse, however much it is.
- A stop that the market moved through within a bar fills at its trigger; one that a gap jumped fills at
  the market.
- A limit order that rested fills at its own price, never better; one that crosses on arrival fills at the
  book's price. Either takes at most what is displayed.
"""

from collections.abc import Iterable

from adapters.paper.book import Book
from adapters.paper.orders import Kind, Order, Side, TimeInForce

type Piece = tuple[int, int]
"""One execution to come: price and quantity in venue units."""


def matches(order: Order, book: Book) -> bool:
    """Tell whether a resting order trades now."""
    if order.kind is Kind.LIMIT:
        return order.price is not None and book.crosses(order.side, order.price)
    return order.trigger_price is not None and book.triggers(order.side, order.trigger_price)


def in_turn(orders: Iterable[Order], side: Side, book: Book) -> list[Order]:
    """List one side's orders that trade now, in the order in which they do.

    Limits come before stops; limits by best price, stops by nearest trigger; first come, first served.
    """
    return sorted((o for o in orders if o.side is side and matches(o, book)), key=_priority)


def market_pieces(order: Order, book: Book, wanted: int, tick: int, unlimited: bool) -> list[Piece]:
    """Find the fills of a market order or of a stop that triggers.

    Args:
        order: The order.
        book: The market now.
        wanted: Quantity to fill, at most what is left of the order.
        tick: Smallest price step, venue units.
        unlimited: Whether the displayed size is no bound.

    Returns:
        Fills in order; none where there is no market or a fill-or-kill order cannot be filled whole.
    """
    price = book.price(order.side)
    size = wanted if unlimited else book.size(order.side)
    if price is None or size <= 0:
        return []
    if order.kind is Kind.STOP_MARKET and not book.at_market and order.trigger_price is not None:
        price = order.trigger_price
    return _limited_by_life(order, price, wanted, size, slip=order.sign * tick)


def limit_pieces(order: Order, book: Book, wanted: int, unlimited: bool) -> list[Piece]:
    """Find the fills of a limit order that trades now; arguments and result as in `market_pieces`."""
    price = book.price(order.side)
    size = wanted if unlimited else book.size(order.side)
    if price is None or order.price is None or size <= 0:
        return []
    return _limited_by_life(order, order.price if order.is_maker else price, wanted, size, slip=0)


def _limited_by_life(order: Order, price: int, wanted: int, size: int, slip: int) -> list[Piece]:
    if order.time_in_force is TimeInForce.FOK and order.leaves > size:
        return []
    pieces = [(price, min(wanted, size))]
    rest = wanted - size
    if rest > 0 and slip and order.time_in_force is not TimeInForce.IOC:
        pieces.append((price + slip, rest))
    return pieces


def _priority(order: Order) -> tuple[bool, int, int]:
    is_stop = order.kind is not Kind.LIMIT
    level = (order.trigger_price if is_stop else order.price) or 0
    # A buy limit's best price is the highest, a buy stop's nearest trigger the lowest; sales mirror both.
    return is_stop, level * (order.sign if is_stop else -order.sign), order.sequence
