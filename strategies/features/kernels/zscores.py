"""How unusual the current bar is among the last ones."""

from strategies.features.kernel import Kernel, check_bars
from strategies.features.smoothing import SlidingMoments
from strategies.market import BarRow

_STILL = 1e-12
"""Deviation, relative to the mean, that is rounding."""


class CloseZscore(Kernel):
    """``(close - mean) / population standard deviation`` of the last ``window`` closes, this one included.

    Nautilus's ZScore; 0 where price stood still.
    """

    KIND = "close_zscore"
    __slots__ = ("_closes", "_missing")

    def __init__(self, *, window: int = 20) -> None:
        self._missing = check_bars("window", window, 2)
        self._closes = SlidingMoments(window)
        super().__init__((f"close_zscore_{window}",), window)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        close = bar.close
        mean, deviation = self._closes.push(close)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = (close - mean) / deviation if deviation > _STILL * mean else 0.0


class VolumeZscore(Kernel):
    """``(volume - mean) / population standard deviation`` of the last ``window`` volumes, this one included.

    0 where every bar had the same volume.
    """

    KIND = "volume_zscore"
    __slots__ = ("_missing", "_volumes")

    def __init__(self, *, window: int = 20) -> None:
        self._missing = check_bars("window", window, 2)
        self._volumes = SlidingMoments(window)
        super().__init__((f"volume_zscore_{window}",), window)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        volume = bar.volume
        mean, deviation = self._volumes.push(volume)
        if self._missing > 1:
            self._missing -= 1
            return
        row[at] = (volume - mean) / deviation if deviation > _STILL * mean else 0.0
