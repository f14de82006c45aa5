"""Returns over a number of bars, and the gap between two bars."""

from collections import deque
from math import log

from strategies.features.kernel import NAN, Kernel, check_bars
from strategies.market import BarRow


class LogReturn(Kernel):
    """``ln(close_t / close_{t-period})``, as a fraction."""

    KIND = "log_return"
    __slots__ = ("_closes", "_period")

    def __init__(self, *, period: int = 1) -> None:
        self._period = check_bars("period", period)
        self._closes: deque[float] = deque(maxlen=period + 1)
        super().__init__((f"log_return_{period}",), period + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        closes, close = self._closes, bar.close
        closes.append(close)
        if len(closes) > self._period:
            row[at] = log(close / closes[0])


class SimpleReturn(Kernel):
    """``close_t / close_{t-period} - 1``, as a fraction. TA-Lib: ROCP."""

    KIND = "simple_return"
    __slots__ = ("_closes", "_period")

    def __init__(self, *, period: int = 1) -> None:
        self._period = check_bars("period", period)
        self._closes: deque[float] = deque(maxlen=period + 1)
        super().__init__((f"simple_return_{period}",), period + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        closes, close = self._closes, bar.close
        closes.append(close)
        if len(closes) > self._period:
            row[at] = close / closes[0] - 1.0


class RateOfChange(Kernel):
    """``100 · (close_t / close_{t-period} - 1)``. TA-Lib: ROC, and like it in hundredths."""

    KIND = "roc"
    __slots__ = ("_closes", "_period")

    def __init__(self, *, period: int = 10) -> None:
        self._period = check_bars("period", period)
        self._closes: deque[float] = deque(maxlen=period + 1)
        super().__init__((f"roc_{period}",), period + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        closes, close = self._closes, bar.close
        closes.append(close)
        if len(closes) > self._period:
            row[at] = 100.0 * (close / closes[0] - 1.0)


class OpenGap(Kernel):
    """``ln(open_t / close_{t-1})``: what happened while nothing traded."""

    KIND = "open_gap"
    __slots__ = ("_close",)

    def __init__(self) -> None:
        self._close = NAN
        super().__init__(("open_gap",), 2)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        row[at] = log(bar.open / self._close)
        self._close = bar.close
