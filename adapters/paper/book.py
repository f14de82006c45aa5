"""The market of one instrument as the paper venue sees it: one price level a side.

A quote sets both sides. A bar walks them open → high → low → close, a quarter of its volume at each
point, as the backtest engine does; `Book.path` yields those points.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from adapters.paper.orders import Side


class MarketQuote(NamedTuple):
    """Best bid and ask at one time."""

    ts_event: int
    bid: float
    ask: float
    bid_size: float
    ask_size: float


class MarketBar(NamedTuple):
    """One closed bar."""

    ts_event: int
    """Close time, UTC nanoseconds."""
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class BarUnits:
    """One bar in venue units."""

    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(slots=True)
class Book:
    """Best bid and ask with their sizes, in venue units; None before the first event."""

    bid: int | None = None
    ask: int | None = None
    bid_size: int = 0
    ask_size: int = 0
    last: int | None = None
    """Price of the last bar point; quotes leave it."""
    at_market: bool = True
    """Whether a stop that triggers now fills at the market (a gap) or at its trigger (moved through)."""
    bar_volume: float = 0.0
    """Volume of the last bar, base units, for the cost model."""

    def price(self, side: Side) -> int | None:
        """Price that an order of this side takes."""
        return self.ask if side is Side.BUY else self.bid

    def size(self, side: Side) -> int:
        """Quantity displayed to an order of this side."""
        return self.ask_size if side is Side.BUY else self.bid_size

    def crosses(self, side: Side, limit: int) -> bool:
        """Tell whether a limit order could trade now."""
        if side is Side.BUY:
            return self.ask is not None and self.ask <= limit
        return self.bid is not None and self.bid >= limit

    def triggers(self, side: Side, trigger: int) -> bool:
        """Tell whether a stop is in the market now."""
        if side is Side.BUY:
            return self.ask is not None and self.ask >= trigger
        return self.bid is not None and self.bid <= trigger

    def quote(self, bid: int, ask: int, bid_size: int, ask_size: int) -> None:
        """Set both sides."""
        self.bid, self.ask, self.bid_size, self.ask_size = bid, ask, bid_size, ask_size

    def path(self, bar: BarUnits, lot: int, nearest_first: bool) -> Iterator[None]:
        """Walk through a bar; the book stands at each point while the caller matches against it.

        Args:
            bar: The bar in venue units.
            lot: Smallest quantity step in venue units.
            nearest_first: Visit whichever of high and low is nearer to the open first, instead of the high.
        """
        sizes = _path_sizes(bar.volume, lot)
        if self.last is None or bar.open != self.last:
            self.at_market = True
            yield from self._point(bar.open, sizes[0])
        high_first = not nearest_first or bar.high - bar.open < bar.open - bar.low
        extremes = ((bar.high, sizes[1], 1), (bar.low, sizes[2], -1))
        for price, size, direction in extremes if high_first else reversed(extremes):
            if self.last is not None and (price - self.last) * direction > 0:
                self.at_market = False
                yield from self._point(price, size)
        if bar.close != self.last:
            self.at_market = False
            yield from self._point(bar.close, sizes[3])
        self.at_market = True

    def _point(self, price: int, size: int) -> Iterator[None]:
        if size:
            self.quote(price, price, size, size)
            yield
        self.last = price


def _path_sizes(volume: int, lot: int) -> tuple[int, int, int, int]:
    """Split a bar's volume over open, high, low and close in whole lots."""
    lots = volume // lot
    if lots < 4:
        return ((0, 0, 0, 0), (0, 0, 0, lot), (0, lot, lot, 0), (lot, lot, lot, 0))[lots]
    quarter = lots // 4
    return quarter * lot, quarter * lot, quarter * lot, (lots - 3 * quarter) * lot
