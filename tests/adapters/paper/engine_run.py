"""Runs one scenario through the real backtest engine and prints its fills as JSON.

A process of its own (``python engine_run.py < scenario.json``), because one thread holds one engine.
"""

import json
import sys
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import DataActor, LoggerConfig
from nautilus_trader.execution import DefaultFillModel, MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    ClientOrderId,
    Currency,
    CurrencyPair,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    OrderType,
    Price,
    Quantity,
    QuoteTick,
    Symbol,
    TimeInForce,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

MINUTE = 60_000_000_000
PRICE_DECIMALS = 2
SIZE_DECIMALS = 3
SIDES = {"BUY": OrderSide.BUY, "SELL": OrderSide.SELL}


def make_pair(name: str) -> CurrencyPair:
    return CurrencyPair(
        InstrumentId.from_str(name),
        Symbol(name.split(".", maxsplit=1)[0]),
        Currency.from_str(name[:3]),
        Currency.from_str("USDT"),
        PRICE_DECIMALS,
        SIZE_DECIMALS,
        Price.from_str("0.01"),
        Quantity.from_str("0.001"),
        0,
        0,
        lot_size=Quantity.from_str("0.001"),
    )


def price(value: float) -> Price:
    return Price(value, PRICE_DECIMALS)


def quantity(value: float) -> Quantity:
    return Quantity(value, SIZE_DECIMALS)


class Scripted(Strategy):
    """Sends the scenario's orders at the bars that it names."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.fills: list[list[Any]] = []
        self.ends: dict[str, str] = {}

    def act(self, action: dict[str, Any]) -> None:
        getattr(self, f"do_{action['do']}")(action)

    def do_market(self, a: dict[str, Any]) -> None:
        self.submit_order(
            self.order_factory.market(
                InstrumentId.from_str(a["instrument_id"]),
                SIDES[a["side"]],
                quantity(a["quantity"]),
                reduce_only=a["reduce_only"],
                time_in_force=TimeInForce.from_str(a["time_in_force"]),
                client_order_id=ClientOrderId(a["id"]),
            )
        )

    def do_limit(self, a: dict[str, Any]) -> None:
        self.submit_order(
            self.order_factory.limit(
                InstrumentId.from_str(a["instrument_id"]),
                SIDES[a["side"]],
                quantity(a["quantity"]),
                price(a["price"]),
                time_in_force=TimeInForce.from_str(a["time_in_force"]),
                client_order_id=ClientOrderId(a["id"]),
            )
        )

    def do_stop(self, a: dict[str, Any]) -> None:
        self.submit_order(
            self.order_factory.stop_market(
                InstrumentId.from_str(a["instrument_id"]),
                SIDES[a["side"]],
                quantity(a["quantity"]),
                price(a["trigger"]),
                client_order_id=ClientOrderId(a["id"]),
            )
        )

    def do_bracket(self, a: dict[str, Any]) -> None:
        entry = a.get("entry")
        self.submit_order_list(
            self.order_factory.bracket(
                InstrumentId.from_str(a["instrument_id"]),
                SIDES[a["side"]],
                quantity(a["quantity"]),
                entry_order_type=OrderType.MARKET if entry is None else OrderType.LIMIT,
                entry_price=None if entry is None else price(entry),
                tp_price=price(a["target"]),
                tp_post_only=False,
                sl_trigger_price=price(a["stop"]),
                entry_client_order_id=ClientOrderId(a["id"]),
                sl_client_order_id=ClientOrderId(a["id"] + "-SL"),
                tp_client_order_id=ClientOrderId(a["id"] + "-TP"),
            )
        )

    def do_cancel(self, a: dict[str, Any]) -> None:
        order = self.cache.order(ClientOrderId(a["id"]))
        if order is not None and order.is_open:
            self.cancel_order(order.client_order_id)

    def on_order_event(self, event: Any) -> None:
        self.ends[str(event.client_order_id)] = type(event).__name__.removeprefix("Order")

    def on_order_filled(self, event: Any) -> None:
        self.fills.append(
            [
                str(event.client_order_id),
                event.ts_event,
                event.order_side.name,
                str(event.last_qty),
                str(event.last_px),
                event.liquidity_side.name,
                str(event.commission).split()[0],
            ]
        )


class Hub(DataActor):
    """Acts when the last instrument's bar of a time has come."""

    strategy: Scripted
    scenario: dict[str, Any]

    def __init__(self, config: object = None) -> None:
        super().__init__()
        self.seen = 0

    def on_start(self) -> None:
        for name in self.scenario["bars"]:
            self.subscribe_bars(BarType.from_str(f"{name}-1-MINUTE-LAST-EXTERNAL"))

    def on_bar(self, bar: Bar) -> None:
        self.seen += 1
        number, last = divmod(self.seen, len(self.scenario["bars"]))
        if last == 0:
            for action in self.scenario["actions"].get(str(number - 1), []):
                self.strategy.act(action)


def market_data(scenario: dict[str, Any]) -> list[Any]:
    data: list[Any] = []
    for name, rows in scenario["bars"].items():
        bar_type = BarType.from_str(f"{name}-1-MINUTE-LAST-EXTERNAL")
        size = quantity(scenario["quote_size"])
        for number, (o, h, low, c, v) in enumerate(rows):
            opened = scenario["start"] + number * MINUTE
            data.append(
                QuoteTick(InstrumentId.from_str(name), price(o), price(o), size, size, opened + 1, opened + 1)
            )
            closed = opened + MINUTE
            data.append(Bar(bar_type, price(o), price(h), price(low), price(c), quantity(v), closed, closed))
    return data


def run(scenario: dict[str, Any]) -> dict[str, Any]:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggerConfig(bypass_logging=True)))
    engine.add_venue(
        venue=Venue("DEMO"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.from_str(scenario["account"]),
        base_currency=None,
        starting_balances=[Money.from_str(text) for text in scenario["balances"]],
        default_leverage=Decimal(1),
        fee_model=MakerTakerFeeModel(Decimal("0.0002"), Decimal("0.0005")),
        fill_model=DefaultFillModel(1.0, 0.0, 42),
        latency_model=StaticLatencyModel(base_latency_nanos=1),
        reject_stop_orders=False,
        bar_adaptive_high_low_ordering=scenario["nearest_extreme_first"],
    )
    for name in scenario["bars"]:
        engine.add_instrument(make_pair(name))
    engine.add_data(market_data(scenario), sort=True)
    hub, strategy = Hub(), Scripted(StrategyConfig())
    hub.strategy, hub.scenario = strategy, scenario
    engine.add_actor(hub)
    engine.add_strategy(strategy)
    engine.run()
    account = engine.cache.account_for_venue(Venue("DEMO"))
    assert account is not None
    totals = {str(k): str(v).split()[0] for k, v in account.balances_total().items()}
    return {"fills": strategy.fills, "balances": totals, "ends": strategy.ends}


if __name__ == "__main__":
    json.dump([run(scenario) for scenario in json.load(sys.stdin)], sys.stdout)
