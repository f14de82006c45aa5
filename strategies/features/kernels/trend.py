"""Direction and strength of a trend."""

from collections import deque
from math import isnan

from strategies.features.kernel import NAN, Kernel, check_bars
from strategies.features.smoothing import RecursiveAverage, SlidingSum, TrueRange
from strategies.market import BarRow


class Macd(Kernel):
    """Difference of a fast and a slow EMA, its own EMA (signal), and the difference of both (hist).

    TA-Lib's MACD: the fast average is seeded late, with the ``fast`` closes that end where the slow seed
    ends, so that both begin on one bar.
    """

    KIND = "macd"
    __slots__ = ("_fast", "_late", "_signal", "_slow")

    def __init__(self, *, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        self._fast = RecursiveAverage.ema(check_bars("fast", fast))
        self._slow = RecursiveAverage.ema(check_bars("slow", slow, fast + 1))
        self._signal = RecursiveAverage.ema(check_bars("signal", signal))
        self._late = slow - fast
        name = f"{fast}_{slow}_{signal}"
        super().__init__(
            (f"macd_{name}", f"macd_signal_{name}", f"macd_hist_{name}"),
            slow + signal - 1,
            self._slow.settle_values + self._signal.settle_values,
        )

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        close = bar.close
        slow = self._slow.push(close)
        if self._late:
            self._late -= 1
            return
        macd = self._fast.push(close) - slow
        if isnan(macd):
            return
        signal = self._signal.push(macd)
        if isnan(signal):
            return
        row[at] = macd
        row[at + 1] = signal
        row[at + 2] = macd - signal


class DirectionalMovement(Kernel):
    """Wilder's ADX with the directional indicators +DI and -DI, each 0 to 100.

    TA-Lib's ADX, PLUS_DI and MINUS_DI: the Wilder sums start from the first ``period - 1`` changes, and the
    first ADX is the mean of the first ``period`` DX. A market without any movement gives 0.
    """

    KIND = "adx"
    __slots__ = (
        "_adx",
        "_falling",
        "_high",
        "_low",
        "_missing",
        "_period",
        "_range",
        "_rising",
        "_true_range",
    )

    def __init__(self, *, period: int = 14) -> None:
        self._period = check_bars("period", period, 2)
        self._adx = RecursiveAverage.wilder(period)
        self._true_range = TrueRange()
        self._high = self._low = NAN
        self._rising = self._falling = self._range = 0.0
        self._missing = period - 1
        super().__init__(
            (f"adx_{period}", f"plus_di_{period}", f"minus_di_{period}"),
            2 * period,
            2 * self._adx.settle_values,
        )

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        up, down = bar.high - self._high, self._low - bar.low
        self._high, self._low = bar.high, bar.low
        true_range = self._true_range.push(bar.high, bar.low, bar.close)
        if isnan(true_range):
            return
        # While the seed is summed nothing decays.
        keep = 1.0 if self._missing else 1.0 - 1.0 / self._period
        self._rising = self._rising * keep + (up if up > down and up > 0.0 else 0.0)
        self._falling = self._falling * keep + (down if down > up and down > 0.0 else 0.0)
        self._range = self._range * keep + true_range
        if self._missing:
            self._missing -= 1
            return
        self._write(row, at)

    def _write(self, row: list[float], at: int) -> None:
        scale = 100.0 / self._range if self._range > 0.0 else 0.0
        plus, minus = self._rising * scale, self._falling * scale
        total = plus + minus
        adx = self._adx.push(100.0 * abs(plus - minus) / total if total > 0.0 else 0.0)
        if not isnan(adx):
            row[at] = adx
            row[at + 1] = plus
            row[at + 2] = minus


class EfficiencyRatio(Kernel):
    """Kaufman's efficiency ratio: net move over the path walked in ``period`` changes, 0 to 1.

    ``|close_t - close_{t-period}| / Σ |close_i - close_{i-1}|``; 0 where price never moved. TA-Lib: ER.
    """

    KIND = "efficiency_ratio"
    __slots__ = ("_closes", "_period", "_steps")

    def __init__(self, *, period: int = 10) -> None:
        self._period = check_bars("period", period)
        self._closes: deque[float] = deque(maxlen=period + 1)
        self._steps = SlidingSum(period)
        super().__init__((f"efficiency_ratio_{period}",), period + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        closes, close = self._closes, bar.close
        path = self._steps.push(abs(close - closes[-1])) if closes else 0.0
        closes.append(close)
        if len(closes) > self._period:
            row[at] = abs(close - closes[0]) / path if path > 0.0 else 0.0
