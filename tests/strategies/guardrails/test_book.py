"""The book: days, losses and latches, wild clocks, and what survives a restart."""

import json
import math
from typing import Any

import pytest

from strategies.errors import SafetyError
from strategies.guardrails import GuardrailReason, RiskBook, TradingState
from tests.strategies.guardrails.scenario import (
    CAPITAL,
    DAY,
    HOUR,
    MINUTE,
    NOON,
    Desk,
    limits,
    trade,
)

MIDNIGHT = NOON + 12 * HOUR


def _book(**changed: Any) -> RiskBook:
    return RiskBook(limits(**changed), 3, CAPITAL)


def _marks(book: RiskBook, *equities: float, start: int = NOON, state: int | None = None) -> list[Any]:
    return [book.mark(start + n * MINUTE, equity, state) for n, equity in enumerate(equities)]


# -- daily loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equities", "latched"),
    [
        ((9900.01, 9900.01, 9900.01, 9900.01), [None, None, None, None]),
        ((9900.0, 9900.0, 9900.0, 9900.0), [None, None, "daily_loss", None]),
        ((9800.0, 9850.0, 9899.0), [None, None, "daily_loss"]),
        ((9800.0, 9800.0, 9901.0, 9800.0, 9800.0, 9800.0), [None, None, None, None, None, "daily_loss"]),
        ((0.01, 10_000.0, 10_000.0), [None, None, None]),
        ((10_200.0, 10_101.0, 10_050.0, 10_000.0), [None, None, None, None]),
    ],
)
def test_daily_loss_latches_at_the_third_consecutive_reading(
    equities: tuple[float, ...], latched: list[Any]
) -> None:
    assert _marks(_book(daily_loss_quote=100.0), *equities) == latched


def test_profit_never_trips_the_daily_loss() -> None:
    assert _marks(_book(daily_loss_quote=100.0), *[20_000.0] * 5) == [None] * 5


def test_daily_loss_blocks_new_risk_from_the_first_reading_and_lets_go_when_it_was_one_bad_price() -> None:
    it = Desk(limits(daily_loss_quote=100.0), marked=False)
    reasons = []
    for bar, equity in enumerate([10_000.0, 9900.0, 9950.0]):
        it.book.mark(NOON + bar * MINUTE, equity, None)
        reasons.append(it.check(trade(0.01, index=bar), ts_event=NOON + bar * MINUTE).reason)

    assert reasons == ["ok", "daily_loss", "ok"]
    assert it.book.latch is None


def test_latched_daily_loss_stays_when_equity_recovers_and_names_limit_and_loss() -> None:
    it = Desk(limits(daily_loss_quote=100.0), marked=False)
    _marks(it.book, 9880.0, 9880.0, 9880.0, 10_500.0)

    verdict = it.check(trade(1.0), ts_event=NOON + 3 * MINUTE)

    assert (verdict.reason, verdict.limit, verdict.value) == ("daily_loss", 100.0, -500.0)
    assert (it.book.latch, it.book.trading_state) == (GuardrailReason.DAILY_LOSS, TradingState.REDUCING)


def test_daily_loss_latch_ends_exactly_at_the_day_boundary_and_not_a_nanosecond_before() -> None:
    book = _book(daily_loss_quote=100.0)
    _marks(book, 9880.0, 9880.0, 9880.0)

    book.mark(MIDNIGHT - 1, 9880.0, None)
    before = book.latch
    book.mark(MIDNIGHT, 9880.0, None)

    assert before is GuardrailReason.DAILY_LOSS
    assert (book.latch, book.day_start_equity) == (None, 9880.0)


@pytest.mark.parametrize(
    ("hour", "boundary"), [(0, MIDNIGHT), (17, NOON + 5 * HOUR), (12, NOON + DAY), (11, NOON + 23 * HOUR)]
)
def test_trading_day_begins_at_the_configured_hour(hour: int, boundary: int) -> None:
    book = _book(day_start_utc_hour=hour)
    book.mark(NOON, CAPITAL, None)
    book.on_order_sent(NOON, 0, 1, 500.0, "d")

    book.mark(boundary - 1, CAPITAL, None)
    before = book.daily_notional
    book.mark(boundary, CAPITAL, None)

    assert (before, book.daily_notional) == (500.0, 0.0)


def test_loss_overnight_counts_for_the_new_day() -> None:
    book = _book(daily_loss_quote=100.0)
    book.mark(MIDNIGHT - MINUTE, 9950.0, None)

    book.mark(MIDNIGHT + 8 * HOUR, 9840.0, None)

    assert book.day_start_equity == 9950.0
    assert book.daily_loss.loss == pytest.approx(110.0)


def test_new_day_begins_all_budgets_anew() -> None:
    it = Desk(limits(max_daily_notional_quote=1000.0, max_reject_rate=0.0))
    it.book.on_order_sent(NOON, 1, 1, 1000.0, "d")
    it.book.on_outcome(rejected=True)

    it.book.mark(MIDNIGHT, CAPITAL, None)

    assert it.check(trade(1.0), ts_event=MIDNIGHT).reason == "ok"


# -- drawdown --------------------------------------------------------------------------------------


def test_drawdown_latches_at_the_third_reading_and_over_the_day_boundary_until_release() -> None:
    # peak 12,000 held for three readings; 10 % below is 10,800
    book = _book(drawdown_frac=0.1)
    assert _marks(book, 12_000.0, 12_000.0, 12_000.0, 10_800.0, 10_800.0) == [None] * 5

    assert book.mark(NOON + HOUR, 10_800.0, None) is GuardrailReason.REDUCING
    book.mark(NOON + 3 * DAY, 12_500.0, None)
    held = book.latch
    book.release(GuardrailReason.REDUCING)

    assert held is GuardrailReason.REDUCING
    assert (book.latch, book.peak_equity) == (None, 12_500.0)


def test_drawdown_just_below_the_limit_does_not_latch() -> None:
    book = _book(drawdown_frac=0.1)
    _marks(book, *[12_000.0] * 3)

    assert _marks(book, *[10_800.01] * 9, start=NOON + HOUR) == [None] * 9


def test_release_of_the_drawdown_counts_from_the_present_equity() -> None:
    book = _book(drawdown_frac=0.1)
    _marks(book, *[8000.0] * 3)
    book.release(GuardrailReason.REDUCING)

    after = _marks(book, *[7201.0] * 4, *[7200.0] * 3, start=NOON + HOUR)

    assert after == [None] * 6 + [GuardrailReason.REDUCING]


def test_one_wild_price_raises_no_peak_and_latches_no_drawdown() -> None:
    book = _book(drawdown_frac=0.1, daily_loss_quote=100.0)

    latched = _marks(book, 10_000.0, 99_000.0, 10_000.0, 10_000.0, 10_000.0, 100.0, 10_000.0, 10_000.0)

    assert latched == [None] * 8
    assert (book.peak_equity, book.latch) == (10_000.0, None)


def test_new_high_right_after_a_wild_price_counts_only_as_high_as_it_held() -> None:
    book = _book()
    _marks(book, 10_005.0, 99_000.0, 10_010.0)

    assert book.peak_equity == 10_005.0


def test_drawdown_shows_as_reducing_with_fractions() -> None:
    it = Desk(limits(drawdown_frac=0.1), marked=False)
    it.book.mark(NOON, 8500.0, None)

    verdict = it.check(trade(1.0))

    assert (verdict.reason, verdict.limit) == ("reducing", 0.1)
    assert verdict.value == pytest.approx(0.15)


# -- state drawdown --------------------------------------------------------------------------------


def test_state_drawdown_counts_for_the_state_in_which_the_position_was_decided() -> None:
    # decided in state 1, read in state 0: the loss is state 1's
    book = _book(state_drawdown_quote=20.0)
    book.mark(NOON, 10_000.0, 1)
    book.mark(NOON + MINUTE, 9980.0, 0)

    one, zero = book.state_losses.latch(1), book.state_losses.latch(0)

    assert one is not None
    assert (one.loss, one.blocking, zero) == (20.0, True, None)


@pytest.mark.parametrize(("loss", "latched"), [(19.99, False), (20.0, True), (20.01, True)])
def test_state_drawdown_latches_its_own_state_only(loss: float, latched: bool) -> None:
    it = Desk(limits(state_drawdown_quote=20.0), marked=False)
    it.book.mark(NOON, 10_000.0, 2)
    reasons = [it.book.mark(NOON + n * MINUTE, 10_000.0 - loss, 2) for n in (1, 2, 3)]
    now = NOON + 3 * MINUTE

    assert reasons == [None, None, GuardrailReason.STATE_DRAWDOWN if latched else None]
    assert it.check(trade(1.0), ts_event=now, regime_state=2).reason == (
        "state_drawdown" if latched else "ok"
    )
    assert it.check(trade(1.0, index=1), ts_event=now, regime_state=1).reason == "ok"
    assert it.check(trade(1.0, index=2), ts_event=now, regime_state=None).reason == "ok"
    assert (it.book.latch, it.book.trading_state) == (None, TradingState.ACTIVE)


def test_state_drawdown_is_from_the_states_peak_and_survives_the_day() -> None:
    # +50 in state 0, then -20: the drawdown is 20 although the state is 30 up
    book = _book(state_drawdown_quote=20.0)
    _marks(book, 10_000.0, 10_050.0, 10_050.0, 10_050.0, 10_030.0, 10_030.0, 10_030.0, state=0)
    held = book.state_losses.latched
    book.mark(NOON + 2 * DAY, 10_030.0, 0)

    assert held == book.state_losses.latched == frozenset({0})


def test_release_of_the_state_drawdown_counts_from_there() -> None:
    book = _book(state_drawdown_quote=20.0)
    _marks(book, 10_000.0, 9975.0, 9975.0, 9975.0, state=0)
    book.release(GuardrailReason.STATE_DRAWDOWN)

    after = _marks(book, *[9955.01] * 4, *[9955.0] * 3, start=NOON + HOUR, state=0)

    assert after == [None] * 6 + [GuardrailReason.STATE_DRAWDOWN]


def test_of_several_latches_at_once_the_days_is_told_first() -> None:
    book = _book(state_drawdown_quote=20.0, drawdown_frac=0.01, daily_loss_quote=100.0)
    book.mark(NOON - MINUTE, 10_000.0, 0)

    assert _marks(book, *[9800.0] * 3, state=0)[-1] is GuardrailReason.DAILY_LOSS
    assert book.drawdown.latched
    assert book.state_losses.latched == frozenset({0})


# -- the session -----------------------------------------------------------------------------------


def test_session_loss_counts_over_days_and_stays_latched_until_it_is_released() -> None:
    it = Desk(limits(session_loss_quote=100.0, loss_readings=2), marked=False)
    book = it.book
    _marks(book, CAPITAL - 60.0)
    told = _marks(book, CAPITAL - 99.0, CAPITAL - 100.0, CAPITAL - 100.0, CAPITAL - 50.0, start=NOON + DAY)
    held = it.check(trade(1.0), ts_event=NOON + DAY + 3 * MINUTE)
    after_days = _marks(book, CAPITAL - 50.0, start=NOON + 5 * DAY)

    assert told == [None, None, GuardrailReason.SESSION_LOSS, None]
    assert (held.reason, held.approved, held.limit, held.value) == ("session_loss", 0.0, 100.0, 50.0)
    assert (after_days, book.latch) == ([None], GuardrailReason.SESSION_LOSS)

    book.release(GuardrailReason.SESSION_LOSS)
    again = _marks(book, CAPITAL - 149.0, CAPITAL - 150.0, CAPITAL - 150.0, start=NOON + 6 * DAY)
    assert again == [None, None, GuardrailReason.SESSION_LOSS]


def test_session_that_begins_wins_back_its_own_budget_and_no_other() -> None:
    book = _book(session_loss_quote=100.0, daily_loss_quote=100.0, drawdown_frac=0.01)
    _marks(book, *[CAPITAL - 100.0] * 4)

    book.begin_session()

    assert (book.session_loss.latched, book.session_start_equity) == (False, CAPITAL - 100.0)
    assert (book.daily_loss.latched, book.drawdown.latched) == (True, True)


def test_snapshot_of_a_version_that_knew_no_sessions_begins_one() -> None:
    before = _book(daily_loss_quote=100.0)
    before.mark(NOON, CAPITAL - 40.0, None)
    known = {name: part for name, part in before.snapshot().items() if not name.startswith("session")}
    book = _book(session_loss_quote=50.0)

    book.restore({**known, "version": 1})

    assert (book.session_start_equity, book.session_loss.loss) == (CAPITAL - 40.0, 0.0)
    assert book.day_start_equity == CAPITAL


# -- halts -----------------------------------------------------------------------------------------


def test_halt_acts_at_once_keeps_its_first_detail_and_outlives_the_day() -> None:
    it = Desk(limits())
    it.book.halt("operator")
    it.book.halt("later")
    now = it.check(trade(1.0)).reason
    it.book.mark(MIDNIGHT, CAPITAL, None)

    assert (now, it.book.fault, it.book.trading_state) == ("halted", "operator", TradingState.HALTED)
    it.book.release(GuardrailReason.HALTED)
    assert it.check(trade(1.0), ts_event=MIDNIGHT).reason == "ok"


def test_halt_without_detail_still_halts() -> None:
    book = _book()
    book.halt("")

    assert book.trading_state is TradingState.HALTED


@pytest.mark.parametrize(
    "reason", [GuardrailReason.DAILY_LOSS, GuardrailReason.DAY_BUDGET, GuardrailReason.OK]
)
def test_release_of_what_waits_for_the_day_is_refused(reason: GuardrailReason) -> None:
    book = _book(daily_loss_quote=100.0)
    _marks(book, *[9000.0] * 3)

    with pytest.raises(SafetyError, match="next trading day"):
        book.release(reason)
    assert book.latch is GuardrailReason.DAILY_LOSS


def test_release_of_the_reject_rate_forgets_outcomes() -> None:
    it = Desk(limits(max_reject_rate=0.0))
    it.book.on_outcome(rejected=True)
    assert it.check(trade(1.0)).reason == "reject_rate"

    it.book.release(GuardrailReason.REJECT_RATE)

    assert it.check(trade(1.0)).reason == "ok"


# -- clocks ----------------------------------------------------------------------------------------


def test_clock_set_back_over_the_boundary_wins_back_no_budget() -> None:
    it = Desk(limits(max_daily_notional_quote=1000.0, daily_loss_quote=100.0), marked=False)
    it.book.mark(MIDNIGHT, CAPITAL, None)
    it.book.on_order_sent(MIDNIGHT, 1, 1, 1000.0, "d")

    it.book.mark(MIDNIGHT - HOUR, CAPITAL, None)
    back = it.check(trade(1.0), ts_event=MIDNIGHT - HOUR)
    it.book.mark(MIDNIGHT, CAPITAL, None)
    again = it.check(trade(1.0), ts_event=MIDNIGHT)
    it.book.mark(MIDNIGHT + MINUTE, CAPITAL, None)
    later = it.check(trade(1.0), ts_event=MIDNIGHT + MINUTE)

    assert [v.reason for v in (back, again, later)] == ["stale_data", "day_budget", "day_budget"]
    assert it.book.daily_notional == 1000.0


def test_clock_set_back_reads_no_losses_and_releases_no_reservation() -> None:
    book = _book(daily_loss_quote=100.0)
    book.mark(NOON, CAPITAL, None)
    book.reserve(NOON, 0, 1.0, 100.0, 0.0, True)
    before = book.snapshot()

    latched = [book.mark(NOON - n * HOUR, 1.0, 0) for n in range(5)]

    assert latched == [None] * 5
    assert book.snapshot() == before


def test_one_bar_far_ahead_begins_no_day_and_adds_no_risk() -> None:
    it = Desk(limits(max_daily_notional_quote=1000.0, daily_loss_quote=100.0), marked=False)
    _marks(it.book, *[9000.0] * 3)
    it.book.on_order_sent(NOON, 1, 1, 999.0, "d")
    wild = NOON + 8 * DAY

    it.book.mark(wild, CAPITAL, None)
    ahead = it.check(trade(1.0), ts_event=wild)
    it.book.mark(NOON + HOUR, 9000.0, None)

    assert ahead.reason in {"stale_data", "daily_loss"}
    assert (it.book.latch, it.book.daily_notional) == (GuardrailReason.DAILY_LOSS, 999.0)
    assert it.book.clock.ts == NOON + HOUR


def test_wild_stamps_must_come_in_a_row_to_be_believed() -> None:
    book = _book()
    book.mark(NOON, CAPITAL, None)
    wild = NOON + 8 * DAY
    for step, ts_event in enumerate((wild, NOON + MINUTE, wild, wild - 1, wild, NOON, wild + 1)):
        book.mark(ts_event, CAPITAL, None)

        assert book.clock.ts is not None, step
        assert book.clock.ts <= NOON + MINUTE, step


def test_long_closure_is_believed_at_the_third_bar_and_a_long_weekend_at_once() -> None:
    book = _book()
    book.mark(NOON, CAPITAL, None)
    book.mark(NOON + 7 * DAY, CAPITAL, None)
    weekend = book.clock.ts
    seen = []
    for bar in range(3):
        book.mark(NOON + 30 * DAY + bar * MINUTE, CAPITAL, None)
        seen.append(book.clock.ts)

    assert weekend == NOON + 7 * DAY
    assert seen == [weekend, weekend, NOON + 30 * DAY + 2 * MINUTE]


def test_clock_that_ran_ahead_is_put_right_by_release_without_new_budgets() -> None:
    it = Desk(limits(max_daily_notional_quote=1000.0), marked=False)
    it.book.mark(NOON + 2 * DAY, CAPITAL, None)
    it.book.on_order_sent(NOON + 2 * DAY, 1, 1, 1000.0, "d")
    it.book.mark(NOON, CAPITAL, None)
    blocked = it.check(trade(1.0)).reason

    it.book.release(GuardrailReason.STALE_DATA)
    it.book.mark(NOON, CAPITAL, None)
    kept = it.check(trade(1.0)).reason
    it.book.mark(MIDNIGHT, CAPITAL, None)
    next_day = it.check(trade(1.0), ts_event=MIDNIGHT).reason

    assert (blocked, kept, next_day) == ("stale_data", "day_budget", "ok")


@pytest.mark.parametrize("equity", [math.nan, math.inf, -math.inf])
def test_reading_that_is_no_number_changes_nothing_and_adds_no_risk(equity: float) -> None:
    it = Desk(limits(daily_loss_quote=100.0, drawdown_frac=0.1))
    before = it.book.snapshot()

    latched = [it.book.mark(NOON + n * MINUTE, equity, None) for n in (1, 2, 3)]

    assert latched == [None] * 3
    assert it.book.snapshot() == before
    assert it.check(trade(1.0), ts_event=NOON + 3 * MINUTE).reason == "stale_data"


# -- what was sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "side", "notional"),
    [(3, 1, 10.0), (-1, 1, 10.0), (0, 0, 10.0), (0, math.nan, 10.0), (0, math.inf, 10.0)]
    + [(0, 1, notional) for notional in (0.0, -1.0, math.nan, math.inf)],
)
def test_order_that_makes_no_sense_is_refused_and_not_counted(
    index: int, side: float, notional: float
) -> None:
    book = _book()
    before = book.snapshot()

    with pytest.raises(SafetyError):
        book.on_order_sent(NOON, index, side, notional, "d")
    assert book.snapshot() == before


def test_decision_is_remembered_through_the_next_day_and_no_longer() -> None:
    book = _book()
    book.mark(NOON, CAPITAL, None)
    book.on_order_sent(NOON, 0, 1, 10.0, "d")
    seen = [book.has_seen("d")]
    for day in (1, 2):
        book.mark(NOON + day * DAY, CAPITAL, None)
        seen.append(book.has_seen("d"))

    assert seen == [True, True, False]


# -- restarts --------------------------------------------------------------------------------------


def _eventful() -> RiskBook:
    book = _book(daily_loss_quote=100.0, drawdown_frac=0.1, state_drawdown_quote=20.0)
    _marks(book, 10_000.0, 9980.0, 9950.0, 9890.0, 8900.0, state=1)
    book.on_order_sent(NOON, 0, -1, 75.0, "d1")
    book.on_outcome(rejected=True)
    book.reserve(NOON + 4 * MINUTE, 1, 2.0, 100.0, 0.0, True)
    book.mark(NOON + 30 * DAY, 1.0, None)
    book.halt("fault")
    return book


def test_snapshot_is_plain_json_and_restores_to_itself() -> None:
    book = _eventful()
    text = json.dumps(book.snapshot(), allow_nan=False)
    other = _book(daily_loss_quote=100.0, drawdown_frac=0.1, state_drawdown_quote=20.0)

    other.restore(json.loads(text))

    assert json.dumps(other.snapshot()) == text
    for at, equity in enumerate([8900.0] * 4):
        ts_event = NOON + (5 + at) * MINUTE
        assert other.mark(ts_event, equity, 1) is book.mark(ts_event, equity, 1)
        assert other.snapshot() == book.snapshot()


def test_restored_limits_are_the_configurations_not_the_snapshots() -> None:
    before = _book(daily_loss_quote=100.0)
    before.mark(NOON, 9950.0, None)
    tighter = _book(daily_loss_quote=50.0)

    tighter.restore(before.snapshot())

    assert tighter.daily_loss.blocking
    assert not before.daily_loss.blocking


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 3),
        ("version", 0),
        ("session_loss", None),
        ("session_start_equity", math.nan),
        ("num_instruments", 2),
        ("equity", math.nan),
        ("equity", None),
        ("day_start_equity", math.inf),
        ("clock", None),
        ("clock", {}),
        ("last_side", [0]),
        ("last_trade_ts", []),
        ("order_times", ["x"]),
        ("state_losses", [{}]),
        ("reserved", {}),
        ("daily_loss", []),
    ],
)
def test_damaged_snapshot_is_refused_and_changes_nothing(name: str, value: Any) -> None:
    book = _eventful()
    before = book.snapshot()

    with pytest.raises(SafetyError, match="snapshot"):
        book.restore({**before, name: value})
    assert book.snapshot() == before


def test_snapshot_with_a_part_missing_is_refused() -> None:
    whole = _eventful().snapshot()
    for name in whole:
        with pytest.raises(SafetyError):
            _book().restore({key: value for key, value in whole.items() if key != name})
