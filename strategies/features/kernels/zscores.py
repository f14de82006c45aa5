"""How unusual the current bar is among the last ones."""

from collections import deque
from math import dist, fsum, sqrt

from strategies.features.kernel import Kernel, check_bars
from strategies.market import BarRow

_STILL = 1e-12
"""A constant window deviates from its mean by rounding only: by less than this, relative to the mean."""


class CloseZscore(Kernel):
    """``(close - mean) / population standard deviation`` of the last ``window`` closes, this one included.

    Nautilus's ZScore; 0 where price stood still.
    """

    KIND = "close_zscore"
    __slots__ = ("_closes", "_root", "_window")

    def __init__(self, *, window: int = 20) -> None:
        self._window = check_bars("window", window, 2)
        self._root = sqrt(window)
        self._closes: deque[float] = deque(maxlen=window)
        super().__init__((f"close_zscore_{window}",), window)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        closes, close = self._closes, bar.close
        closes.append(close)
        window = self._window
        if len(closes) < window:
            return
        mean = fsum(closes) / window
        length = dist(closes, (mean,) * window)
        row[at] = (close - mean) * self._root / length if length > _STILL * mean else 0.0


class VolumeZscore(Kernel):
    """``(volume - mean) / population standard deviation`` of the last ``window`` volumes, this one included.

    0 where every bar had the same volume.
    """

    KIND = "volume_zscore"
    __slots__ = ("_root", "_volumes", "_window")

    def __init__(self, *, window: int = 20) -> None:
        self._window = check_bars("window", window, 2)
        self._root = sqrt(window)
        self._volumes: deque[float] = deque(maxlen=window)
        super().__init__((f"volume_zscore_{window}",), window)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        volumes, volume = self._volumes, bar.volume
        volumes.append(volume)
        window = self._window
        if len(volumes) < window:
            return
        mean = fsum(volumes) / window
        length = dist(volumes, (mean,) * window)
        row[at] = (volume - mean) * self._root / length if length > _STILL * mean else 0.0
