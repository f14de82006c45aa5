"""Shape of the distribution of log returns over a window."""

from collections import deque
from math import fsum, isnan, log, sqrt, sumprod

from strategies.features.kernel import NAN, Kernel, check_bars
from strategies.market import BarRow

_STILL = 1e-6
"""Variance over mean square below which returns count as all equal.

Central sums are taken from sums of powers, which is three times as fast as from deviations and loses digits
only where the mean return dwarfs its deviation; this is where too few would be left.
"""


class Skew(Kernel):
    """Sample skewness of the last ``window`` one-bar log returns, bias-corrected.

    ``G1 = sqrt(n (n-1)) / (n-2) · m3 / m2^1.5``, as in pandas, Excel and ``scipy.stats.skew(bias=False)``.
    0 where all returns are equal to a thousandth.
    """

    KIND = "skew"
    __slots__ = ("_close", "_returns", "_scale", "_squares", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = n = check_bars("window", window, 3)
        # Central sums instead of means: the powers of n that differ are gathered here.
        self._scale = n * sqrt(n - 1.0) / (n - 2.0)
        self._close = NAN
        self._returns: deque[float] = deque(maxlen=window)
        self._squares: deque[float] = deque(maxlen=window)
        super().__init__((f"skew_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        previous = self._close
        self._close = bar.close
        if isnan(previous):
            return
        returns, squares = self._returns, self._squares
        x = log(bar.close / previous)
        returns.append(x)
        squares.append(x * x)
        if len(returns) < self._window:
            return
        total, second_power = fsum(returns), fsum(squares)
        mean = total / self._window
        second = second_power - mean * total
        if second <= _STILL * second_power:
            row[at] = 0.0
            return
        third = sumprod(squares, returns) - 3.0 * mean * second_power + 2.0 * mean * mean * total
        row[at] = self._scale * third / (second * sqrt(second))


class Kurtosis(Kernel):
    """Excess kurtosis of the last ``window`` one-bar log returns, bias-corrected.

    ``G2``, as in pandas, Excel and ``scipy.stats.kurtosis(bias=False)``: 0 for a normal
    distribution, and where all returns are equal to a thousandth.
    """

    KIND = "kurtosis"
    __slots__ = ("_close", "_returns", "_scale", "_shift", "_squares", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = n = check_bars("window", window, 4)
        self._scale = n * (n + 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0))
        self._shift = 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))
        self._close = NAN
        self._returns: deque[float] = deque(maxlen=window)
        self._squares: deque[float] = deque(maxlen=window)
        super().__init__((f"kurtosis_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        previous = self._close
        self._close = bar.close
        if isnan(previous):
            return
        returns, squares = self._returns, self._squares
        x = log(bar.close / previous)
        returns.append(x)
        squares.append(x * x)
        if len(returns) < self._window:
            return
        total, second_power = fsum(returns), fsum(squares)
        mean = total / self._window
        second = second_power - mean * total
        if second <= _STILL * second_power:
            row[at] = 0.0
            return
        third_power = sumprod(squares, returns)
        rest = 6.0 * mean * second_power - 3.0 * mean * mean * total - 4.0 * third_power
        fourth = sumprod(squares, squares) + mean * rest
        row[at] = self._scale * fourth / (second * second) - self._shift
