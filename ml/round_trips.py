"""One book's fills matched first in, first out: what is open, and what each closing order closed.

Pure arithmetic on fills as they come, so that a backtest's report and a daemon's index agree to the bit.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from strategies.tape import FillRecord

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


@dataclass(slots=True)
class Lot:
    """What one fill opened, as far as it is still open."""

    quantity: float
    """Base units left."""
    price: float
    ts_event: int
    fee_per_unit: float
    opened: float
    """Base units at first."""


@dataclass(slots=True)
class Closing:
    """What one closing order has closed so far."""

    quantity: float = 0.0
    entry_value: float = 0.0
    exit_value: float = 0.0
    fees: float = 0.0
    unit_seconds: float = 0.0
    entry_ts: int = 0
    exit_ts: int = 0

    def take(self, quantity: float, lot: Lot, fill: FillRecord) -> None:
        """Count a part of a lot that a fill closed."""
        self.entry_ts = min(self.entry_ts, lot.ts_event) if self.quantity else lot.ts_event
        self.exit_ts = fill.ts_event
        self.quantity += quantity
        self.entry_value += quantity * lot.price
        self.exit_value += quantity * fill.price
        self.fees += quantity * (lot.fee_per_unit + fill.fee / fill.quantity)
        self.unit_seconds += quantity * (fill.ts_event - lot.ts_event) / 1e9

    def round_trip(self, strategy: str, instrument_id: str, order_id: str, sign: int, role: str) -> RoundTrip:
        """What it amounts to.

        Args:
            sign: 1 for what was long, -1 for what was short.
            role: Of the closing order.
        """
        gross = sign * (self.exit_value - self.entry_value)
        net = gross - self.fees
        return RoundTrip(
            strategy=strategy,
            instrument_id=instrument_id,
            side="LONG" if sign > 0 else "SHORT",
            quantity=self.quantity,
            entry_ts=self.entry_ts,
            exit_ts=self.exit_ts,
            entry_price=self.entry_value / self.quantity,
            exit_price=self.exit_value / self.quantity,
            gross_pnl=gross,
            fees=self.fees,
            net_pnl=net,
            return_bps=1e4 * net / self.entry_value,
            hold_secs=self.unit_seconds / self.quantity,
            exit_role=role,
            exit_order_id=order_id,
        )


@dataclass(slots=True)
class FillBook:
    """The open lots of one strategy in one instrument, oldest first."""

    lots: deque[Lot] = field(default_factory=deque)
    sign: int = 0
    """1 long, -1 short; what it was last, where nothing is open."""
    closings: dict[tuple[str, int], Closing] = field(default_factory=dict)
    """By closing order, and by the sign of what it closed."""
    realised: float = 0.0
    fees: float = 0.0

    def apply(self, fill: FillRecord) -> None:
        """Take one fill; its quantity and price must be positive, its side BUY or SELL."""
        sign = 1 if fill.side == "BUY" else -1
        self.fees += fill.fee
        left = fill.quantity
        if self.lots and self.sign != sign:
            left = self._close(fill)
        if left > DUST * fill.quantity:
            self.sign = sign
            self.lots.append(Lot(left, fill.price, fill.ts_event, fill.fee / fill.quantity, left))

    def _close(self, fill: FillRecord) -> float:
        closing = self.closings.setdefault((fill.client_order_id, self.sign), Closing())
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
