"""What the instruments do as a group; every instrument's row carries the same value."""

from collections import deque
from collections.abc import Sequence
from math import dist, fsum, log, sqrt

from strategies.features.kernel import CrossKernel, check_bars
from strategies.features.smoothing import SlidingSum
from strategies.market import BarRow


class Dispersion(CrossKernel):
    """Population standard deviation, across instruments, of their log returns over ``window`` panels.

    0 with one instrument. An instrument without a bar counts with its price unchanged.
    """

    KIND = "dispersion"
    __slots__ = ("_closes", "_scale", "_window")

    def __init__(self, num_instruments: int, *, window: int = 1) -> None:
        self._window = check_bars("window", window)
        self._scale = 1.0 / sqrt(num_instruments)
        self._closes: tuple[deque[float], ...] = tuple(
            deque(maxlen=window + 1) for _ in range(num_instruments)
        )
        super().__init__((f"dispersion_{window}",), window + 1)

    def update_panel(self, bars: Sequence[BarRow], rows: Sequence[list[float]], at: int) -> None:
        returns = []
        for index, closes in enumerate(self._closes):
            close = bars[index].close
            closes.append(close)
            returns.append(log(close / closes[0]))
        if len(self._closes[0]) <= self._window:
            return
        count = len(returns)
        dispersion = dist(returns, (fsum(returns) / count,) * count) * self._scale
        for row in rows:
            row[at] = dispersion


class Breadth(CrossKernel):
    """Share of instruments whose close is above its simple average over ``window`` panels, 0 to 1.

    A close that equals its average counts half, so a market that stands still has a breadth of one half. An
    instrument without a bar counts with its price unchanged.
    """

    KIND = "breadth"
    __slots__ = ("_closes", "_missing", "_window")

    def __init__(self, num_instruments: int, *, window: int = 20) -> None:
        self._window = self._missing = check_bars("window", window, 2)
        self._closes = tuple(SlidingSum(window) for _ in range(num_instruments))
        super().__init__((f"breadth_{window}",), window)

    def update_panel(self, bars: Sequence[BarRow], rows: Sequence[list[float]], at: int) -> None:
        window, above = self._window, 0.0
        for bar, closes in zip(bars, self._closes, strict=True):
            # Sums are compared, not averages: both are exactly rounded, so equal prices compare equal.
            total, level = closes.push(bar.close), bar.close * window
            above += 1.0 if level > total else 0.5 if level == total else 0.0
        if self._missing > 1:
            self._missing -= 1
            return
        for row in rows:
            row[at] = above / len(bars)
