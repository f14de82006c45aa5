"""Shape of the distribution of log returns over a window."""

from math import isnan, log, sqrt

from strategies.features.kernel import NAN, Kernel, check_bars
from strategies.features.smoothing import SlidingSum
from strategies.market import BarRow

_UNITS = 2.0**20
"""Returns are counted in millionths, so that their fourth powers keep their digits in a sum; neither figure
depends on the unit."""

_STILL = 1e-6
"""Variance over mean square below which returns count as all equal.

Central sums are taken from sums of powers, and lose digits where the mean return dwarfs its deviation; this
is where too few would be left.
"""


class Skew(Kernel):
    """Sample skewness of the last ``window`` one-bar log returns, bias-corrected.

    ``G1 = sqrt(n (n-1)) / (n-2) · m3 / m2^1.5``, as in pandas, Excel and ``scipy.stats.skew(bias=False)``.
    0 where all returns are equal to a thousandth.
    """

    KIND = "skew"
    __slots__ = ("_powers", "_scale", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = n = check_bars("window", window, 3)
        # Central sums instead of means: the powers of n that differ are gathered here.
        self._scale = n * sqrt(n - 1.0) / (n - 2.0)
        self._powers = _Powers(window, 3)
        super().__init__((f"skew_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        sums = self._powers.push(bar.close)
        if sums is None:
            return
        first_power, second_power, third_power = sums
        mean = first_power / self._window
        second = second_power - mean * first_power
        if second <= _STILL * second_power:
            row[at] = 0.0
            return
        third = third_power - 3.0 * mean * second_power + 2.0 * mean * mean * first_power
        row[at] = self._scale * third / (second * sqrt(second))


class Kurtosis(Kernel):
    """Excess kurtosis of the last ``window`` one-bar log returns, bias-corrected.

    ``G2``, as in pandas, Excel and ``scipy.stats.kurtosis(bias=False)``: 0 for a normal
    distribution, and where all returns are equal to a thousandth.
    """

    KIND = "kurtosis"
    __slots__ = ("_powers", "_scale", "_shift", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = n = check_bars("window", window, 4)
        self._scale = n * (n + 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0))
        self._shift = 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))
        self._powers = _Powers(window, 4)
        super().__init__((f"kurtosis_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        sums = self._powers.push(bar.close)
        if sums is None:
            return
        first_power, second_power, third_power, fourth_power = sums
        mean = first_power / self._window
        second = second_power - mean * first_power
        if second <= _STILL * second_power:
            row[at] = 0.0
            return
        rest = 6.0 * mean * second_power - 3.0 * mean * mean * first_power - 4.0 * third_power
        row[at] = self._scale * (fourth_power + mean * rest) / (second * second) - self._shift


class _Powers:
    """Sums of the first, second, … powers of the last returns."""

    __slots__ = ("_close", "_missing", "_sums")

    def __init__(self, window: int, highest: int) -> None:
        self._close = NAN
        self._missing = window
        self._sums = [SlidingSum(window) for _ in range(highest)]

    def push(self, close: float) -> list[float] | None:
        """Take in a close and return the sums; None until the window is full."""
        previous = self._close
        self._close = close
        if isnan(previous):
            return None
        power = x = log(close / previous) * _UNITS
        sums = []
        for one in self._sums:
            sums.append(one.push(power))
            power *= x
        if self._missing > 1:
            self._missing -= 1
            return None
        return sums
