"""A market that is made up: seeded, the same to the byte each time, with a truth that is known.

A hidden state, common to all symbols, moves by a Markov chain from minute to minute. In state *z* the log
return of symbol *i* over the minute *t* is

    r_it = STATE_MEANS[z] + STATE_SDS[z] · s(t) · (√ρ · c_t + √(1-ρ) · e_it),     c, e ~ N(0, 1)

with ρ the correlation between symbols and s(t) the course of volatility over the day; the mean of s² over
a day is 1, so STATE_SDS are the standard deviations of one-minute log returns over whole days. The high
and the low of a bar are draws from the extremes of a Brownian bridge between its open and its close.
The parameters below are the truth that a regime model can be given, or be judged by.

Prices of one symbol do not depend on which others are asked for, and a longer market begins with the
shorter one of the same seed.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from adapters.bars import BarColumns, Floats, Ints, as_units
from adapters.catalog import interval_ns_of
from adapters.errors import IngestError
from adapters.ingest.importer import bar_type_of
from adapters.instruments import InstrumentSpec, find_spec

STATE_NAMES = ("calm", "trend", "stress")
"""The states, in the order of all parameters."""
INITIAL_PROBS = (0.56, 0.38, 0.06)
"""Probability of each state in the first minute; close to the chain's stationary distribution."""
TRANSITION_MATRIX = (
    (0.9990, 0.0008, 0.0002),
    (0.0010, 0.9985, 0.0005),
    (0.0030, 0.0020, 0.9950),
)
"""Row-stochastic, one step a minute: states last 1,000, 667 and 200 minutes on average."""
STATE_MEANS = (0.0, 1.0e-5, -6.0e-5)
"""Mean of the one-minute log return."""
STATE_SDS = (2.5e-4, 5.0e-4, 1.2e-3)
"""Standard deviation of the one-minute log return."""
CORRELATION = 0.6
"""Between the returns of any two symbols in one minute."""

_MINUTE_NS = 60_000_000_000
_MINUTES_PER_DAY = 1_440
_BUSIEST_MINUTE = 870  # 14:30 UTC
_VARIANCE_SWING = 0.6
_VOLUME_SWING = 0.5
_VOLUME_NOISE = 0.5
_STATE_VOLUME = (1.0, 1.6, 3.5)
_MEAN_GAP_MINUTES = 15.0


@dataclass(frozen=True, slots=True)
class SyntheticSymbol:
    """How one symbol starts out."""

    price: float
    """Open of the first bar, quote currency."""
    volume_base: float
    """Usual volume of a minute in the calm state, base units."""


SYMBOLS: Mapping[str, SyntheticSymbol] = {
    "ALPHAUSDT": SyntheticSymbol(price=40_000.0, volume_base=20.0),
    "BETAUSDT": SyntheticSymbol(price=2_500.0, volume_base=250.0),
    "GAMMAUSDT": SyntheticSymbol(price=150.0, volume_base=3_000.0),
    "DELTAUSDT": SyntheticSymbol(price=1.5, volume_base=250_000.0),
}
"""The symbols that can be asked for."""


@dataclass(frozen=True, slots=True)
class SyntheticConfig:
    """Which market to make."""

    seed: int = 7
    symbols: tuple[str, ...] = ("ALPHAUSDT", "BETAUSDT")
    venue: str = "DEMO"
    start: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    """Open of the first bar; a whole day."""
    days: int = 30
    interval: str = "1-MINUTE"
    """Longer bars are put together from minutes."""
    gaps_per_day: float = 0.0
    """Outages of the venue, on average; each lasts 15 minutes on average."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.symbols if name not in SYMBOLS]
        if unknown or not self.symbols or len(set(self.symbols)) != len(self.symbols):
            known = ", ".join(SYMBOLS)
            raise IngestError(f"symbols: expected some of {known}, each once, found {self.symbols}")
        if not 1 <= self.days <= 36_500:
            raise IngestError(f"days: expected 1 to 36500, found {self.days}")
        if self.start.utcoffset() is None or self.start.timestamp() % 86_400:
            raise IngestError(f"start: expected midnight UTC of a day, found {self.start}")
        if self.seed < 0:
            raise IngestError(f"seed: expected 0 or more, found {self.seed}")
        if not 0.0 <= self.gaps_per_day <= 100.0:
            raise IngestError(f"gaps_per_day: expected 0 to 100, found {self.gaps_per_day}")


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """A market and its truth."""

    states: npt.NDArray[np.int8]
    """State of every minute, shape (days · 1440,), gaps included."""
    bars: Mapping[str, BarColumns]
    """Bars by bar type, in the order of the symbols."""
    specs: Mapping[str, InstrumentSpec]
    """Trading rules by bar type."""


def generate_market(config: SyntheticConfig) -> SyntheticMarket:
    """Make the market of a seed.

    Raises:
        IngestError: If the interval is not made of whole minutes that divide a day.
    """
    minutes = config.days * _MINUTES_PER_DAY
    states = _states(config.seed, minutes)
    common = _stream(config.seed, "common").standard_normal(minutes)
    present = _present(config, minutes)
    bars: dict[str, BarColumns] = {}
    specs: dict[str, InstrumentSpec] = {}
    for symbol in config.symbols:
        spec = find_spec(f"{symbol}.{config.venue}")
        bar_type = bar_type_of(spec.instrument_id, config.interval)
        minute_bars = _minute_bars(config, symbol, spec, states, common).select(present)
        bars[bar_type] = _aggregate(minute_bars, interval_ns_of(bar_type))
        specs[bar_type] = spec
    return SyntheticMarket(states, bars, specs)


def _minute_bars(
    config: SyntheticConfig, symbol: str, spec: InstrumentSpec, states: npt.NDArray[np.int8], common: Floats
) -> BarColumns:
    minutes = len(states)
    own = _stream(config.seed, f"{symbol} returns").standard_normal(minutes)
    minute_of_day = np.arange(minutes) % _MINUTES_PER_DAY
    course = np.cos(2.0 * np.pi * (minute_of_day - _BUSIEST_MINUTE) / _MINUTES_PER_DAY)
    sds = np.array(STATE_SDS)[states] * np.sqrt(1.0 + _VARIANCE_SWING * course)
    noise = np.sqrt(CORRELATION) * common + np.sqrt(1.0 - CORRELATION) * own
    returns = np.array(STATE_MEANS)[states] + sds * noise
    log_close = np.log(SYMBOLS[symbol].price) + np.cumsum(returns)
    log_open = log_close - returns
    # Maximum of a Brownian bridge from 0 to r: (r + sqrt(r² - 2 sd² ln U)) / 2; the minimum mirrors it.
    draws = _stream(config.seed, f"{symbol} extremes").random((minutes, 2))
    reach = np.sqrt(returns[:, None] ** 2 - 2.0 * sds[:, None] ** 2 * np.log1p(-draws))
    opened, high, low, close = (
        _ticks(log_price, spec)
        for log_price in (
            log_open,
            log_open + (returns + reach[:, 0]) / 2.0,
            log_open + (returns - reach[:, 1]) / 2.0,
            log_close,
        )
    )
    return BarColumns(
        int(config.start.timestamp()) * 1_000_000_000 + (np.arange(minutes, dtype=np.int64) + 1) * _MINUTE_NS,
        opened,
        # Rounding keeps the order of prices, but for a neighbour where two of them meet.
        np.maximum(high, np.maximum(opened, close)),
        np.minimum(low, np.minimum(opened, close)),
        close,
        _volume(config.seed, symbol, spec, states, course),
        spec.price_precision,
        spec.size_precision,
    )


def _volume(
    seed: int, symbol: str, spec: InstrumentSpec, states: npt.NDArray[np.int8], course: Floats
) -> Ints:
    noise = _stream(seed, f"{symbol} volume").standard_normal(len(states))
    usual = SYMBOLS[symbol].volume_base * np.array(_STATE_VOLUME)[states] * (1.0 + _VOLUME_SWING * course)
    return np.maximum(as_units(usual * np.exp(_VOLUME_NOISE * noise), spec.size_precision), 1)


def _ticks(log_price: Floats, spec: InstrumentSpec) -> Ints:
    return np.maximum(as_units(np.exp(log_price), spec.price_precision), 1)


def _states(seed: int, minutes: int) -> npt.NDArray[np.int8]:
    draws = _stream(seed, "states").random(minutes).tolist()
    rows = [list(accumulate(row))[:-1] for row in TRANSITION_MATRIX]
    state = bisect_right(list(accumulate(INITIAL_PROBS))[:-1], draws[0])
    path = np.empty(minutes, dtype=np.int8)
    path[0] = state
    for at in range(1, minutes):
        state = bisect_right(rows[state], draws[at])
        path[at] = state
    return path


def _present(config: SyntheticConfig, minutes: int) -> npt.NDArray[np.bool_]:
    present = np.ones(minutes, dtype=np.bool_)
    if config.gaps_per_day:
        stream = _stream(config.seed, "gaps")
        starts = stream.random(minutes) < config.gaps_per_day / _MINUTES_PER_DAY
        lengths = stream.geometric(1.0 / _MEAN_GAP_MINUTES, int(starts.sum()))
        for start, length in zip(np.flatnonzero(starts), lengths, strict=True):
            present[start : start + length] = False
        present[[0, -1]] = True  # the span stays what was asked for
    return present


def _aggregate(bars: BarColumns, interval_ns: int) -> BarColumns:
    if interval_ns == _MINUTE_NS:
        return bars
    if interval_ns % _MINUTE_NS or (_MINUTES_PER_DAY * _MINUTE_NS) % interval_ns:
        raise IngestError("interval: expected whole minutes that divide a day, for example 5-MINUTE")
    # Stamped at its close, a minute that ends a bar belongs to it.
    closes = -(-bars.ts_event // interval_ns) * interval_ns
    stamps, first = np.unique(closes, return_index=True)
    last = np.append(first[1:], len(closes)) - 1
    return BarColumns(
        stamps,
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        np.add.reduceat(bars.volume, first),
        bars.price_precision,
        bars.size_precision,
    )


def _stream(seed: int, purpose: str) -> np.random.Generator:
    # A generator for each purpose, so that none of them shifts the draws of another.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *purpose.encode()])))
