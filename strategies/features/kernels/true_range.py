"""Wilder's average true range."""

from math import isnan

from strategies.features.kernel import Kernel, check_bars
from strategies.features.smoothing import RecursiveAverage, TrueRange
from strategies.market import BarRow


class AverageTrueRange(Kernel):
    """Wilder's average of the true range, in quote currency.

    TA-Lib's ATR: the first bar, which has no previous close, does not count; seeded with the simple mean of
    the next ``period`` true ranges.
    """

    KIND = "atr"
    __slots__ = ("_average", "_true_range")

    def __init__(self, *, period: int = 14) -> None:
        self._average = RecursiveAverage.wilder(check_bars("period", period))
        self._true_range = TrueRange()
        super().__init__((f"atr_{period}",), period + 1, self._average.settle_values + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        true_range = self._true_range.push(bar.high, bar.low, bar.close)
        if not isnan(true_range):
            row[at] = self._average.push(true_range)


class NormalisedTrueRange(Kernel):
    """``100 · ATR / close``. TA-Lib: NATR, and like it in hundredths."""

    KIND = "natr"
    __slots__ = ("_average", "_true_range")

    def __init__(self, *, period: int = 14) -> None:
        self._average = RecursiveAverage.wilder(check_bars("period", period))
        self._true_range = TrueRange()
        super().__init__((f"natr_{period}",), period + 1, self._average.settle_values + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        true_range = self._true_range.push(bar.high, bar.low, bar.close)
        if not isnan(true_range):
            row[at] = 100.0 * self._average.push(true_range) / bar.close
