"""Running moments of the instruments' returns, for the rules that need a volatility or an edge.

Flow: closes → **moments** → sizer.
"""

import math
from collections import deque

import numpy as np

from strategies.features.kernel import settled_after
from strategies.market import Floats, Vector

MIN_RETURNS = 20
"""Returns before an estimate counts: the relative error of a volatility is then about one in six."""

_FEW = 3
"""Up to so many instruments loops over numbers are faster than numpy's calls, and give the same bits."""


class ReturnMoments:
    """Exponentially weighted mean and second moment of a vector of returns.

    With weights (1 - alpha)^k on the return of k bars ago, normalised to sum to one, so that the first
    returns are not averaged with an invented zero. Uses returns up to the present bar only.

    Args:
        num_instruments: N.
        alpha: Weight of the newest return, in the long run.
    """

    __slots__ = ("_change", "_decay", "_factors", "_few", "_forgotten", "_moments", "count")

    def __init__(self, num_instruments: int, alpha: float) -> None:
        self._decay = 1.0 - alpha
        self._forgotten = 1.0
        # The mean is the moment with a factor of one, so one update serves both: N + 1 rows of N.
        shape = (num_instruments + 1, num_instruments)
        self._few: list[float] | None = [0.0] * (shape[0] * shape[1]) if num_instruments <= _FEW else None
        self._factors: Floats = np.ones((shape[0], 1))
        self._moments: Floats = np.zeros(shape)
        self._change: Floats = np.zeros(shape)
        self.count = 0

    @property
    def history_bars(self) -> int:
        """Returns after which those before weigh next to nothing."""
        return max(MIN_RETURNS, settled_after(self._decay))

    @property
    def ready(self) -> bool:
        """Whether enough returns have been seen."""
        return self.count >= MIN_RETURNS

    def update(self, returns: Vector) -> None:
        """Take the returns of one bar.

        Args:
            returns: N fractions.
        """
        self.count += 1
        self._forgotten *= self._decay
        gain = (1.0 - self._decay) / (1.0 - self._forgotten)
        if self._few is not None:
            moments, at = self._few, 0
            for factor in (1.0, *returns):
                for value in returns:
                    moment = moments[at]
                    moments[at] = moment + (factor * value - moment) * gain
                    at += 1
            return
        change = self._change
        self._factors[1:, 0] = returns
        np.multiply(self._factors, returns, change)
        np.subtract(change, self._moments, change)
        np.multiply(change, gain, change)
        np.add(self._moments, change, self._moments)

    def portfolio(self, weights: Vector) -> tuple[float, float]:
        """Mean and second moment of the return that fixed weights would have had, per bar.

        Args:
            weights: N signed fractions of equity.
        """
        if self._few is None:
            return float(np.dot(weights, self._moments[0])), self.second_moment(weights)
        mean = 0.0
        for weight, moment in zip(weights, self._few, strict=False):
            mean += weight * moment
        return mean, self.second_moment(weights)

    def second_moment(self, weights: Vector) -> float:
        """The second moment alone; see `portfolio`."""
        moments, count = self._few, len(weights)
        if moments is None:
            w = np.array(weights)
            return float(w.dot(self._moments[1:]).dot(w))
        total = 0.0
        for column, weight in enumerate(weights, start=count):
            across = 0.0
            for row, factor in enumerate(weights):
                across += factor * moments[row * count + column]
            total += across * weight
        return total


class ReturnWindow:
    """Volatility of each instrument over its last returns.

    Args:
        num_instruments: N.
        window_bars: Returns in the window.
    """

    __slots__ = ("_returns",)

    def __init__(self, num_instruments: int, window_bars: int) -> None:
        self._returns: list[deque[float]] = [deque(maxlen=window_bars) for _ in range(num_instruments)]

    @property
    def ready(self) -> bool:
        """Whether the window is full."""
        return len(self._returns[0]) == self._returns[0].maxlen

    def update(self, returns: Vector) -> None:
        """Take the N returns of one bar."""
        for window, value in zip(self._returns, returns, strict=True):
            window.append(value)

    def volatility(self, index: int) -> float:
        """Sample standard deviation of an instrument's returns in the window, per bar."""
        window = self._returns[index]
        mean = math.fsum(window) / len(window)
        return math.sqrt(math.fsum((value - mean) ** 2 for value in window) / (len(window) - 1))
