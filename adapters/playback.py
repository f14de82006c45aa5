"""Several series of bars in step, a stretch of time after the other, each bar with a quote at its open.

Flow: catalog → **playback** → backtest engine, replay feed.

The quote is what a market order decided at the last close is filled at. It is the venue's knowledge; no
strategy sees it.

Memory holds one stretch, whatever the span. Stretches cut all series at the same instant, so nothing
that one series does can reach another out of order.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from nautilus_trader.model import Bar, QuoteTick

from adapters.bars import BarColumns, open_quotes
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
        quotes = open_quotes(
            columns.to_arrays(), interval_ns_of(name), self._instruments[name], delay_ns=self._quote_delay_ns
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


def instrument_id_of(bar_type: str) -> str:
    """Instrument of a series, for example ``BTCUSDT.BINANCE``."""
    return bar_type.rsplit("-", 4)[0]
