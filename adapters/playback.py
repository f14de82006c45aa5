"""Several series of bars in step, a stretch of time after the other, each bar with a quote at its open.

Flow: catalog → **playback** → backtest engine, replay feed.

The quote is what a market order decided at the last close is filled at: the open itself, or the volume-
weighted price of the bars that follow (what an order worked over that time would have paid). It is the
venue's knowledge; no strategy sees it.

Memory holds one stretch, whatever the span. Stretches cut all series at the same instant, so nothing
that one series does can reach another out of order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from nautilus_trader.model import Bar, QuoteTick

from adapters.bars import BarArrays, BarColumns, Floats, open_quotes
from adapters.catalog import Catalog, interval_ns_of
from adapters.instruments import NautilusInstrument

STRETCH_ROWS = 50_000
"""Bars of one series in a stretch, unless said otherwise."""


class Stretch(NamedTuple):
    """All that happens in one stretch of time."""

    end_ns: int
    """Close of the last bar in it, UTC nanoseconds."""
    series: tuple[tuple[list[Bar], list[QuoteTick]], ...]
    """Bars, and the quotes at their opens, one pair per series in the order asked for."""
    is_whole: bool
    """Whether every series has a bar at each close time of the stretch."""


class Playback:
    """Plays series of a catalog in step.

    Args:
        catalog: Where the bars lie.
        bar_types: Series, in the order wanted.
        start_ns: Bars that close after this; None for the first.
        end_ns: Bars that close by this; None for the last.
        vwap_window_ns: Quote the volume-weighted price over this time from the open on; 0 quotes the open.
        quote_delay_ns: From a bar's open to its quote: the time that an order takes to arrive.
        stretch_rows: Bars of one series in a stretch, at the most; fewer take less memory, and more time.

    Raises:
        CatalogError: If a series is missing or damaged, or ends before the span or begins after it.
    """

    def __init__(
        self,
        catalog: Catalog,
        bar_types: Sequence[str],
        start_ns: int | None,
        end_ns: int | None,
        *,
        vwap_window_ns: int = 0,
        quote_delay_ns: int = 1,
        stretch_rows: int = STRETCH_ROWS,
    ) -> None:
        self._catalog = catalog
        self._stretch_rows = stretch_rows
        self._quote_delay_ns = quote_delay_ns
        self._bar_types = tuple(bar_types)
        spans = [catalog.span_within(name, start_ns, end_ns) for name in self._bar_types]
        self.first_ns = min(span.first_ns for span in spans)
        """No bar closes before this, UTC nanoseconds."""
        self.last_ns = max(span.last_ns for span in spans)
        """No bar closes after this, UTC nanoseconds."""
        self._instruments: dict[str, NautilusInstrument] = {
            name: catalog.instrument(instrument_id_of(name)) for name in self._bar_types
        }

        self._fill_prices: dict[str, BarArrays] = {}
        if vwap_window_ns:
            for name in self._bar_types:
                bars = catalog.read_columns(name, start_ns, end_ns).to_arrays()
                self._fill_prices[name] = vwap_from_open(bars, interval_ns_of(name), vwap_window_ns)

    def stretches(self) -> Iterator[Stretch]:
        """Yield the stretches in time order.

        Raises:
            CatalogError: If a file is damaged.
        """
        feeds = [_Feed(self._runs(name)) for name in self._bar_types]
        while True:
            for feed in feeds:
                feed.fill()
            ends = [feed.last_ns for feed in feeds if len(feed)]
            if not ends:
                return
            # A series with more to come bounds the stretch: beyond its last row it is not known yet.
            bounds = [feed.last_ns for feed in feeds if len(feed) and not feed.exhausted]
            end_ns = min(bounds) if bounds else max(ends)
            taken = [feed.take(end_ns) for feed in feeds]
            series = tuple(
                self._convert(name, columns) for name, columns in zip(self._bar_types, taken, strict=True)
            )
            yield Stretch(end_ns, series, _is_whole(taken))

    def _convert(self, name: str, columns: BarColumns | None) -> tuple[list[Bar], list[QuoteTick]]:
        if columns is None or not len(columns):
            return [], []
        priced = columns.to_arrays()
        if name in self._fill_prices:
            fills = self._fill_prices[name]
            rows = np.searchsorted(fills.ts_event, priced.ts_event)
            priced = replace(priced, open=fills.open[rows])
        quotes = open_quotes(
            priced, interval_ns_of(name), self._instruments[name], delay_ns=self._quote_delay_ns
        )
        return columns.to_bars(name), quotes

    def _runs(self, name: str) -> Iterator[BarColumns]:
        for columns in self._catalog.iter_columns(name):
            if columns.ts_event[0] > self.last_ns:
                return
            inside = columns.select((columns.ts_event >= self.first_ns) & (columns.ts_event <= self.last_ns))
            for at in range(0, len(inside), self._stretch_rows):
                yield inside.select(slice(at, at + self._stretch_rows))


def _is_whole(taken: Sequence[BarColumns | None]) -> bool:
    times = [_NO_TIMES if columns is None else columns.ts_event for columns in taken]
    return all(np.array_equal(times[0], other) for other in times[1:])


_NO_TIMES = np.empty(0, np.int64)


class _Feed:
    """One series with what has been read of it and not played yet."""

    def __init__(self, runs: Iterator[BarColumns]) -> None:
        self._runs = runs
        self._buffer: BarColumns | None = None
        self.exhausted = False

    def __len__(self) -> int:
        return 0 if self._buffer is None else len(self._buffer)

    @property
    def last_ns(self) -> int:
        return int(self._buffer.ts_event[-1]) if self._buffer is not None and len(self) else 0

    def fill(self) -> None:
        while not len(self) and not self.exhausted:
            run = next(self._runs, None)
            if run is None:
                self.exhausted = True
            else:
                self._buffer = run

    def take(self, end_ns: int) -> BarColumns | None:
        if self._buffer is None:
            return None
        cut = int(np.searchsorted(self._buffer.ts_event, end_ns, side="right"))
        taken, self._buffer = self._buffer.select(slice(0, cut)), self._buffer.select(slice(cut, None))
        return taken


def vwap_from_open(bars: BarArrays, interval_ns: int, window_ns: int) -> BarArrays:
    """Replace each open by the volume-weighted typical price from that open on.

    The typical price of a bar is (high + low + close) / 3. Where nothing traded the open stands.

    Args:
        bars: Of one series, in time order.
        interval_ns: Length of a bar, nanoseconds.
        window_ns: Length of the window, nanoseconds; bars that open within it count.
    """
    typical = (bars.high + bars.low + bars.close) / 3.0
    value = np.concatenate([[0.0], np.cumsum(typical * bars.volume)])
    volume = np.concatenate([[0.0], np.cumsum(bars.volume)])
    opens_ns = bars.ts_event - interval_ns
    first = np.arange(len(opens_ns))
    last = np.searchsorted(opens_ns, opens_ns + window_ns, side="left")
    traded = volume[last] - volume[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        prices = (value[last] - value[first]) / traded
    low, high = _window_extremes(bars, last)
    # Sums over millions of bars leave a rounding error; a mean lies between its extremes all the same.
    return replace(bars, open=np.where(traded > 0.0, np.clip(prices, low, high), bars.open))


def _window_extremes(bars: BarArrays, last: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    low, high = bars.low.copy(), bars.high.copy()
    for step in range(1, int((last - np.arange(len(last))).max(initial=1))):
        inside = np.flatnonzero(np.arange(len(last)) + step < last)
        low[inside] = np.minimum(low[inside], bars.low[inside + step])
        high[inside] = np.maximum(high[inside], bars.high[inside + step])
    return low, high


def instrument_id_of(bar_type: str) -> str:
    """Instrument of a series, for example ``BTCUSDT.BINANCE``."""
    return bar_type.rsplit("-", 4)[0]
