"""Runs one live node on a replay and prints what it saw as JSON (``python replay_node.py < plan.json``).

A process of its own, because whatever builds a `LiveNode` must not share one.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.common import DataActor, Environment, LoggerConfig, LogLevel
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNode, LiveRiskEngineConfig
from nautilus_trader.model import (
    Bar,
    BarType,
    ClientOrderId,
    Currency,
    CurrencyPair,
    InstrumentId,
    Money,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    StrategyId,
    Symbol,
    TraderId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from adapters.paper.client import PaperExecutionClientConfig, PaperExecutionClientFactory
from adapters.paper.fence import CommandFence
from adapters.paper.gateway import PaperGateway
from adapters.paper.ledger import AccountKind
from adapters.paper.state import VenueConfig
from adapters.paper.translate import venue_instrument
from adapters.paper.venue import PaperVenue
from adapters.replay import ReplayConfig, ReplayDataClientFactory

MINUTE = 60_000_000_000
USDT = Currency.from_str("USDT")


def make_pair(name: str) -> CurrencyPair:
    return CurrencyPair(
        InstrumentId.from_str(name),
        Symbol(name.split(".", maxsplit=1)[0]),
        Currency.from_str(name[:3]),
        USDT,
        2,
        3,
        Price.from_str("0.01"),
        Quantity.from_str("0.001"),
        0,
        0,
        lot_size=Quantity.from_str("0.001"),
        min_notional=Money.from_str("10 USDT"),
    )


class Trader(Strategy):
    """Buys and sells at the bars that the plan names; keeps what it hears."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.events: list[list[Any]] = []
        self.decisions: list[int] = []
        self.warm_up = 0
        self.bar_types: list[BarType] = []

    def decide(self, number: int, ts_event: int, plan: dict[str, Any], closes: dict[str, float]) -> None:
        self.decisions.append(ts_event)
        for action in plan["actions"].get(str(number), []):
            self.send(InstrumentId.from_str(action["instrument_id"]), action, closes)

    def send(self, instrument_id: InstrumentId, action: dict[str, Any], closes: dict[str, float]) -> None:
        side = OrderSide.BUY if action["side"] == "BUY" else OrderSide.SELL
        size = Quantity(action["quantity"], 3)
        orders, name = self.order_factory, ClientOrderId(action["id"])
        if action["do"] == "market":
            reduce_only = action.get("reduce_only", False)
            self.submit_order(
                orders.market(instrument_id, side, size, reduce_only=reduce_only, client_order_id=name)
            )
        elif action["do"] == "limit":
            price = Price(action["price"], 2)
            self.submit_order(orders.limit(instrument_id, side, size, price, client_order_id=name))
        elif action["do"] == "bracket":
            close = closes[action["instrument_id"]]
            self.submit_order_list(
                orders.bracket(
                    instrument_id,
                    side,
                    size,
                    entry_client_order_id=name,
                    tp_price=Price(close + action["distance"], 2),
                    tp_post_only=False,
                    sl_trigger_price=Price(close - action["distance"], 2),
                )
            )
        elif action["do"] == "modify":
            self.modify_order(name, quantity=size, price=Price(action["price"], 2))
        elif action["do"] == "cancel":
            self.cancel_order(name)
        elif action["do"] == "cancel_all":
            self.cancel_all_orders(instrument_id)

    def on_order_event(self, event: Any) -> None:
        kind = type(event).__name__.removeprefix("Order")
        row = [kind, str(event.client_order_id), event.ts_event]
        if kind == "Filled":
            row += [event.order_side.name, str(event.last_qty), str(event.last_px), str(event.trade_id)]
        elif kind != "Initialized" and getattr(event, "reason", None):
            row.append(str(event.reason))
        self.events.append(row)

    def on_start(self) -> None:
        for bar_type in self.bar_types:
            self.request_bars(bar_type)

    def on_historical_bars(self, bars: Sequence[Bar]) -> None:
        self.warm_up += len(bars)


class Hub(DataActor):
    """The only subscriber: gathers the bars of a time, then lets the trader decide."""

    trader: Trader
    plan: dict[str, Any]
    bar_types: list[BarType]
    started: asyncio.Event

    def __init__(self, config: object = None) -> None:
        super().__init__()
        self.bars_seen = 0
        self.panel: dict[str, Bar] = {}
        self.number = 0

    def on_start(self) -> None:
        for bar_type in self.bar_types:
            self.subscribe_bars(bar_type)
        self.started.set()

    def on_bar(self, bar: Bar) -> None:
        self.bars_seen += 1
        self.panel[str(bar.bar_type.instrument_id)] = bar
        if len(self.panel) == len(self.bar_types):
            closes = {name: float(bar.close) for name, bar in self.panel.items()}
            self.panel = {}
            self.trader.decide(self.number, bar.ts_event, self.plan, closes)
            self.number += 1


def events_of(plan: dict[str, Any]) -> list[QuoteTick | Bar]:
    events: list[QuoteTick | Bar] = []
    size = Quantity(1e6, 3)
    for name, rows in plan["bars"].items():
        bar_type = BarType.from_str(f"{name}-1-MINUTE-LAST-EXTERNAL")
        for number, (o, h, low, c, v) in enumerate(rows):
            opened = plan["start"] + number * MINUTE
            price = Price(o, 2)
            events.append(
                QuoteTick(InstrumentId.from_str(name), price, price, size, size, opened + 1, opened + 1)
            )
            top, bottom, last, volume = Price(h, 2), Price(low, 2), Price(c, 2), Quantity(v, 3)
            closed = opened + MINUTE
            events.append(Bar(bar_type, price, top, bottom, last, volume, closed, closed))
    return sorted(events, key=lambda event: event.ts_event)


class FailingSource:
    """Gives the events, but fails once at each of the given numbers of events."""

    def __init__(self, events: list[QuoteTick | Bar], failures: list[int]) -> None:
        self.events, self.failures = events, failures

    def __call__(self, after_ns: int) -> Iterator[QuoteTick | Bar]:
        for number, event in enumerate(self.events):
            if event.ts_event <= after_ns:
                continue
            if self.failures and number >= self.failures[0]:
                self.failures.pop(0)
                raise OSError("the feed broke")
            yield event


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    instruments = [make_pair(name) for name in plan["bars"]]
    venue = PaperVenue(
        VenueConfig(
            "DEMO",
            AccountKind[plan["account"]],
            {"USDT": Decimal(plan["cash"])},
            latency_ns=plan["latency_ns"],
        ),
        [venue_instrument(instrument) for instrument in instruments],
        lambda name, quantity, price, is_maker, volume: quantity * price * 0.001,
    )
    gateway, fence = PaperGateway(venue), CommandFence()
    hub, trader = Hub(), Trader(StrategyConfig(strategy_id=StrategyId("T-001"), order_id_tag="001"))
    hub.trader, hub.plan, hub.started = trader, plan, asyncio.Event()
    hub.bar_types = [BarType.from_str(f"{name}-1-MINUTE-LAST-EXTERNAL") for name in plan["bars"]]
    trader.bar_types = hub.bar_types
    events = events_of(plan)

    async def settle(ts_event: int) -> None:
        while hub.bars_seen < replay.status.bars_sent:
            await asyncio.sleep(0)
        if plan["fence"]:
            await fence.reached()

    replay = ReplayConfig(
        venue="DEMO",
        instruments=instruments,
        source=FailingSource(events, list(plan["failures"])),
        market=gateway,
        settle=settle,
        history=lambda bar_type, *_: [b for b in events if isinstance(b, Bar) and b.bar_type == bar_type][:5],
        speed=plan["speed"],
        start_after=hub.started,
        max_failures=3,
        restart_delay_secs=0.01,
    )
    execution = PaperExecutionClientConfig(gateway=gateway, fence=fence)
    node = (
        LiveNode.builder("TEST", TraderId("TEST-001"), Environment.LIVE)
        .with_logging(LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True))
        .with_delay_post_stop_secs(0)
        .with_exec_engine_config(
            # Impatient, so that an order that is long under way is asked for.
            LiveExecutionEngineConfig(
                reconciliation=True,
                reconciliation_startup_delay_secs=0.0,
                inflight_check_interval_ms=50,
                inflight_check_threshold_ms=100,
                inflight_check_retries=2,
            )
        )
        # The engine's default of 100 orders a second is wall time: a fast replay exceeds it at once.
        .with_risk_engine_config(
            LiveRiskEngineConfig(
                max_order_submit_rate="1000000/00:00:01", max_order_modify_rate="1000000/00:00:01"
            )
        )
        .add_data_client("DEMO", ReplayDataClientFactory, replay)
        .add_exec_client("DEMO", PaperExecutionClientFactory, execution)
        .build()
    )
    node.add_actor(hub)
    node.add_strategy(trader)
    handle, cache = node.handle(), node.cache
    fence.send = lambda params: trader.query_account(execution.account_id, params=params)

    running = asyncio.create_task(node.run_async())
    await hub.started.wait()
    started = time.perf_counter()
    while not (replay.status.is_finished or replay.status.is_dead or running.done()):
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - started
    await asyncio.sleep(0.05)
    account = cache.account_for_venue(instruments[0].id.venue)
    assert account is not None
    answer = {
        "decisions": trader.decisions,
        "events": trader.events,
        "status": {name: getattr(replay.status, name) for name in type(replay.status).__slots__},
        "seconds": seconds,
        "warm_up": trader.warm_up,
        "balances": {str(k): str(v).split()[0] for k, v in account.balances_total().items()},
        "positions": {str(p.instrument_id): str(p.signed_qty) for p in cache.positions_open()},
    }
    handle.stop()
    await running
    answer["state"] = str(handle.state)
    return answer


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)
