"""Each guardrail that refuses: just inside its limit, at it, just beyond it."""

import math
from typing import Any

import pytest

from strategies.guardrails import GuardrailReason, TradingState
from tests.strategies.guardrails.scenario import (
    CAPITAL,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    Desk,
    context,
    desk,
    instrument,
    limits,
    trade,
)

NAN, INF = math.nan, math.inf


def test_trade_within_all_limits_is_approved_as_asked() -> None:
    verdict = desk().check(trade(1.23))

    assert (verdict.reason, verdict.approved, verdict.vetoed) == (GuardrailReason.OK, 1.23, False)
    assert math.isnan(verdict.limit)
    assert math.isnan(verdict.value)


@pytest.mark.parametrize(
    ("limit", "inside", "at", "beyond", "reason"),
    [
        (
            {"min_confidence": 0.55},
            {"confidence": 0.5501},
            {"confidence": 0.55},
            {"confidence": 0.5499},
            "confidence",
        ),
        # (100.125 - 99.875) / 100 = 25 bps
        (
            {"max_spread_bps": 25.0},
            {"bid": [99.88, 50, 10], "ask": [100.12, 50, 10]},
            {"bid": [99.875, 50, 10], "ask": [100.125, 50, 10]},
            {"bid": [99.87, 50, 10], "ask": [100.13, 50, 10]},
            "spread",
        ),
        # a buy takes the ask: 5 above a close of 100 is 500 bps
        (
            {"price_collar_bps": 500.0},
            {"ask": [104.99, 50, 10]},
            {"ask": [105.0, 50, 10]},
            {"ask": [105.01, 50, 10]},
            "price_collar",
        ),
        (
            {"stale_after_secs": 180.0},
            {"now_ns": NOON + 179 * SECOND},
            {"now_ns": NOON + 180 * SECOND},
            {"now_ns": NOON + 180 * SECOND + 1},
            "stale_data",
        ),
        # the traded instrument's own bar counts, not only the panel's time
        (
            {"stale_after_secs": 180.0},
            {"last_bar_ts": [NOON - 2 * MINUTE, NOON, NOON]},
            {"last_bar_ts": [NOON - 3 * MINUTE, NOON, NOON]},
            {"last_bar_ts": [NOON - 3 * MINUTE - 1, NOON, NOON]},
            "stale_data",
        ),
        # a bar may lie a second in the future of the decision, for clocks differ
        ({}, {"now_ns": NOON}, {"now_ns": NOON - SECOND}, {"now_ns": NOON - SECOND - 1}, "stale_data"),
        (
            {},
            {"last_bar_ts": [NOON, NOON, NOON]},
            {"last_bar_ts": [NOON + SECOND, NOON, NOON]},
            {"last_bar_ts": [NOON + SECOND + 1, NOON, NOON]},
            "stale_data",
        ),
    ],
)
def test_context_limit_passes_up_to_the_limit_and_refuses_beyond(
    limit: dict[str, Any], inside: dict[str, Any], at: dict[str, Any], beyond: dict[str, Any], reason: str
) -> None:
    verdicts = [desk(**limit).check(trade(1.0), **moment) for moment in (inside, at, beyond)]

    assert [verdict.reason for verdict in verdicts] == ["ok", "ok", reason]
    assert [verdict.approved for verdict in verdicts] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("price", "reason"), [(2.99, "price_bounds"), (3.0, "ok"), (1000.0, "ok"), (1000.01, "price_bounds")]
)
def test_price_bounds_are_inclusive(price: float, reason: str) -> None:
    here: dict[str, Any] = {
        "closes": [price, 50.0, 10.0],
        "bid": [price, 50.0, 10.0],
        "ask": [price, 50.0, 10.0],
    }

    verdict = desk(min_price=3.0, max_price=1000.0).check(trade(1.0, price=price), **here)

    assert verdict.reason == reason


def test_price_collar_looks_at_the_reference_and_at_the_side_that_a_sale_takes() -> None:
    on = {"price_collar_bps": 500.0}

    assert desk(**on).check(trade(1.0, price=94.99)).reason == "price_collar"
    assert desk(**on).check(trade(1.0, price=95.0)).reason == "ok"
    assert desk(**on).check(trade(-1.0), bid=[94.99, 50, 10]).reason == "price_collar"
    assert desk(**on).check(trade(1.0), bid=[94.99, 50, 10]).reason == "ok"


@pytest.mark.parametrize(("bid", "ask"), [(100.01, 100.0), (0.0, 100.0), (-1.0, 100.0), (0.0, 0.0)])
def test_crossed_or_empty_book_is_refused_without_any_spread_limit(bid: float, ask: float) -> None:
    verdict = desk().check(trade(1.0), bid=[bid, 50, 10], ask=[ask, 50, 10])

    assert (verdict.reason, verdict.approved) == ("spread", 0.0)


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ({"armed": False}, "not_armed"),
        ({"trading_state": TradingState.HALTED}, "halted"),
        ({"trading_state": TradingState.REDUCING}, "reducing"),
        ({"trading_state": "ACTIV"}, "halted"),
        ({"trading_state": None}, "halted"),
        ({"instrument_states": [TradingState.HALTED] + [TradingState.ACTIVE] * 2}, "halted"),
        ({"instrument_states": [TradingState.REDUCING] + [TradingState.ACTIVE] * 2}, "reducing"),
        ({"instrument_states": ["ACTIV"] * 3}, "halted"),
        (
            {"trading_state": TradingState.HALTED, "instrument_states": [TradingState.ACTIVE] * 3},
            "halted",
        ),
        (
            {"trading_state": TradingState.REDUCING, "instrument_states": [TradingState.HALTED] * 3},
            "halted",
        ),
        (
            {"trading_state": TradingState.REDUCING, "instrument_states": [TradingState.ACTIVE] * 3},
            "reducing",
        ),
        ({"reconciled": False}, "unreconciled"),
        ({"doubtful": frozenset({0})}, "unreconciled"),
        ({"doubtful": frozenset({1})}, "ok"),
        ({"equity": 0.0}, "daily_loss"),
        ({"equity": 0.01}, "ok"),
    ],
)
def test_permission_refuses_new_risk(moment: dict[str, Any], reason: str) -> None:
    assert desk().check(trade(1.0), **moment).reason == reason


@pytest.mark.parametrize(
    ("quantity", "changes", "reason"),
    [
        (0.0, {}, "notional_min"),
        (NAN, {}, "notional_min"),
        (INF, {}, "notional_min"),
        (1.0, {"price": NAN}, "price_bounds"),
        (1.0, {"price": INF}, "price_bounds"),
        (1.0, {"price": 0.0}, "price_bounds"),
        (1.0, {"price": -100.0}, "price_bounds"),
    ],
)
def test_trade_that_is_no_trade_is_refused_whichever_way_it_goes(
    quantity: float, changes: dict[str, Any], reason: str
) -> None:
    opening = desk().check(trade(quantity, **changes))
    closing = desk().check(trade(-quantity, reduces=True, **changes), positions=[1.0, 0.0, 0.0])

    assert (opening.reason, opening.approved) == (reason, 0.0)
    assert (closing.reason, closing.approved) == (reason, 0.0)


@pytest.mark.parametrize(
    ("elapsed_ns", "last_side", "reason"),
    [
        (1_499_999_999, 1, "cooldown"),
        (1_500_000_000, 1, "ok"),
        (1_500_000_001, 1, "ok"),
        (0, -1, "ok"),
        (-1, 1, "cooldown"),
    ],
)
def test_cooldown_holds_up_the_opposite_side_only(elapsed_ns: int, last_side: int, reason: str) -> None:
    it = desk(cooldown_secs=1.5)
    it.book.on_order_sent(NOON - elapsed_ns, 0, last_side, 100.0, "first")

    assert it.check(trade(-1.0)).reason == reason
    assert it.check(trade(float(last_side), index=1)).reason == "ok"


def test_cooldown_is_kept_for_each_instrument() -> None:
    it = desk(cooldown_secs=60.0)
    it.book.on_order_sent(NOON, 0, -1, 100.0, "first")

    assert it.check(trade(1.0, index=1)).reason == "ok"
    verdict = it.check(trade(1.0))
    assert (verdict.reason, verdict.limit, verdict.value) == ("cooldown", 60.0, 0.0)


@pytest.mark.parametrize(("rejected", "reason"), [(9, "ok"), (10, "ok"), (11, "reject_rate")])
def test_reject_rate_is_a_share_of_the_last_twenty(rejected: int, reason: str) -> None:
    it = desk(max_reject_rate=0.5)
    for _ in range(rejected):
        it.book.on_outcome(rejected=True)

    verdict = it.check(trade(1.0))

    assert verdict.reason == reason
    if reason != "ok":
        assert (verdict.limit, verdict.value) == (0.5, 11 / 20)


def test_reject_rate_forgets_what_is_older_than_twenty_orders() -> None:
    it = desk(max_reject_rate=0.5)
    for rejected in [True] * 11 + [False] * 9:
        it.book.on_outcome(rejected=rejected)
    assert it.check(trade(1.0)).reason == "reject_rate"

    it.book.on_outcome(rejected=False)

    assert it.check(trade(1.0)).reason == "ok"


@pytest.mark.parametrize(("sent", "reason"), [(1, "ok"), (2, "ok"), (3, "order_rate")])
def test_order_rate_counts_the_order_that_asks(sent: int, reason: str) -> None:
    it = desk(max_orders_per_minute=3)
    for number in range(sent):
        it.book.on_order_sent(NOON, 1, 1, 10.0, f"d{number}")

    assert it.check(trade(1.0)).reason == reason


@pytest.mark.parametrize(("age_ns", "reason"), [(MINUTE - 1, "order_rate"), (MINUTE, "ok")])
def test_order_rate_forgets_after_a_minute_of_bar_time(age_ns: int, reason: str) -> None:
    it = Desk(limits(max_orders_per_minute=1), marked=False)
    it.book.mark(NOON - age_ns, CAPITAL, None)
    it.book.on_order_sent(NOON - age_ns, 1, 1, 10.0, "d")
    it.book.mark(NOON, CAPITAL, None)

    assert it.check(trade(1.0)).reason == reason


def test_order_rate_counts_approvals_of_the_same_bar_before_they_are_sent() -> None:
    it = desk(max_orders_per_minute=2)

    reasons = [it.check(trade(1.0, index=index)).reason for index in range(3)]

    assert reasons == ["ok", "ok", "order_rate"]


def test_decision_that_was_sent_is_a_duplicate_even_when_it_reduces() -> None:
    it = desk()
    it.book.on_order_sent(NOON, 1, 1, 10.0, "abc")

    again = it.chain.check(trade(1.0), context(), it.book, "abc")
    closing = it.chain.check(trade(-1.0, reduces=True), context(positions=[1.0, 0, 0]), it.book, "abc")

    assert (again.reason, again.approved) == ("duplicate", 0.0)
    assert (closing.reason, closing.approved) == ("duplicate", 0.0)
    assert it.chain.check(trade(1.0), context(), it.book, "abd").reason == "ok"


def test_risk_is_added_to_an_instrument_once_a_bar() -> None:
    it = desk()

    reasons = [it.check(trade(1.0)).reason, it.check(trade(1.0)).reason, it.check(trade(1.0, index=1)).reason]
    it.book.mark(NOON + MINUTE, CAPITAL, None)
    later = it.check(trade(1.0), ts_event=NOON + MINUTE)

    assert reasons == ["ok", "duplicate", "ok"]
    assert later.reason == "ok"


@pytest.mark.parametrize(
    ("allow_short", "shortable", "reason"),
    [(True, True, "ok"), (True, False, "shorts_disabled"), (False, True, "shorts_disabled")],
)
def test_shorts_need_leave_of_the_strategy_and_of_the_instrument(
    allow_short: bool, shortable: bool, reason: str
) -> None:
    rules = (instrument(0, shortable=shortable), instrument(1), instrument(2))

    sale = Desk(limits(allow_short=allow_short), rules).check(trade(-1.0))
    purchase = Desk(limits(allow_short=allow_short), rules).check(trade(1.0))

    assert (sale.reason, purchase.reason) == (reason, "ok")


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ({"equity": NAN}, "unreconciled"),
        ({"equity": INF}, "unreconciled"),
        ({"cash": NAN}, "unreconciled"),
        ({"positions": [NAN, 0, 0]}, "unreconciled"),
        ({"positions": [0, INF, 0]}, "unreconciled"),
        ({"closes": [100, NAN, 10]}, "stale_data"),
        ({"bid": [100, 50, -INF]}, "stale_data"),
        ({"ask": [100, 50, NAN]}, "stale_data"),
        ({"bar_volumes": [1e6, INF, 1]}, "stale_data"),
        ({"confidence": NAN}, "confidence"),
        ({"confidence": INF}, "confidence"),
    ],
)
def test_number_that_is_none_refuses_new_risk_under_its_own_name(moment: dict[str, Any], reason: str) -> None:
    verdict = desk().check(trade(1.0), **moment)

    assert (verdict.reason, verdict.approved) == (reason, 0.0)


@pytest.mark.parametrize("ts_event", [NOON - 1, NOON + 1, NOON - HOUR, NOON + HOUR])
def test_book_must_have_been_marked_at_the_bar_that_is_decided_on(ts_event: int) -> None:
    verdict = desk().check(trade(1.0), ts_event=ts_event)

    assert (verdict.reason, verdict.approved) == ("stale_data", 0.0)


def test_book_that_was_never_marked_adds_no_risk() -> None:
    assert Desk(limits(), marked=False).check(trade(1.0)).reason == "stale_data"


@pytest.mark.parametrize(
    "broken",
    [
        {"positions": [0.0]},
        {"closes": [100.0, 50.0]},
        {"bid": []},
        {"last_bar_ts": []},
        {"confidence": None},
        {"bar_volumes": None},
        {"working_buys": [-1.0, 0.0, 0.0]},
        {"working_buys": [0.0]},
    ],
)
def test_exception_inside_a_guardrail_is_a_refusal_and_halts_the_book(broken: dict[str, Any]) -> None:
    it = Desk(limits(max_participation_frac=0.1, max_gross_quote=1e9))

    verdict = it.check(trade(1.0), **broken)
    afterwards = it.check(trade(1.0))
    reduction = it.check(trade(-1.0, reduces=True), positions=[1.0, 0.0, 0.0])

    assert (verdict.reason, verdict.approved, afterwards.reason) == ("halted", 0.0, "halted")
    assert math.isnan(verdict.value)
    assert it.book.fault.startswith("guardrails: ")
    assert reduction.approved == -1.0


@pytest.mark.parametrize(("index", "name"), [(3, "I3.SIM"), (-1, "I2.SIM"), (0, "I1.SIM")])
def test_trade_of_an_instrument_that_is_not_where_it_says_is_refused(index: int, name: str) -> None:
    it = desk()

    verdict = it.check(trade(1.0, instrument_id=name) if index == 0 else _elsewhere(index, name))

    assert (verdict.reason, verdict.approved) == ("halted", 0.0)
    assert name in it.book.fault or "index" in it.book.fault


def _elsewhere(index: int, name: str) -> Any:
    asked = trade(1.0)
    return type(asked)(index=index, instrument_id=name, quantity=1.0, price=100.0)


def test_trading_state_of_another_instrument_holds_nothing_back() -> None:
    others = [TradingState.ACTIVE, TradingState.HALTED, TradingState.REDUCING]

    verdict = desk().check(trade(1.0), instrument_states=others)

    assert verdict.reason == "ok"
