"""Round trips out of fills: what was opened, when it was closed, what it earned and what it cost.

Fills are matched first in, first out, per strategy and instrument. One closing order is one trade, however
many fills and lots it took; adding to a position is not a trade, reducing it is. Whatever is left open is
no trade yet, so gross profits of trades plus the open lots' mark equal what the fills earned.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from strategies.tape import FillRecord, OrderRecord

DUST = 1e-9
"""Share of a quantity that is rounding of floats rather than a position."""


class RoundTrip(NamedTuple):
    """A position, or part of one, opened and closed again."""

    strategy: str
    instrument_id: str
    side: str
    """LONG or SHORT."""
    quantity: float
    """Base units, positive."""
    entry_ts: int
    """First fill of what was closed, UTC nanoseconds."""
    exit_ts: int
    """Last fill of the closing order, UTC nanoseconds."""
    entry_price: float
    """Average over the lots that were closed."""
    exit_price: float
    gross_pnl: float
    """Quote currency, before costs."""
    fees: float
    """Quote currency: the exit's costs and the entry's share of its own."""
    net_pnl: float
    return_bps: float
    """Net profit over the value at entry."""
    hold_secs: float
    """Average over the lots, by quantity."""
    exit_role: str
    """Role of the closing order: CLOSE, REDUCE, STOP, TARGET; empty where the order is not known."""
    exit_order_id: str


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


@dataclass(slots=True)
class _Lot:
    quantity: float
    price: float
    ts_event: int
    fee_per_unit: float
    opened: float


@dataclass(slots=True)
class _Closing:
    """What one closing order has closed so far."""

    quantity: float = 0.0
    entry_value: float = 0.0
    exit_value: float = 0.0
    fees: float = 0.0
    unit_seconds: float = 0.0
    entry_ts: int = 0
    exit_ts: int = 0

    def take(self, quantity: float, lot: _Lot, fill: FillRecord) -> None:
        self.entry_ts = min(self.entry_ts, lot.ts_event) if self.quantity else lot.ts_event
        self.exit_ts = fill.ts_event
        self.quantity += quantity
        self.entry_value += quantity * lot.price
        self.exit_value += quantity * fill.price
        self.fees += quantity * (lot.fee_per_unit + fill.fee / fill.quantity)
        self.unit_seconds += quantity * (fill.ts_event - lot.ts_event) / 1e9


@dataclass(slots=True)
class _Book:
    lots: deque[_Lot] = field(default_factory=deque)
    sign: int = 0
    closings: dict[tuple[str, int], _Closing] = field(default_factory=dict)
    realised: float = 0.0
    fees: float = 0.0

    def apply(self, fill: FillRecord) -> None:
        sign = 1 if fill.side == "BUY" else -1
        self.fees += fill.fee
        left = fill.quantity
        if self.lots and self.sign != sign:
            left = self._close(fill)
        if left > DUST * fill.quantity:
            self.sign = sign
            self.lots.append(_Lot(left, fill.price, fill.ts_event, fill.fee / fill.quantity, left))

    def _close(self, fill: FillRecord) -> float:
        closing = self.closings.setdefault((fill.client_order_id, self.sign), _Closing())
        left = fill.quantity
        while self.lots and left > DUST * fill.quantity:
            lot = self.lots[0]
            quantity = min(left, lot.quantity)
            closing.take(quantity, lot, fill)
            self.realised += self.sign * quantity * (fill.price - lot.price)
            lot.quantity -= quantity
            left -= quantity
            if lot.quantity <= DUST * lot.opened:
                self.lots.popleft()
        return left

    def row(self, fill: FillRecord) -> PositionRow:
        quantity = sum(lot.quantity for lot in self.lots)
        value = sum(lot.quantity * lot.price for lot in self.lots)
        price = value / quantity if self.lots else float("nan")
        signed = self.sign * quantity if self.lots else 0.0
        return PositionRow(
            fill.ts_event, fill.strategy, fill.instrument_id, signed, price, self.realised, self.fees
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
    books: dict[tuple[str, str], _Book] = {}
    positions = []
    for fill in fills:
        _check(fill)
        book = books.setdefault((fill.strategy, fill.instrument_id), _Book())
        book.apply(fill)
        positions.append(book.row(fill))
    trades = [
        _round_trip(key, order_id, sign, closing, roles)
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


def _round_trip(
    key: tuple[str, str], order_id: str, sign: int, closing: _Closing, roles: Mapping[str, str]
) -> RoundTrip:
    gross = sign * (closing.exit_value - closing.entry_value)
    net = gross - closing.fees
    return RoundTrip(
        strategy=key[0],
        instrument_id=key[1],
        side="LONG" if sign > 0 else "SHORT",
        quantity=closing.quantity,
        entry_ts=closing.entry_ts,
        exit_ts=closing.exit_ts,
        entry_price=closing.entry_value / closing.quantity,
        exit_price=closing.exit_value / closing.quantity,
        gross_pnl=gross,
        fees=closing.fees,
        net_pnl=net,
        return_bps=1e4 * net / closing.entry_value,
        hold_secs=closing.unit_seconds / closing.quantity,
        exit_role=roles.get(order_id, ""),
        exit_order_id=order_id,
    )
