"""The door without an engine: what it sends is written down, and the venue's answers are made by hand."""

import json
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from ops.journal.records import encode_body
from strategies.config import StrategyConfig
from strategies.decision import DecisionPipeline, Stages
from strategies.delivery import Written
from strategies.errors import DataError, SafetyError
from strategies.features import FeaturePipeline
from strategies.gate import TradingGate
from strategies.guardrails import GuardrailChain, RiskBook, TradingState
from strategies.market import BarRow, Instrument, Panel
from strategies.observation import ObservationBuilder
from strategies.orders import (
    Bracket,
    Identity,
    OrderIntent,
    OrderKind,
    OrderRole,
    OrderSide,
    client_order_id,
)
from strategies.orders.closes import MOST_ATTEMPTS
from strategies.policies import Action
from strategies.portfolio import Ledger
from strategies.sizing import Sizer
from strategies.strategy import PolicyStrategy, PolicyStrategyConfig
from strategies.tape import MemoryTape

MINUTE = 60_000_000_000
NAME = "ALPHAUSDT.DEMO"


class Broken:
    """A policy that cannot answer."""

    name = "broken"
    required_columns: tuple[str, ...] = ()
    policy_id = "p" * 64

    def act(self, observation: Any) -> Action:
        raise ZeroDivisionError("the policy broke")

    def reset(self) -> None: ...


class Notebook:
    """A courier that writes down what it would carry."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.cancelled: list[str] = []

    def submit(self, planned: OrderIntent | Bracket) -> None:
        self.sent.append(planned)

    def cancel(self, client_order_id: str) -> None:
        self.cancelled.append(client_order_id)


class Door(PolicyStrategy):
    """Sends nothing on."""

    def __init__(self, config: PolicyStrategyConfig) -> None:
        super().__init__(config)
        notebook = Notebook()
        self.sent, self.cancelled = notebook.sent, notebook.cancelled
        self.door._courier = notebook


@pytest.fixture
def door() -> Door:
    """A strategy that has seen one bar, has decided nothing and holds nothing."""
    config = StrategyConfig.model_validate(
        {
            "name": "one",
            "instruments": (NAME,),
            "capital_quote": 10_000.0,
            "features": {"lookback": 1, "columns": ({"kind": "log_return", "params": {"period": 1}},)},
            "policy": {"kind": "flat"},
        }
    )
    rules = [
        Instrument(
            instrument_id=NAME,
            base_currency="ALPHA",
            quote_currency="USDT",
            tick_size=Decimal("0.01"),
            lot_size=Decimal("0.001"),
            min_quantity=Decimal("0.001"),
            min_notional=Decimal(10),
            maker_fee_bps=1.0,
            taker_fee_bps=2.0,
            shortable=False,
        )
    ]
    features = FeaturePipeline(config.features, 1)
    stages = Stages(
        features=features,
        regime=None,
        observation=ObservationBuilder(
            lookback=1, num_instruments=1, num_features=1, num_states=0, columns=features.columns
        ),
        policy=Broken(),
        sizer=Sizer(config.sizing, rules, 525_600.0),
        guardrails=GuardrailChain(config.guardrails, rules, None),
        book=RiskBook(config.guardrails, 1, config.capital_quote),
        ledger=Ledger(rules, config.capital_quote),
    )
    pipeline = DecisionPipeline(config, rules, stages, Identity("one", Broken.policy_id, "c" * 64))
    door = Door(
        PolicyStrategyConfig(pipeline=pipeline, bar_types=(), gate=TradingGate(armed=True), tape=MemoryTape())
    )
    door.observe(panel(1))
    return door


def panel(number: int, close: float = 100.0) -> Panel:
    ts_event = number * MINUTE
    return Panel(ts_event, (BarRow(ts_event, close, close, close, close, 1e6),))


def remember(door: Door, role: OrderRole, quantity: float) -> str:
    own_id = f"AR-{role}"
    kind = OrderKind.STOP_MARKET if role is OrderRole.STOP else OrderKind.MARKET
    side = OrderSide.BUY if role is OrderRole.OPEN else OrderSide.SELL
    trigger = 90.0 if role is OrderRole.STOP else None
    reduce_only = role is not OrderRole.OPEN
    intent = OrderIntent(
        role, own_id, "one", NAME, MINUTE, side, quantity, kind, None, trigger, reduce_only, role
    )
    door.door.resume(intent, filled=0.0, is_working=True)
    return own_id


def fill(door: Door, own_id: str, quantity: float, ts_event: int) -> None:
    event = SimpleNamespace(
        client_order_id=own_id,
        last_qty=quantity,
        last_px=100.0,
        commission=None,
        trade_id=f"T{ts_event}",
        ts_event=ts_event,
        liquidity_side=SimpleNamespace(name="TAKER"),
    )
    door.on_order_filled(event)  # type: ignore[arg-type]


def ended(own_id: str, ts_event: int) -> Any:
    return SimpleNamespace(client_order_id=own_id, ts_event=ts_event)


def test_door_halted_strategy_books_the_fill_of_its_stop_and_marks_what_it_holds(door: Door) -> None:
    fill(door, remember(door, OrderRole.OPEN, 2.0), 2.0, MINUTE)
    stop = remember(door, OrderRole.STOP, 2.0)
    for number in (2, 3):
        door.observe(panel(number))
        door.decide()
    assert isinstance(door.failure, ZeroDivisionError)

    door.observe(panel(4, close=95.0))
    assert door.pipeline.stages.ledger.equity == pytest.approx(10_000.0 - 2 * 5.0)
    fill(door, stop, 2.0, 5 * MINUTE)

    assert door.pipeline.stages.ledger.positions == [0.0]
    assert door.is_flat()


def test_door_halted_strategy_obeys_a_flatten(door: Door) -> None:
    fill(door, remember(door, OrderRole.OPEN, 2.0), 2.0, MINUTE)
    stop = remember(door, OrderRole.STOP, 2.0)
    door.contain("somewhere", ValueError("x"))

    door.flatten()

    assert door.cancelled == [stop]
    assert [(order.role, order.quantity) for order in door.sent] == [(OrderRole.FLATTEN, 2.0)]


def test_door_flatten_closes_what_an_entry_filled_after_it_was_called(door: Door) -> None:
    entry = remember(door, OrderRole.OPEN, 2.0)
    stop = remember(door, OrderRole.STOP, 2.0)
    door.flatten()
    assert (door.cancelled, door.sent) == ([entry, stop], [])
    fill(door, entry, 2.0, MINUTE + 1)
    door.on_order_canceled(ended(stop, MINUTE + 1))
    assert not door.is_flat()

    door.flatten()
    door.flatten()

    assert [(order.role, order.quantity) for order in door.sent] == [(OrderRole.FLATTEN, 2.0)]
    fill(door, door.sent[0].client_order_id, 2.0, MINUTE + 2)
    assert door.is_flat()


def test_door_close_that_the_venue_refuses_is_sent_again_under_another_name_and_not_for_ever(
    door: Door,
) -> None:
    fill(door, remember(door, OrderRole.OPEN, 2.0), 2.0, MINUTE)
    for number in range(2 * MOST_ATTEMPTS):
        door.flatten()
        door.flatten()  # while it works, nothing more is sent
        if len(door.sent) > number:
            door.door.ended(door.sent[-1].client_order_id, MINUTE + number, "REJECTED", "the venue is busy")

    names = [order.client_order_id for order in door.sent]
    assert len(names) == len(set(names)) == MOST_ATTEMPTS
    assert {(order.role, order.quantity, order.reduce_only) for order in door.sent} == {
        (OrderRole.FLATTEN, 2.0, True)
    }

    door.observe(panel(2))
    door.flatten()
    assert len(door.sent) == MOST_ATTEMPTS + 1
    fill(door, door.sent[-1].client_order_id, 2.0, 3 * MINUTE)
    assert door.is_flat()


@pytest.mark.parametrize(("at_venue", "side"), [(0.5, OrderSide.SELL), (-0.5, OrderSide.BUY)])
def test_door_flatten_closes_what_the_venue_says_where_books_are_in_doubt(
    door: Door, at_venue: float, side: OrderSide
) -> None:
    held = {NAME: at_venue}
    door._held_at_venue = lambda owner: held if owner == "ARGO-one" else {}
    fill(door, remember(door, OrderRole.OPEN, 2.0), 2.0, MINUTE)
    assert door.positions == (2.0,)
    door._gate.doubtful = frozenset({NAME})

    door.flatten()

    (sent,) = door.sent
    assert (sent.role, sent.side, sent.quantity, sent.reduce_only) == (OrderRole.FLATTEN, side, 0.5, True)
    assert not door.is_flat()
    held.clear()
    fill(door, sent.client_order_id, 0.5, MINUTE + 2)
    door.flatten()
    assert (door.is_flat(), len(door.sent)) == (True, 1)


def test_door_exit_that_the_venue_made_smaller_is_done_when_the_rest_of_it_has_filled(door: Door) -> None:
    fill(door, remember(door, OrderRole.OPEN, 2.0), 2.0, MINUTE)
    stop = remember(door, OrderRole.STOP, 2.0)
    fill(door, remember(door, OrderRole.REDUCE, 0.5), 0.5, 2 * MINUTE)

    door.on_order_updated(SimpleNamespace(client_order_id=stop, quantity=1.5))
    fill(door, stop, 1.5, 3 * MINUTE)

    assert door.is_flat()
    assert door.door.working() == ()


def test_door_answer_that_is_no_number_skips_the_decision_and_halts_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_self: Broken, _observation: Any) -> Action:
        raise DataError("expected a finite action, found nan")

    monkeypatch.setattr(Broken, "act", answer)

    for number in (2, 3):
        door.observe(panel(number))
        door.decide()

    assert door.failure is None
    assert door.skipped_panels == 2
    assert door.sent == []


def test_door_policy_that_breaks_halts_the_strategy(door: Door) -> None:
    door.observe(panel(2))
    door.decide()

    assert isinstance(door.failure, ZeroDivisionError)
    assert door.skipped_panels == 0


def test_door_order_that_cannot_be_sent_once_the_disk_answers_halts_the_strategy(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_planned: OrderIntent | Bracket) -> None:
        raise ZeroDivisionError("the engine would not take it")

    answers: list[Callable[[Written], None]] = []
    slow = SimpleNamespace(record=lambda _, then: answers.append(then))
    monkeypatch.setattr(door.door._log, "_log", slow)
    monkeypatch.setattr(door.door._courier, "submit", refuse)
    fill(door, remember(door, OrderRole.OPEN, 2.0), 2.0, MINUTE)
    door.flatten()

    answers[0](Written.DURABLE)

    assert isinstance(door.failure, ZeroDivisionError)
    assert door._gate.state("one") is TradingState.HALTED


def test_door_bar_that_an_earlier_process_saw_marks_nothing_not_even_where_the_strategy_is_halted(
    door: Door,
) -> None:
    fill(door, remember(door, OrderRole.OPEN, 2.0), 2.0, MINUTE)
    door.relive(3 * MINUTE, (90.0,), None)
    before = door.pipeline.stages.ledger.snapshot()

    door.observe(panel(2, close=10.0))
    door.contain("somewhere", ValueError("x"))
    door.observe(panel(3, close=10.0))
    after = door.pipeline.stages.ledger.snapshot()
    door.observe(panel(4, close=80.0))

    assert after == before
    assert door.pipeline.stages.ledger.closes == [80.0]
    assert door.door.last_bar_ts == 4 * MINUTE


def test_door_bar_up_to_the_time_at_which_the_venue_stands_is_seen_and_not_decided_on(door: Door) -> None:
    door.decide_only_after(3 * MINUTE)
    door.decide_only_after(2 * MINUTE)

    for number in (2, 3):
        door.observe(panel(number))
        door.decide()
    seen = (door.last_ts_event, door.failure)
    door.observe(panel(4))
    door.decide()

    assert seen == (3 * MINUTE, None)
    assert isinstance(door.failure, ZeroDivisionError)


def test_door_decision_on_another_number_of_instruments_is_refused(door: Door) -> None:
    before = door.snapshot()

    with pytest.raises(SafetyError, match="decisions on 1 instruments, found one on 2"):
        door.relive(2 * MINUTE, (100.0, 50.0), None)

    assert door.snapshot() == before


def test_door_snapshot_comes_back_through_json_and_fits_a_record_with_three_hundred_orders(
    door: Door,
) -> None:
    intents = {}
    for number in range(300):
        own_id = client_order_id(f"{number:064x}"[::-1])
        intent = OrderIntent(
            own_id,
            own_id,
            "one",
            NAME,
            MINUTE,
            OrderSide.SELL,
            0.1 + number,
            OrderKind.STOP_MARKET,
            None,
            90.0,
            True,
            OrderRole.STOP,
        )
        intents[own_id] = intent
        door.door.resume(intent, filled=0.1, is_working=True)
    written = door.snapshot()
    for own_id in intents:
        door.door.ended(own_id, MINUTE, "CANCELED")

    door.restore(json.loads(encode_body(written)), intents)

    assert door.snapshot() == written
