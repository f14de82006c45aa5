"""The strategies in a live node, on replayed bars and the paper venue.

The node, its clients and the strategies share the main thread's loop. The replay waits at a barrier until
the strategies have decided on a bar and their orders are at the venue, so the same bars give the same
decisions and fills as in a backtest, at any speed.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any

from nautilus_trader.common import Environment, FileWriterConfig, LoggerConfig, LogLevel
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNode, LiveRiskEngineConfig
from nautilus_trader.model import Bar, QuoteTick, TraderId

from adapters.catalog import Catalog, interval_ns_of
from adapters.instruments import spec_of
from adapters.paper.client import CommandFence, PaperExecutionClientConfig, PaperExecutionClientFactory
from adapters.paper.gateway import PaperGateway
from adapters.paper.ledger import AccountKind
from adapters.paper.state import VenueConfig
from adapters.paper.translate import venue_instrument
from adapters.paper.venue import PaperVenue
from adapters.replay import ReplayConfig, ReplayDataClientFactory, ReplayStatus
from bot.admission import admission
from bot.assembly import Surroundings, Wired, account_guard, trading_rules, wire
from bot.config import AccountType, HostConfig
from bot.engine_costs import CostMeter
from bot.market_data import bar_types_of, latency_ns, make_playback
from strategies.gate import TradingGate
from strategies.tape import TapeSink

# The engine's own limits are in wall time, which a fast replay exceeds at once; ours are in market time.
_UNLIMITED_RATE = "1000000/00:00:01"
# A daemon lives long and plays slowly: what it holds at a time counts, not how fast it is read.
_STRETCH_ROWS = 500
_PURGE_MINS = 10


@dataclass(frozen=True, slots=True)
class PaperNode:
    """A node that is ready to run, and what there is to watch of it."""

    node: LiveNode
    wired: Wired
    replay: ReplayStatus
    gateway: PaperGateway
    started: asyncio.Event
    """Set it once everything is up; the replay waits for it."""
    first_ns: int
    """Close of the first bar, UTC nanoseconds."""
    last_ns: int
    """Close of the last bar, UTC nanoseconds."""


def make_paper_node(
    host: HostConfig, *, tape: TapeSink, gate: TradingGate, log_dir: Path, monotonic: Callable[[], float]
) -> PaperNode:
    """Build the node with its clients and strategies; nothing runs yet.

    Raises:
        ConfigError: If a strategy cannot be built.
        CatalogError: If bars are missing or damaged.
    """
    settings = host.settings
    catalog = Catalog(host.catalog_path)
    playback = make_playback(host, catalog)
    instruments = {name: catalog.instrument(name) for name in _instrument_ids(host)}
    may_short = settings.venue.account_type is AccountType.MARGIN
    rules = {name: trading_rules(spec_of(one), may_short=may_short) for name, one in instruments.items()}
    meter = CostMeter(settings.costs, rules)
    gateway = PaperGateway(_make_venue(host, instruments, meter))
    fence = CommandFence()
    started = asyncio.Event()
    replay = ReplayConfig(
        venue=settings.venue.name,
        instruments=list(instruments.values()),
        source=_Source(host, catalog),
        market=gateway,
        speed=None if settings.replay.speed == "max" else settings.replay.speed,
        start_after=started,
    )
    execution = PaperExecutionClientConfig(gateway=gateway, fence=fence)
    node = _make_node(host, replay, execution, log_dir)
    wired = wire(
        node,
        host.strategies,
        Surroundings(
            instruments=rules,
            tape=tape,
            gate=gate,
            bars_per_year=settings.venue.bars_per_year,
            account=account_guard(host),
            borrow_cost=meter.borrow_cost,
            spread_bps=2.0 * settings.costs.half_spread_bps,
            free_base=None if may_short else _holdings(gateway.venue),
            panel_timeout_secs=None,  # the barrier flushes
            on_bar=meter.note_bar,
            monotonic=monotonic,
        ),
    )
    execution.admit = admission(gate, {str(one.strategy_id): one.name for one in wired.strategies})
    strategy = wired.strategies[0]
    fence.send = lambda params: strategy.query_account(execution.account_id, params=params)
    replay.settle = _barrier(wired, replay.status, fence)
    replay.paced_from_ns = playback.first_ns + _warmup_ns(host, wired)
    return PaperNode(node, wired, replay.status, gateway, started, playback.first_ns, playback.last_ns)


def _make_venue(host: HostConfig, instruments: dict[str, Any], meter: CostMeter) -> PaperVenue:
    settings = host.settings

    def commission(
        instrument_id: str, quantity: float, price: float, is_maker: bool, bar_volume: float
    ) -> float:
        return meter.charge(
            "paper", instrument_id, quantity, price, is_maker=is_maker, bar_volume=bar_volume
        ).total

    config = VenueConfig(
        venue=settings.venue.name,
        account=AccountKind.CASH if settings.venue.account_type is AccountType.CASH else AccountKind.MARGIN,
        balances={settings.venue.currency: Decimal(str(settings.venue.starting_balance))},
        leverage=Decimal(str(settings.venue.leverage)),
        latency_ns=latency_ns(host),
        nearest_extreme_first=settings.venue.bar_adaptive_high_low_ordering,
    )
    return PaperVenue(config, [venue_instrument(one) for one in instruments.values()], commission)


def _make_node(
    host: HostConfig, replay: ReplayConfig, execution: PaperExecutionClientConfig, log_dir: Path
) -> LiveNode:
    name = host.settings.venue.name
    logging = LoggerConfig(
        stdout_level=LogLevel.OFF,
        fileout_level=getattr(LogLevel, host.settings.daemon.log_level),
        file_config=FileWriterConfig(directory=str(log_dir), file_name="engine", file_format="json"),
    )
    return (
        LiveNode.builder("ARGONAUT", TraderId("ARGONAUT-001"), Environment.LIVE)
        .with_logging(logging)
        .with_delay_post_stop_secs(0)
        .with_timeout_disconnection_secs(5)
        .with_exec_engine_config(
            LiveExecutionEngineConfig(
                reconciliation=True,
                reconciliation_startup_delay_secs=0.0,
                # By default the engine remembers everything it ever did: 6 kB an order, for ever.
                purge_closed_orders_interval_mins=_PURGE_MINS,
                purge_closed_orders_buffer_mins=_PURGE_MINS,
                purge_closed_positions_interval_mins=_PURGE_MINS,
                purge_closed_positions_buffer_mins=_PURGE_MINS,
                purge_account_events_interval_mins=_PURGE_MINS,
                purge_account_events_lookback_mins=_PURGE_MINS,
            )
        )
        .with_risk_engine_config(
            LiveRiskEngineConfig(max_order_submit_rate=_UNLIMITED_RATE, max_order_modify_rate=_UNLIMITED_RATE)
        )
        .add_data_client(name, ReplayDataClientFactory, replay)
        .add_exec_client(name, PaperExecutionClientFactory, execution)
        .build()
    )


class _Source:
    """The events of the catalog in time order, from any time on."""

    def __init__(self, host: HostConfig, catalog: Catalog) -> None:
        self._host = host
        self._catalog = catalog
        self._longest_ns = max(interval_ns_of(name) for name in bar_types_of(host))

    def __call__(self, after_ns: int) -> Iterator[QuoteTick | Bar]:
        # The quote at a bar's open comes long before its close, by which the playback cuts.
        playback = make_playback(
            self._host,
            self._catalog,
            max(0, after_ns - self._longest_ns),
            stretch_rows=_STRETCH_ROWS,
        )
        for stretch in playback.stretches():
            events: list[QuoteTick | Bar] = []
            for bars, quotes in stretch.series:
                events += quotes
                events += bars
            events.sort(key=attrgetter("ts_event"))
            yield from (event for event in events if event.ts_event > after_ns)


def _barrier(wired: Wired, status: ReplayStatus, fence: CommandFence) -> Callable[[int], Any]:
    async def settle(ts_event: int) -> None:
        while wired.hub.bars_seen < status.bars_sent and wired.hub.failure is None:
            await asyncio.sleep(0)
        wired.hub.flush(ts_event)
        await fence.reached()

    return settle


def _holdings(venue: PaperVenue) -> Callable[[str], float]:
    def total(currency: str) -> float:
        return float(venue.balances().get(currency, (Decimal(0),))[0])

    return total


def _instrument_ids(host: HostConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for loaded in host.strategies for name in loaded.config.instruments))


def _warmup_ns(host: HostConfig, wired: Wired) -> int:
    bars = host.settings.replay.warmup_bars
    return max(
        (strategy.pipeline.warmup_bars if bars is None else bars) * interval_ns_of(strategy.bar_types[0])
        for strategy in wired.strategies
    )
