from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import ContingencyType, OrderType, StrategyId, TimeInForce, TraderId

from strategies.engine_orders import EngineOrders
from strategies.market import Instrument
from strategies.orders import Bracket, OrderIntent, OrderKind, OrderRole, OrderSide

NOW = 1_700_000_000_000_000_007
MARKET = OrderKind.MARKET


def make_orders() -> EngineOrders:
    instrument = Instrument(
        instrument_id="ALPHAUSDT.DEMO",
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
    return EngineOrders([instrument], TraderId("ARGONAUT-001"), StrategyId("ARGO-001"))


def intent(name: str, kind: OrderKind, **changed: Any) -> OrderIntent:
    values: dict[str, Any] = {
        "decision_id": name * 16,
        "client_order_id": f"AR{name}",
        "strategy": "one",
        "instrument_id": "ALPHAUSDT.DEMO",
        "ts_event": NOW - 7,
        "side": OrderSide.BUY,
        "quantity": 1.25,
        "kind": kind,
        "price": None,
        "trigger_price": None,
        "reduce_only": False,
        "role": OrderRole.OPEN,
    }
    return OrderIntent(**(values | changed))


def test_engine_order_carries_our_name_our_strategy_and_whole_lots() -> None:
    order = make_orders().single(intent("a", MARKET), NOW)

    assert str(order.client_order_id) == "ARa"
    assert (str(order.trader_id), str(order.strategy_id)) == ("ARGONAUT-001", "ARGO-001")
    assert (str(order.instrument_id), str(order.quantity), order.side.name) == (
        "ALPHAUSDT.DEMO",
        "1.250",
        "BUY",
    )
    assert order.ts_init == NOW
    assert order.contingency_type in (None, ContingencyType.NO_CONTINGENCY)


@pytest.mark.parametrize(
    ("kind", "prices", "expected"),
    [
        (MARKET, {}, (OrderType.MARKET, TimeInForce.GTC, None, None)),
        (OrderKind.LIMIT_IOC, {"price": 100.13}, (OrderType.LIMIT, TimeInForce.IOC, "100.13", None)),
        (OrderKind.LIMIT, {"price": 100.5}, (OrderType.LIMIT, TimeInForce.GTC, "100.50", None)),
        (
            OrderKind.STOP_MARKET,
            {"trigger_price": 98.0},
            (OrderType.STOP_MARKET, TimeInForce.GTC, None, "98.00"),
        ),
    ],
)
def test_engine_order_kind_and_prices_follow_the_intent(
    kind: OrderKind, prices: dict[str, float], expected: tuple[Any, ...]
) -> None:
    order = make_orders().single(intent("a", kind, **prices), NOW)

    price, trigger = getattr(order, "price", None), getattr(order, "trigger_price", None)
    shown = (None if price is None else str(price), None if trigger is None else str(trigger))
    assert (order.order_type, order.time_in_force, *shown) == expected


@pytest.mark.parametrize(("side", "reduce_only"), [(OrderSide.SELL, True), (OrderSide.BUY, False)])
def test_engine_order_side_and_reduce_only_follow_the_intent(side: OrderSide, reduce_only: bool) -> None:
    order = make_orders().single(intent("a", MARKET, side=side, reduce_only=reduce_only), NOW)

    assert (order.side.name, order.is_reduce_only) == (side.value, reduce_only)


def test_engine_bracket_exits_wake_with_the_entry_and_cancel_each_other() -> None:
    exit_ = {"side": OrderSide.SELL, "reduce_only": True}
    bracket = Bracket(
        intent("e", MARKET),
        intent("s", OrderKind.STOP_MARKET, trigger_price=98.0, role=OrderRole.STOP, **exit_),
        intent("t", OrderKind.LIMIT, price=105.0, role=OrderRole.TARGET, **exit_),
    )

    entry, stop, target = make_orders().bracket(bracket, NOW)

    assert entry.contingency_type == ContingencyType.OTO
    assert sorted(map(str, entry.linked_order_ids)) == ["ARs", "ARt"]
    assert entry.parent_order_id is None
    for one, sibling in ((stop, "ARt"), (target, "ARs")):
        assert one.contingency_type == ContingencyType.OUO
        assert list(map(str, one.linked_order_ids)) == [sibling]
        assert str(one.parent_order_id) == "ARe"
        assert one.is_reduce_only
    assert {str(one.order_list_id) for one in (entry, stop, target)} == {"L-ARe"}


@pytest.mark.parametrize("which", ["stop", "target"])
def test_engine_bracket_of_one_exit_links_it_to_the_entry_alone(which: str) -> None:
    kind = OrderKind.STOP_MARKET if which == "stop" else OrderKind.LIMIT
    only = intent("x", kind, price=105.0, trigger_price=98.0, side=OrderSide.SELL, reduce_only=True)
    bracket = Bracket(
        intent("e", MARKET), only if which == "stop" else None, None if which == "stop" else only
    )

    entry, exit_ = make_orders().bracket(bracket, NOW)

    assert list(map(str, entry.linked_order_ids)) == ["ARx"]
    assert str(exit_.parent_order_id) == "ARe"
    assert not exit_.linked_order_ids


@pytest.mark.parametrize("kind", [OrderKind.LIMIT, OrderKind.LIMIT_IOC, OrderKind.STOP_MARKET])
def test_engine_order_without_its_price_is_refused(kind: OrderKind) -> None:
    with pytest.raises(ValueError, match="needs a price; found none on ARa"):
        make_orders().single(intent("a", kind), NOW)
