"""Shape of the distribution of log returns over a window."""

from collections import deque
from math import fsum, isnan, log, sqrt, sumprod

from strategies.features.kernel import NAN, Kernel, check_bars
from strategies.market import BarRow

_STILL = 1e-30
"""Sum of squared deviations that is rounding: returns that are all the same."""


class Skew(Kernel):
    """Sample skewness of the last ``window`` one-bar log returns, bias-corrected; 0 where they are all equal.

    ``G1 = sqrt(n (n-1)) / (n-2) · m3 / m2^1.5``, as in pandas, Excel and ``scipy.stats.skew(bias=False)``.
    """

    KIND = "skew"
    __slots__ = ("_close", "_returns", "_scale", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = n = check_bars("window", window, 3)
        # Central sums instead of means: the powers of n that differ are gathered here.
        self._scale = n * sqrt(n - 1.0) / (n - 2.0)
        self._close = NAN
        self._returns: deque[float] = deque(maxlen=window)
        super().__init__((f"skew_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        previous = self._close
        self._close = bar.close
        if isnan(previous):
            return
        returns = self._returns
        returns.append(log(bar.close / previous))
        if len(returns) < self._window:
            return
        mean = fsum(returns) / self._window
        deviations = [x - mean for x in returns]
        squares = [x * x for x in deviations]
        second = fsum(squares)
        row[at] = (
            self._scale * sumprod(squares, deviations) / (second * sqrt(second)) if second > _STILL else 0.0
        )


class Kurtosis(Kernel):
    """Excess kurtosis of the last ``window`` one-bar log returns, bias-corrected; 0 where they are all equal.

    ``G2``, as in pandas, Excel and ``scipy.stats.kurtosis(bias=False)``: 0 for a normal distribution.
    """

    KIND = "kurtosis"
    __slots__ = ("_close", "_returns", "_scale", "_shift", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = n = check_bars("window", window, 4)
        self._scale = n * (n + 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0))
        self._shift = 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))
        self._close = NAN
        self._returns: deque[float] = deque(maxlen=window)
        super().__init__((f"kurtosis_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        previous = self._close
        self._close = bar.close
        if isnan(previous):
            return
        returns = self._returns
        returns.append(log(bar.close / previous))
        if len(returns) < self._window:
            return
        mean = fsum(returns) / self._window
        squares = [(x - mean) * (x - mean) for x in returns]
        second = fsum(squares)
        fourth = sumprod(squares, squares)
        row[at] = self._scale * fourth / (second * second) - self._shift if second > _STILL else 0.0
