"""Each limit on quantity: at it a trade passes, beyond it it is cut to whole lots, without room refused."""

from decimal import Decimal
from typing import Any

import pytest

from strategies.guardrails import Verdict
from tests.strategies.guardrails.scenario import (
    CAPITAL,
    MINUTE,
    NOON,
    Desk,
    desk,
    instrument,
    limits,
    trade,
)


def _facts(verdict: Verdict) -> tuple[str, float, float, float]:
    return verdict.reason.value, verdict.approved, verdict.limit, verdict.value


# Instrument 0 closes at 100, so a lot of 0.01 is worth 1; instruments 1 and 2 close at 50 and 10.
@pytest.mark.parametrize(
    ("limit", "moment", "asked", "expected"),
    [
        ({"max_notional_quote": 75.0}, {}, 0.74, ("ok", 0.74)),
        ({"max_notional_quote": 75.0}, {}, 0.75, ("ok", 0.75)),
        ({"max_notional_quote": 75.0}, {}, 0.76, ("notional_max", 0.75, 75.0, 76.0)),
        ({"max_notional_quote": 75.0}, {}, -3.0, ("notional_max", -0.75, 75.0, 300.0)),
        ({"max_notional_quote": 0.5}, {}, 3.0, ("notional_max", 0.0, 0.5, 300.0)),
        # 200 are held in instrument 0: 300 more make 500
        ({"max_position_quote": 500.0}, {"positions": [2, 0, 0]}, 3.0, ("ok", 3.0)),
        (
            {"max_position_quote": 500.0},
            {"positions": [2, 0, 0]},
            3.01,
            ("position_limit", 3.0, 500.0, 501.0),
        ),
        (
            {"max_position_quote": 500.0},
            {"positions": [-2, 0, 0]},
            -4.0,
            ("position_limit", -3.0, 500.0, 600.0),
        ),
        ({"max_position_quote": 500.0}, {"positions": [5, 0, 0]}, 1.0, ("position_limit", 0.0, 500.0, 600.0)),
        ({"max_position_quote": 500.0}, {"positions": [0, 99, 0]}, 5.0, ("ok", 5.0)),
        # 5 % of 10,000 are 500
        ({"name_cap_frac": 0.05}, {"positions": [2, 0, 0]}, 3.0, ("ok", 3.0)),
        ({"name_cap_frac": 0.05}, {"positions": [2, 0, 0]}, 3.5, ("name_cap", 3.0, 500.0, 550.0)),
        # instruments 0 and 1 share a sector: 100 there leave 400 of 500; instrument 2 is of none
        ({"sector_cap_frac": 0.05}, {"positions": [0, -2, 50]}, 4.0, ("ok", 4.0)),
        ({"sector_cap_frac": 0.05}, {"positions": [0, -2, 50]}, 5.0, ("sector_cap", 4.0, 500.0, 600.0)),
        # 2 · 50 + 10 · 10 = 200 held elsewhere, short or long
        ({"max_gross_quote": 500.0}, {"positions": [0, 2, -10]}, 3.0, ("ok", 3.0)),
        ({"max_gross_quote": 500.0}, {"positions": [0, 2, -10]}, 3.01, ("exposure_gross", 3.0, 500.0, 501.0)),
        (
            {"max_gross_quote": 500.0},
            {"positions": [0, 2, -10]},
            -4.0,
            ("exposure_gross", -3.0, 500.0, 600.0),
        ),
        ({"max_gross_quote": 500.0}, {"positions": [1, 4, -20]}, 1.0, ("exposure_gross", 0.0, 500.0, 600.0)),
        # net: +100 - 100 = 0 elsewhere
        ({"max_net_quote": 500.0}, {"positions": [0, 2, -10]}, 5.0, ("ok", 5.0)),
        ({"max_net_quote": 500.0}, {"positions": [0, 4, -10]}, 5.0, ("exposure_net", 4.0, 500.0, 600.0)),
        ({"max_net_quote": 500.0}, {"positions": [0, -4, 10]}, -5.0, ("exposure_net", -4.0, 500.0, 600.0)),
        # far beyond the limit on the other side: what evens out is not held up
        ({"max_net_quote": 500.0}, {"positions": [0, -20, 0]}, 5.0, ("ok", 5.0)),
        # a tenth of a volume of 30 are 3
        ({"max_participation_frac": 0.1}, {"bar_volumes": [30, 1, 1]}, 3.0, ("ok", 3.0)),
        (
            {"max_participation_frac": 0.1},
            {"bar_volumes": [30, 1, 1]},
            3.01,
            ("participation", 3.0, 3.0, 3.01),
        ),
        ({"max_participation_frac": 0.1}, {"bar_volumes": [0, 1, 1]}, 3.0, ("participation", 0.0, 0.0, 3.0)),
        (
            {"max_participation_frac": 0.1},
            {"bar_volumes": [-9, 1, 1]},
            3.0,
            ("participation", 0.0, -0.9, 3.0),
        ),
    ],
)
def test_quantity_limit_cuts_what_lies_beyond_it(
    limit: dict[str, Any], moment: dict[str, Any], asked: float, expected: tuple[Any, ...]
) -> None:
    verdict = desk(**limit).check(trade(asked), **moment)

    assert _facts(verdict)[: len(expected)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        (900.0, ("ok", 1.0)),
        (900.01, ("day_budget", 0.99, 1000.0, 1000.01)),
        (1000.0, ("day_budget", 0.0, 1000.0, 1100.0)),
        (1200.0, ("day_budget", 0.0, 1000.0, 1300.0)),
    ],
)
def test_day_budget_leaves_what_is_left_of_it(spent: float, expected: tuple[Any, ...]) -> None:
    it = desk(max_daily_notional_quote=1000.0)
    it.book.on_order_sent(NOON, 1, -1, spent, "earlier")

    assert _facts(it.check(trade(1.0)))[: len(expected)] == pytest.approx(expected)


def test_added_risk_is_valued_at_the_worst_of_reference_close_and_taken_side() -> None:
    # at an ask of 125 only 0.6 units fit into 75; a sale takes the bid, and is valued at the close of 100
    assert desk(max_notional_quote=75.0).check(trade(1.0), ask=[125.0, 50, 10]).approved == 0.6
    assert desk(max_notional_quote=75.0).check(trade(-1.0), ask=[125.0, 50, 10]).approved == -0.75
    assert desk(max_notional_quote=75.0).check(trade(1.0, price=150.0)).approved == 0.5


def test_tightest_of_several_limits_cuts_and_gives_its_reason() -> None:
    verdict = desk(max_notional_quote=300.0, max_gross_quote=200.0, max_position_quote=250.0).check(
        trade(5.0)
    )

    assert _facts(verdict) == ("exposure_gross", 2.0, 200.0, 500.0)


@pytest.mark.parametrize(
    ("own", "venue", "asked", "reason"),
    [
        (10.0, 0, 0.10, "ok"),
        (10.0, 0, 0.09, "notional_min"),
        (5.0, 10, 0.10, "ok"),
        (5.0, 10, 0.09, "notional_min"),
    ],
)
def test_smallest_order_is_the_greater_of_ours_and_the_venues(
    own: float, venue: int, asked: float, reason: str
) -> None:
    rules = (instrument(0, min_notional=Decimal(venue)), instrument(1), instrument(2))

    verdict = Desk(limits(min_notional_quote=own), rules).check(trade(asked))

    assert verdict.reason == reason
    if reason != "ok":
        assert (verdict.approved, verdict.limit) == (0.0, 10.0)
        assert verdict.value == pytest.approx(9.0)


def test_smallest_quantity_of_the_venue_holds() -> None:
    rules = (instrument(0, min_quantity=Decimal("0.05")), instrument(1), instrument(2))

    assert Desk(limits(), rules).check(trade(0.05)).reason == "ok"
    assert _facts(Desk(limits(), rules).check(trade(0.04))) == ("notional_min", 0.0, 0.05, 0.04)


def test_cut_below_the_smallest_order_is_refused_as_too_small() -> None:
    # 491 of 500 are held: 9 are left, 10 are the least
    held: dict[str, Any] = {"positions": [0, 0, 49.1]}

    verdict = desk(max_gross_quote=500.0, min_notional_quote=10.0).check(trade(1.0), **held)

    assert _facts(verdict) == ("notional_min", 0.0, 10.0, 9.0)


def test_trades_of_one_bar_share_the_gross_limit_before_any_of_them_fills() -> None:
    it = desk(max_gross_quote=500.0)

    first, second, third = it.check(trade(3.0)), it.check(trade(6.0, index=1)), it.check(trade(5.0, index=2))

    assert (first.reason, first.approved) == ("ok", 3.0)
    assert (second.reason, second.approved) == ("exposure_gross", 4.0)  # 200 of 500 are left: 4 at 50
    assert (third.reason, third.approved) == ("exposure_gross", 0.0)


def test_sales_of_one_bar_share_the_gross_limit_too() -> None:
    it = desk(max_gross_quote=500.0)

    approved = [it.check(trade(-3.0)).approved, it.check(trade(6.0, index=1)).approved]

    assert approved == [-3.0, 4.0]


def test_first_limit_without_room_gives_its_reason() -> None:
    moment: dict[str, Any] = {"confidence": 0.5, "positions": [6.0, 0.0, 0.0]}

    verdict = desk(min_confidence=0.55, max_position_quote=500.0).check(trade(1.0), **moment)

    assert _facts(verdict) == ("confidence", 0.0, 0.55, 0.5)


def test_participation_counts_all_that_was_approved_at_the_bar() -> None:
    it = desk(max_participation_frac=0.1)
    moment: dict[str, Any] = {"bar_volumes": [30, 1, 1], "positions": [2.0, 0.0, 0.0]}
    it.check(trade(-2.0, reduces=True, closes=True), **moment)

    assert _facts(it.check(trade(-4.0), **moment)) == ("participation", -1.0, 3.0, 6.0)


def test_trades_of_one_bar_share_the_net_limit_and_the_sector_and_the_day() -> None:
    for limit in ({"max_net_quote": 500.0}, {"sector_cap_frac": 0.05}, {"max_daily_notional_quote": 500.0}):
        it = desk(**limit)

        approved = [it.check(trade(3.0)).approved, it.check(trade(6.0, index=1)).approved]

        assert approved == [3.0, 4.0], limit


def test_reservation_is_not_counted_twice_once_its_order_was_sent_and_filled() -> None:
    it = desk(max_gross_quote=500.0, max_daily_notional_quote=500.0)
    it.check(trade(3.0))
    it.book.on_order_sent(NOON, 0, 1, 300.0, "a")

    verdict = it.check(trade(4.0, index=1), positions=[3.0, 0.0, 0.0])

    assert (verdict.reason, verdict.approved) == ("ok", 4.0)


def test_reservation_ends_with_the_bar_but_what_was_sent_stays_spent() -> None:
    it = desk(max_gross_quote=500.0, max_daily_notional_quote=850.0)
    it.check(trade(3.0))
    it.book.on_order_sent(NOON, 0, 1, 300.0, "a")
    it.book.mark(NOON + MINUTE, CAPITAL, None)

    verdict = it.check(trade(6.0), ts_event=NOON + MINUTE)

    assert (verdict.reason, verdict.approved) == ("exposure_gross", 5.0)
    assert it.book.daily_notional == 300.0


def test_refused_trade_reserves_nothing() -> None:
    it = desk(max_gross_quote=500.0)
    before = it.book.snapshot()

    it.check(trade(3.0), armed=False)
    it.check(trade(3.0), confidence=float("nan"))

    assert it.book.snapshot() == before


@pytest.mark.parametrize(
    ("limit", "asked", "working", "approved"),
    [
        # 200 are being bought: 300 of 500 are left to buy, but sales do not stack on purchases
        ({"max_position_quote": 500.0}, 5.0, {"working_buys": [2.0, 0, 0]}, 3.0),
        ({"max_position_quote": 500.0}, -5.0, {"working_buys": [2.0, 0, 0]}, -5.0),
        ({"max_position_quote": 500.0}, -5.0, {"working_sells": [2.0, 0, 0]}, -3.0),
        ({"max_gross_quote": 500.0}, 5.0, {"working_buys": [0, 4.0, 0]}, 3.0),
        ({"max_gross_quote": 500.0}, 5.0, {"working_sells": [0, 4.0, 0]}, 3.0),
        ({"max_net_quote": 500.0}, 5.0, {"working_buys": [0, 4.0, 0]}, 3.0),
        ({"max_net_quote": 500.0}, 5.0, {"working_sells": [0, 4.0, 0]}, 5.0),
    ],
)
def test_orders_still_working_count_at_their_worst(
    limit: dict[str, Any], asked: float, working: dict[str, Any], approved: float
) -> None:
    assert desk(**limit).check(trade(asked), **working).approved == approved
