"""Executions laid side by side, by hand."""

import math
from collections.abc import Sequence

from bot.sessions.comparison import StrategyGap, gap_of
from ops.session_tape import SessionTape
from strategies.tape import DecisionRecord, EquityRecord, FillRecord

MINUTE = 60_000_000_000
NAN = math.nan


def fill(
    name: str, side: str, quantity: float, price: float, fee: float = 1.0, at: int = MINUTE + 1
) -> FillRecord:
    return FillRecord(at, "one", "A.X", name, f"T{name}{at}", side, quantity, price, fee, "TAKER")


def decision(minute: int, weight: float = NAN) -> DecisionRecord:
    return DecisionRecord(minute * MINUTE, "one", "0" * 64, -1, (), (100.0,), (0.5,), 1.0, (weight,), (NAN,))


def equity(minute: int, worth: float) -> EquityRecord:
    return EquityRecord(minute * MINUTE, "one", worth, worth, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def gap(
    ours: Sequence[FillRecord],
    theirs: Sequence[FillRecord],
    decisions: tuple[Sequence[DecisionRecord], Sequence[DecisionRecord]] = ((), ()),
) -> StrategyGap:
    found = SessionTape("s")
    found.bar_times = (MINUTE, 10 * MINUTE)
    found.tape.fills += ours
    found.tape.decisions += decisions[0]
    found.tape.equity += [equity(1, 100.0), equity(2, 90.0)]
    return gap_of("one", found, decisions[1], theirs, [equity(1, 100.0), equity(2, 95.0)])


def test_equal_executions_have_no_gap() -> None:
    both = [fill("AR1", "BUY", 2.0, 100.0)]

    found = gap(both, both, ([decision(1), decision(2, 0.5)], [decision(1), decision(2, 0.5)]))

    assert (found.fills, found.price_bps, found.fee_quote, found.late_ns) == (1, 0.0, 0.0, 0)
    assert (found.decisions, found.same_decisions, found.first_other_ts) == (2, 2, None)
    assert (found.profit_session, found.profit_backtest) == (-10.0, -5.0)


def test_worse_price_counts_against_the_side_that_was_traded() -> None:
    # 2 bought 1 dearer, 2 sold 1 cheaper: 4 on 400 of value are 100 basis points.
    ours = [fill("AR1", "BUY", 2.0, 101.0), fill("AR2", "SELL", 2.0, 99.0)]
    theirs = [fill("AR1", "BUY", 2.0, 100.0), fill("AR2", "SELL", 2.0, 100.0)]

    assert round(gap(ours, theirs).price_bps, 9) == 100.0


def test_pieces_of_one_order_are_one_and_fees_and_delays_are_summed() -> None:
    ours = [fill("AR1", "BUY", 1.0, 100.0, 2.0), fill("AR1", "BUY", 1.0, 102.0, 2.0, at=MINUTE + 501)]
    theirs = [fill("AR1", "BUY", 2.0, 101.0, 3.0)]

    found = gap(ours, theirs)

    assert (found.price_bps, found.fee_quote, found.late_ns) == (0.0, 1.0, 500)


def test_execution_that_only_one_has_is_counted_but_not_after_the_last_bar() -> None:
    late = fill("AR9", "BUY", 1.0, 100.0, at=10 * MINUTE + 1)

    found = gap([fill("AR1", "BUY", 1.0, 100.0), late], [fill("AR2", "BUY", 1.0, 100.0)])

    assert (found.fills, found.only_session, found.only_backtest) == (0, 1, 1)


def test_decision_that_differs_is_named_by_its_bar() -> None:
    found = gap(
        [], [], ([decision(1), decision(2, 0.5), decision(4)], [decision(1), decision(2, 0.6), decision(3)])
    )

    assert (found.decisions, found.same_decisions, found.first_other_ts) == (2, 1, 2 * MINUTE)
