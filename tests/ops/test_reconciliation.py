"""Our books beside a venue that says whatever the test wants."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.reconciliation import (
    NOTHING_ELSE,
    Holdings,
    Report,
    baseline_from,
    beside,
    compare_holdings,
    require_others,
    settle_for_good,
    settle_orders,
)
from ops.refusals import RefusedError
from strategies.door import OrderDoor
from strategies.errors import TransientError
from tests.support.memory_disk import MemoryDisk
from tests.support.recovery import ALPHA, BETA, Bench

QUIET = (100.0, 50.0)
NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Order:
    client_order_id: str
    status: str = "ACCEPTED"
    quantity: Decimal = Decimal(40)
    filled: Decimal = Decimal(0)
    reason: str = ""
    ts_last: int = 77
    instrument_id: str = ALPHA
    side: str = "BUY"


@dataclass(frozen=True)
class Execution:
    client_order_id: str
    trade_id: str = "V1"
    quantity: Decimal = Decimal(1)
    price: Decimal = Decimal(100)
    fee: Decimal = Decimal("0.02")
    is_maker: bool = False
    ts_event: int = 2
    instrument_id: str = ALPHA
    side: str = "BUY"


@dataclass
class Venue:
    """Answers as it is told."""

    orders: dict[str, Order | None] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    silent_on: set[str] = field(default_factory=set)
    others: list[Order] = field(default_factory=list)
    """Open orders beside those in ``orders``."""
    asked_since: list[int] = field(default_factory=list)

    def order(self, client_order_id: str) -> Order | None:
        if client_order_id in self.silent_on:
            raise TransientError("no answer")
        return self.orders.get(client_order_id)

    def open_orders(self) -> Sequence[Order]:
        own = [order for order in self.orders.values() if order is not None]
        closed = {"FILLED", "CANCELED", "REJECTED", "EXPIRED"}
        return [order for order in (*own, *self.others) if order.status not in closed]

    def fills(self, since_ns: int) -> Sequence[Execution]:
        self.asked_since.append(since_ns)
        return [one for one in self.executions if one.ts_event >= since_ns]


class Case:
    """A strategy with an order on each of two instruments, of which the venue has not been heard."""

    def __init__(self, name: str = "one") -> None:
        self.bench = Bench(MemoryDisk(), name=name)
        self.bench.bar(QUIET)
        self.bench.bar(QUIET, (0.4, 0.4))
        self.bench.writer.step()
        self.bench.writer.step()
        self.door: OrderDoor = self.bench.strategy.door
        first, second = self.door.working()
        self.alpha, self.beta = first.intent.client_order_id, second.intent.client_order_id
        self.size = Decimal(str(first.intent.quantity))
        self.venue = Venue({self.beta: Order(self.beta, instrument_id=BETA, quantity=Decimal(80))})

    def says(self, order: Order | None, *executions: Execution) -> None:
        """Of the order on ALPHA."""
        self.venue.orders[self.alpha] = order
        self.venue.executions += executions

    def settle(self, *, is_final: bool = True, since_ns: int = 0) -> Report:
        return settle_orders([self.door], self.venue, since_ns=since_ns, is_final=is_final)


@pytest.fixture
def case() -> Case:
    return Case()


def test_order_that_the_venue_works_goes_on_working(case: Case) -> None:
    case.says(Order(case.alpha))
    case.door.mark_unknown(case.alpha)

    report = case.settle()

    assert (report.working, report.unexplained) == ([case.alpha, case.beta], [])
    assert case.door.is_working(case.alpha)
    assert case.door.unknown == {}


def test_order_that_the_venue_made_smaller_is_as_small_here(case: Case) -> None:
    case.says(Order(case.alpha, quantity=Decimal("1.5")))

    case.settle()

    assert case.door.working()[0].intent.quantity == 1.5


def test_order_that_may_still_arrive_is_waited_for_and_its_instrument_takes_no_risk(case: Case) -> None:
    case.says(None)

    report = case.settle(is_final=False)

    assert (report.waiting, report.abandoned) == ([case.alpha], [])
    assert report.as_json()["waiting"] == [case.alpha]
    assert case.door.unknown == {case.alpha: 0}


def test_order_that_arrives_while_it_is_waited_for_is_known_again(case: Case) -> None:
    case.says(None)
    case.settle(is_final=False)
    case.says(Order(case.alpha))

    report = case.settle()

    assert report.working == [case.alpha, case.beta]
    assert case.door.unknown == {}


def test_order_that_never_arrived_is_given_up_and_never_sent_again(case: Case) -> None:
    case.says(None)
    case.settle(is_final=False)

    report = case.settle()

    assert (report.abandoned, report.unexplained) == ([case.alpha], [])
    assert not case.door.is_working(case.alpha)
    assert case.door.knows(case.alpha)
    assert case.door.unknown == {}
    assert len(case.bench.courier.sent) == 2


def test_start_waits_for_what_may_be_on_its_way_and_asks_again_before_it_gives_up(case: Case) -> None:
    case.says(None)
    settling = settle_for_good([case.door], since_ns=0, in_flight_secs=3.0)

    assert next(settling) == 0.0
    assert settling.send(case.venue) == 3.0
    assert case.door.is_working(case.alpha)
    with pytest.raises(StopIteration) as settled:
        settling.send(case.venue)

    assert settled.value.value.abandoned == [case.alpha]


def test_order_that_arrives_and_fills_in_that_time_is_booked_once(case: Case) -> None:
    case.says(None)
    case.venue.orders[case.beta] = Order(case.beta, "CANCELED", Decimal(80), Decimal(10), instrument_id=BETA)
    case.venue.executions.append(Execution(case.beta, "b1", Decimal(10), instrument_id=BETA))
    settling = settle_for_good([case.door], since_ns=0, in_flight_secs=3.0)
    next(settling)
    settling.send(case.venue)
    case.says(
        Order(case.alpha, status="FILLED", filled=case.size), Execution(case.alpha, "a1", quantity=case.size)
    )
    with pytest.raises(StopIteration) as settled:
        settling.send(case.venue)

    report: Report = settled.value.value
    assert (report.booked, report.abandoned, report.unexplained) == (["b1", "a1"], [], [])
    assert report.ended == {case.beta: "CANCELED"}


@pytest.mark.parametrize(("is_known", "in_flight_secs"), [(True, 3.0), (False, 0.0)])
def test_start_that_need_not_wait_does_not(case: Case, is_known: bool, in_flight_secs: float) -> None:
    case.says(Order(case.alpha) if is_known else None)
    settling = settle_for_good([case.door], since_ns=0, in_flight_secs=in_flight_secs)
    next(settling)
    with pytest.raises(StopIteration) as settled:
        settling.send(case.venue)

    assert settled.value.value.abandoned == ([] if is_known else [case.alpha])


def test_order_that_the_venue_had_taken_and_has_forgotten_is_a_difference_without_a_name(case: Case) -> None:
    case.door.accepted(case.alpha, 60)
    case.says(None)

    report = case.settle()

    assert not report.is_clean
    assert report.unexplained[0].startswith(f"{case.alpha}: BUY 40 {ALPHA} was taken by the venue")
    assert report.doubtful == {ALPHA}
    assert report.abandoned == [case.alpha]
    assert not case.door.is_working(case.alpha)
    # It is said once: what is given up is not asked about again.
    assert case.settle().is_clean


def test_order_about_which_no_answer_can_be_had_holds_its_instrument_back_and_no_other(case: Case) -> None:
    case.venue.silent_on = {case.alpha}

    report = case.settle()

    assert (report.unknown, report.working, report.unexplained) == ([case.alpha], [case.beta], [])
    assert case.door.unknown == {case.alpha: 0}
    assert case.door.is_working(case.alpha)


@pytest.mark.parametrize("status", ["CANCELED", "REJECTED", "EXPIRED"])
def test_order_that_ended_unheard_has_ended(case: Case, status: str) -> None:
    case.says(Order(case.alpha, status, reason="the venue's reason"))

    report = case.settle()

    assert (report.ended, report.unexplained) == ({case.alpha: status}, [])
    assert not case.door.is_working(case.alpha)
    outcomes = case.bench.strategy.pipeline.stages.book.snapshot()["outcomes"]
    assert outcomes == [status == "REJECTED"]


def test_executions_that_were_missed_are_booked_once_however_often_it_is_asked(case: Case) -> None:
    half = Execution(case.alpha, "V1", case.size / 2)
    rest = Execution(case.alpha, "V2", case.size - case.size / 2, is_maker=True)
    case.says(Order(case.alpha, "FILLED", case.size, case.size), half, rest)

    first, second = case.settle(), case.settle()

    assert (first.booked, second.booked) == (["V1", "V2"], [])
    assert first.unexplained == second.unexplained == []
    ledger = case.bench.strategy.pipeline.stages.ledger
    assert ledger.positions == [float(case.size), 0.0]
    assert ledger.fees == pytest.approx(0.04)
    assert not case.door.is_working(case.alpha)


def test_execution_that_was_heard_is_not_booked_again(case: Case) -> None:
    heard = case.bench.fill(case.door.working()[0], 1.0, 100.0)
    case.says(Order(case.alpha, filled=Decimal(1)), Execution(case.alpha, heard.trade_id))

    report = case.settle()

    assert (report.booked, report.unexplained) == ([], [])
    assert case.bench.strategy.pipeline.stages.ledger.positions == [1.0, 0.0]


def test_same_trade_id_on_another_instrument_is_another_execution(case: Case) -> None:
    case.says(Order(case.alpha, filled=Decimal(1)), Execution(case.alpha, "V1"))
    case.venue.orders[case.beta] = Order(case.beta, instrument_id=BETA, filled=Decimal(2))
    case.venue.executions.append(Execution(case.beta, "V1", Decimal(2), instrument_id=BETA))

    report = case.settle()

    assert report.unexplained == []
    assert case.bench.strategy.pipeline.stages.ledger.positions == [1.0, 2.0]


def test_execution_before_the_time_that_was_asked_for_is_left_alone(case: Case) -> None:
    case.says(Order(case.alpha), Execution(case.alpha, ts_event=5))

    report = case.settle(since_ns=6)

    assert (case.venue.asked_since, report.booked) == ([6], [])


def test_order_made_smaller_and_filled_while_we_were_away_is_done_without_a_complaint(case: Case) -> None:
    small = Decimal("1.5")
    case.says(Order(case.alpha, "FILLED", small, small), Execution(case.alpha, quantity=small))

    report = case.settle()

    assert (report.ended, report.unexplained) == ({case.alpha: "FILLED"}, [])
    assert case.bench.strategy.pipeline.stages.ledger.positions == [1.5, 0.0]
    assert not case.door.is_working(case.alpha)


@pytest.mark.parametrize("status", ["FILLED", "CANCELED", "PARTIALLY_FILLED"])
def test_order_whose_executions_do_not_add_up_to_what_is_filled_halts(case: Case, status: str) -> None:
    case.says(Order(case.alpha, status, Decimal(40), Decimal(2)), Execution(case.alpha))

    report = case.settle()

    [line] = report.unexplained
    assert line == f"{case.alpha}: the venue says {status} with 2 of 40 filled, its executions add up to 1"
    assert report.doubtful == {ALPHA}


def test_execution_beyond_the_order_is_booked_and_halts(case: Case) -> None:
    much = case.size + 1
    case.says(Order(case.alpha, "FILLED", case.size, much), Execution(case.alpha, quantity=much))

    report = case.settle()

    assert case.bench.strategy.pipeline.stages.ledger.positions == [float(much), 0.0]
    assert any("expected at most" in line for line in report.unexplained)
    assert report.doubtful == {ALPHA}


@pytest.mark.parametrize("parts", [{"price": Decimal(0)}, {"quantity": Decimal(0)}, {"fee": Decimal("NaN")}])
def test_execution_that_is_none_is_not_booked_and_halts_and_the_next_is_booked(
    case: Case, parts: dict[str, Any]
) -> None:
    broken = replace(Execution(case.alpha, "V1"), **parts)
    case.says(Order(case.alpha, filled=Decimal(1)), broken, Execution(case.alpha, "V2"))

    report = case.settle()

    assert report.booked == ["V2"]
    assert any("nothing was booked" in line for line in report.unexplained)
    assert report.doubtful == {ALPHA}
    assert case.bench.strategy.pipeline.stages.ledger.positions == [1.0, 0.0]


def test_execution_that_crossed_the_end_of_its_order_is_booked(case: Case) -> None:
    case.door.ended(case.alpha, 1, "CANCELED")
    case.says(Order(case.alpha, "CANCELED", filled=Decimal(1)), Execution(case.alpha))

    report = case.settle()

    assert (report.booked, report.unexplained) == (["V1"], [])
    assert case.bench.strategy.pipeline.stages.ledger.positions == [1.0, 0.0]


def test_orders_and_executions_of_others_are_shown_and_not_touched(case: Case) -> None:
    case.says(Order(case.alpha), Execution("by hand", "V9", side="SELL"))
    case.venue.others = [Order("web-17", side="SELL", quantity=Decimal("0.5"))]

    report = case.settle()

    assert report.foreign_orders == [f"web-17: SELL 0.5 {ALPHA}"]
    assert report.foreign_fills == [f"V9 of by hand: SELL 1 {ALPHA} at 100"]
    assert report.is_clean
    assert case.bench.courier.cancelled == []
    assert case.bench.strategy.pipeline.stages.ledger.positions == [0.0, 0.0]


def test_order_that_our_books_gave_up_and_the_venue_works_halts(case: Case) -> None:
    case.door.ended(case.alpha, 1, "ABANDONED")
    case.says(Order(case.alpha))

    report = case.settle()

    [line] = report.unexplained
    assert line.startswith(f"{case.alpha}: BUY 40 {ALPHA} works at the venue, our books say that it ended")
    assert report.doubtful == {ALPHA}


def test_order_under_a_name_of_ours_that_nobody_remembers_halts(case: Case) -> None:
    lost = "AR" + "0" * 30
    case.says(Order(case.alpha))
    case.venue.others = [Order(lost), Order("ARBITRAGE-1")]

    report = case.settle()

    assert [line.split(":")[0] for line in report.unexplained] == [lost]
    assert [line.split(":")[0] for line in report.foreign_orders] == ["ARBITRAGE-1"]
    assert report.doubtful == {ALPHA}


def test_order_still_on_its_way_to_the_disk_is_not_given_up() -> None:
    bench = Bench(MemoryDisk())
    bench.bar(QUIET)
    bench.bar(QUIET, (0.4, 0.4))

    report = settle_orders([bench.strategy.door], Venue(), since_ns=0, is_final=True)
    bench.writer.step()

    assert report == Report()
    assert len(bench.courier.sent) == 2


def test_each_of_two_strategies_on_one_instrument_gets_its_own_executions() -> None:
    one, two = Case(), Case("two")
    doors = [one.door, two.door]
    venue = Venue(executions=[Execution(one.alpha, "V1"), Execution(two.alpha, "V2", Decimal(3))])
    venue.silent_on = {order.intent.client_order_id for door in doors for order in door.working()}

    settle_orders(doors, venue, since_ns=0, is_final=True)

    held = [bench.strategy.pipeline.stages.ledger.positions[0] for bench in (one.bench, two.bench)]
    assert held == [1.0, 3.0]


def test_venue_that_cannot_say_what_was_executed_lets_nothing_start(case: Case) -> None:
    def silent(since_ns: int) -> Sequence[Execution]:
        raise TransientError("no answer")

    case.venue.fills = silent  # type: ignore[method-assign]

    with pytest.raises(TransientError):
        case.settle()

    assert len(case.door.working()) == 2


# -- what is held ----------------------------------------------------------------------------------


def compared(ours: Holdings, venue: Holdings, baseline: Holdings | None = NOTHING_ELSE) -> Report:
    report = Report()
    compare_holdings(ours, venue, baseline, report)
    return report


def test_holdings_that_agree_have_no_difference() -> None:
    held = Holdings({ALPHA: 1.5, BETA: 0.0}, 1_000.0)

    assert compared(held, Holdings({ALPHA: 1.5}, 1_000.0)).unexplained == []


@pytest.mark.parametrize(
    ("venue", "instrument"),
    [
        ({}, ALPHA),
        ({ALPHA: 1.499}, ALPHA),
        ({ALPHA: -1.5}, ALPHA),
        ({ALPHA: 1.5, BETA: 1e-8}, BETA),
        ({ALPHA: NAN}, ALPHA),
        ({ALPHA: INF}, ALPHA),
    ],
)
def test_position_that_differs_halts_and_is_named(venue: dict[str, float], instrument: str) -> None:
    report = compared(Holdings({ALPHA: 1.5}, 1_000.0), Holdings(venue, 1_000.0))

    assert [line.split(":")[0] for line in report.unexplained] == [instrument]
    assert report.as_json()["doubtful"] == [instrument]
    assert not report.is_clean


def test_position_of_a_hundred_thousand_that_is_one_lot_short_halts() -> None:
    report = compared(Holdings({ALPHA: 100_000.0}, 0.0), Holdings({ALPHA: 99_999.999}, 0.0))

    assert not report.is_clean


@pytest.mark.parametrize("cash", [999.0, 1_000.01, -1_000.0, NAN, INF])
def test_cash_that_differs_halts(cash: float) -> None:
    report = compared(Holdings({}, 1_000.0), Holdings({}, cash))

    assert [line.split(":")[0] for line in report.unexplained] == ["cash"]
    assert report.doubtful == set()  # what is held is known: positions may be reduced


def test_cash_that_differs_by_what_sums_of_floats_do_is_the_same() -> None:
    assert compared(Holdings({}, 1_000.0), Holdings({}, 1_000.0 + 1e-7)).is_clean


def test_what_is_there_beside_ours_the_first_time_is_somebody_elses_from_then_on() -> None:
    ours, venue = Holdings({ALPHA: 1.0}, 1_000.0), Holdings({ALPHA: 1.5, BETA: 2.0}, 5_000.0)
    first = compared(ours, venue, None)
    stored = baseline_from(first.as_json()["baseline"])

    later = compared(Holdings({ALPHA: 0.5}, 1_050.0), Holdings({ALPHA: 1.0, BETA: 2.0}, 5_050.0), stored)

    assert stored == Holdings({ALPHA: 0.5, BETA: 2.0}, 4_000.0)
    assert first.is_clean
    assert later.is_clean
    assert later.baseline == stored


def test_somebody_elses_position_that_changes_later_halts() -> None:
    baseline = Holdings({BETA: 2.0}, 0.0)

    report = compared(Holdings({}, 1_000.0), Holdings({BETA: 1.0}, 1_000.0), baseline)

    assert [line.split(":")[0] for line in report.unexplained] == [BETA]


def test_strategies_that_count_on_more_cash_than_there_is_halt_the_first_time() -> None:
    report = compared(Holdings({}, 10_000.0), Holdings({}, 4_000.0), None)

    [line] = report.unexplained
    assert "lower their capital_quote" in line
    assert "baseline" not in report.as_json()


def test_difference_that_has_no_name_does_not_become_the_baseline() -> None:
    report = compared(Holdings({}, 1_000.0), Holdings({ALPHA: 1.0}, 1_000.0))

    assert "baseline" not in report.as_json()


def test_operator_takes_every_difference_as_somebody_elses() -> None:
    ours, venue = Holdings({ALPHA: 1.0, BETA: 3.0}, 10_000.0), Holdings({ALPHA: 1.5, BETA: 3.0}, 4_000.0)

    report = compared(ours, venue, beside(ours, venue))

    assert report.as_json()["baseline"] == {"positions": {ALPHA: 0.5}, "cash": -6_000.0}


def test_operator_cannot_call_somebody_elses_what_our_books_claim_and_a_cash_account_does_not_hold() -> None:
    ours, venue = Holdings({ALPHA: 10.0, BETA: 1.0}, 0.0), Holdings({ALPHA: 4.0, BETA: 2.0}, 600.0)

    with pytest.raises(RefusedError, match=f"^{ALPHA}: our books claim 10, of which 6 is not in the account"):
        require_others(ours, beside(ours, venue), is_cash=True)
    require_others(ours, beside(ours, venue), is_cash=False)  # somebody may be short beside us
    require_others(ours, beside(ours, Holdings({ALPHA: 10.0, BETA: 2.0}, 0.0)), is_cash=True)


def test_baseline_that_was_never_written_is_none() -> None:
    assert baseline_from(None) is None


_LOTS = st.integers(-(10**9), 10**9)


@given(parts=st.lists(_LOTS, min_size=1, max_size=5), others=_LOTS, extra=st.sampled_from([0, 0, 1, -1]))
def test_positions_agree_exactly_when_they_are_the_same_number_of_lots(
    parts: list[int], others: int, extra: int
) -> None:
    lot = 0.001
    ours = Holdings({ALPHA: sum(round(part * lot, 3) for part in parts)}, 0.0)
    before = Holdings({ALPHA: round((sum(parts) + others) * lot, 3)}, 0.0)
    stored = baseline_from(compared(ours, before, None).as_json()["baseline"])

    found = Holdings({ALPHA: round((sum(parts) + others + extra) * lot, 3)}, 0.0)

    assert compared(ours, found, stored).is_clean is (extra == 0)
