"""Bars for the feature tests: a seeded market, and any market that hypothesis can think of."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from strategies.config import FeatureConfig, FeaturesConfig
from strategies.features import fold
from strategies.market import BarRow, Floats, Panel

MINUTE_NS = 60 * 10**9
START_NS = 1_672_531_200 * 10**9
"""2023-01-01 00:00 UTC."""

SMALL: dict[str, dict[str, int | float | str]] = {
    "adx": {"period": 3},
    "atr": {"period": 3},
    "bollinger": {"period": 4, "width": 1.5},
    "breadth": {"window": 3},
    "candle": {},
    "cci": {"period": 4},
    "close_zscore": {"window": 4},
    "dispersion": {"window": 2},
    "donchian": {"lookback": 3},
    "donchian_age": {"lookback": 4},
    "efficiency_ratio": {"period": 3},
    "ema": {"period": 3},
    "ema_distance": {"period": 3},
    "ewma_volatility": {"halflife": 3},
    "garman_klass_volatility": {"window": 3},
    "kurtosis": {"window": 5},
    "log_return": {"period": 2},
    "macd": {"fast": 2, "slow": 4, "signal": 3},
    "mfi": {"period": 3},
    "natr": {"period": 2},
    "ohlcv": {},
    "open_gap": {},
    "parkinson_volatility": {"window": 3},
    "range_position": {"window": 2},
    "realised_volatility": {"window": 3},
    "roc": {"period": 2},
    "rolling_vwap": {"window": 3},
    "rsi": {"period": 3},
    "session_vwap": {"start_utc_hour": 1},
    "simple_return": {"period": 2},
    "skew": {"window": 4},
    "sma": {"period": 3},
    "sma_distance": {"period": 4},
    "stochastic": {"period": 3, "k_smooth": 2, "d_smooth": 2},
    "volume_zscore": {"window": 3},
}
"""Every kernel with windows short enough for hypothesis."""

RECURSIVE = ("adx", "atr", "ema", "ema_distance", "ewma_volatility", "macd", "natr", "rsi", "session_vwap")
"""Kernels that remember more than a window."""


def manifest(kinds: Sequence[str], lookback: int = 8) -> FeaturesConfig:
    """Kernels with the parameters of `SMALL`."""
    return FeaturesConfig(
        lookback=lookback, columns=tuple(FeatureConfig(kind=kind, params=SMALL[kind]) for kind in kinds)
    )


def one(kind: str, **params: float | str) -> FeaturesConfig:
    """One kernel."""
    return FeaturesConfig(columns=(FeatureConfig(kind=kind, params=params),))


def market(seed: int, length: int, start: float = 100.0) -> list[BarRow]:
    """A random walk on a tick of 0.01, with gaps between bars, bars without range and without volume."""
    rng = random.Random(seed)
    bars, close = [], start
    for step in range(1, length + 1):
        open_ = _tick(close * (1.0 + rng.gauss(0.0, 0.0005)))
        close = _tick(open_ * (1.0 + rng.gauss(0.0, 0.004)) if rng.random() > 0.05 else open_)
        high = _tick(max(open_, close) * (1.0 + abs(rng.gauss(0.0, 0.002)) * (rng.random() > 0.1)))
        low = _tick(min(open_, close) * (1.0 - abs(rng.gauss(0.0, 0.002)) * (rng.random() > 0.1)))
        volume = round(rng.expovariate(0.01), 3) if rng.random() > 0.05 else 0.0
        bars.append(BarRow(START_NS + step * MINUTE_NS, open_, max(high, open_, close), low, close, volume))
    return bars


def flat(length: int, price: float = 97.3, volume: float = 0.0) -> list[BarRow]:
    """A market that stands still."""
    return [
        BarRow(START_NS + step * MINUTE_NS, price, price, price, price, volume)
        for step in range(1, length + 1)
    ]


def closing(closes: Sequence[float], volumes: Sequence[float] | None = None) -> list[BarRow]:
    """Bars that open where the one before closed and have no wicks."""
    opens = [closes[0], *closes[:-1]]
    return [
        BarRow(START_NS + step * MINUTE_NS, a, max(a, b), min(a, b), b, volume)
        for step, (a, b, volume) in enumerate(
            zip(opens, closes, volumes or [1.0] * len(closes), strict=True), start=1
        )
    ]


def panels(*streams: Sequence[BarRow | None]) -> list[Panel]:
    """Panels of streams of one length; where no stream has a bar, the minute passes all the same."""
    return [
        Panel(START_NS + step * MINUTE_NS, bars) for step, bars in enumerate(zip(*streams, strict=True), 1)
    ]


def values_of(config: FeaturesConfig, bars: Sequence[BarRow]) -> Floats:
    """Features of one instrument, shape (T, F)."""
    return fold(config, [Panel(bar.ts_event, (bar,)) for bar in bars])[:, 0]


class Columns(NamedTuple):
    """A market as arrays of shape (T,), as the libraries want it."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def columns_of(bars: Sequence[BarRow]) -> Columns:
    """Turn bars into columns."""
    return Columns(*np.array([bar[1:] for bar in bars], dtype=np.float64).T.copy())


def bar_streams(length: st.SearchStrategy[int]) -> st.SearchStrategy[list[Panel]]:
    """Panels of two instruments, some bars missing, prices from calm to absurd."""
    return length.flatmap(lambda n: st.lists(st.tuples(_bars(), _bars()), min_size=n, max_size=n)).map(
        lambda rows: [
            Panel(ts, tuple(None if bar is None else bar._replace(ts_event=ts) for bar in row))
            for ts, row in ((START_NS + step * MINUTE_NS, row) for step, row in enumerate(rows, 1))
        ]
    )


def _bars() -> st.SearchStrategy[BarRow | None]:
    calm = st.integers(9_990, 10_010).map(lambda ticks: ticks / 100.0)
    wild = st.floats(1e-12, 1e15, allow_nan=False)
    volumes = st.one_of(st.just(0.0), st.floats(0.0, 1e20), st.integers(0, 50).map(float))
    prices = st.one_of(
        st.tuples(calm, calm, calm, calm), st.tuples(wild, wild, wild, wild), calm.map(lambda p: (p,) * 4)
    )
    bars = st.builds(_assemble, prices, volumes)
    return st.one_of(bars, bars, bars, st.none())


def _assemble(prices: tuple[float, ...], volume: float) -> BarRow:
    return BarRow(0, prices[0], max(prices), min(prices), prices[1], volume)


def _tick(price: float) -> float:
    return round(price, 2)
