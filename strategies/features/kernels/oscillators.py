"""Oscillators from 0 to 100, and the commodity channel index."""

from collections import deque
from math import fsum, isnan

from strategies.features.kernel import NAN, Kernel, check_bars
from strategies.features.smoothing import RecursiveAverage, SlidingMaximum, SlidingSum
from strategies.market import BarRow

NEUTRAL = 50.0
"""Value of an oscillator where nothing moved. TA-Lib says 0, which would read as oversold."""

_STILL = 1e-12
"""Relative difference of two prices that is rounding."""


class Rsi(Kernel):
    """Relative strength index with Wilder's averages: ``100 · gain / (gain + loss)``.

    TA-Lib's RSI, seeded with the simple average of the first ``period`` changes; 50 where price never moved.
    """

    KIND = "rsi"
    __slots__ = ("_close", "_gain", "_loss")

    def __init__(self, *, period: int = 14) -> None:
        self._gain = RecursiveAverage.wilder(check_bars("period", period, 2))
        self._loss = RecursiveAverage.wilder(period)
        self._close = NAN
        super().__init__((f"rsi_{period}",), period + 1, self._gain.settle_values + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        close = bar.close
        change = close - self._close
        self._close = close
        if isnan(change):
            return
        gain = self._gain.push(change if change > 0.0 else 0.0)  # noqa: FURB136 - faster than max()
        loss = self._loss.push(-change if change < 0.0 else 0.0)
        total = gain + loss
        row[at] = 100.0 * (gain / total) if total != 0.0 else NEUTRAL


class Stochastic(Kernel):
    """Slow stochastics: where the close stands in the range of the last ``period`` bars, smoothed twice.

    ``k`` is the mean of the last ``k_smooth`` raw values, ``d`` of the last ``d_smooth`` ``k``. TA-Lib's
    STOCH with simple averages; a bar without any range counts as 50. ``k_smooth = 1`` gives STOCHF.
    """

    KIND = "stochastic"
    __slots__ = ("_d", "_highs", "_k", "_lows", "_missing")

    def __init__(self, *, period: int = 14, k_smooth: int = 3, d_smooth: int = 3) -> None:
        self._highs = SlidingMaximum(check_bars("period", period))
        self._lows = SlidingMaximum(period)
        self._k: deque[float] = deque(maxlen=check_bars("k_smooth", k_smooth))
        self._d: deque[float] = deque(maxlen=check_bars("d_smooth", d_smooth))
        name = f"{period}_{k_smooth}_{d_smooth}"
        warmup_bars = period + k_smooth + d_smooth - 2
        self._missing = warmup_bars
        super().__init__((f"stochastic_k_{name}", f"stochastic_d_{name}"), warmup_bars)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        high = self._highs.push(bar.high)
        low = -self._lows.push(-bar.low)
        self._k.append(100.0 * ((bar.close - low) / (high - low)) if high > low else NEUTRAL)
        k = fsum(self._k) / len(self._k)
        self._d.append(k)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = k
        row[at + 1] = fsum(self._d) / len(self._d)


class CommodityChannel(Kernel):
    """``(typical - mean) / (0.015 · mean absolute deviation)`` over ``period`` bars. TA-Lib: CCI."""

    KIND = "cci"
    __slots__ = ("_period", "_typical")

    def __init__(self, *, period: int = 20) -> None:
        self._period = check_bars("period", period, 2)
        self._typical: deque[float] = deque(maxlen=period)
        super().__init__((f"cci_{period}",), period)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        window = self._typical
        typical = (bar.high + bar.low + bar.close) / 3.0
        window.append(typical)
        if len(window) < self._period:
            return
        mean = fsum(window) / self._period
        deviation = fsum([abs(x - mean) for x in window]) / self._period
        row[at] = (typical - mean) / (0.015 * deviation) if deviation > _STILL * mean else 0.0


class MoneyFlow(Kernel):
    """Money flow index: RSI's question asked of price times volume over ``period`` changes.

    A typical price that changes by rounding alone has not changed. TA-Lib's MFI, except that no flow at all
    is 50; TA-Lib says 0 for any total below one.
    """

    KIND = "mfi"
    __slots__ = ("_falling", "_missing", "_rising", "_typical")

    def __init__(self, *, period: int = 14) -> None:
        self._missing = check_bars("period", period, 2)
        self._typical = NAN
        self._rising, self._falling = SlidingSum(period), SlidingSum(period)
        super().__init__((f"mfi_{period}",), period + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        typical = (bar.high + bar.low + bar.close) / 3.0
        previous = self._typical
        self._typical = typical
        if isnan(previous):
            return
        flow, change = typical * bar.volume, typical - previous
        tie = _STILL * typical
        rising = self._rising.push(flow if change > tie else 0.0)
        total = rising + self._falling.push(flow if change < -tie else 0.0)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = 100.0 * (rising / total) if total > 0.0 else NEUTRAL
