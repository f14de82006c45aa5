"""Recursive averages, sliding sums and extremes: the state that several kernels share."""

from collections import deque
from math import inf, isnan, nan, sqrt

from strategies.features.kernel import settled_after

_PARTS, _PART = 2.0**200, 2.0**-200
_COARSE_PARTS, _COARSE_PART = 2.0**100, 2.0**-100
"""Shorter numbers are quicker to square; a price of at least 1e-12 is a whole number of these parts, too."""


class RecursiveAverage:
    """``a_t = a_{t-1} + alpha · (x_t - a_{t-1})``, seeded with the mean of the first ``period`` values.

    This is TA-Lib's convention: ``alpha = 2 / (period + 1)`` is its EMA, ``alpha = 1 / period`` Wilder's.
    """

    __slots__ = ("_alpha", "_missing", "_period", "_seed", "settle_values", "value")

    def __init__(self, period: int, alpha: float) -> None:
        self._period = period
        self._alpha = alpha
        self._missing = period
        self._seed = 0.0
        self.value = nan
        self.settle_values = period + settled_after(1.0 - alpha)

    @classmethod
    def ema(cls, period: int) -> "RecursiveAverage":
        """Exponential average with the centre of mass of a simple one of ``period`` values."""
        return cls(period, 2.0 / (period + 1.0))

    @classmethod
    def wilder(cls, period: int) -> "RecursiveAverage":
        """Wilder's average, the one of RSI and ATR."""
        return cls(period, 1.0 / period)

    def push(self, x: float) -> float:
        """Take in a value and return the average, NaN until ``period`` values are in."""
        if self._missing:
            self._missing -= 1
            self._seed += x
            if self._missing == 0:
                self.value = self._seed / self._period
            return self.value
        value = self.value
        value += self._alpha * (x - value)
        self.value = value
        return value


class SlidingSum:
    """Sum of the last ``length`` values in O(1), rounded once: what `math.fsum` of them gives.

    A running sum of floats drifts. This one counts in whole multiples of 2⁻²⁰⁰, of which Python's integers
    hold any number: what has come in goes out again to the bit. Digits below that (6e-61) are cut off.
    Values that are missing as yet count as 0.
    """

    __slots__ = ("_parts", "_total")

    def __init__(self, length: int) -> None:
        self._parts = deque([0] * length, maxlen=length)
        self._total = 0

    def push(self, x: float) -> float:
        """Take in a value and return the sum."""
        parts = self._parts
        part = int(x * _PARTS)
        total = self._total = self._total + part - parts[0]
        parts.append(part)
        return total * _PART


class SlidingMoments:
    """Mean and population standard deviation of the last ``length`` values in O(1), without drift.

    Counts in whole multiples of 2⁻¹⁰⁰, as `SlidingSum` does, so that nothing cancels: the deviation of equal
    values is 0. Values that are missing as yet count as 0.
    """

    __slots__ = ("_length", "_parts", "_squares", "_total")

    def __init__(self, length: int) -> None:
        self._length = length
        self._parts = deque([0] * length, maxlen=length)
        self._total = self._squares = 0

    def push(self, x: float) -> tuple[float, float]:
        """Take in a value and return mean and deviation."""
        parts, length = self._parts, self._length
        new, old = int(x * _COARSE_PARTS), parts[0]
        parts.append(new)
        change = new - old
        total = self._total = self._total + change
        squares = self._squares = self._squares + change * (new + old)
        spread = length * squares - total * total
        return total * _COARSE_PART / length, sqrt(spread) * _COARSE_PART / length


class SlidingMaximum:
    """Largest of the last ``length`` values in O(1) amortised; negate in and out for the smallest.

    Keeps only values that a later, larger one has not made irrelevant. It chooses and never computes, so
    it cannot drift.
    """

    __slots__ = ("_births", "_count", "_end", "_length", "_values", "value")

    def __init__(self, length: int) -> None:
        self._length = length
        self._count = self._end = 0
        self._values: deque[float] = deque()
        self._births: deque[int] = deque()
        self.value = -inf

    @property
    def age(self) -> int:
        """Values taken in since the maximum; of equal ones the youngest counts."""
        return self._count - self._births[0]

    def push(self, x: float) -> float:
        """Take in a value and return the maximum."""
        values, births = self._values, self._births
        count = self._count = self._count + 1
        if x >= self.value:
            values.clear()
            births.clear()
            self._end = count + self._length
            self.value = x
        else:
            while values[-1] <= x:
                values.pop()
                births.pop()
        values.append(x)
        births.append(count)
        if count == self._end:
            values.popleft()
            births.popleft()
            self._end = births[0] + self._length
            self.value = values[0]
        return self.value


class TrueRange:
    """``max(high, previous close) - min(low, previous close)``: the range with the gap before it.

    The first bar has no previous close and gives NaN, as in TA-Lib.
    """

    __slots__ = ("_previous",)

    def __init__(self) -> None:
        self._previous = nan

    def push(self, high: float, low: float, close: float) -> float:
        """Take in a bar and return its true range."""
        previous = self._previous
        self._previous = close
        if isnan(previous):
            return previous
        top = high if high > previous else previous  # noqa: FURB136 - three times as fast as max()
        bottom = low if low < previous else previous  # noqa: FURB136
        return top - bottom
