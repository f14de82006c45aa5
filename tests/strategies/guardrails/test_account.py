"""Limits over all strategies: what each may do alone, all may not do together."""

from typing import Any

import pytest

from strategies.guardrails import AccountGuard, AccountLimits, GuardrailReason
from tests.strategies.guardrails.scenario import CAPITAL, MINUTE, NOON, Desk, limits, trade


def _two_desks(**changed: Any) -> tuple[AccountGuard, Desk, Desk]:
    account = AccountGuard(AccountLimits(**changed), 2 * CAPITAL)
    return account, Desk(limits(), account=account), Desk(limits(), account=account)


@pytest.mark.parametrize(
    ("gross", "asked", "expected"),
    [
        (200.0, 3.0, ("ok", 3.0)),
        (200.0, 3.01, ("exposure_gross", 3.0)),
        (200.0, -4.0, ("exposure_gross", -3.0)),
        (500.0, 1.0, ("exposure_gross", 0.0)),
        (float("nan"), 1.0, ("exposure_gross", 0.0)),
    ],
)
def test_account_gross_leaves_what_is_left_of_it(
    gross: float, asked: float, expected: tuple[str, float]
) -> None:
    account, one, _ = _two_desks(max_gross_quote=500.0)
    account.mark(NOON, 2 * CAPITAL, gross, 0.0)

    verdict = one.check(trade(asked))

    assert (verdict.reason, verdict.approved) == expected


def test_strategies_of_one_bar_share_the_account() -> None:
    account, one, two = _two_desks(max_gross_quote=500.0, max_net_quote=1e6)
    account.mark(NOON, 2 * CAPITAL, 0.0, 0.0)

    first, second = one.check(trade(3.0)), two.check(trade(-3.0))
    account.mark(NOON + MINUTE, 2 * CAPITAL, 500.0, 100.0)
    two.book.mark(NOON + MINUTE, CAPITAL, None)
    third = two.check(trade(1.0), ts_event=NOON + MINUTE)

    assert (first.reason, first.approved) == ("ok", 3.0)
    assert (second.reason, second.approved) == ("exposure_gross", -2.0)
    assert third.reason == "exposure_gross"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (5.0, ("exposure_net", 1.0)),  # 100 held and 300 being bought leave 100 of 500
        (-5.0, ("ok", -5.0)),
    ],
)
def test_account_net_counts_what_is_being_bought_before_it_has_filled(
    asked: float, expected: tuple[str, float]
) -> None:
    account, one, _ = _two_desks(max_net_quote=500.0)
    account.mark(NOON, 2 * CAPITAL, 400.0, 100.0, buying_quote=300.0)

    verdict = one.check(trade(asked))

    assert (verdict.reason, verdict.approved) == expected


def test_account_releases_what_it_reserved_when_the_next_bar_is_marked() -> None:
    account, one, _ = _two_desks(max_gross_quote=500.0)
    account.mark(NOON, 2 * CAPITAL, 0.0, 0.0)
    one.check(trade(5.0))
    account.mark(NOON + MINUTE, 2 * CAPITAL, 100.0, 100.0)
    one.book.mark(NOON + MINUTE, CAPITAL, None)

    assert one.check(trade(5.0), ts_event=NOON + MINUTE).approved == 4.0


@pytest.mark.parametrize(
    ("net", "asked", "approved"),
    [(200.0, 3.0, 3.0), (200.0, 4.0, 3.0), (-200.0, -4.0, -3.0), (-900.0, 4.0, 4.0)],
)
def test_account_net_is_taken_in_the_direction_of_the_trade(
    net: float, asked: float, approved: float
) -> None:
    account, one, _ = _two_desks(max_net_quote=500.0)
    account.mark(NOON, 2 * CAPITAL, 900.0, net)

    assert one.check(trade(asked)).approved == approved


def test_account_net_counts_the_bars_approvals_in_one_direction_and_lets_none_offset() -> None:
    account, one, two = _two_desks(max_net_quote=500.0)
    account.mark(NOON, 2 * CAPITAL, 0.0, 0.0)

    approved = [
        one.check(trade(3.0)).approved,
        two.check(trade(-6.0)).approved,
        two.check(trade(6.0, 1)).approved,
    ]

    assert approved == [3.0, -5.0, 4.0]


def test_account_daily_loss_latches_at_the_third_reading_and_lets_reductions_pass() -> None:
    account, one, _ = _two_desks(daily_loss_quote=100.0)
    latched = [account.mark(NOON + n * MINUTE, 2 * CAPITAL - 100.0, 0.0, 0.0) for n in range(3)]
    now = NOON + 2 * MINUTE
    one.book.mark(now, CAPITAL, None)

    opening = one.check(trade(1.0), ts_event=now)
    closing = one.check(trade(-1.0, reduces=True), ts_event=now, positions=[1.0, 0.0, 0.0])

    assert latched == [None, None, GuardrailReason.DAILY_LOSS]
    assert (opening.reason, opening.approved) == ("daily_loss", 0.0)
    assert (closing.reason, closing.approved) == ("ok", -1.0)


@pytest.mark.parametrize(("equity", "reason"), [(18_000.0, "reducing"), (18_000.01, "ok")])
def test_account_drawdown_blocks_at_its_limit(equity: float, reason: str) -> None:
    account, one, _ = _two_desks(drawdown_frac=0.1)
    account.mark(NOON, equity, 0.0, 0.0)

    assert one.check(trade(1.0)).reason == reason


def test_second_mark_of_a_bar_is_no_second_reading_but_updates_the_exposure() -> None:
    account, one, _ = _two_desks(daily_loss_quote=100.0, max_gross_quote=500.0)
    latched = [account.mark(NOON, 2 * CAPITAL - 99.0 - n, 100.0 * n, 0.0) for n in range(5)]

    assert latched == [None] * 5
    assert one.check(trade(2.0)).approved == 1.0


def test_account_that_was_not_marked_at_this_bar_adds_no_risk() -> None:
    account, one, _ = _two_desks()
    never = one.check(trade(1.0)).reason
    account.mark(NOON - MINUTE, 2 * CAPITAL, 0.0, 0.0)

    assert (never, one.check(trade(1.0)).reason) == ("stale_data", "stale_data")


def test_account_halt_refuses_every_strategy() -> None:
    account, one, two = _two_desks()
    account.mark(NOON, 2 * CAPITAL, 0.0, 0.0)
    account.book.halt("operator")

    assert [it.check(trade(1.0)).reason for it in (one, two)] == ["halted", "halted"]


def test_account_snapshot_keeps_the_latch() -> None:
    account, _, _ = _two_desks(daily_loss_quote=100.0)
    for n in range(3):
        account.mark(NOON + n * MINUTE, 0.0, 0.0, 0.0)
    again = AccountGuard(AccountLimits(daily_loss_quote=100.0), 2 * CAPITAL)

    again.restore(account.snapshot())

    assert again.book.latch is GuardrailReason.DAILY_LOSS
