"""Virtual time: what happens next, and the moments at which a process may die."""

import heapq
import random
from collections import deque
from collections.abc import Callable

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


class Crash(BaseException):
    """The process is gone; nothing in it may catch this."""


class Schedule:
    """Events in order of time; of two at one time, the one that was planned first."""

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns
        self._events: list[tuple[int, int, str, Callable[[], None]]] = []
        self._planned = 0

    def at(self, ts_ns: int, label: str, call: Callable[[], None]) -> None:
        """Plan an event."""
        self._planned += 1
        heapq.heappush(self._events, (max(ts_ns, self.now_ns), self._planned, label, call))

    def after(self, secs: float, label: str, call: Callable[[], None]) -> None:
        """Plan an event some seconds from now."""
        self.at(self.now_ns + round(secs * SECOND_NS), label, call)

    def next_ns(self) -> int | None:
        """Time of the next event; None without one."""
        return self._events[0][0] if self._events else None

    def step(self) -> None:
        """Let the next event happen."""
        self.now_ns, _, _, call = heapq.heappop(self._events)
        call()


class Moments:
    """Counts the moments at which a process may die, and says when it does.

    Args:
        rng: Decides when.
        mean: Moments between two deaths, on average; 0 for none.
        most: Deaths in one run.
    """

    def __init__(self, rng: random.Random, mean: float, most: int) -> None:
        self.passed = 0
        self.deaths = 0
        self.last = ""
        """Where the last death was."""
        self.is_armed = True
        self._rng = rng
        self._mean = mean
        self._most = most
        self._due = 0
        self._arm()

    def aim(self, moment: int) -> None:
        """Die at exactly this one, and at no other."""
        self._due, self._most = moment, 1

    def pass_by(self, label: str) -> None:
        """Live through a moment, or not.

        Raises:
            Crash: If this is the one.
        """
        self.passed += 1
        if self.passed == self._due and self.is_armed:
            self.deaths += 1
            self.last = label
            self._arm()
            raise Crash(label)

    def _arm(self) -> None:
        self._due = 0
        if self._mean and self.deaths < self._most:
            self._due = self.passed + 1 + int(self._rng.expovariate(1.0 / self._mean))


class Trace:
    """The newest events of a run, for a person to read when it went wrong."""

    def __init__(self, schedule: Schedule, keep: int) -> None:
        self._schedule = schedule
        self._start_ns = schedule.now_ns
        self._lines: deque[tuple[int, str, tuple[object, ...]]] = deque(maxlen=keep)

    def note(self, text: str, *values: object) -> None:
        """Remember what happened; put into words only when it is asked for."""
        self._lines.append((self._schedule.now_ns, text, values))

    def lines(self) -> list[str]:
        """One line an event, with seconds since the start."""
        return [
            f"{(ts_ns - self._start_ns) / SECOND_NS:10.4f} s  {text % values if values else text}"
            for ts_ns, text, values in self._lines
        ]
