"""Watches the running bot and restricts it when something is not as it should be.

Flow: records, readings → **guardian** → restriction → gate and latch.

The core is pure: it sees every record of the tape and a `Reading` of everything else at each beat, and
says what trips. What is measured in market time (losses, order rates) trips at the same bar in a backtest
and here; losses are measured by the strategies' own books, which act on them, and the guardian sees to it
that they outlive the process. `watch` is the beat: a task on the trading loop, so that a loop that stands
still is noticed by its own clock.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope, ScopeKind
from strategies.tape import OrderRecord, Record

_LOG = logging.getLogger(__name__)

MINUTE_NS = 60_000_000_000
_SECOND_NS = 1_000_000_000
_OUTCOMES = 20
_FEWEST_OUTCOMES = 10
_DECISIONS = 1_000
"""Decisions of a strategy whose orders are still counted."""
_SHORTEST_SILENCE_SECS = 5.0
"""A fast replay closes bars faster than any loop wakes up."""
_WARN_STALL_SECS = 0.1
_WARN_AGAIN_SECS = 60.0
_REFUSED = frozenset({"REJECTED", "DENIED"})
_TAKEN = frozenset({"FILLED", "CANCELED", "EXPIRED"})
_OPERATOR_ROLE = "FLATTEN"


class Cause(StrEnum):
    """What trips; the names are public: restrictions, journals and alerts carry them as ``who``."""

    DAILY_LOSS = "daily_loss"
    SESSION_LOSS = "session_loss"
    DRAWDOWN = "drawdown"
    STATE_DRAWDOWN = "state_drawdown"
    REJECT_RATE = "reject_rate"
    ORDER_RATE = "order_rate"
    REPEATED_EXECUTION = "repeated_execution"
    STALE_FEED = "stale_feed"
    CLOCK = "clock"
    LOOP_STALL = "loop_stall"
    JOURNAL = "journal"
    UNRECONCILED = "unreconciled"
    DEAD_MAN = "dead_man_switch"
    GUARDIAN = "guardian"


LOSSES = frozenset({Cause.DAILY_LOSS, Cause.SESSION_LOSS, Cause.DRAWDOWN, Cause.STATE_DRAWDOWN})
"""Enforced by the strategies' own books while the process lives."""

_HALTING = frozenset(
    {
        Cause.REJECT_RATE,
        Cause.ORDER_RATE,
        Cause.REPEATED_EXECUTION,
        Cause.JOURNAL,
        Cause.UNRECONCILED,
        Cause.GUARDIAN,
    }
)
"""Something is wrong with our own orders, books or records; others let positions shrink as decided."""


@dataclass(frozen=True, slots=True)
class GuardianLimits:
    """When the guardian trips; None switches one off."""

    max_reject_frac: float | None = 0.5
    """Share of refused orders among a strategy's last 20, at least 10."""
    max_orders_per_minute: int | None = 300
    """Orders of one strategy in a minute of market time."""
    max_orders_per_decision: int | None = 10
    """Orders of one decision."""
    stale_feed_intervals: float | None = 5.0
    """Bars, at the feed's own pace, that may be missing; never less than five seconds."""
    restart_after_silence_secs: float | None = None
    """How long a silent feed is waited for before the process is to be started anew."""
    max_clock_step_secs: float | None = 2.0
    """How far the wall clock may step against the monotonic one between two beats."""
    max_stall_secs: float | None = 5.0
    """How long the loop may stand still."""


class LossReading(NamedTuple):
    """A loss limit that stands latched in a book."""

    strategy: str | None
    """None is the account."""
    cause: Cause
    detail: str
    until_ts: int | None
    """End of the trading day, UTC nanoseconds, for a day's loss."""


class Reading(NamedTuple):
    """The state of the process at one beat."""

    monotonic_secs: float
    wall_ns: int
    market_ts: int
    """Time of the newest bar, UTC nanoseconds."""
    losses: tuple[LossReading, ...] = ()
    feed_overdue_secs: float | None = None
    """How long the next event of the feed is late; None while none is due."""
    feed_interval_secs: float = 0.0
    """Wall time between two bars at the pace of the feed; 0 as fast as it goes."""
    clock_fault: str = ""
    journal_fault: str = ""
    unreconciled: str = ""
    dead_man_fault: str = ""


type Impose = Callable[[Restriction, bool], object]
"""``impose(restriction, is_enforced)``: hold it; enforced means that a book acts on it already."""


class Guardian:
    """Trips on what it is shown; a tape sink for records, asked once a beat for readings.

    A cause that stands trips again at every beat, so a resume does not hold while the cause does.

    Args:
        limits: When to trip.
        impose: Holds a restriction; called within `write` and `check`.
        now: Wall clock, UTC nanoseconds.
        beat_secs: Time between two readings.
    """

    def __init__(
        self, limits: GuardianLimits, impose: Impose, *, now: Callable[[], int], beat_secs: float
    ) -> None:
        self._limits = limits
        self._impose = impose
        self._now = now
        self._beat_secs = beat_secs
        self._conduct: dict[str, _Conduct] = {}
        self._last: Reading | None = None
        self._warned_at = float("-inf")
        self.stalls = 0
        """How often the loop stood still for longer than a tenth of a second."""
        self.longest_stall_secs = 0.0

    # -- records -----------------------------------------------------------------------------------

    def write(self, record: Record) -> None:
        """Count one record of the tape."""
        if not isinstance(record, OrderRecord) or record.role == _OPERATOR_ROLE:
            return
        conduct = self._conduct.setdefault(record.strategy, _Conduct())
        scope = Scope(ScopeKind.STRATEGY, record.strategy)
        if record.status == "SUBMITTED":
            self._check_sent(conduct, record, scope)
        elif record.status in _REFUSED or record.status in _TAKEN:
            conduct.outcomes.append(record.status in _REFUSED)
            self._check_outcomes(conduct, scope)

    def forget(self, scope: Scope) -> None:
        """Begin the counts of a scope anew, after it was resumed."""
        for strategy in tuple(self._conduct):
            if scope.covers(strategy, None):
                del self._conduct[strategy]

    def _check_sent(self, conduct: "_Conduct", record: OrderRecord, scope: Scope) -> None:
        times, most = conduct.sent_ts, self._limits.max_orders_per_minute
        times.append(record.ts_event)
        while times[0] <= record.ts_event - MINUTE_NS:
            times.popleft()
        if most is not None and len(times) > most:
            self._trip(Cause.ORDER_RATE, scope, f"more than {most} orders in a minute of market time")
        sent = conduct.count(record.decision_id)
        most = self._limits.max_orders_per_decision
        if most is not None and sent > most:
            detail = f"decision {record.decision_id} sent more than {most} orders"
            self._trip(Cause.REPEATED_EXECUTION, scope, detail)

    def _check_outcomes(self, conduct: "_Conduct", scope: Scope) -> None:
        refused, known = sum(conduct.outcomes), len(conduct.outcomes)
        most = self._limits.max_reject_frac
        if most is not None and known >= _FEWEST_OUTCOMES and refused > most * known:
            self._trip(Cause.REJECT_RATE, scope, f"{refused} of the last {known} orders were refused")

    # -- readings ----------------------------------------------------------------------------------

    def check(self, reading: Reading) -> None:
        """Take one reading."""
        for loss in reading.losses:
            scope = EVERYTHING if loss.strategy is None else Scope(ScopeKind.STRATEGY, loss.strategy)
            self._trip(loss.cause, scope, loss.detail, loss.until_ts)
        self._check_feed(reading)
        for cause, fault in (
            (Cause.CLOCK, reading.clock_fault),
            (Cause.JOURNAL, reading.journal_fault),
            (Cause.UNRECONCILED, reading.unreconciled),
            (Cause.DEAD_MAN, reading.dead_man_fault),
        ):
            if fault:
                self._trip(cause, EVERYTHING, fault)
        if self._last is not None:
            self._check_clocks(self._last, reading)
        self._last = reading

    def fail(self, error: BaseException) -> None:
        """The guardian itself broke: nobody watches, so nothing is opened."""
        self._trip(Cause.GUARDIAN, EVERYTHING, f"the guardian failed: {type(error).__name__}: {error}")

    def is_silent(self, reading: Reading) -> bool:
        """Whether the feed is later than it may be."""
        return (reading.feed_overdue_secs or 0.0) > self._longest_silence_secs(reading)

    def gives_up_on_feed(self, reading: Reading) -> bool:
        """Whether the feed has been silent for so long that only a start anew may bring it back."""
        longest = self._limits.restart_after_silence_secs
        return longest is not None and (reading.feed_overdue_secs or 0.0) > longest

    def _longest_silence_secs(self, reading: Reading) -> float:
        intervals = self._limits.stale_feed_intervals
        if intervals is None:
            return math.inf
        return max(intervals * reading.feed_interval_secs, _SHORTEST_SILENCE_SECS)

    def _check_feed(self, reading: Reading) -> None:
        if self.is_silent(reading):
            overdue, longest = reading.feed_overdue_secs or 0.0, self._longest_silence_secs(reading)
            detail = (
                f"the feed has been silent for {overdue:.1f} s longer than it should, {longest:.1f} allowed"
            )
            self._trip(Cause.STALE_FEED, EVERYTHING, detail)

    def _check_clocks(self, last: Reading, reading: Reading) -> None:
        passed = reading.monotonic_secs - last.monotonic_secs
        step = (reading.wall_ns - last.wall_ns) / _SECOND_NS - passed
        most = self._limits.max_clock_step_secs
        if most is not None and abs(step) > most:
            self._trip(Cause.CLOCK, EVERYTHING, f"the wall clock stepped by {step:+.3f} s")
        stall = passed - self._beat_secs
        if stall <= _WARN_STALL_SECS:
            return
        self.stalls += 1
        self.longest_stall_secs = max(self.longest_stall_secs, stall)
        if reading.monotonic_secs - self._warned_at >= _WARN_AGAIN_SECS:
            self._warned_at = reading.monotonic_secs
            _LOG.warning("the loop stood still for %.3f s (%d times so far)", stall, self.stalls)
        most = self._limits.max_stall_secs
        if most is not None and stall > most:
            self._trip(Cause.LOOP_STALL, EVERYTHING, f"the trading loop stood still for {stall:.1f} s")

    def _trip(self, cause: Cause, scope: Scope, detail: str, until_ts: int | None = None) -> None:
        state = TradingState.HALTED if cause in _HALTING else TradingState.REDUCING
        restriction = Restriction(
            scope, state, f"{cause}: {detail}", cause.value, self._now(), Origin.AUTOMATIC, until_ts
        )
        self._impose(restriction, cause in LOSSES)


class _Conduct:
    """What one strategy has sent lately."""

    def __init__(self) -> None:
        self.sent_ts: deque[int] = deque()
        self.outcomes: deque[bool] = deque(maxlen=_OUTCOMES)
        self._orders: dict[str, int] = {}

    def count(self, decision_id: str) -> int:
        """Count one more order of a decision, and say how many there were."""
        sent = self._orders.get(decision_id, 0) + 1
        self._orders[decision_id] = sent
        if len(self._orders) > _DECISIONS:
            del self._orders[next(iter(self._orders))]
        return sent


class Heartbeat:
    """Keeps a venue's dead-man switch from firing, from the trading loop: if that hangs, it fires.

    The switch cancels our orders at the venue unless it is armed anew in time. It is armed three times as
    often as it must be. Until it is armed, and when it cannot be, no risk may be opened.

    Args:
        timeout_secs: After which the venue cancels.
        arm: Asks the venue to cancel in so many seconds from now; raises where it refuses.
    """

    def __init__(self, timeout_secs: float, arm: Callable[[float], Awaitable[None]]) -> None:
        self._timeout_secs = timeout_secs
        self._period_secs = timeout_secs / 3.0
        self._arm = arm
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self.is_armed = False
        """Whether the venue has agreed and has not refused since; wait for it before the first order."""
        self.fault = ""
        """Why the venue did not agree the last time it was asked."""

    def beat(self, monotonic_secs: float) -> None:
        """Arm the switch if it is time; called at every beat of the loop and never waits."""
        if self._asked_at is not None and monotonic_secs - self._asked_at < self._period_secs:
            return
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            self._refuse(f"the venue has not answered for {self._period_secs:g} s")
        self._asked_at = monotonic_secs
        self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        try:
            await self._arm(self._timeout_secs)
        except Exception as error:  # noqa: BLE001 - whatever the refusal is, we are unprotected
            self._refuse(f"the venue refused: {type(error).__name__}: {error}")
        else:
            self.is_armed, self.fault = True, ""

    def _refuse(self, why: str) -> None:
        self.is_armed = False
        self.fault = f"the dead-man switch is not armed: {why}"


async def watch(
    guardian: Guardian,
    read: Callable[[], Reading],
    beat_secs: float,
    after_beat: Sequence[Callable[[Reading], None]] = (),
) -> None:
    """Show the guardian a reading at every beat, until cancelled; a reading that fails trips it.

    Args:
        after_beat: Each gets every reading that the guardian has taken.
    """
    while True:
        try:
            reading = read()
            guardian.check(reading)
            for call in after_beat:
                call(reading)
        except Exception as error:  # noqa: BLE001 - fail closed
            _LOG.exception("the guardian failed")
            guardian.fail(error)
        await asyncio.sleep(beat_secs)
