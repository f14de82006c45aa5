"""Kernels against TA-Lib, over a seeded market and over real minutes of BTCUSDT."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
import talib

from strategies.market import BarRow, Floats
from tests.strategies.features.panels import MINUTE_NS, Columns, columns_of, market, one, values_of
from tests.support.data import shared_data

type Oracle = Callable[[Columns], Sequence[Floats]]

ORACLES: list[tuple[str, dict[str, float], Oracle]] = [
    ("rsi", {"period": 14}, lambda m: [talib.RSI(m.close, 14)]),
    ("rsi", {"period": 2}, lambda m: [talib.RSI(m.close, 2)]),
    ("roc", {"period": 10}, lambda m: [talib.ROC(m.close, 10)]),
    ("simple_return", {"period": 3}, lambda m: [talib.ROCP(m.close, 3)]),
    ("macd", {}, lambda m: talib.MACD(m.close, 12, 26, 9)),
    ("macd", {"fast": 3, "slow": 10, "signal": 5}, lambda m: talib.MACD(m.close, 3, 10, 5)),
    (
        "stochastic",
        {"period": 5},
        lambda m: talib.STOCH(m.high, m.low, m.close, fastk_period=5, slowk_period=3, slowd_period=3),
    ),
    (
        "stochastic",
        {"period": 14, "k_smooth": 1, "d_smooth": 3},
        lambda m: talib.STOCHF(m.high, m.low, m.close, fastk_period=14, fastd_period=3),
    ),
    ("atr", {"period": 14}, lambda m: [talib.ATR(m.high, m.low, m.close, 14)]),
    ("natr", {"period": 7}, lambda m: [talib.NATR(m.high, m.low, m.close, 7)]),
    ("sma", {"period": 20}, lambda m: [talib.SMA(m.close, 20)]),
    ("ema", {"period": 20}, lambda m: [talib.EMA(m.close, 20)]),
    ("cci", {"period": 20}, lambda m: [talib.CCI(m.high, m.low, m.close, 20)]),
    ("mfi", {"period": 14}, lambda m: [talib.MFI(m.high, m.low, m.close, m.volume, 14)]),
    (
        "adx",
        {"period": 14},
        lambda m: [f(m.high, m.low, m.close, 14) for f in (talib.ADX, talib.PLUS_DI, talib.MINUS_DI)],
    ),
    ("efficiency_ratio", {"period": 10}, lambda m: [talib.ER(m.close, 10)]),
    ("bollinger", {"period": 20, "width": 2.5}, lambda m: talib.BBANDS(m.close, 20, 2.5, 2.5)[::2]),
    (
        "donchian",
        {"lookback": 20},
        # TA-Lib's channel contains the current bar; ours is that of the bar before.
        lambda m: [_before(talib.MAX(m.high, 20)), _before(talib.MIN(m.low, 20))],
    ),
    (
        "close_zscore",
        {"window": 20},
        lambda m: [(m.close - talib.SMA(m.close, 20)) / talib.STDDEV(m.close, 20)],
    ),
]


@pytest.mark.parametrize(("kind", "params", "oracle"), ORACLES, ids=[f"{k}-{p}" for k, p, _ in ORACLES])
@pytest.mark.parametrize("source", ["seeded", "real"])
def test_kernel_of_any_bars_equals_talib(
    kind: str, params: dict[str, float], oracle: Oracle, source: str
) -> None:
    bars = market(seed=7, length=700) if source == "seeded" else _real_minutes()

    ours = values_of(one(kind, **params), bars)
    theirs = np.column_stack(oracle(columns_of(bars)))

    warm = ~np.isnan(ours).any(axis=1)
    assert warm.sum() > 600
    # TA-Lib subtracts running sums, which costs it digits; ours are exactly rounded.
    np.testing.assert_allclose(ours[warm, : theirs.shape[1]], theirs[warm], rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(np.isnan(theirs[~warm]).any(axis=1), True)


def _before(values: Floats) -> Floats:
    # The first 20 bars have no channel before them.
    shifted = np.full_like(values, np.nan)
    shifted[20:] = values[19:-1]
    return shifted


def _real_minutes() -> list[BarRow]:
    path = shared_data("crypto_1m", "BINANCE_BTCUSDT_1m_20220101_20230630.parquet")
    table = pd.read_parquet(path).iloc[250_000:250_800]
    rows = table[["open", "high", "low", "close", "volume"]].to_numpy(dtype=np.float64).tolist()
    first = 1_672_531_200 * 10**9
    return [BarRow(first + step * MINUTE_NS, *row) for step, row in enumerate(rows, 1)]
