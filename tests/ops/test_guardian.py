"""The guardian on planted records and readings; nothing here runs for real but the beat at the end."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from ops.guardian import MINUTE_NS, Cause, Guardian, GuardianLimits, Heartbeat, LossReading, Reading, watch
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope
from strategies.tape import HaltRecord, OrderRecord

REDUCING, HALTED = TradingState.REDUCING, TradingState.HALTED
ONE = Scope.parse("strategy:one")
BEAT = 0.1
SECOND = 1_000_000_000


class Watched:
    """A guardian, and what it imposed."""

    def __init__(self, **limits: Any) -> None:
        self.imposed: list[tuple[Restriction, bool]] = []
        self.guardian = Guardian(
            GuardianLimits(**limits),
            lambda one, is_enforced: self.imposed.append((one, is_enforced)),
            now=lambda: 7,
            beat_secs=BEAT,
        )
        self.beats = 0

    def beat(self, wall_step_secs: float = 0.0, late_secs: float = 0.0, **changed: object) -> None:
        """Take one reading a beat after the last."""
        self.beats += 1
        at = self.beats * BEAT
        self._late = getattr(self, "_late", 0.0) + late_secs
        self._step = getattr(self, "_step", 0.0) + wall_step_secs
        reading = Reading(at + self._late, round((at + self._late + self._step) * SECOND), 0)
        self.guardian.check(reading._replace(**changed))  # type: ignore[arg-type]

    def order(self, status: str, decision: str = "d", strategy: str = "one", **changed: Any) -> None:
        record = OrderRecord(
            0, strategy, "A.X", decision, "id", "BUY", 1.0, "MARKET", "OPEN", 0.0, 0.0, status, ""
        )
        self.guardian.write(record._replace(**changed))

    @property
    def causes(self) -> list[str]:
        return [one.who for one, _ in self.imposed]


def test_guardian_that_sees_nothing_wrong_imposes_nothing() -> None:
    it = Watched()
    for number in range(300):
        it.order("SUBMITTED", f"d{number}", ts_event=number * MINUTE_NS)
        it.order("ACCEPTED", f"d{number}")
        it.order("FILLED", f"d{number}")
        it.beat(feed_overdue_secs=0.01, feed_interval_secs=0.1)
    it.guardian.write(HaltRecord(0, "one", "SKIPPED", "bad_data", ""))

    assert it.imposed == []


@pytest.mark.parametrize(
    ("refused", "trips"),
    [((True,) * 9, False), ((True,) * 6 + (False,) * 4, True), ((True, False) * 10, False)],
)
def test_guardian_halts_a_strategy_whose_orders_are_refused(refused: tuple[bool, ...], trips: bool) -> None:
    it = Watched()
    for one in reversed(refused):
        it.order("REJECTED" if one else "FILLED")

    assert it.causes == ["reject_rate"] * trips
    for imposed, is_enforced in it.imposed:
        assert (imposed.scope, imposed.state, imposed.origin) == (ONE, HALTED, Origin.AUTOMATIC)
        assert not is_enforced


def test_guardian_counts_denials_and_not_protective_exits_that_are_still_open() -> None:
    it = Watched()
    for _ in range(10):
        it.order("ACCEPTED")
        it.order("DENIED")

    assert set(it.causes) == {"reject_rate"}
    assert "10 of the last 10" in it.imposed[0][0].reason


def test_guardian_counts_orders_in_market_time_at_any_speed() -> None:
    it = Watched(max_orders_per_minute=3)
    for number in range(3):
        it.order("SUBMITTED", f"d{number}", ts_event=10)
    it.order("SUBMITTED", "later", ts_event=10 + MINUTE_NS)
    assert it.imposed == []

    for number in range(3):
        it.order("SUBMITTED", f"e{number}", ts_event=10 + MINUTE_NS)

    assert it.causes == ["order_rate"]


def test_guardian_halts_on_too_many_orders_of_one_decision_until_it_is_resumed() -> None:
    it = Watched(max_orders_per_decision=3)
    for number in range(4):
        it.order("SUBMITTED", ts_event=number * MINUTE_NS)
    assert it.causes == ["repeated_execution"]
    it.order("SUBMITTED", "another", ts_event=5 * MINUTE_NS)
    it.order("SUBMITTED", strategy="two", ts_event=5 * MINUTE_NS)
    assert it.causes == ["repeated_execution"]

    it.guardian.forget(ONE)
    it.order("SUBMITTED", ts_event=6 * MINUTE_NS)

    assert it.causes == ["repeated_execution"]


def test_guardian_does_not_count_an_operators_flatten() -> None:
    it = Watched(max_orders_per_decision=1, max_orders_per_minute=1)
    for _ in range(20):
        it.order("SUBMITTED", role="FLATTEN")
        it.order("REJECTED", role="FLATTEN")

    assert it.imposed == []


@pytest.mark.parametrize("cause", [Cause.DAILY_LOSS, Cause.DRAWDOWN, Cause.STATE_DRAWDOWN])
def test_guardian_makes_losses_durable_that_the_books_enforce(cause: Cause) -> None:
    it = Watched()

    it.beat(losses=(LossReading("one", cause, "lost", 5), LossReading(None, cause, "lost", None)))

    (own, own_enforced), (account, account_enforced) = it.imposed
    assert (own.scope, own.state, own.until_ts, own.who) == (ONE, REDUCING, 5, cause.value)
    assert (account.scope, own_enforced, account_enforced) == (EVERYTHING, True, True)


@pytest.mark.parametrize(
    ("overdue", "interval", "trips"),
    [
        (4.9, 0.1, False),
        (5.1, 0.1, True),
        (49.0, 10.0, False),
        (51.0, 10.0, True),
        (None, 0.1, False),
        (5.1, 0.0, True),
    ],
)
def test_guardian_restricts_when_the_feed_is_silent_at_its_own_pace(
    overdue: float | None, interval: float, trips: bool
) -> None:
    it = Watched()

    it.beat(feed_overdue_secs=overdue, feed_interval_secs=interval)

    assert it.causes == ["stale_feed"] * trips


@pytest.mark.parametrize(
    ("step", "trips"), [(1.9, False), (2.1, True), (-1.9, False), (-2.1, True), (3600.0, True)]
)
def test_guardian_restricts_when_the_wall_clock_steps(step: float, trips: bool) -> None:
    it = Watched()
    it.beat()
    it.beat(wall_step_secs=step)
    it.beat()

    assert it.causes == ["clock"] * trips


def test_guardian_adds_no_risk_while_nothing_vouches_for_the_clock() -> None:
    it = Watched()
    it.beat()
    it.beat(clock_fault="nobody knows")

    [(restriction, is_enforced)] = it.imposed
    assert (restriction.scope, restriction.state, is_enforced) == (EVERYTHING, REDUCING, False)
    assert restriction.reason == "clock: nobody knows"


def test_guardian_warns_of_a_short_stall_and_restricts_on_a_long_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Watched()
    it.beat()
    it.beat(late_secs=0.09)
    assert (it.guardian.stalls, caplog.records) == (0, [])

    it.beat(late_secs=0.2)
    it.beat(late_secs=0.3)
    assert (it.guardian.stalls, len(caplog.records), it.imposed) == (2, 1, [])

    it.beat(late_secs=5.1)
    assert it.causes == ["loop_stall"]
    assert it.guardian.longest_stall_secs == pytest.approx(5.1)


@pytest.mark.parametrize(
    ("field", "cause", "state"),
    [
        ("journal_fault", "journal", HALTED),
        ("unreconciled", "unreconciled", HALTED),
        ("dead_man_fault", "dead_man_switch", REDUCING),
    ],
)
def test_guardian_restricts_everything_on_a_fault_that_it_is_told_of(
    field: str, cause: str, state: TradingState
) -> None:
    it = Watched()

    told: dict[str, Any] = {field: "it broke"}
    it.beat(**told)

    ((one, _),) = it.imposed
    assert (one.who, one.state, one.scope, one.reason) == (cause, state, EVERYTHING, f"{cause}: it broke")


def test_guardian_cause_that_stands_trips_again_after_a_resume() -> None:
    it = Watched()
    it.beat(unreconciled="x")
    it.guardian.forget(EVERYTHING)
    it.beat(unreconciled="x")

    assert it.causes == ["unreconciled"] * 2


def test_guardian_limits_that_are_none_never_trip() -> None:
    it = Watched(**dict.fromkeys(GuardianLimits.__dataclass_fields__))
    it.beat()
    it.beat(wall_step_secs=1e6, late_secs=1e6, feed_overdue_secs=1e6)
    for _ in range(400):
        it.order("SUBMITTED")
        it.order("REJECTED")

    assert it.imposed == []


def test_watch_that_cannot_read_halts_and_goes_on() -> None:
    it = Watched()
    readings: Iterator[Exception | Reading] = iter(
        [ZeroDivisionError("no reading"), Reading(0.0, 0, 0, unreconciled="x")]
    )

    def read() -> Reading:
        found = next(readings)
        if isinstance(found, Exception):
            raise found
        return found

    async def run() -> None:
        task = asyncio.create_task(watch(it.guardian, read, 0.001))
        while len(it.imposed) < 2:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(run())

    assert it.causes[:2] == ["guardian", "unreconciled"]
    assert it.imposed[0][0].state is HALTED


@pytest.mark.parametrize(
    ("overdue", "longest", "is_over"),
    [(None, 600.0, False), (600.0, 600.0, False), (600.1, 600.0, True), (1e9, None, False)],
)
def test_guardian_gives_up_on_a_feed_only_after_the_time_that_was_set(
    overdue: float | None, longest: float | None, is_over: bool
) -> None:
    it = Watched(restart_after_silence_secs=longest, stale_feed_intervals=None)

    assert it.guardian.gives_up_on_feed(Reading(0.0, 0, 0, feed_overdue_secs=overdue)) is is_over


class FakeVenue:
    """Takes or refuses to arm a dead-man switch."""

    def __init__(self) -> None:
        self.armed: list[float] = []
        self.refuses = False
        self.hangs = False

    async def arm(self, timeout_secs: float) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses:
            raise ConnectionError("too many triggers today")
        self.armed.append(timeout_secs)


async def beats(heart: Heartbeat, *seconds: float) -> None:
    for at in seconds:
        heart.beat(at)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def test_heartbeat_arms_at_once_and_then_at_a_third_of_the_timeout() -> None:
    venue = FakeVenue()
    heart = Heartbeat(60.0, venue.arm)
    assert not heart.is_armed

    asyncio.run(beats(heart, 0.0, 1.0, 19.9, 20.0, 39.0, 40.0))

    assert (venue.armed, heart.is_armed, heart.fault) == ([60.0] * 3, True, "")


def test_heartbeat_that_is_refused_says_so_until_it_is_taken_again() -> None:
    venue = FakeVenue()
    heart = Heartbeat(60.0, venue.arm)
    asyncio.run(beats(heart, 0.0))
    venue.refuses = True
    asyncio.run(beats(heart, 20.0))

    assert not heart.is_armed
    assert "too many triggers today" in heart.fault
    venue.refuses = False
    asyncio.run(beats(heart, 40.0))
    assert (heart.is_armed, heart.fault) == (True, "")


def test_heartbeat_without_an_answer_is_unprotected_and_asks_again() -> None:
    venue = FakeVenue()
    heart = Heartbeat(60.0, venue.arm)

    async def run() -> None:
        venue.hangs = True
        await beats(heart, 0.0, 20.0)
        assert "not answered for 20 s" in heart.fault
        venue.hangs = False
        await beats(heart, 40.0)

    asyncio.run(run())

    assert (heart.is_armed, venue.armed) == (True, [60.0])
