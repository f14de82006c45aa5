"""Volume-weighted average of the typical price ``(high + low + close) / 3``."""

from math import log

from strategies.features.kernel import Kernel, check_bars
from strategies.features.smoothing import SlidingSum
from strategies.market import BarRow

_HOUR_NS = 3_600 * 10**9
_DAY_NS = 24 * _HOUR_NS


class RollingVwap(Kernel):
    """VWAP of the last ``window`` bars, and the close's distance from it, ``ln(close / vwap)``.

    Where nothing traded, every bar weighs the same.
    """

    KIND = "rolling_vwap"
    __slots__ = ("_missing", "_typical", "_values", "_volumes", "_window")

    def __init__(self, *, window: int = 60) -> None:
        self._window = self._missing = check_bars("window", window)
        self._typical, self._values, self._volumes = (SlidingSum(window) for _ in range(3))
        super().__init__((f"rolling_vwap_{window}", f"rolling_vwap_distance_{window}"), window)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        typical = (bar.high + bar.low + bar.close) / 3.0
        plain = self._typical.push(typical)
        value = self._values.push(typical * bar.volume)
        volume = self._volumes.push(bar.volume)
        if self._missing > 1:
            self._missing -= 1
            return
        vwap = value / volume if volume > 0.0 else plain / self._window
        row[at] = vwap
        row[at + 1] = log(bar.close / vwap)


class SessionVwap(Kernel):
    """VWAP since the session began, and the close's distance from it, ``ln(close / vwap)``.

    A session is a day that begins at ``start_utc_hour``; the bar that closes on the boundary is the last of
    the old session. Until something trades in a session, its VWAP is the current typical price. The first
    session that a stream sees counts from the first bar seen.
    """

    KIND = "session_vwap"
    __slots__ = ("_offset_ns", "_session", "_value", "_volume")

    def __init__(self, *, start_utc_hour: int = 0) -> None:
        if not 0 <= start_utc_hour <= 23:
            raise ValueError(f"start_utc_hour = {start_utc_hour}: expected a whole number from 0 to 23")
        # One nanosecond, because bars are stamped at their close.
        self._offset_ns = start_utc_hour * _HOUR_NS + 1
        self._session = -1
        self._value = self._volume = 0.0
        super().__init__((f"session_vwap_{start_utc_hour}", f"session_vwap_distance_{start_utc_hour}"), 1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        session = (bar.ts_event - self._offset_ns) // _DAY_NS
        if session != self._session:
            self._session = session
            self._value = self._volume = 0.0
        typical = (bar.high + bar.low + bar.close) / 3.0
        self._value += typical * bar.volume
        self._volume += bar.volume
        vwap = self._value / self._volume if self._volume > 0.0 else typical
        row[at] = vwap
        row[at + 1] = log(bar.close / vwap)
