"""What is counted between two scrapes, read back from the text of a scrape."""

import math

import pytest
from prometheus_client import CollectorRegistry

from ops.metrics import Events
from strategies.config import CostConfig
from strategies.costs import CostModel
from strategies.stopwatch import Lap
from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    OrderRecord,
    VerdictRecord,
)
from tests.support.market_data import rules_for

A, B = "A.X", "B.X"
COSTS = CostConfig(taker_fee_bps=4.0, maker_fee_bps=-1.0, half_spread_bps=1.0, impact_k=10.0)
VOLUME = 200.0


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """Events with a clock and a registry."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.registry = CollectorRegistry()
        model = CostModel(COSTS, rules_for(2))
        self.events = Events(
            self.registry,
            self.clock,
            0.1,
            {"one": (A, B)},
            lambda name, size, price, is_maker: model.trade_cost(
                (A, B).index(name), size, price, VOLUME, is_maker=is_maker
            ),
        )

    def value(self, name: str, **labels: str) -> float | None:
        """A series, or None where there is none."""
        return self.registry.get_sample_value(f"argonaut_{name}", labels)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def decision(closes: tuple[float, ...], regime: int = -1) -> DecisionRecord:
    return DecisionRecord(1, "one", "0" * 64, regime, (), closes, (0.0,), 0.75, (0.0,), (0.0,))


def book(realised: float, unrealised: float) -> EquityRecord:
    return EquityRecord(1, "one", 1_000.0, 0.0, 0.0, 0.0, realised, unrealised, 0.0, 0.0)


def verdict(requested: float, approved: float) -> VerdictRecord:
    return VerdictRecord(1, "one", A, requested, approved, "name_cap", 1.0, 2.0)


def order(status: str, own_id: str = "AR1") -> OrderRecord:
    return OrderRecord(1, "one", A, "d", own_id, "BUY", 1.0, "MARKET", "OPEN", math.nan, math.nan, status, "")


def fill(
    side: str, price: float, instrument: str = B, fee: float = 0.5, liquidity: str = "TAKER"
) -> FillRecord:
    return FillRecord(1, "one", instrument, "AR1", "T1", side, 2.0, price, fee, liquidity)


def test_verdict_is_approved_cut_or_vetoed(bench: Bench) -> None:
    for approved in (2.0, 2.0, 1.0, 0.0):
        bench.events.write(verdict(2.0, approved))

    found = {
        outcome: bench.value("verdicts_total", strategy="one", reason="name_cap", outcome=outcome)
        for outcome in ("approved", "cut", "vetoed")
    }
    assert found == {"approved": 2.0, "cut": 1.0, "vetoed": 1.0}


def test_fill_above_the_close_decided_on_is_worse_for_a_buyer_and_better_for_a_seller(bench: Bench) -> None:
    bench.events.write(decision((10.0, 200.0)))
    bench.events.write(fill("BUY", 200.2))
    assert bench.value("slippage_quote", strategy="one") == pytest.approx(0.2 * 2.0)
    bench.events.write(fill("SELL", 200.6))
    assert bench.value("slippage_quote", strategy="one") == pytest.approx((0.2 - 0.6) * 2.0)
    bench.events.write(fill("SELL", 1.0, instrument="not ours"))

    assert bench.value("slippage_quote", strategy="one") == pytest.approx((0.2 - 0.6) * 2.0)
    assert bench.value("filled_quote_total", strategy="one") == pytest.approx(2 * (200.2 + 200.6 + 1.0))
    assert bench.value("fills_total", strategy="one", instrument=B, side="SELL", liquidity="TAKER") == 1.0


def test_costs_of_a_fill_lie_beside_those_that_the_model_charges_at_the_close_decided_on(
    bench: Bench,
) -> None:
    bench.events.write(decision((10.0, 200.0)))
    bench.events.write(fill("SELL", 199.0, fee=0.3))
    bench.events.write(fill("BUY", 200.0, fee=-0.05, liquidity="MAKER"))

    modelled = {
        cause: bench.value("modelled_cost_quote", strategy="one", cause=cause)
        for cause in ("commission", "fee", "half_spread", "impact")
    }
    assert bench.value("execution_cost_quote", strategy="one") == pytest.approx(2.0 * 1.0 + 0.3 - 0.05)
    # 2 units at 200 are worth 400: 4 bps of the taker, 1 bp to the maker; 10 · sqrt(2 / 200) bps of impact.
    assert modelled == pytest.approx(
        {"commission": 0.0, "fee": 0.16 - 0.04, "half_spread": 0.04, "impact": 0.04}
    )


def test_profit_of_a_bar_counts_for_the_regime_that_was_decided_in(bench: Bench) -> None:
    bench.events.write(book(5.0, 1.0))  # where the daemon goes on from
    bench.events.write(decision((1.0, 1.0), regime=1))
    bench.events.write(book(5.0, 4.0))
    bench.events.write(decision((1.0, 1.0), regime=0))
    bench.events.write(book(11.0, -2.0))
    bench.events.write(decision((1.0, 1.0)))  # no regime model any more
    bench.events.write(book(99.0, 99.0))

    found = {
        regime: tuple(
            bench.value(f"regime_{kind}_profit_quote", strategy="one", regime=regime)
            for kind in ("realised", "unrealised")
        )
        for regime in ("0", "1", "-1")
    }
    assert found == {"1": (0.0, 3.0), "0": (6.0, -6.0), "-1": (None, None)}


def test_rebate_is_not_taken_off_what_was_charged(bench: Bench) -> None:
    bench.events.write(fill("BUY", 1.0, fee=0.5))
    bench.events.write(fill("BUY", 1.0, fee=-0.2))

    assert bench.value("fees_quote_total", strategy="one") == 0.5


def test_first_answer_of_the_venue_is_timed_once(bench: Bench) -> None:
    bench.events.write(order("SUBMITTED"))
    bench.clock.now += 0.25
    bench.events.write(order("ACCEPTED"))
    bench.clock.now += 5.0
    bench.events.write(order("FILLED"))

    assert bench.value("order_answer_seconds_sum", strategy="one") == pytest.approx(0.25)
    assert bench.value("order_answer_seconds_count", strategy="one") == 1.0
    assert bench.value("orders_sent_total", strategy="one", role="OPEN") == 1.0
    assert bench.value("orders_total", strategy="one", status="FILLED") == 1.0


def test_orders_that_are_never_answered_take_no_memory_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.metrics.events._MOST_UNANSWERED", 3)
    for number in range(5):
        bench.events.write(order("SUBMITTED", f"AR{number}"))
    for number in range(5):
        bench.events.write(order("ACCEPTED", f"AR{number}"))

    assert bench.value("order_answer_seconds_count", strategy="one") == 3.0


def test_stopwatch_counts_what_stages_take_and_not_what_lies_between_bar_and_decision(bench: Bench) -> None:
    lap = bench.events.stopwatch("one")
    taken = {Lap.FEATURES: 0.5, Lap.REGIME: 0.25, Lap.OBSERVATION: 1.0, Lap.POLICY: 2.0}
    taken |= {Lap.SIZING: 4.0, Lap.GUARDRAILS: 8.0, Lap.RECORD: 16.0}

    for moment in Lap:
        bench.clock.now += taken.get(moment, 1_000.0)  # before a start nobody counts
        lap(moment)
    lap(Lap.BAR)  # bars without a decision leave no half of one behind
    bench.clock.now += 32.0
    lap(Lap.FEATURES)

    assert bench.value("decision_seconds_sum", strategy="one") == sum(taken.values())
    assert bench.value("decision_stage_seconds_sum", stage="features") == 0.5 + 32.0
    assert bench.value("decision_stage_seconds_sum", stage="guardrails") == 8.0


def test_loop_lag_is_what_a_beat_comes_late(bench: Bench) -> None:
    for passed in (0.0, 0.1, 0.15, 0.09):
        bench.clock.now += passed
        bench.events.beat(bench.clock.now)

    assert bench.value("loop_lag_seconds_count") == 3.0
    assert bench.value("loop_lag_seconds_sum") == pytest.approx(0.05)


def test_commands_and_what_the_guardian_imposed_are_counted(bench: Bench) -> None:
    automatic = {"origin": "automatic", "who": "clock"}
    by_hand = {"origin": "operator", "who": "cli"}
    bench.events.note("control", {"command": "kill"})
    for action, restriction in (("hold", automatic), ("note", automatic), ("hold", by_hand)):
        bench.events.note("latch", {"action": action, "restriction": restriction})
    bench.events.note("latch", {"action": "found", "serial": 3, "durable": True, "holding": []})
    bench.events.write(HaltRecord(1, "one", "HALTED", "fault", "it broke"))

    assert bench.value("commands_total", command="kill") == 1.0
    assert bench.value("guardian_trips_total", cause="clock") == 2.0
    assert bench.value("guardian_trips_total", cause="cli") is None
    assert bench.value("halts_total", strategy="one", reason="fault") == 1.0
    assert bench.events.confidence == {}
