"""Round trips out of fills: what was opened, when it was closed, what it earned and what it cost.

Fills are matched first in, first out, per strategy and instrument. One closing order is one trade, however
many fills and lots it took; adding to a position is not a trade, reducing it is. Whatever is left open is
no trade yet, so gross profits of trades plus the open lots' mark equal what the fills earned.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ml.round_trips import FillBook, RoundTrip
from strategies.tape import FillRecord, OrderRecord


class PositionRow(NamedTuple):
    """A position as one fill left it."""

    ts_event: int
    strategy: str
    instrument_id: str
    quantity: float
    """Signed base units."""
    entry_price: float
    """Average over the open lots, first in first out; NaN when flat."""
    realised_gross: float
    """Quote currency since the start."""
    fees: float
    """Quote currency since the start."""


class Matched(NamedTuple):
    """Everything that the fills of a run amount to."""

    trades: tuple[RoundTrip, ...]
    """In order of exit."""
    positions: tuple[PositionRow, ...]
    """One per fill, in the order of the fills."""
    open_positions: int
    """Books that still held something at the end."""


def _row(book: FillBook, fill: FillRecord) -> PositionRow:
    quantity = sum(lot.quantity for lot in book.lots)
    value = sum(lot.quantity * lot.price for lot in book.lots)
    price = value / quantity if book.lots else float("nan")
    signed = book.sign * quantity if book.lots else 0.0
    return PositionRow(
        fill.ts_event, fill.strategy, fill.instrument_id, signed, price, book.realised, book.fees
    )


def match_fills(fills: Sequence[FillRecord], orders: Iterable[OrderRecord] = ()) -> Matched:
    """Match a run's fills into round trips.

    Args:
        fills: In order of time.
        orders: Where the roles of closing orders are looked up.

    Raises:
        ValueError: If a fill's quantity or price is not positive, or its side is neither BUY nor SELL.
    """
    roles = {order.client_order_id: order.role for order in orders}
    books: dict[tuple[str, str], FillBook] = {}
    positions = []
    for fill in fills:
        _check(fill)
        book = books.setdefault((fill.strategy, fill.instrument_id), FillBook())
        book.apply(fill)
        positions.append(_row(book, fill))
    trades = [
        closing.round_trip(*key, order_id, sign, roles.get(order_id, ""))
        for key, book in books.items()
        for (order_id, sign), closing in book.closings.items()
    ]
    trades.sort(key=lambda t: (t.exit_ts, t.strategy, t.instrument_id, t.exit_order_id))
    return Matched(tuple(trades), tuple(positions), sum(bool(book.lots) for book in books.values()))


def _check(fill: FillRecord) -> None:
    if not (fill.quantity > 0 and fill.price > 0 and fill.side in ("BUY", "SELL")):
        raise ValueError(
            f"fill {fill.trade_id}: expected BUY or SELL of a positive quantity at a positive price, "
            f"found {fill.side} {fill.quantity} at {fill.price}"
        )
