"""Bands and channels around the price."""

from strategies.features.kernel import Kernel, check_bars, label
from strategies.features.smoothing import SlidingMaximum, SlidingMoments
from strategies.market import BarRow

_STILL = 1e-12
"""Relative width of a band that is rounding."""


class Bollinger(Kernel):
    """Mean of the last ``period`` closes plus and minus ``width`` population standard deviations.

    Columns: upper and lower band (TA-Lib's BBANDS), ``percent_b = (close - lower) / (upper - lower)``, and
    ``bandwidth = (upper - lower) / mean``. Where price stood still, ``percent_b`` is one half.
    """

    KIND = "bollinger"
    __slots__ = ("_closes", "_missing", "_width")

    def __init__(self, *, period: int = 20, width: float = 2.0) -> None:
        self._missing = check_bars("period", period, 2)
        if not 0.0 < width <= 100.0:
            raise ValueError(f"width = {width}: expected a number above 0, at most 100")
        self._width = width
        self._closes = SlidingMoments(period)
        name = f"{period}_{label(width)}"
        fields = ("upper", "lower", "percent_b", "bandwidth")
        super().__init__(tuple(f"bollinger_{field}_{name}" for field in fields), period)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        mean, deviation = self._closes.push(bar.close)
        if self._missing > 1:
            self._missing -= 1
            return
        half = self._width * deviation
        row[at] = mean + half
        row[at + 1] = mean - half
        row[at + 2] = 0.5 + 0.5 * (bar.close - mean) / half if half > _STILL * mean else 0.5
        row[at + 3] = 2.0 * half / mean


class Donchian(Kernel):
    """Highest high and lowest low of the ``lookback`` bars *before* the current one.

    The current bar is not part of its own channel, so ``close > upper`` is a breakout. TA-Lib's and
    Nautilus's channels include it; theirs of the bar before is this one.
    """

    KIND = "donchian"
    __slots__ = ("_highs", "_lows", "_missing")

    def __init__(self, *, lookback: int = 55) -> None:
        self._highs = SlidingMaximum(check_bars("lookback", lookback))
        self._lows = SlidingMaximum(lookback)
        self._missing = lookback
        super().__init__((f"donchian_upper_{lookback}", f"donchian_lower_{lookback}"), lookback + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        if self._missing:
            self._missing -= 1
        else:
            row[at] = self._highs.value
            row[at + 1] = -self._lows.value
        self._highs.push(bar.high)
        self._lows.push(-bar.low)


class DonchianAge(Kernel):
    """Age in bars of the extremes of the Donchian channel; 1 is the bar before the current one.

    Of equal extremes the youngest counts.
    """

    KIND = "donchian_age"
    __slots__ = ("_highs", "_lows", "_missing")

    def __init__(self, *, lookback: int = 20) -> None:
        self._highs = SlidingMaximum(check_bars("lookback", lookback))
        self._lows = SlidingMaximum(lookback)
        self._missing = lookback
        columns = (f"donchian_upper_age_{lookback}", f"donchian_lower_age_{lookback}")
        super().__init__(columns, lookback + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        if self._missing:
            self._missing -= 1
        else:
            row[at] = self._highs.age + 1.0
            row[at + 1] = self._lows.age + 1.0
        self._highs.push(bar.high)
        self._lows.push(-bar.low)
