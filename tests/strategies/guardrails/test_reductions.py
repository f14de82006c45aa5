"""Reductions: what may hold them up, and above all what may not."""

from decimal import Decimal
from typing import Any

import pytest

from strategies.guardrails import TradingState
from tests.strategies.guardrails.scenario import (
    CAPITAL,
    NOON,
    Desk,
    desk,
    instrument,
    limits,
    trade,
)

NAN = float("nan")
LONG: dict[str, Any] = {"positions": [5.0, 0.0, 0.0]}


def _strictest() -> Desk:
    """Everything at its strictest, the book with every limit breached."""
    it = Desk(
        limits(
            min_confidence=1.0,
            max_spread_bps=0.01,
            max_position_quote=0.01,
            state_drawdown_quote=0.01,
            daily_loss_quote=0.01,
            drawdown_frac=0.0,
            max_daily_notional_quote=0.01,
            min_notional_quote=1e6,
            max_notional_quote=0.01,
            min_price=1e6,
            allow_short=False,
            cooldown_secs=1e6,
            stale_after_secs=0.01,
            max_reject_rate=0.0,
            max_orders_per_minute=1,
            price_collar_bps=0.01,
            max_participation_frac=0.0001,
            max_gross_quote=0.01,
            max_net_quote=0.01,
            name_cap_frac=0.0001,
            sector_cap_frac=0.0001,
        )
    )
    for number in range(1, 5):
        it.book.mark(NOON + number, CAPITAL - 1000 * number, 0)
        it.book.on_order_sent(NOON + number, 0, 1, 5000.0, f"d{number}")
        it.book.on_outcome(rejected=True)
    it.book.halt("fault")
    return it


@pytest.mark.parametrize("state", list(TradingState))
@pytest.mark.parametrize(("held", "asked"), [(5.0, -5.0), (5.0, -0.01), (-5.0, 5.0), (-5.0, 2.0)])
def test_reduction_passes_with_every_limit_breached_and_every_number_lost(
    state: TradingState, held: float, asked: float
) -> None:
    verdict = _strictest().check(
        trade(asked, reduces=True, closes=abs(asked) == abs(held)),
        trading_state=state,
        reconciled=False,
        positions=[held, NAN, NAN],
        equity=NAN,
        cash=NAN,
        closes=[NAN] * 3,
        bid=[NAN] * 3,
        ask=[0.0] * 3,
        bar_volumes=[0.0] * 3,
        last_bar_ts=[0] * 3,
        now_ns=0,
        confidence=NAN,
        regime_state=0,
    )

    assert (verdict.reason, verdict.approved) == ("ok", asked)


def test_strictest_desk_refuses_the_smallest_opening() -> None:
    assert _strictest().check(trade(0.01), ts_event=NOON + 4).approved == 0.0


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_reduction_needs_no_label_and_a_turn_ends_at_flat(state: TradingState) -> None:
    part = desk().check(trade(-2.0), trading_state=state, **LONG)
    turn = desk().check(trade(-8.0), trading_state=state, **LONG)
    more = desk().check(trade(1.0), trading_state=state, **LONG)

    assert (part.reason, part.approved) == ("ok", -2.0)
    assert (turn.reason, turn.approved) == (state.value.lower(), -5.0)
    assert (more.reason, more.approved) == (state.value.lower(), 0.0)


def test_turn_keeps_its_reduction_whatever_cuts_the_rest() -> None:
    assert desk(max_notional_quote=100.0).check(trade(-8.0), **LONG).approved == -6.0
    assert desk(max_position_quote=200.0).check(trade(-8.0), **LONG).approved == -7.0
    assert desk(max_gross_quote=200.0).check(trade(-8.0), **LONG).approved == -7.0
    assert desk(allow_short=False).check(trade(-8.0), **LONG).approved == -5.0
    assert desk(min_confidence=1.0).check(trade(-8.0), confidence=0.5, **LONG).approved == -5.0


def test_not_armed_sends_nothing_not_even_a_reduction() -> None:
    verdict = desk().check(trade(-5.0, reduces=True), armed=False, **LONG)

    assert (verdict.reason, verdict.approved) == ("not_armed", 0.0)


@pytest.mark.parametrize("held", [NAN, float("inf"), float("-inf")])
def test_position_that_is_no_number_cannot_be_reduced(held: float) -> None:
    for asked in (1.0, -1.0):
        verdict = desk().check(trade(asked, reduces=True), positions=[held, 0.0, 0.0])

        assert (verdict.reason, verdict.approved) == ("unreconciled", 0.0)


@pytest.mark.parametrize(
    ("held", "asked", "approved"), [(5.0, -6.0, -5.0), (0.0, -5.0, 0.0), (-5.0, -5.0, 0.0), (-5.0, 7.0, 5.0)]
)
def test_reduction_that_would_turn_the_position_is_cut_to_what_is_held(
    held: float, asked: float, approved: float
) -> None:
    verdict = desk().check(trade(asked, reduces=True), positions=[held, 0.0, 0.0])

    assert (verdict.reason, verdict.approved) == ("unreconciled", approved)
    assert (verdict.limit, verdict.value) == (abs(approved), abs(asked))


def test_second_close_in_a_bar_is_refused_and_the_rest_of_a_partial_one_passes() -> None:
    it = desk()
    it.check(trade(-5.0, reduces=True, closes=True), **LONG)
    again = it.check(trade(-5.0, reduces=True, closes=True), **LONG)
    partial = desk()
    partial.check(trade(-2.0, reduces=True), **LONG)
    rest = partial.check(trade(-5.0, reduces=True, closes=True), **LONG)

    assert (again.reason, again.approved) == ("duplicate", 0.0)
    assert (rest.reason, rest.approved, rest.limit, rest.value) == ("duplicate", -3.0, 3.0, 5.0)


def test_third_reduction_of_a_bar_gets_what_the_first_two_left() -> None:
    it = desk()

    approved = [it.check(trade(-2.0, reduces=True), **LONG).approved for _ in range(4)]

    assert approved == [-2.0, -2.0, -1.0, 0.0]


def test_turn_that_is_too_small_to_send_whole_keeps_its_reduction() -> None:
    verdict = desk(min_notional_quote=10.0).check(trade(-0.09), positions=[0.05, 0.0, 0.0])

    assert (verdict.reason, verdict.approved) == ("notional_min", -0.05)


def test_flatten_after_a_filled_reduction_of_the_same_bar_closes_all_that_is_left() -> None:
    it = desk()
    it.check(trade(-2.0, reduces=True), **LONG)

    verdict = it.check(trade(-3.0, reduces=True, closes=True), positions=[3.0, 0.0, 0.0])

    assert (verdict.reason, verdict.approved) == ("ok", -3.0)


def test_flatten_after_a_filled_opening_of_the_same_bar_closes_it() -> None:
    it = desk()
    it.check(trade(4.0))

    verdict = it.check(trade(-4.0, reduces=True, closes=True), positions=[4.0, 0.0, 0.0])

    assert (verdict.reason, verdict.approved) == ("ok", -4.0)


def test_close_after_the_stop_filled_does_not_open_the_other_side() -> None:
    it = desk()
    it.check(trade(-2.0, reduces=True), **LONG)

    verdict = it.check(trade(-3.0, reduces=True), positions=[0.0, 0.0, 0.0])

    assert verdict.approved == 0.0


def test_turn_in_two_trades_of_one_bar_closes_then_opens() -> None:
    it = desk(max_position_quote=300.0, max_gross_quote=500.0)

    close = it.check(trade(-5.0, reduces=True, closes=True), **LONG)
    opening = it.check(trade(-4.0), **LONG)

    assert (close.reason, close.approved) == ("ok", -5.0)
    assert (opening.reason, opening.approved) == ("position_limit", -3.0)


def test_working_close_leaves_only_the_rest_to_reduce() -> None:
    verdict = desk().check(trade(-5.0, reduces=True), working_sells=[4.0, 0.0, 0.0], **LONG)

    assert (verdict.reason, verdict.approved) == ("duplicate", -1.0)


def test_working_opening_does_not_hold_up_a_reduction() -> None:
    verdict = desk().check(trade(-5.0, reduces=True), working_buys=[4.0, 0.0, 0.0], **LONG)

    assert (verdict.reason, verdict.approved) == ("ok", -5.0)


@pytest.mark.parametrize("state", list(TradingState))
@pytest.mark.parametrize("asked", [-5.0, -0.01, 1.0])
def test_nothing_is_approved_where_nobody_can_say_what_is_held(state: TradingState, asked: float) -> None:
    it = desk()

    verdict = it.check(
        trade(asked, reduces=asked < 0.0), doubtful=frozenset({0}), trading_state=state, **LONG
    )

    assert (verdict.reason, verdict.approved) == ("unreconciled", 0.0)


def test_doubt_about_another_instrument_does_not_hold_up_a_reduction() -> None:
    it = desk()

    verdict = it.check(trade(-5.0, reduces=True), doubtful=frozenset({1}), reconciled=False, **LONG)

    assert verdict.approved == -5.0


@pytest.mark.parametrize(("shortable", "approved"), [(True, -0.09), (False, 0.0)])
def test_reduction_below_the_venues_smallest_order_passes_where_it_can_be_reduce_only(
    shortable: bool, approved: float
) -> None:
    rules = (instrument(0, shortable=shortable, min_notional=Decimal(10)), instrument(1), instrument(2))

    verdict = Desk(limits(), rules).check(trade(-0.09, reduces=True), positions=[0.09, 0.0, 0.0])

    assert verdict.approved == approved
    assert verdict.reason == ("ok" if approved else "notional_min")


def test_difference_that_only_floating_point_makes_adds_no_risk() -> None:
    # 0.3 - 0.1 is 0.19999999999999998 in binary: the sale of 0.2 must pass whole
    verdict = desk(allow_short=False).check(
        trade(-0.2, reduces=True), positions=[0.3, 0, 0], working_sells=[0.1, 0, 0]
    )

    assert (verdict.reason, verdict.approved) == ("ok", -0.2)
