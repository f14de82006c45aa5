"""What the guardian is shown at each beat, gathered from the running node."""

import asyncio
import time
from collections.abc import Callable, Iterator

from adapters.catalog import interval_ns_of
from bot.paper import PaperNode
from ops.guardian import Cause, LossReading, Reading
from strategies.guardrails import RiskBook


class Readings:
    """Reads one node; on its loop.

    Args:
        paper: The node.
        speed: Market time over wall time at which its feed plays; None as fast as it can.
        journal_fault: Why what happens cannot be recorded; empty while it can.
        unreconciled: Why our books and the venue's differ; empty while they agree.
        clock_fault: Why the wall clock must not be believed, asked with a monotonic time in seconds.
    """

    def __init__(
        self,
        paper: PaperNode,
        *,
        speed: float | None,
        journal_fault: Callable[[], str],
        unreconciled: Callable[[], str],
        clock_fault: Callable[[float], str] = lambda _: "",
    ) -> None:
        self._paper = paper
        self._clock_fault = clock_fault
        self._journal_fault = journal_fault
        self._unreconciled = unreconciled
        names = [name for strategy in paper.wired.strategies for name in strategy.bar_types]
        self._events_sent = 0
        self._moved_at = 0.0
        self._interval_secs = 0.0 if speed is None else min(map(interval_ns_of, names)) / 1e9 / speed

    @property
    def market_ts(self) -> int:
        """Time of the newest event of the feed, UTC nanoseconds."""
        return self._paper.replay.ts_event

    def read(self) -> Reading:
        """Take one reading."""
        monotonic_secs = time.monotonic()
        return Reading(
            monotonic_secs=monotonic_secs,
            wall_ns=time.time_ns(),
            market_ts=self.market_ts,
            losses=tuple(self._losses()),
            feed_overdue_secs=self._overdue_secs(),
            feed_interval_secs=self._interval_secs,
            clock_fault=self._clock_fault(monotonic_secs),
            journal_fault=self._journal_fault(),
            unreconciled=self._unreconciled(),
        )

    def _overdue_secs(self) -> float | None:
        replay, now = self._paper.replay, asyncio.get_running_loop().time()
        if replay.events_sent != self._events_sent:
            self._events_sent, self._moved_at = replay.events_sent, now
        if replay.due_at is None or replay.is_finished or replay.is_dead:
            return None
        # A feed that cannot keep up with its pace is late, not silent.
        return now - max(replay.due_at, self._moved_at)

    def _losses(self) -> Iterator[LossReading]:
        wired = self._paper.wired
        yield from _latched(None, wired.account.book)
        for strategy in wired.strategies:
            yield from _latched(strategy.name, strategy.pipeline.stages.book)


def _latched(strategy: str | None, book: RiskBook) -> Iterator[LossReading]:
    if book.daily_loss.latched:
        detail = f"lost {book.daily_loss.loss:,.2f} since the day began, limit {book.daily_loss.limit:,.2f}"
        yield LossReading(strategy, Cause.DAILY_LOSS, detail, book.clock.day_end)
    if book.session_loss.latched:
        lost, limit = book.session_loss.loss, book.session_loss.limit
        yield LossReading(
            strategy,
            Cause.SESSION_LOSS,
            f"lost {lost:,.2f} since the session began, limit {limit:,.2f}",
            None,
        )
    if book.drawdown.latched:
        detail = f"drawdown {book.drawdown.loss:.4f}, limit {book.drawdown.limit:.4f}"
        yield LossReading(strategy, Cause.DRAWDOWN, detail, None)
    if states := book.state_losses.latched:
        yield LossReading(strategy, Cause.STATE_DRAWDOWN, f"regime states {sorted(states)} lost theirs", None)
