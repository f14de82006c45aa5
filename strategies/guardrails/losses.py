"""How a loss is measured and when it latches: one wild price must not stop a strategy.

A price that is wrong for one bar moves equity for one reading. So a high counts as a peak only after
it has held for several readings, and a loss latches only after as many; but from the very first
reading at its limit a loss blocks new risk, for refusing an order on a strange price costs little.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any


class Watermark:
    """The highest value that held for a number of consecutive readings.

    Args:
        readings: How many consecutive readings a new high has to hold.
        peak: Where it starts.
    """

    __slots__ = ("_recent", "peak")

    def __init__(self, readings: int, peak: float) -> None:
        self.peak = peak
        self._recent: deque[float] = deque(maxlen=readings)

    def update(self, value: float) -> float:
        """Take one reading and return the peak."""
        recent = self._recent
        recent.append(value)
        if value > self.peak and len(recent) == recent.maxlen:
            # The lowest of the last readings is what has held throughout.
            self.peak = max(self.peak, min(recent))
        return self.peak

    def restart(self, peak: float) -> None:
        """Forget the past: the peak is `peak`."""
        self.peak = peak
        self._recent.clear()

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain JSON values."""
        return {"peak": self.peak, "recent": list(self._recent)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.restart(float(state["peak"]))
        self._recent.extend(float(value) for value in state["recent"])


class LossLatch:
    """Latches when a loss has stood at or beyond its limit for a number of consecutive readings.

    Args:
        limit: Loss at which it trips, in the unit of the readings; None never trips.
        readings: Consecutive readings that latch.
    """

    __slots__ = ("_needed", "blocking", "latched", "limit", "loss", "readings")

    def __init__(self, limit: float | None, readings: int) -> None:
        self.limit = math.inf if limit is None else limit
        self._needed = readings
        self.loss = 0.0
        """The newest reading."""
        self.readings = 0
        """How many in a row, up to the newest, were at or beyond the limit."""
        self.latched = False
        self.blocking = False
        """Whether new risk is refused: latched, or the newest reading is at or beyond the limit."""

    def read(self, loss: float) -> bool:
        """Take one reading.

        Returns:
            Whether this reading latched it.
        """
        self.loss = loss
        if loss < self.limit:
            self.readings = 0
            self.blocking = self.latched
            return False
        self.readings += 1
        self.blocking = True
        if self.latched or self.readings < self._needed:
            return False
        self.latched = True
        return True

    def clear(self) -> None:
        """Unlatch and forget all readings."""
        self.loss = 0.0
        self.readings = 0
        self.latched = False
        self.blocking = False

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain JSON values; the limit belongs to the configuration."""
        return {"loss": self.loss, "readings": self.readings, "latched": self.latched}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self.loss = float(state["loss"])
        self.readings = int(state["readings"])
        self.latched = bool(state["latched"])
        self.blocking = self.latched or self.loss >= self.limit


class StateLosses:
    """Profit and loss by regime state: each state has a drawdown and a latch of its own.

    The change of equity over a bar counts for the state in which the position was decided: the most
    probable one at the bar before.

    Args:
        limit: Drawdown within one state at which it trips, quote currency; None never trips.
        readings: Consecutive readings that latch.
    """

    __slots__ = ("_latches", "_limit", "_peaks", "_pnl", "_readings")

    def __init__(self, limit: float | None, readings: int) -> None:
        self._limit = limit
        self._readings = readings
        self._pnl: dict[int, float] = {}
        self._peaks: dict[int, Watermark] = {}
        self._latches: dict[int, LossLatch] = {}

    def read(self, state: int, pnl: float) -> bool:
        """Book one bar's change of equity.

        Returns:
            Whether this reading latched the state.
        """
        if state not in self._pnl:
            self._add(state)
        total = self._pnl[state] + pnl
        self._pnl[state] = total
        return self._latches[state].read(self._peaks[state].update(total) - total)

    def latch(self, state: int) -> LossLatch | None:
        """The latch of a state; None while nothing was earned or lost in it."""
        return self._latches.get(state)

    @property
    def profits(self) -> Mapping[int, float]:
        """Change of equity so far by state, quote currency."""
        return self._pnl

    @property
    def latched(self) -> frozenset[int]:
        """States in which no position is opened any more."""
        return frozenset(state for state, latch in self._latches.items() if latch.latched)

    def clear(self) -> None:
        """Unlatch all states; drawdowns count from here."""
        for state, latch in self._latches.items():
            latch.clear()
            self._peaks[state].restart(self._pnl[state])

    def snapshot(self) -> list[dict[str, Any]]:
        """All state, as plain JSON values."""
        return [
            {
                "state": state,
                "pnl": pnl,
                "peak": self._peaks[state].snapshot(),
                "latch": self._latches[state].snapshot(),
            }
            for state, pnl in sorted(self._pnl.items())
        ]

    def restore(self, states: list[Mapping[str, Any]]) -> None:
        """Take over what `snapshot` gave."""
        for entry in states:
            state = int(entry["state"])
            self._add(state)
            self._pnl[state] = float(entry["pnl"])
            self._peaks[state].restore(entry["peak"])
            self._latches[state].restore(entry["latch"])

    def _add(self, state: int) -> None:
        self._pnl[state] = 0.0
        self._peaks[state] = Watermark(self._readings, 0.0)
        self._latches[state] = LossLatch(self._limit, self._readings)
