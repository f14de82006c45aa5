"""Several series of bars in step, a stretch of time after the other, each bar with the quote at its open.

Flow: catalog → **playback** → backtest engine, replay feed.

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
"""Bars of one series in a stretch, at the most."""


class Stretch(NamedTuple):
    """All that happens in one stretch of time."""

    end_ns: int
    """Close of the last bar in it, UTC nanoseconds."""
    series: tuple[tuple[list[Bar], list[QuoteTick]], ...]
    """Bars, and the quotes at their opens, one pair per series in the order asked for."""


class Playback:
    """Plays series of a catalog in step.

    Args:
        catalog: Where the bars lie.
        bar_types: Series, in the order wanted.
        start_ns: Bars that close after this; None for the first.
        end_ns: Bars that close by this; None for the last.

    Raises:
        CatalogError: If a series is missing, damaged, or has no bar in the span.
    """

    def __init__(
        self, catalog: Catalog, bar_types: Sequence[str], start_ns: int | None, end_ns: int | None
    ) -> None:
        self._catalog = catalog
        self._bar_types = tuple(bar_types)
        spans = [catalog.span_within(name, start_ns, end_ns) for name in self._bar_types]
        self.first_ns = min(span.first_ns for span in spans)
        """Close of the first bar, UTC nanoseconds."""
        self.last_ns = max(span.last_ns for span in spans)
        """Close of the last bar, UTC nanoseconds."""
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
            series = tuple(
                self._convert(name, feed.take(end_ns)) for name, feed in zip(self._bar_types, feeds, strict=True)
            )
            yield Stretch(end_ns, series)

    def _convert(self, name: str, columns: BarColumns | None) -> tuple[list[Bar], list[QuoteTick]]:
        if columns is None or not len(columns):
            return [], []
        quotes = open_quotes(columns.to_arrays(), interval_ns_of(name), self._instruments[name])
        return columns.to_bars(name), quotes

    def _runs(self, name: str) -> Iterator[BarColumns]:
        for columns in self._catalog.iter_columns(name):
            if columns.ts_event[0] > self.last_ns:
                return
            inside = columns.select((columns.ts_event >= self.first_ns) & (columns.ts_event <= self.last_ns))
            for at in range(0, len(inside), STRETCH_ROWS):
                yield inside.select(slice(at, at + STRETCH_ROWS))


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
