"""Kernels against numbers that were worked out by hand, and in markets that stand still."""

import math

import numpy as np
import pytest

from strategies.features import FeaturePipeline, fold
from strategies.market import BarRow, Panel
from tests.strategies.features.panels import (
    MINUTE_NS,
    START_NS,
    closing,
    flat,
    market,
    one,
    panels,
    values_of,
)

HOUR_NS = 60 * MINUTE_NS


def test_range_position_of_one_bar_is_internal_bar_strength() -> None:
    bars = [BarRow(START_NS + MINUTE_NS, 10.0, 12.0, 8.0, 11.0, 1.0)]

    assert values_of(one("range_position"), bars).tolist() == [[0.75]]


def test_donchian_breakout_bar_is_not_part_of_its_own_channel() -> None:
    values = values_of(one("donchian", lookback=2), closing([10.0, 11.0, 12.0, 9.0]))

    # Before bar 3: bars 1 and 2 span 10..11; before bar 4: bars 2 and 3 span 10..12.
    assert values[2:].tolist() == [[11.0, 10.0], [12.0, 10.0]]


def test_donchian_age_counts_back_from_the_current_bar() -> None:
    values = values_of(one("donchian_age", lookback=3), closing([10.0, 14.0, 13.0, 12.0, 12.5]))

    # Before bar 4: high 14 in bars 2 and 3 (bar 3 opened at 14), low 10 in bars 1 and 2.
    # Before bar 5: high 14 in bars 2 and 3, low 10 in bar 2 (which opened there).
    assert values[3:].tolist() == [[1.0, 2.0], [2.0, 3.0]]


def test_donchian_age_of_a_market_equals_a_search_of_the_window() -> None:
    bars = market(seed=11, length=300)
    ours = values_of(one("donchian_age", lookback=20), bars)

    for t in range(20, 300):
        window = bars[t - 20 : t][::-1]
        highs, lows = [bar.high for bar in window], [bar.low for bar in window]
        assert ours[t].tolist() == [highs.index(max(highs)) + 1.0, lows.index(min(lows)) + 1.0]


def test_candle_of_a_falling_bar_has_a_negative_body() -> None:
    bars = [BarRow(START_NS + MINUTE_NS, 11.0, 12.0, 8.0, 9.0, 1.0)]

    assert values_of(one("candle"), bars).tolist() == [[-0.5, 0.25, 0.25]]


def test_ohlcv_is_the_bar() -> None:
    bars = market(seed=1, length=3)

    assert values_of(one("ohlcv"), bars).tolist() == [list(bar[1:]) for bar in bars]


def test_rolling_vwap_weighs_typical_price_by_volume() -> None:
    bars = [
        BarRow(START_NS + MINUTE_NS, 10.0, 12.0, 9.0, 12.0, 1.0),
        BarRow(START_NS + 2 * MINUTE_NS, 12.0, 15.0, 12.0, 15.0, 3.0),
    ]

    vwap, distance = values_of(one("rolling_vwap", window=2), bars)[-1].tolist()

    # Typical prices 11 and 14: (11 · 1 + 14 · 3) / 4.
    assert vwap == pytest.approx(13.25)
    assert distance == pytest.approx(math.log(15.0 / 13.25))


def test_rolling_vwap_without_volume_weighs_every_bar_alike() -> None:
    values = values_of(one("rolling_vwap", window=2), closing([9.0, 12.0], [0.0, 0.0]))

    # Typical prices 9 and (12 + 9 + 12) / 3 = 11.
    assert values[-1, 0] == pytest.approx(10.0)


def test_session_vwap_bar_that_closes_at_midnight_belongs_to_the_day_before() -> None:
    day_ns = 24 * HOUR_NS
    prices = {
        START_NS + day_ns - MINUTE_NS: 10.0,
        START_NS + day_ns: 20.0,
        START_NS + day_ns + MINUTE_NS: 50.0,
    }
    bars = [BarRow(ts, price, price, price, price, 2.0) for ts, price in prices.items()]
    pipeline = FeaturePipeline(one("session_vwap", start_utc_hour=0), num_instruments=1)

    values = [pipeline.update(Panel(bar.ts_event, (bar,))).values[0, 0] for bar in bars]

    assert values == [10.0, 15.0, 50.0]


def test_session_vwap_session_begins_at_the_configured_hour() -> None:
    prices = {START_NS + 13 * HOUR_NS: 10.0, START_NS + 14 * HOUR_NS: 20.0, START_NS + 15 * HOUR_NS: 40.0}
    bars = [BarRow(ts, price, price, price, price, 1.0) for ts, price in prices.items()]
    pipeline = FeaturePipeline(one("session_vwap", start_utc_hour=14), num_instruments=1)

    values = [pipeline.update(Panel(bar.ts_event, (bar,))).values[0, 0] for bar in bars]

    assert values == [10.0, 15.0, 40.0]


def test_garman_klass_of_one_bar_is_the_published_formula() -> None:
    bars = [BarRow(START_NS + MINUTE_NS, 100.0, 110.0, 95.0, 105.0, 1.0)]

    value = values_of(one("garman_klass_volatility", window=1), bars)[0, 0]

    # ln(110/95) = 0.14660347, ln(105/100) = 0.04879016: 0.5 · 0.02149258 - 0.38629436 · 0.00238048.
    assert value**2 == pytest.approx(0.00982672, abs=1e-8)


def test_dispersion_is_the_spread_of_returns_across_instruments() -> None:
    streams = [closing([100.0, 110.0]), closing([100.0, 100.0]), closing([100.0, 90.0])]

    values = fold(one("dispersion", window=1), panels(*streams))

    returns = [math.log(1.1), 0.0, math.log(0.9)]
    mean = sum(returns) / 3
    expected = math.sqrt(sum((x - mean) ** 2 for x in returns) / 3)
    assert values[1, :, 0].tolist() == pytest.approx([expected] * 3)
    assert np.isnan(values[0]).all()


def test_breadth_is_the_share_above_the_average() -> None:
    rising, falling, still = closing([1.0, 2.0, 3.0]), closing([3.0, 2.0, 1.0]), closing([2.0, 2.0, 2.0])

    values = fold(one("breadth", window=3), panels(rising, rising, falling, still))

    # Two above, one at (a half), one below, of four.
    assert values[2, :, 0].tolist() == [0.625] * 4


@pytest.mark.parametrize("price", [97.3, 0.1, 1e-8, 48_123.37])
@pytest.mark.parametrize("volume", [0.0, 0.7])
def test_kernels_in_a_market_that_stands_still_are_neutral(price: float, volume: float) -> None:
    bars = flat(49, price, volume)
    neutral: dict[str, dict[str, float]] = {
        "rsi": {"rsi_14": 50.0},
        "stochastic": {"stochastic_k_14_3_3": 50.0, "stochastic_d_14_3_3": 50.0},
        "mfi": {"mfi_14": 50.0},
        "cci": {"cci_20": 0.0},
        "adx": {"adx_14": 0.0, "plus_di_14": 0.0, "minus_di_14": 0.0},
        "efficiency_ratio": {"efficiency_ratio_10": 0.0},
        "close_zscore": {"close_zscore_20": 0.0},
        "volume_zscore": {"volume_zscore_20": 0.0},
        "range_position": {"range_position_1": 0.5},
        "atr": {"atr_14": 0.0},
        "candle": {"candle_body": 0.0, "candle_upper_wick": 0.0, "candle_lower_wick": 0.0},
    }

    for kind, expected in neutral.items():
        assert values_of(one(kind), bars)[-1].tolist() == list(expected.values()), kind
    assert fold(one("breadth", window=49), panels(bars))[-1, 0, 0] == 0.5
    assert fold(one("skew", window=20), panels(bars))[-1, 0, 0] == 0.0
    assert fold(one("kurtosis", window=20), panels(bars))[-1, 0, 0] == 0.0
    assert fold(one("bollinger", period=49), panels(bars))[-1, 0, 2] == 0.5


def test_moments_of_constant_growth_are_zero() -> None:
    bars = closing([100.0 * 1.01**step for step in range(80)])

    assert values_of(one("skew"), bars)[-1, 0] == 0.0
    assert values_of(one("kurtosis"), bars)[-1, 0] == 0.0


def test_rsi_of_an_unbroken_rise_is_100() -> None:
    assert values_of(one("rsi"), closing([float(x) for x in range(1, 40)]))[-1, 0] == 100.0
