"""Volatility of one bar's log return, per bar, as a fraction; nothing here is annualised."""

from math import isnan, log, sqrt

from strategies.features.kernel import NAN, Kernel, check_bars, settled_after
from strategies.features.smoothing import SlidingSum
from strategies.market import BarRow


class RealisedVolatility(Kernel):
    """``sqrt(mean of squared log returns)`` over ``window`` returns.

    The mean return is taken as zero: over a window of bars it is noise, and estimating it costs accuracy.
    """

    KIND = "realised_volatility"
    __slots__ = ("_close", "_missing", "_squares", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = self._missing = check_bars("window", window)
        self._close = NAN
        self._squares = SlidingSum(window)
        super().__init__((f"realised_volatility_{window}",), window + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        previous, close = self._close, bar.close
        self._close = close
        if isnan(previous):
            return
        x = log(close / previous)
        total = self._squares.push(x * x)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = sqrt(total / self._window)


class EwmaVolatility(Kernel):
    """Root of the exponentially weighted mean of squared log returns; the weight halves in ``halflife`` bars.

    Weights are normalised by their sum, so no seed is needed (``pandas.ewm(adjust=True)``); over time it
    becomes the RiskMetrics recursion.
    """

    KIND = "ewma_volatility"
    __slots__ = ("_close", "_decay", "_missing", "_sum", "_weight")

    def __init__(self, *, halflife: int = 60) -> None:
        self._missing = check_bars("halflife", halflife)
        self._decay = 0.5 ** (1.0 / halflife)
        self._close = NAN
        self._sum = self._weight = 0.0
        super().__init__((f"ewma_volatility_{halflife}",), halflife + 1, settled_after(self._decay) + 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        previous, close = self._close, bar.close
        self._close = close
        if isnan(previous):
            return
        x = log(close / previous)
        self._sum = self._sum * self._decay + x * x
        self._weight = self._weight * self._decay + 1.0
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = sqrt(self._sum / self._weight)


class ParkinsonVolatility(Kernel):
    """``sqrt(mean of ln(high / low)² / (4 ln 2))`` over ``window`` bars: five times the data's efficiency.

    Source:
        Parkinson (1980), The extreme value method for estimating the variance of the rate of return.
    """

    KIND = "parkinson_volatility"
    __slots__ = ("_missing", "_scale", "_squares")

    def __init__(self, *, window: int = 60) -> None:
        self._missing = check_bars("window", window)
        self._scale = 1.0 / (4.0 * log(2.0) * window)
        self._squares = SlidingSum(window)
        super().__init__((f"parkinson_volatility_{window}",), window)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        x = log(bar.high / bar.low)
        total = self._squares.push(x * x)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = sqrt(total * self._scale)


class GarmanKlassVolatility(Kernel):
    """``sqrt(mean of (ln(high / low)² / 2 - (2 ln 2 - 1) · ln(close / open)²))`` over ``window`` bars.

    Source:
        Garman and Klass (1980), On the estimation of security price volatilities from historical data.
    """

    KIND = "garman_klass_volatility"
    __slots__ = ("_missing", "_terms", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = self._missing = check_bars("window", window)
        self._terms = SlidingSum(window)
        super().__init__((f"garman_klass_volatility_{window}",), window)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        spread, body = log(bar.high / bar.low), log(bar.close / bar.open)
        total = self._terms.push(0.5 * spread * spread - _BODY_WEIGHT * body * body)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = sqrt(total / self._window)


_BODY_WEIGHT = 2.0 * log(2.0) - 1.0
