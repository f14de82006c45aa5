"""The book's clock: bar times in, trading days out, and no way to win back a budget by moving a clock.

A bar time that does not lie after the last one is refused, so a clock set back gains nothing: until
time has caught up, the book has no reading at the present bar and no risk is added. A bar time far ahead
is believed only when as many bars in a row stand there as a loss limit asks readings for; a single bar
with a wild stamp neither begins a day nor ends one.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

DAY_NS = 86_400_000_000_000
HOUR_NS = 3_600_000_000_000

FAR_AHEAD_NS = 7 * DAY_NS
"""Longest step that one bar may make: longer than a weekend and most holidays."""


class Step(Enum):
    """What a bar time meant."""

    REFUSED = auto()
    """Not after the last one, or unbelievably far ahead; nothing changed."""
    SAME_DAY = auto()
    NEW_DAY = auto()


class TradingClock:
    """Follows bar times and says when a trading day begins.

    A bar that closes exactly at the boundary belongs to the new day.

    Args:
        day_start_utc_hour: Hour at which the trading day begins.
        readings: Bars in a row that must stand far ahead before they are believed.
    """

    __slots__ = ("_ahead_readings", "_ahead_ts", "_day_end", "_day_start", "_readings", "ts")

    def __init__(self, day_start_utc_hour: int, readings: int) -> None:
        self.ts: int | None = None
        """Newest bar time that was believed, UTC nanoseconds; None before the first."""
        self._day_start = day_start_utc_hour * HOUR_NS
        self._day_end: int | None = None
        self._readings = readings
        self._ahead_ts = 0
        self._ahead_readings = 0

    @property
    def day_end(self) -> int | None:
        """When the trading day ends, UTC nanoseconds; None before the first bar."""
        return self._day_end

    def advance(self, ts_event: int) -> Step:
        """Take one bar time."""
        last = self.ts
        if last is not None:
            if ts_event <= last:
                self._ahead_readings = 0
                return Step.REFUSED
            if ts_event - last > FAR_AHEAD_NS and not self._is_confirmed(ts_event):
                return Step.REFUSED
        self._ahead_readings = 0
        self.ts = ts_event
        if self._day_end is None:
            self._day_end = self._end_of_day(ts_event)
            return Step.SAME_DAY
        if ts_event < self._day_end:
            return Step.SAME_DAY
        self._day_end = self._end_of_day(ts_event)
        return Step.NEW_DAY

    def accept_next(self) -> None:
        """Believe the next bar time, whatever it is; the day goes on, so no budget begins anew."""
        self.ts = None
        self._day_end = None
        self._ahead_readings = 0

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain JSON values."""
        return {
            "ts": self.ts,
            "day_end": self._day_end,
            "ahead_ts": self._ahead_ts,
            "ahead_readings": self._ahead_readings,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.ts = None if state["ts"] is None else int(state["ts"])
        self._day_end = None if state["day_end"] is None else int(state["day_end"])
        self._ahead_ts = int(state["ahead_ts"])
        self._ahead_readings = int(state["ahead_readings"])

    def _is_confirmed(self, ts_event: int) -> bool:
        follows = self._ahead_readings > 0 and ts_event > self._ahead_ts
        self._ahead_readings = self._ahead_readings + 1 if follows else 1
        self._ahead_ts = ts_event
        return self._ahead_readings >= self._readings

    def _end_of_day(self, ts_event: int) -> int:
        days = (ts_event - self._day_start) // DAY_NS
        return (days + 1) * DAY_NS + self._day_start
