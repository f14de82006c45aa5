"""What the guardian is shown, read from a node that is plain values."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bot.operation.desks import release_latches
from bot.operation.readings import Readings
from ops.guardian import Cause, Reading
from strategies.config import GuardrailConfig
from strategies.guardrails import RiskBook

MINUTE = 60_000_000_000
DAY = 1_440 * MINUTE


def book(**limits: float) -> RiskBook:
    off = {"daily_loss_quote": None, "state_drawdown_quote": None, "drawdown_frac": None}
    return RiskBook(GuardrailConfig(**(off | limits)), 1, 1_000.0)  # type: ignore[arg-type]


def lose(it: RiskBook, bars: int, equity: float = 800.0) -> None:
    for number in range(1, bars + 1):
        it.mark(number * MINUTE, equity, 2)


def node(own: RiskBook, account: RiskBook) -> Any:
    replay = SimpleNamespace(ts_event=5, events_sent=0, due_at=None, is_finished=False, is_dead=False)
    stages = SimpleNamespace(book=own)
    strategy = SimpleNamespace(
        name="one", bar_types=("A.X-1-MINUTE-LAST-EXTERNAL",), pipeline=SimpleNamespace(stages=stages)
    )
    wired = SimpleNamespace(account=SimpleNamespace(book=account), strategies=(strategy,))
    return SimpleNamespace(replay=replay, wired=wired)


def read(
    paper: Any, *, speed: float | None = 60.0, change: Callable[[float], None] = lambda _: None
) -> Reading:
    async def once() -> Reading:
        readings = Readings(paper, speed=speed, journal_fault=lambda: "j", unreconciled=lambda: "u")
        readings.read()
        change(asyncio.get_running_loop().time())
        return readings.read()

    return asyncio.run(once())


def test_readings_carry_the_faults_that_they_are_told_of_and_the_pace_of_the_feed() -> None:
    reading = read(node(book(), book()))

    assert (reading.journal_fault, reading.unreconciled, reading.market_ts) == ("j", "u", 5)
    assert (reading.feed_interval_secs, reading.feed_overdue_secs, reading.losses) == (1.0, None, ())
    assert read(node(book(), book()), speed=None).feed_interval_secs == 0.0


def test_readings_name_the_losses_that_stand_latched_in_the_books() -> None:
    own = book(daily_loss_quote=100.0, session_loss_quote=150.0, drawdown_frac=0.1, state_drawdown_quote=50.0)
    account = book(daily_loss_quote=100.0)
    own.mark(1, 1_000.0, 2)
    lose(own, 2)
    assert read(node(own, account)).losses == ()

    lose(own, 4)
    lose(account, 3)

    found = {(one.strategy, one.cause, one.until_ts) for one in read(node(own, account)).losses}
    assert found == {
        (None, Cause.DAILY_LOSS, DAY),
        ("one", Cause.DAILY_LOSS, DAY),
        ("one", Cause.SESSION_LOSS, None),
        ("one", Cause.DRAWDOWN, None),
        ("one", Cause.STATE_DRAWDOWN, None),
    }


def test_readings_call_a_feed_overdue_when_it_is_due_and_nothing_has_come() -> None:
    paper = node(book(), book())

    def stall(now: float) -> None:
        paper.replay.due_at = now - 20.0

    assert read(paper, change=stall).feed_overdue_secs == pytest.approx(20.0, abs=0.5)


def test_readings_call_a_feed_that_falls_behind_late_and_not_silent() -> None:
    paper = node(book(), book())

    def behind(now: float) -> None:
        paper.replay.due_at = now - 20.0
        paper.replay.events_sent += 1

    assert read(paper, change=behind).feed_overdue_secs == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("end", ["is_finished", "is_dead"])
def test_readings_expect_nothing_of_a_feed_that_has_ended(end: str) -> None:
    paper = node(book(), book())

    def finish(now: float) -> None:
        paper.replay.due_at = now - 20.0
        setattr(paper.replay, end, True)

    assert read(paper, change=finish).feed_overdue_secs is None


def test_release_lifts_what_is_latched_and_wins_back_no_budget() -> None:
    below = book(drawdown_frac=0.3)
    lose(below, 4)
    assert below.drawdown.loss == pytest.approx(0.2)
    assert not below.drawdown.latched

    assert release_latches(below) == ()
    assert below.peak_equity == 1_000.0  # a drawdown that has not tripped goes on counting

    latched = book(drawdown_frac=0.1, daily_loss_quote=100.0, session_loss_quote=100.0)
    lose(latched, 4)
    latched.halt("fault")
    assert release_latches(latched) == ("daily_loss",)
    assert not latched.session_loss.latched
    assert (latched.drawdown.latched, latched.fault, latched.daily_loss.latched) == (False, "", True)
