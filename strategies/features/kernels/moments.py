"""Shape of the distribution of log returns over a window."""

from collections import deque
from math import isnan, log, sqrt

from strategies.features.kernel import NAN, Kernel, check_bars
from strategies.market import BarRow

_PARTS = 2.0**80
_PART, _PART2, _PART3, _PART4 = (2.0 ** (-80 * power) for power in (1, 2, 3, 4))
"""Returns count in whole multiples of 8e-25: finer than a float tells one above 1e-8 from the next."""

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
    __slots__ = ("_close", "_cubes", "_missing", "_parts", "_scale", "_squares", "_total", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = n = check_bars("window", window, 3)
        # Central sums instead of means: the powers of n that differ are gathered here.
        self._scale = n * sqrt(n - 1.0) / (n - 2.0)
        self._close = NAN
        # Sums of powers of whole numbers: what has come in goes out again to the bit.
        self._parts = deque([0] * window, maxlen=window)
        self._total = self._squares = self._cubes = 0
        self._missing = window
        super().__init__((f"skew_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        previous = self._close
        self._close = bar.close
        if isnan(previous):
            return
        new, old = int(log(bar.close / previous) * _PARTS), self._parts[0]
        self._parts.append(new)
        new_square, old_square = new * new, old * old
        total = self._total = self._total + new - old
        squares = self._squares = self._squares + new_square - old_square
        cubes = self._cubes = self._cubes + new_square * new - old_square * old
        if self._missing > 1:
            self._missing -= 1
            return
        first_power, second_power = total * _PART, squares * _PART2
        mean = first_power / self._window
        second = second_power - mean * first_power
        if second <= _STILL * second_power:
            row[at] = 0.0
            return
        third = cubes * _PART3 - 3.0 * mean * second_power + 2.0 * mean * mean * first_power
        row[at] = self._scale * third / (second * sqrt(second))


class Kurtosis(Kernel):
    """Excess kurtosis of the last ``window`` one-bar log returns, bias-corrected.

    ``G2``, as in pandas, Excel and ``scipy.stats.kurtosis(bias=False)``: 0 for a normal
    distribution, and where all returns are equal to a thousandth.
    """

    KIND = "kurtosis"
    __slots__ = (
        "_close",
        "_cubes",
        "_fourths",
        "_missing",
        "_parts",
        "_scale",
        "_shift",
        "_squares",
        "_total",
        "_window",
    )

    def __init__(self, *, window: int = 60) -> None:
        self._window = n = check_bars("window", window, 4)
        self._scale = n * (n + 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0))
        self._shift = 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))
        self._close = NAN
        # As in `Skew`.
        self._parts = deque([0] * window, maxlen=window)
        self._total = self._squares = self._cubes = self._fourths = 0
        self._missing = window
        super().__init__((f"kurtosis_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        previous = self._close
        self._close = bar.close
        if isnan(previous):
            return
        new, old = int(log(bar.close / previous) * _PARTS), self._parts[0]
        self._parts.append(new)
        new_square, old_square = new * new, old * old
        total = self._total = self._total + new - old
        squares = self._squares = self._squares + new_square - old_square
        cubes = self._cubes = self._cubes + new_square * new - old_square * old
        fourths = self._fourths = self._fourths + new_square * new_square - old_square * old_square
        if self._missing > 1:
            self._missing -= 1
            return
        first_power, second_power = total * _PART, squares * _PART2
        mean = first_power / self._window
        second = second_power - mean * first_power
        if second <= _STILL * second_power:
            row[at] = 0.0
            return
        rest = 6.0 * mean * second_power - 3.0 * mean * mean * first_power - 4.0 * cubes * _PART3
        row[at] = self._scale * (fourths * _PART4 + mean * rest) / (second * second) - self._shift
