"""What a bar itself looks like."""

from strategies.features.kernel import Kernel, check_bars
from strategies.features.smoothing import SlidingMaximum
from strategies.market import BarRow


class RangePosition(Kernel):
    """``(close - low) / (high - low)`` of the last ``window`` bars: 0 at the low, 1 at the high.

    With one bar this is the internal bar strength (IBS). One half where there was no range.
    """

    KIND = "range_position"
    __slots__ = ("_highs", "_lows", "_missing")

    def __init__(self, *, window: int = 1) -> None:
        self._highs = SlidingMaximum(check_bars("window", window))
        self._lows = SlidingMaximum(window)
        self._missing = window - 1
        super().__init__((f"range_position_{window}",), window)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        high = self._highs.push(bar.high)
        low = -self._lows.push(-bar.low)
        if self._missing:
            self._missing -= 1
            return
        row[at] = (bar.close - low) / (high - low) if high > low else 0.5


class Candle(Kernel):
    """Body (signed) and wicks as fractions of the bar's range; all 0 where there was no range."""

    KIND = "candle"
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(("candle_body", "candle_upper_wick", "candle_lower_wick"), 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        _, open_, high, low, close, _ = bar
        height = high - low
        if height > 0.0:
            top, bottom = (close, open_) if close > open_ else (open_, close)
            row[at] = (close - open_) / height
            row[at + 1] = (high - top) / height
            row[at + 2] = (bottom - low) / height
        else:
            row[at] = row[at + 1] = row[at + 2] = 0.0


class Ohlcv(Kernel):
    """The bar as it is: open, high, low, close in quote currency, volume in base units."""

    KIND = "ohlcv"
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(("open", "high", "low", "close", "volume"), 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        row[at : at + 5] = bar[1:]
