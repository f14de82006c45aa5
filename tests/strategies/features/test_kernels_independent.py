"""Kernels against pandas and against Nautilus's own indicators."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from nautilus_trader.indicators import (
    DonchianChannel,
    EfficiencyRatio,
    ExponentialMovingAverage,
    SimpleMovingAverage,
    ZScore,
)

from strategies.market import Floats
from tests.strategies.features.panels import closing, columns_of, market, one, values_of

BARS = market(seed=3, length=2_000)
OPEN, HIGH, LOW, CLOSE, VOLUME = columns_of(BARS)
RETURNS = pd.Series(np.log(CLOSE)).diff()
TYPICAL = pd.Series((HIGH + LOW + CLOSE) / 3.0)


def _population_zscore(values: Floats, window: int) -> "pd.Series[float]":
    rolling = pd.Series(values).rolling(window)
    return (pd.Series(values) - rolling.mean()) / rolling.std(ddof=0)


PANDAS: list[tuple[str, dict[str, float], Callable[[], "pd.Series[float]"]]] = [
    ("log_return", {"period": 1}, lambda: RETURNS),
    ("log_return", {"period": 7}, lambda: pd.Series(np.log(CLOSE)).diff(7)),
    ("open_gap", {}, lambda: pd.Series(np.log(OPEN)) - pd.Series(np.log(CLOSE)).shift(1)),
    ("skew", {"window": 60}, lambda: RETURNS.rolling(60).skew()),
    ("kurtosis", {"window": 60}, lambda: RETURNS.rolling(60).kurt()),
    ("volume_zscore", {"window": 20}, lambda: _population_zscore(VOLUME, 20)),
    ("close_zscore", {"window": 35}, lambda: _population_zscore(CLOSE, 35)),
    ("realised_volatility", {"window": 60}, lambda: (RETURNS**2).rolling(60).mean() ** 0.5),
    (
        "ewma_volatility",
        {"halflife": 60},
        lambda: (RETURNS**2).ewm(halflife=60, min_periods=60).mean() ** 0.5,
    ),
    (
        "parkinson_volatility",
        {"window": 30},
        lambda: (pd.Series(np.log(HIGH / LOW)) ** 2 / (4 * np.log(2))).rolling(30).mean() ** 0.5,
    ),
    (
        "rolling_vwap",
        {"window": 30},
        lambda: (TYPICAL * VOLUME).rolling(30).sum() / pd.Series(VOLUME).rolling(30).sum(),
    ),
    ("sma_distance", {"period": 20}, lambda: np.log(CLOSE / pd.Series(CLOSE).rolling(20).mean())),
    (
        "range_position",
        {"window": 10},
        lambda: (
            (CLOSE - pd.Series(LOW).rolling(10).min())
            / (pd.Series(HIGH).rolling(10).max() - pd.Series(LOW).rolling(10).min())
        ),
    ),
]


@pytest.mark.parametrize(("kind", "params", "oracle"), PANDAS, ids=[f"{k}-{p}" for k, p, _ in PANDAS])
def test_kernel_of_a_market_equals_pandas(
    kind: str, params: dict[str, float], oracle: Callable[[], "pd.Series[float]"]
) -> None:
    expected = oracle().to_numpy()

    ours = values_of(one(kind, **params), BARS)[:, 0]

    np.testing.assert_array_equal(np.isnan(ours), np.isnan(expected))
    # pandas updates its sums bar by bar and loses a few digits over 2,000 bars.
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", ["skew", "kurtosis"])
def test_moments_of_a_long_window_do_not_drift(kind: str) -> None:
    window = 1_440
    ours = values_of(one(kind, window=window), BARS)[-1, 0]

    # The last window alone; pandas' running sums would have the bars before it, too.
    last = RETURNS.iloc[-window:]
    assert ours == pytest.approx(last.skew() if kind == "skew" else last.kurt(), rel=1e-10)


@pytest.mark.parametrize("drift", [0.0, 1e-3, -3e-2])
def test_moments_of_a_steady_trend_keep_their_digits(drift: float) -> None:
    rng = np.random.default_rng(8)
    returns = drift + rng.standard_t(4, size=60) * 1e-4
    bars = closing([100.0, *(100.0 * np.exp(np.cumsum(returns))).tolist()])
    exact = pd.Series(np.log(columns_of(bars).close)).diff().dropna()

    skew = values_of(one("skew", window=60), bars)[-1, 0]
    kurtosis = values_of(one("kurtosis", window=60), bars)[-1, 0]

    assert skew == pytest.approx(exact.skew(), rel=1e-7)
    assert kurtosis == pytest.approx(exact.kurt(), rel=1e-5)


def test_sma_of_a_market_equals_nautilus() -> None:
    indicator = SimpleMovingAverage(20)
    ours = values_of(one("sma", period=20), BARS)[:, 0]

    for close, value in zip(CLOSE.tolist(), ours.tolist(), strict=True):
        indicator.update_raw(close)
        if indicator.initialized:
            assert value == pytest.approx(indicator.value, rel=1e-10)


def test_close_zscore_of_a_market_equals_nautilus() -> None:
    indicator = ZScore(20)
    ours = values_of(one("close_zscore", window=20), BARS)[:, 0]

    for close, value in zip(CLOSE.tolist(), ours.tolist(), strict=True):
        indicator.update_raw(close)
        if indicator.initialized:
            assert value == pytest.approx(indicator.value, rel=1e-8, abs=1e-9)


def test_donchian_equals_the_channel_that_nautilus_had_one_bar_before() -> None:
    indicator = DonchianChannel(55)
    ours = values_of(one("donchian", lookback=55), BARS)
    channels = []
    for high, low in zip(HIGH.tolist(), LOW.tolist(), strict=True):
        indicator.update_raw(high, low)
        channels.append((indicator.upper, indicator.lower))

    np.testing.assert_array_equal(ours[55:], np.array(channels)[54:-1])
    assert np.isnan(ours[:55]).all()


def test_efficiency_ratio_of_a_market_equals_nautilus() -> None:
    indicator = EfficiencyRatio(10)
    ours = values_of(one("efficiency_ratio", period=10), BARS)[:, 0]

    for step, (close, value) in enumerate(zip(CLOSE.tolist(), ours.tolist(), strict=True), start=1):
        indicator.update_raw(close)
        if step > 10:
            assert value == pytest.approx(indicator.value, rel=1e-9)


def test_ema_equals_nautilus_once_both_seeds_are_forgotten() -> None:
    indicator = ExponentialMovingAverage(20)
    ours = values_of(one("ema", period=20), BARS)[:, 0]
    for close in CLOSE.tolist():
        indicator.update_raw(close)

    assert ours[-1] == pytest.approx(indicator.value, rel=1e-12)
