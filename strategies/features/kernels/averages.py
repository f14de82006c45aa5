"""Moving averages of the close, as a price or as the close's distance from it."""

from math import log

from strategies.features.kernel import Kernel, check_bars
from strategies.features.smoothing import RecursiveAverage, SlidingSum
from strategies.market import BarRow


class Sma(Kernel):
    """Simple average of the last ``period`` closes, the current one included. TA-Lib: SMA."""

    KIND = "sma"
    __slots__ = ("_closes", "_missing", "_period")

    def __init__(self, *, period: int = 20) -> None:
        self._period = self._missing = check_bars("period", period)
        self._closes = SlidingSum(period)
        super().__init__((f"sma_{period}",), period)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        total = self._closes.push(bar.close)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = total / self._period


class SmaDistance(Kernel):
    """``ln(close / SMA)``: the simple average as a stationary feature."""

    KIND = "sma_distance"
    __slots__ = ("_closes", "_missing", "_period")

    def __init__(self, *, period: int = 20) -> None:
        self._period = self._missing = check_bars("period", period)
        self._closes = SlidingSum(period)
        super().__init__((f"sma_distance_{period}",), period)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        total = self._closes.push(bar.close)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = log(bar.close * self._period / total)


class Ema(Kernel):
    """Exponential average of the close, ``alpha = 2 / (period + 1)``.

    TA-Lib's EMA: seeded with the simple average of the first ``period`` closes. Nautilus's seeds with the
    first close and differs until the seed is forgotten.
    """

    KIND = "ema"
    __slots__ = ("_average",)

    def __init__(self, *, period: int = 20) -> None:
        self._average = RecursiveAverage.ema(check_bars("period", period))
        super().__init__((f"ema_{period}",), period, self._average.settle_values)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        row[at] = self._average.push(bar.close)


class EmaDistance(Kernel):
    """``ln(close / EMA)``: the exponential average as a stationary feature."""

    KIND = "ema_distance"
    __slots__ = ("_average",)

    def __init__(self, *, period: int = 20) -> None:
        self._average = RecursiveAverage.ema(check_bars("period", period))
        super().__init__((f"ema_distance_{period}",), period, self._average.settle_values)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        close = bar.close
        row[at] = log(close / self._average.push(close))
