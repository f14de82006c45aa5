"""The whole decision path with a policy that answers as it is told; the stages are the real ones."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.config import RegimeConfig, StrategyConfig
from strategies.decision import Conditions, DecisionPipeline, Stages
from strategies.errors import ConfigError, DataError
from strategies.features import FeaturePipeline
from strategies.guardrails import GuardrailChain, GuardrailReason, RiskBook, TradingState
from strategies.market import BarRow, Instrument, Panel
from strategies.observation import Observation, ObservationBuilder
from strategies.orders import Bracket, Identity, OrderIntent, plan_closes
from strategies.policies import Action
from strategies.portfolio import Ledger
from strategies.regime import RegimeFilter
from strategies.regime_params import RegimeParams
from strategies.sizing import Sizer
from strategies.tape import canonical_bytes

MINUTE = 60_000_000_000
START = 28_333_440 * MINUTE
CLOSES = (100.0, 50.0)
LOOKBACK, PERIOD = 3, 4
WARM = PERIOD + LOOKBACK
"""The log return over 4 bars needs 5, and the third row of it is there with the seventh bar."""

type Answer = Callable[[Observation], Action]


class Told:
    """A policy that answers what it is told."""

    name = "told"
    required_columns: tuple[str, ...] = ()
    policy_id = "p" * 64

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[Observation] = []

    def act(self, observation: Observation) -> Action:
        self.asked.append(observation)
        return self._answer(observation)

    def reset(self) -> None: ...


def weights(*values: float, **parts: Any) -> Answer:
    return lambda _: Action(values, **parts)


def instruments(*, shortable: bool = False) -> list[Instrument]:
    return [
        Instrument(
            instrument_id=f"{base}USDT.DEMO",
            base_currency=base,
            quote_currency="USDT",
            tick_size=Decimal("0.01"),
            lot_size=Decimal("0.001"),
            min_quantity=Decimal("0.001"),
            min_notional=Decimal(10),
            maker_fee_bps=1.0,
            taker_fee_bps=2.0,
            shortable=shortable,
        )
        for base in ("ALPHA", "BETA")
    ]


REGIME: dict[str, Any] = {
    "columns": (f"log_return_{PERIOD}",),
    "initial_probs": (0.5, 0.5),
    "transition_matrix": ((0.9, 0.1), (0.2, 0.8)),
    "means": ((0.01,), (-0.01,)),
    "variances": ((1e-4,), (1e-4,)),
}


def make_pipeline(
    answer: Answer, *, regime: dict[str, Any] | None = None, shortable: bool = False, **sections: Any
) -> DecisionPipeline:
    document: dict[str, Any] = {
        "name": "one",
        "instruments": ("ALPHAUSDT.DEMO", "BETAUSDT.DEMO"),
        "capital_quote": 10_000.0,
        "features": {
            "lookback": LOOKBACK,
            "columns": ({"kind": "log_return", "params": {"period": PERIOD}},),
        },
        "policy": {"kind": "flat"},
        "regime": regime,
        "allocation": {"max_step_change": 10.0, "rebalance_eps": 0.0},
        "sizing": {"cash_buffer_frac": 0.0},
        "guardrails": {
            "min_confidence": 0.0,
            "daily_loss_quote": None,
            "state_drawdown_quote": None,
            "max_daily_notional_quote": None,
            "max_notional_quote": None,
            "max_gross_quote": None,
            "max_participation_frac": None,
            "cooldown_secs": 0.0,
        },
    }
    config = StrategyConfig(**(document | sections))
    rules = instruments(shortable=shortable)
    features = FeaturePipeline(config.features, 2)
    filter_ = None if config.regime is None else RegimeFilter(_params(config.regime))
    stages = Stages(
        features=features,
        regime=filter_,
        observation=ObservationBuilder(
            lookback=LOOKBACK,
            num_instruments=2,
            num_features=1,
            num_states=0 if filter_ is None else 2,
            columns=features.columns,
        ),
        policy=Told(answer),
        sizer=Sizer(config.sizing, rules, 525_600.0),
        guardrails=GuardrailChain(config.guardrails, rules, None),
        book=RiskBook(config.guardrails, 2, config.capital_quote),
        ledger=Ledger(rules, config.capital_quote),
    )
    return DecisionPipeline(config, rules, stages, Identity("one", Told.policy_id, "c" * 64))


def _params(config: RegimeConfig) -> RegimeParams:
    return RegimeParams(
        np.array(config.initial_probs),
        np.array(config.transition_matrix),
        np.array(config.means),
        np.array(config.variances),
    )


def conditions(**changed: Any) -> Conditions:
    values: dict[str, Any] = {
        "now_ns": START + (WARM + 1) * MINUTE,
        "trading_state": TradingState.ACTIVE,
        "armed": True,
        "reconciled": True,
        "busy": frozenset(),
        "doubtful": frozenset(),
        "free_base": None,
        "working_buys": (),
        "working_sells": (),
        "spread_bps": 0.0,
    }
    return Conditions(**(values | changed))


def panel(number: int, closes: Sequence[float | None] = CLOSES) -> Panel:
    ts_event = START + number * MINUTE
    return Panel(
        ts_event,
        tuple(
            None if close is None else BarRow(ts_event, close, close, close, close, 1e6) for close in closes
        ),
    )


def warm(pipeline: DecisionPipeline) -> DecisionPipeline:
    for number in range(1, WARM + 1):
        pipeline.observe(panel(number))
    return pipeline


def sent(pipeline: DecisionPipeline, **changed: Any) -> list[tuple[str, str, float]]:
    orders = pipeline.decide(conditions(**changed)).orders
    entries = [order.entry if isinstance(order, Bracket) else order for order in orders]
    return [(order.instrument_id.split("USDT")[0], order.side.value, order.quantity) for order in entries]


def test_decision_waits_for_the_features_and_a_full_window() -> None:
    pipeline = make_pipeline(weights(0.5, 0.5))

    ready = [pipeline.observe(panel(number)) for number in range(1, WARM + 3)]

    assert pipeline.warmup_bars == WARM
    assert ready == [False] * (WARM - 1) + [True] * 3


def test_decision_losses_count_while_the_features_warm_up() -> None:
    limits = {"min_confidence": 0.0, "daily_loss_quote": 50.0, "loss_readings": 2}
    pipeline = make_pipeline(weights(0.5, 0.5), guardrails=limits)
    pipeline.stages.ledger.apply_fill(0, 10.0, 100.0, 0.0)

    latched = []
    for number, close in enumerate((100.0, 94.0, 94.0), start=1):
        assert not pipeline.observe(panel(number, (close, 50.0)))
        latched.append(pipeline.latched)

    # Ten bought at 100 and worth 94 each: 60 lost, twice.
    assert latched == [None, None, GuardrailReason.DAILY_LOSS]


def test_decision_history_reaches_back_as_far_as_any_stage_remembers() -> None:
    plain = make_pipeline(weights(0.0, 0.0))
    edge = make_pipeline(weights(0.0, 0.0), sizing={"edge": {"enabled": True, "window_bars": 60}})
    kelly = make_pipeline(weights(0.0, 0.0), sizing={"kelly": {"enabled": True, "ema_alpha": 0.5}})

    assert plain.history_bars == WARM
    # The first close of the rule's comes with the first row of features, and 60 returns take 61 closes.
    assert edge.history_bars == PERIOD + 61
    # Half to the power of 80 leaves no bit of a float.
    assert kelly.history_bars == PERIOD + 81


def test_decision_that_sizing_cannot_say_anything_to_names_its_reason() -> None:
    pipeline = warm(make_pipeline(weights(0.5, math.nan), sizing={"edge": {"enabled": True}}))

    decision = pipeline.decide(conditions())

    # 0.5 · 10,000 / 100 were wanted; the policy named no edge.
    assert [verdict[2:6] for verdict in decision.verdicts] == [("ALPHAUSDT.DEMO", 50.0, 0.0, "no_edge")]
    assert decision.orders == ()


def test_decision_that_sizing_may_only_shrink_names_its_reason_and_the_trade() -> None:
    pipeline = warm(make_pipeline(weights(-0.5, math.nan), sizing={"kelly": {"enabled": True}}))
    pipeline.stages.ledger.apply_fill(0, 20.0, 100.0, 0.0)

    decision = pipeline.decide(conditions())

    # From 20 long to 50 short: what is held may be sold, and nothing more while returns are too few.
    assert [(one.requested, one.approved, one.reason) for one in decision.verdicts] == [
        (-70.0, -20.0, "warming_up"),
        (-20.0, -20.0, "ok"),
    ]


def test_decision_change_too_small_to_trade_is_no_refusal() -> None:
    pipeline = warm(
        make_pipeline(
            weights(0.21, 0.0),
            sizing={"edge": {"enabled": True}},
            allocation={"max_step_change": 10.0, "rebalance_eps": 0.02},
        )
    )
    pipeline.stages.ledger.apply_fill(0, 20.0, 100.0, 0.0)

    assert pipeline.decide(conditions()).verdicts == ()


@pytest.mark.parametrize(
    ("orders", "stop", "reason"),
    [
        ({"require_stop": True}, None, "stop_required"),
        ({}, 101.0, "stop_price"),
    ],
)
def test_decision_approved_trade_that_becomes_no_order_says_why(
    orders: dict[str, Any], stop: float | None, reason: str
) -> None:
    stops = None if stop is None else (stop, math.nan)
    pipeline = warm(make_pipeline(weights(0.25, math.nan, stops=stops), orders=orders))

    decision = pipeline.decide(conditions())

    assert [(one.requested, one.approved, one.reason) for one in decision.verdicts] == [(25.0, 0.0, reason)]
    assert decision.orders == ()


def test_decision_time_stop_closes_all_at_once_by_the_age_that_the_book_counts() -> None:
    small_steps = {"max_step_change": 0.01, "rebalance_eps": 0.0}
    pipeline = make_pipeline(weights(math.nan, math.nan, time_stop_bars=WARM), allocation=small_steps)
    pipeline.stages.ledger.apply_fill(0, 20.0, 100.0, 0.0)

    assert sent(warm(pipeline)) == [("ALPHA", "SELL", 20.0)]


def test_decision_weights_become_whole_lots_at_the_close() -> None:
    pipeline = warm(make_pipeline(weights(0.25, 0.33333)))

    decision = pipeline.decide(conditions())

    # 0.25 · 10,000 / 100 = 25; 0.33333 · 10,000 / 50 = 66.666, which is in whole lots of 0.001 already.
    assert decision.record.targets == pytest.approx((25.0, 66.666))
    assert [verdict.reason for verdict in decision.verdicts] == ["ok", "ok"]
    assert [order.quantity for order in decision.orders if isinstance(order, OrderIntent)] == [25.0, 66.666]


def test_decision_record_says_what_was_seen_and_asked() -> None:
    pipeline = warm(make_pipeline(weights(0.25, math.nan, confidence=0.75)))

    record = pipeline.decide(conditions()).record

    assert (record.ts_event, record.strategy) == (START + WARM * MINUTE, "one")
    assert record.closes == CLOSES
    assert (record.regime_state, record.regime_probs) == (-1, ())
    assert (record.confidence, record.action[0], record.weights[0]) == (0.75, 0.25, 0.25)
    assert all(math.isnan(row[1]) for row in (record.action, record.weights, record.targets))


def test_decision_observation_hash_changes_with_what_the_policy_sees() -> None:
    same, again, other = (warm(make_pipeline(weights(0.0, 0.0))) for _ in range(3))
    other.stages.ledger.apply_fill(0, 1.0, 100.0, 0.0)

    hashes = [pipeline.decide(conditions()).record.observation_sha256 for pipeline in (same, again, other)]

    assert hashes[0] == hashes[1] != hashes[2]


def test_decision_leaves_a_busy_instrument_alone() -> None:
    one, both = (warm(make_pipeline(weights(0.25, 0.25))) for _ in range(2))

    assert sent(one, busy=frozenset({0})) == [("BETA", "BUY", 50.0)]
    assert sent(both, busy=frozenset({0, 1})) == []


def test_decision_buys_no_more_than_the_cash_pays_for_in_order_of_the_instruments() -> None:
    pipeline = warm(make_pipeline(weights(0.8, 0.8)))

    # 8,000 for the first, and what is left of 10,000 for the second: 2,000 / 50.
    assert sent(pipeline) == [("ALPHA", "BUY", 80.0), ("BETA", "BUY", 40.0)]


def test_decision_keeps_back_the_buffer_and_what_working_purchases_will_cost() -> None:
    pipeline = warm(make_pipeline(weights(math.nan, 1.0), sizing={"cash_buffer_frac": 0.1}))

    # 10,000 - 30 · 100 under way - 1,000 kept = 6,000, at 50.
    assert sent(pipeline, working_buys=(30.0, 0.0)) == [("BETA", "BUY", 120.0)]


def test_decision_sells_no_more_than_the_venue_says_is_free() -> None:
    pipeline = warm(make_pipeline(weights(0.0, math.nan)))
    pipeline.stages.ledger.apply_fill(0, 20.0, 100.0, 0.0)

    assert sent(pipeline, free_base=lambda base: {"ALPHA": 12.5, "BETA": 0.0}[base]) == [
        ("ALPHA", "SELL", 12.5)
    ]


def test_decision_asks_for_free_balances_only_before_a_sale() -> None:
    pipeline = warm(make_pipeline(weights(0.25, 0.25)))

    def refuse(base: str) -> float:
        raise AssertionError(base)

    assert len(sent(pipeline, free_base=refuse)) == 2


def test_decision_of_a_stop_and_a_target_is_a_bracket() -> None:
    stops, targets = (95.0, math.nan), (110.0, math.nan)
    pipeline = warm(make_pipeline(weights(0.25, math.nan, stops=stops, targets=targets)))

    (order,) = pipeline.decide(conditions()).orders

    assert isinstance(order, Bracket)
    assert order.stop is not None
    assert order.target is not None
    assert (order.stop.trigger_price, order.target.price, order.stop.quantity) == (95.0, 110.0, 25.0)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"trading_state": TradingState.HALTED}, "halted"),
        ({"trading_state": TradingState.REDUCING}, "reducing"),
        ({"armed": False}, "not_armed"),
        ({"reconciled": False}, "unreconciled"),
        ({"spread_bps": 26.0}, "spread"),
        ({"now_ns": START + (WARM + 4) * MINUTE}, "stale_data"),
    ],
)
def test_decision_that_is_vetoed_is_recorded_with_its_reason_and_sends_nothing(
    changed: dict[str, Any], reason: str
) -> None:
    pipeline = warm(make_pipeline(weights(0.25, math.nan)))

    decision = pipeline.decide(conditions(**changed))

    assert decision.orders == ()
    assert [(v.reason, v.requested, v.approved) for v in decision.verdicts] == [(reason, 25.0, 0.0)]


def test_decision_malformed_bar_is_a_data_error_and_changes_no_state() -> None:
    spoilt, clean = (warm(make_pipeline(weights(0.25, 0.25), regime=REGIME)) for _ in range(2))

    with pytest.raises(DataError, match=r"nan|NaN"):
        spoilt.observe(panel(WARM + 1, (math.nan, 50.0)))

    assert spoilt.closes == clean.closes
    for number in (WARM + 1, WARM + 2):
        later = panel(number, (101.0, 49.0))
        assert spoilt.observe(later) is clean.observe(later) is True
        one, other = spoilt.decide(conditions()), clean.decide(conditions())
        assert canonical_bytes(one.record) == canonical_bytes(other.record)
        assert one.orders == other.orders


@pytest.mark.parametrize("ts_event", [START + WARM * MINUTE, START + MINUTE])
def test_decision_repeated_or_older_panel_is_a_data_error(ts_event: int) -> None:
    pipeline = warm(make_pipeline(weights(0.25, 0.25)))
    bars = tuple(BarRow(ts_event, close, close, close, close, 1.0) for close in CLOSES)

    with pytest.raises(DataError):
        pipeline.observe(Panel(ts_event, bars))


def test_decision_belief_that_cannot_be_updated_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = warm(make_pipeline(weights(0.25, 0.25), regime=REGIME))
    before = pipeline.belief

    def refuse(*_: object) -> None:
        raise ValueError("not finite")

    monkeypatch.setattr(RegimeFilter, "update", refuse)

    with pytest.raises(DataError, match=r"strategy one: the regime model cannot use .*: not finite"):
        pipeline.observe(panel(WARM + 1))
    assert pipeline.belief is before


def test_decision_belief_reads_the_mean_or_the_named_instrument() -> None:
    mean = warm(make_pipeline(weights(0.0, 0.0), regime=REGIME))
    second = warm(make_pipeline(weights(0.0, 0.0), regime=REGIME | {"instrument_id": "BETAUSDT.DEMO"}))

    for pipeline in (mean, second):
        pipeline.observe(panel(WARM + 1, (100.0 * math.exp(0.02), 50.0 * math.exp(-0.02))))
    assert mean.belief is not None
    assert second.belief is not None

    # The mean of the two returns is 0, as often before; of the second alone it is two deviations down.
    calm = warm(make_pipeline(weights(0.0, 0.0), regime=REGIME))
    calm.observe(panel(WARM + 1))
    assert calm.belief is not None
    assert mean.belief.probs == pytest.approx(calm.belief.probs)
    assert second.belief.state == 1
    assert second.belief.probs[1] > 0.7 > mean.belief.probs[1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"columns": ("rsi_14",)}, r"regime.columns names \['rsi_14'\]"),
        ({"instrument_id": "GAMMAUSDT.DEMO"}, "regime.instrument_id is 'GAMMAUSDT.DEMO'"),
    ],
)
def test_decision_regime_that_does_not_fit_is_a_configuration_error(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_pipeline(weights(0.0, 0.0), regime=REGIME | changed)


def test_decision_ids_are_the_same_in_every_run_and_differ_by_bar_and_instrument() -> None:
    runs = [warm(make_pipeline(weights(0.25, 0.25))) for _ in range(2)]
    ids: list[list[str]] = []
    for pipeline in runs:
        first = pipeline.decide(conditions()).orders
        pipeline.observe(panel(WARM + 1))
        second = pipeline.decide(conditions()).orders
        ids.append([order.client_order_id for order in (*first, *second) if isinstance(order, OrderIntent)])

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4


@pytest.mark.parametrize(("held", "side"), [(2.5, "SELL"), (-2.5, "BUY")])
def test_decision_flatten_closes_what_is_held_and_keeps_its_ids(
    held: float, side: Literal["BUY", "SELL"]
) -> None:
    pipeline = warm(make_pipeline(weights(0.0, 0.0), shortable=True))
    pipeline.stages.ledger.apply_fill(1, held, 50.0, 0.0)

    def closes(ts_event: int) -> tuple[OrderIntent, ...]:
        positions = pipeline.stages.ledger.positions
        return plan_closes(pipeline.identity, pipeline.instruments, positions, ts_event)

    (close,) = closes(START)

    assert (close.instrument_id, close.side, close.quantity) == ("BETAUSDT.DEMO", side, 2.5)
    assert (close.kind, close.role, close.reduce_only) == ("MARKET", "FLATTEN", True)
    assert closes(START) == (close,)
    assert closes(START + MINUTE)[0].client_order_id != close.client_order_id


def test_decision_instrument_without_a_bar_keeps_its_last_close() -> None:
    pipeline = warm(make_pipeline(weights(0.25, 0.25)))

    assert pipeline.observe(panel(WARM + 1, (110.0, None)))
    record = pipeline.decide(conditions()).record

    assert record.closes == (110.0, 50.0)


def test_decision_latch_is_told_on_the_bar_that_latched_it_alone() -> None:
    pipeline = warm(
        make_pipeline(
            weights(0.0, 0.0),
            guardrails={"daily_loss_quote": 100.0, "loss_readings": 2, "state_drawdown_quote": None},
        )
    )
    pipeline.stages.ledger.apply_fill(0, 10.0, 100.0, 0.0)
    told = []
    for number, close in enumerate((100.0, 85.0, 85.0, 85.0), start=WARM + 1):
        pipeline.observe(panel(number, (close, 50.0)))
        told.append(pipeline.latched)

    assert told == [None, None, "daily_loss", None]


_CLOSE = st.one_of(st.none(), st.sampled_from([0.0, math.nan]), *[st.floats(49.95, 50.05)] * 6)
"""Mostly a price; sometimes no bar, sometimes a bar that is none."""


@given(closes=st.lists(st.tuples(_CLOSE, _CLOSE), min_size=30, max_size=50), data=st.data())
def test_decision_after_a_warm_up_is_that_of_a_pipeline_that_saw_every_bar(
    closes: list[tuple[float | None, float | None]], data: st.DataObject
) -> None:
    lived = data.draw(st.integers(0, len(closes) - 1))
    sizing = {"volatility_target": {"enabled": True, "halflife_bars": 5}}
    whole, parted = (make_pipeline(weights(0.25, 0.33333), regime=REGIME, sizing=sizing) for _ in range(2))

    for number, row in enumerate(((50.0, 50.0), *closes), start=1):
        ready, fault = _taken(whole.observe, panel(number, row))
        take = parted.warm_up if number <= lived else parted.observe
        again, fault_again = _taken(take, panel(number, row))

        assert fault_again == fault
        assert (parted.belief, parted.closes) == (whole.belief, whole.closes)
        if number > lived:
            assert again == ready
            # Nothing was ever bought, so what a restart remembers of the books is how they began.
            parted.stages.ledger.restore(whole.stages.ledger.snapshot())
            if ready:
                assert _decided(parted, number) == _decided(whole, number)


def test_decision_warm_up_leaves_book_and_ledger_as_they_were() -> None:
    pipeline = make_pipeline(weights(0.5, 0.5))
    pipeline.stages.ledger.apply_fill(0, 1.0, 100.0, 0.0)
    ledger, book = pipeline.stages.ledger.snapshot(), pipeline.stages.book.snapshot()

    for number in range(1, WARM + 1):
        pipeline.warm_up(panel(number, (100.0 + number, 50.0)))

    assert (pipeline.stages.ledger.snapshot(), pipeline.stages.book.snapshot()) == (ledger, book)


def _taken(take: Callable[[Panel], bool | None], bars: Panel) -> tuple[bool | None, str]:
    try:
        return take(bars), ""
    except DataError as error:
        return None, str(error)


def _decided(pipeline: DecisionPipeline, number: int) -> bytes:
    decision = pipeline.decide(conditions(now_ns=START + number * MINUTE))
    return canonical_bytes(decision.record) + repr(decision.orders).encode()
