"""Plays a script of market data and orders in one live node and prints what it saw, a JSON line a step.

A process of its own (``python scripted_node.py < plan.json``), because whatever builds a `LiveNode` must
not share one, and because a script may end in SIGKILL.
"""

import asyncio
import json
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.common import Clock, Environment, LoggerConfig, LogLevel
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import ClientCache, LiveExecutionEngineConfig, LiveNode, LiveRiskEngineConfig
from nautilus_trader.live.clients import DataClientFactory
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    StrategyId,
    TimeInForce,
    TraderId,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from adapters.paper.book import MarketBar, MarketQuote
from adapters.paper.claims import OrderClaims
from adapters.paper.client import PaperExecutionClientConfig, PaperExecutionClientFactory
from adapters.paper.faults import Fault, FaultKind, FaultyGateway
from adapters.paper.fence import CommandFence
from adapters.paper.gateway import PaperGateway
from adapters.paper.ledger import AccountKind
from adapters.paper.queries import PaperQueries
from adapters.paper.recovery import RecoveryClientConfig, RecoveryClientFactory, owners
from adapters.paper.state import VenueConfig
from adapters.paper.store import VenueStore
from adapters.paper.translate import venue_instrument
from adapters.paper.venue import PaperVenue
from adapters.replay import ReplayConfig, ReplayDataClient
from tests.adapters.replay_node import make_pair

NAME = "BTCUSDT.DEMO"
INSTRUMENT = InstrumentId.from_str(NAME)
QUIET_ROUNDS = 3


class Trader(Strategy):
    """Sends what the script says and keeps what it hears."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.heard: list[list[str]] = []
        self.known_at_start: dict[str, list[Any]] = {}

    def on_start(self) -> None:
        self.known_at_start = known(self.cache)

    def send(self, step: dict[str, Any]) -> None:
        side, size = OrderSide.BUY if step["side"] == "BUY" else OrderSide.SELL, Quantity(step["quantity"], 3)
        name, orders = ClientOrderId(step["id"]), self.order_factory
        reduce_only = step.get("reduce_only", False)
        if step["kind"] == "bracket":
            self.submit_order_list(
                orders.bracket(
                    INSTRUMENT,
                    side,
                    size,
                    entry_client_order_id=name,
                    sl_client_order_id=ClientOrderId(f"{name}-SL"),
                    tp_client_order_id=ClientOrderId(f"{name}-TP"),
                    tp_price=Price(step["target"], 2),
                    tp_post_only=False,
                    sl_trigger_price=Price(step["stop"], 2),
                    **({} if "price" not in step else limit_entry(step["price"])),
                )
            )
            return
        if step["kind"] == "market":
            order = orders.market(INSTRUMENT, side, size, reduce_only=reduce_only, client_order_id=name)
        elif step["kind"] == "limit":
            force = TimeInForce.from_str(step.get("time_in_force", "GTC"))
            price = Price(step["price"], 2)
            order = orders.limit(INSTRUMENT, side, size, price, time_in_force=force, client_order_id=name)
        else:
            trigger = Price(step["trigger"], 2)
            order = orders.stop_market(
                INSTRUMENT, side, size, trigger, reduce_only=reduce_only, client_order_id=name
            )
        self.submit_order(order)

    def on_order_event(self, event: Any) -> None:
        kind = type(event).__name__.removeprefix("Order")
        row = [kind, str(event.client_order_id)]
        if kind == "Filled":
            row += [str(event.trade_id), str(event.last_qty), str(event.last_px)]
        elif kind in ("Rejected", "Denied"):
            row.append(str(event.reason))
        if not kind.startswith(("Initialized", "Pending")):
            self.heard.append(row)


def limit_entry(price: float) -> dict[str, Any]:
    from nautilus_trader.model import OrderType

    return {"entry_order_type": OrderType.LIMIT, "entry_price": Price(price, 2)}


def known(cache: Any) -> dict[str, list[Any]]:
    return {
        "orders": sorted(
            [str(o.client_order_id), str(o.strategy_id), o.status.name, str(o.filled_qty)]
            for o in cache.orders()
            if not o.is_closed
        ),
        "positions": sorted(
            [str(p.strategy_id), str(p.signed_qty), f"{p.avg_px_open:.6f}"] for p in cache.positions_open()
        ),
    }


class Feed(ReplayDataClient):
    """Gives the node what the script says; the engine prices market orders by it."""

    def give(self, quote: QuoteTick) -> None:
        self._handle_data(quote)


class Stage:
    """The node of one script, and its hands."""

    feed: Feed

    def __init__(self, plan: dict[str, Any]) -> None:
        pair = make_pair(NAME)
        self.store = VenueStore(Path(plan["state"])) if plan.get("state") else None
        config = VenueConfig(
            "DEMO",
            AccountKind[plan.get("account", "MARGIN")],
            {"USDT": Decimal(100_000)},
            latency_ns=plan.get("latency_ns", 1),
        )
        self.venue = PaperVenue(
            config, [venue_instrument(pair)], lambda *_: 0.125, archive=self.store or None
        )
        if self.store is not None:
            self.store.restore(self.venue)
        faults = [Fault(FaultKind(kind), *rest) for kind, *rest in plan.get("faults", [])]
        self.gateway = (
            FaultyGateway(self.venue, self.store, faults) if faults else PaperGateway(self.venue, self.store)
        )
        self.queries = PaperQueries(self.venue)
        self.fence, self.claims = CommandFence(), OrderClaims()
        self.traders = {
            name: Trader(StrategyConfig(strategy_id=StrategyId(name), order_id_tag=name[-3:]))
            for name in plan.get("strategies", ["A-001", "B-002"])
        }
        refused = plan.get("refused", {})
        self.asked: list[list[Any]] = []

        def admit(client_order_id: str, instrument_id: str, side: str, reduce_only: bool) -> str:
            self.asked.append([client_order_id, instrument_id, side, reduce_only])
            reason: str = refused.get(client_order_id, "")
            if reason == "raise":
                raise OSError("the gate is broken")
            return reason

        execution = PaperExecutionClientConfig(
            gateway=self.gateway, fence=self.fence, admit=admit, claims=self.claims
        )
        stage = self

        class FeedFactory(DataClientFactory):
            @staticmethod
            def create(
                *, name: str, config: DataClientConfig, cache: ClientCache, clock: Clock
            ) -> ReplayDataClient:
                stage.feed = Feed(name=name, config=config, cache=cache, clock=clock, venue=Venue("DEMO"))
                return stage.feed

        feed = ReplayConfig(
            venue="DEMO", instruments=[pair], source=lambda _: [], start_after=asyncio.Event()
        )
        builder = (
            LiveNode.builder("TEST", TraderId("TEST-001"), Environment.LIVE)
            .with_logging(LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True))
            .with_delay_post_stop_secs(0)
            .with_exec_engine_config(
                LiveExecutionEngineConfig(
                    reconciliation=True,
                    reconciliation_startup_delay_secs=0.0,
                    inflight_check_interval_ms=plan.get("inflight_ms", 60_000),
                    inflight_check_threshold_ms=plan.get("inflight_ms", 60_000),
                    open_check_interval_secs=plan.get("open_check_secs"),
                    open_check_threshold_ms=10,
                )
            )
            .with_risk_engine_config(LiveRiskEngineConfig(max_order_submit_rate="1000000/00:00:01"))
            .add_data_client("DEMO", FeedFactory, feed)
            .add_exec_client("DEMO", PaperExecutionClientFactory, execution)
        )
        for owner in owners(self.venue):
            recovery = RecoveryClientConfig(gateway=self.gateway, owner=owner, claims=self.claims)
            builder = builder.add_exec_client(f"DEMO-{owner}", RecoveryClientFactory, recovery)
        self.node = builder.build()
        for trader in self.traders.values():
            self.node.add_strategy(trader)
        self.claims.claimants = {
            name: trader.set_external_order_instrument_ids for name, trader in self.traders.items()
        }
        self.handle, self.cache = self.node.handle(), self.node.cache
        first = next(iter(self.traders.values()))
        self.fence.send = lambda params: first.query_account(execution.account_id, params=params)

    async def run(self, steps: list[dict[str, Any]]) -> None:
        running = asyncio.create_task(self.node.run_async())
        while not all(trader.is_running() for trader in self.traders.values()):
            if running.done():
                running.result()
            await asyncio.sleep(0.001)
        say({"at_start": {name: trader.known_at_start for name, trader in self.traders.items()}})
        for step in steps:
            if step["do"] == "all_closed":
                await self.all_closed()
                continue
            getattr(self, f"do_{step['do']}")(step)
            if "until" in step:
                await self.until(*step["until"])
            await self.quiet()
        self.handle.stop()
        await running
        if self.store is not None:
            self.gateway.save()
            self.store.close()
        say({"end": "in order"})

    async def quiet(self) -> None:
        for _ in range(QUIET_ROUNDS):
            await self.fence.reached()

    async def until(self, strategy: str, kind: str, client_order_id: str) -> None:
        """Wait until a strategy has heard something; the test's own time limit ends it."""
        while not any(row[:2] == [kind, client_order_id] for row in self.traders[strategy].heard):
            await asyncio.sleep(0.005)

    async def all_closed(self) -> None:
        """Wait until the node believes that every order has ended; the test's own time limit ends it."""
        while not all(order.is_closed for order in self.cache.orders()):
            await asyncio.sleep(0.005)

    # ---- steps

    def do_quote(self, step: dict[str, Any]) -> None:
        size = step.get("size", 1e6)
        self.gateway.on_quote(NAME, MarketQuote(step["ts"], step["price"], step["price"], size, size))
        self.gateway.settle(step["ts"])
        price, size = Price(step["price"], 2), Quantity(size, 3)
        self.feed.give(QuoteTick(INSTRUMENT, price, price, size, size, step["ts"], step["ts"]))

    def do_bar(self, step: dict[str, Any]) -> None:
        self.gateway.on_bar(NAME, MarketBar(step["ts"], *step["bar"]))
        self.gateway.settle(step["ts"])

    def do_send(self, step: dict[str, Any]) -> None:
        self.traders[step["strategy"]].send(step)

    def do_cancel(self, step: dict[str, Any]) -> None:
        self.traders[step["strategy"]].cancel_order(ClientOrderId(step["id"]))

    def do_query(self, step: dict[str, Any]) -> None:
        trader = self.traders[step["strategy"]]
        trader.query_order(self.cache.order(ClientOrderId(step["id"])))

    def do_line(self, step: dict[str, Any]) -> None:
        assert isinstance(self.gateway, FaultyGateway)
        getattr(self.gateway, step["what"])()

    def do_settle(self, step: dict[str, Any]) -> None:
        self.gateway.settle(self.venue.state.ts)

    def do_wait(self, step: dict[str, Any]) -> None:
        """Only wait, for what ``until`` says."""

    def do_show(self, step: dict[str, Any]) -> None:
        say(
            {
                "known": known(self.cache),
                "heard": {name: trader.heard for name, trader in self.traders.items()},
                "open": [[o.client_order_id, o.owner, str(o.status)] for o in self.queries.open_orders()],
                "fills": [[f.trade_id, f.client_order_id, f.owner] for f in self.queries.fills(0)],
                "positions": [[p.owner, str(p.quantity)] for p in self.queries.positions()],
                "asked": self.asked,
                "cash": str(self.queries.balances()[0].total),
            }
        )

    def do_kill(self, step: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


async def main() -> None:
    plan = json.load(sys.stdin)
    await Stage(plan).run(plan["steps"])


if __name__ == "__main__":
    asyncio.run(main())
