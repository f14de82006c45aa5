"""The strategies in a live node, on replayed bars and the paper venue.

The node, its clients and the strategies share the main thread's loop. The replay waits at a barrier until
the strategies have decided on a bar and their orders are at the venue, so the same bars give the same
decisions and fills as in a backtest, at any speed.

With a store the venue remembers: a new node goes on at the market time that the last one had reached, with
its orders, positions and balances, and plays the bars before as a warm-up.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
from nautilus_trader.common import Environment, FileWriterConfig, LoggerConfig, LogLevel
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNode, LiveRiskEngineConfig
from nautilus_trader.model import Bar, QuoteTick, TraderId

from adapters.catalog import Catalog, interval_ns_of
from adapters.instruments import spec_of
from adapters.paper.claims import OrderClaims
from adapters.paper.client import PaperExecutionClientConfig, PaperExecutionClientFactory
from adapters.paper.fence import CommandFence
from adapters.paper.gateway import PaperGateway
from adapters.paper.ledger import AccountKind
from adapters.paper.queries import PaperQueries
from adapters.paper.recovery import RecoveryClientConfig, RecoveryClientFactory, owners
from adapters.paper.state import VenueConfig
from adapters.paper.store import VENUE_FILE, VenueStore
from adapters.paper.translate import venue_instrument
from adapters.paper.venue import PaperVenue
from adapters.replay import ReplayConfig, ReplayDataClientFactory, ReplayStatus
from bot.admission import admission
from bot.assembly import Surroundings, Wired, account_guard, trading_rules, wire
from bot.chronicle import Account, Chronicle
from bot.config import AccountType, HostConfig
from bot.deferred_pandas import defer_pandas
from bot.engine_costs import CostMeter
from bot.market_data import bar_types_of, latency_ns, make_playback, matching_bar_types
from bot.operation.desks import owner_of
from bot.restoration import adopter
from bot.warm_up import plan_warm_up
from ops.reconciliation import Holdings
from strategies.gate import TradingGate
from strategies.stopwatch import Stopwatch, no_stopwatch
from strategies.tape import TapeSink

# The engine's own limits are in wall time, which a fast replay exceeds at once; ours are in market time.
_UNLIMITED_RATE = "1000000/00:00:01"
# A daemon lives long and plays slowly: what it holds at a time counts, not how fast it is read.
_STRETCH_ROWS = 500
_PURGE_MINS = 10
_CHATTY = ("nautilus_trading::strategy", "nautilus_execution::engine")
"""Of these the engine logs lines at every bar; what they do is in our journal."""


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
    queries: PaperQueries
    """What the venue knows; ask it before the node runs, too."""
    store: VenueStore | None
    is_cash: bool
    """Whether a purchase takes its whole value from the account."""
    costs: CostMeter
    """The one cost model, and what it has charged."""

    @property
    def account(self) -> Account:
        """The venue's side of a reconciliation."""
        return Account(
            view=self.queries,
            holdings=self._account_holdings,
            is_cash=self.is_cash,
            in_flight_secs=0.0,  # it is in this process: what left has arrived
            entry_price=self._entry_price,
        )

    def entrust(self, adopted: Iterable[tuple[str, str]]) -> None:
        """Have the venue keep as a strategy's what its book has adopted; once that is on the disk.

        Args:
            adopted: Strategies, each with an instrument.

        Raises:
            StateWriteError: If the disk refuses.
        """
        ours = self._owners()
        for name, instrument_id in adopted:
            one = adopter(self.wired, name, instrument_id)
            held = one.ledger.positions[one.index]
            self.gateway.entrust(instrument_id, ours[name], held, ours=frozenset(ours.values()))

    def _owners(self) -> dict[str, str]:
        return {strategy.name: str(strategy.strategy_id) for strategy in self.wired.strategies}

    def _entry_price(self, instrument_id: str) -> float | None:
        ours = set(self._owners().values())
        others = [
            one
            for one in self.queries.positions()
            if one.instrument_id == instrument_id and one.owner not in ours
        ]
        if len({one.quantity > 0 for one in others}) != 1:  # nothing there, or both long and short
            return None
        value = sum((one.quantity * one.average_price for one in others), start=Decimal(0))
        return float(value / sum(one.quantity for one in others))

    def _account_holdings(self) -> Holdings:
        positions: dict[str, float] = {}
        for one in self.queries.positions():
            positions[one.instrument_id] = positions.get(one.instrument_id, 0.0) + float(one.quantity)
        currency = next(iter(self.gateway.venue.config.balances))
        cash = next(one.total for one in self.queries.balances() if one.currency == currency)
        return Holdings(positions, float(cash))

    @property
    def resume_ns(self) -> int:
        """Market time that the last node had reached, UTC nanoseconds; 0 where there was none."""
        return self.replay.resume_ns

    def close(self) -> None:
        """Write the venue down for the next node and give its file back; call it when the node has ended.

        Raises:
            StateWriteError: If the disk refuses; all that the venue has answered is on it.
        """
        if self.store is not None:
            self.gateway.save()
            self.store.close()


def make_paper_node(
    host: HostConfig,
    *,
    tape: TapeSink,
    gate: TradingGate,
    log_dir: Path,
    monotonic: Callable[[], float],
    store: VenueStore | None = None,
    chronicle: Chronicle | None = None,
    stopwatch: Callable[[str], Stopwatch] = lambda _strategy: no_stopwatch,
) -> PaperNode:
    """Build the node with its clients and strategies; nothing runs yet.

    Args:
        host: What trades, and on which bars.
        tape: Takes the records.
        gate: The trading state.
        log_dir: Where the engine's log goes.
        monotonic: Clock for measuring how long decisions take.
        store: The venue's memory, see `open_store`; None for a venue that forgets. Close it if this raises.
        chronicle: Where intents are written down before orders leave, and states after each bar; None where
            nothing outlives the process.
        stopwatch: Makes the stopwatch of a strategy, by its name.

    Raises:
        ConfigError: If a strategy cannot be built.
        CatalogError: If bars are missing or damaged.
        StateError: If the memory is of another venue, or has a position in what is not traded any more.
    """
    settings = host.settings
    catalog = Catalog(host.catalog_path)
    playback = make_playback(host, catalog)
    instruments = {name: catalog.instrument(name) for name in _instrument_ids(host)}
    is_cash = settings.venue.account_type is not AccountType.MARGIN
    rules = {name: trading_rules(spec_of(one), may_short=not is_cash) for name, one in instruments.items()}
    meter = CostMeter(settings.costs, rules, matching_bar_types(host))
    venue = _make_venue(host, instruments, meter, store)
    gateway, fence, claims = PaperGateway(venue, store), CommandFence(), OrderClaims()
    started, queries = asyncio.Event(), PaperQueries(venue)
    replay = ReplayConfig(
        venue=settings.venue.name,
        instruments=list(instruments.values()),
        source=_Source(host, catalog),
        market=gateway,
        matching=matching_bar_types(host),
        speed=None if settings.replay.speed == "max" else settings.replay.speed,
        start_after=started,
        resume_ns=venue.state.ts,
    )
    execution = PaperExecutionClientConfig(gateway=gateway, fence=fence, claims=claims)
    recovering = [RecoveryClientConfig(gateway=gateway, owner=one, claims=claims) for one in owners(venue)]
    node = _make_node(host, replay, execution, recovering, log_dir)
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
            free_base=_free_base(gateway.venue, chronicle) if is_cash else None,
            held_at_venue=queries.held_by,
            panel_timeout_secs=None,  # the barrier flushes
            on_bar=meter.note_bar,
            **_recording(chronicle),
            monotonic=monotonic,
            stopwatch=stopwatch,
        ),
    )
    execution.admit = admission(gate, owner_of(wired.strategies))
    _connect(execution, fence, claims, wired)
    replay.settle = _barrier(wired, replay.status, fence, chronicle)
    plan_warm_up(replay, host, catalog, wired.strategies, playback.first_ns)
    ends = (playback.first_ns, playback.last_ns)
    return PaperNode(node, wired, replay.status, gateway, started, *ends, queries, store, is_cash, meter)


def open_store(state_dir: Path) -> VenueStore:
    """Open the paper venue's memory in a state directory, or make it.

    Raises:
        StateError: If it is damaged, or in use by another process.
    """
    return VenueStore(state_dir / VENUE_FILE)


def _connect(
    execution: PaperExecutionClientConfig, fence: CommandFence, claims: OrderClaims, wired: Wired
) -> None:
    """Let the client reach the strategies, which exist only now."""
    strategy = wired.strategies[0]
    claims.claimants = {
        str(one.strategy_id): one.set_external_order_instrument_ids for one in wired.strategies
    }
    fence.send = lambda params: strategy.query_account(execution.account_id, params=params)


def _make_venue(
    host: HostConfig, instruments: dict[str, Any], meter: CostMeter, store: VenueStore | None
) -> PaperVenue:
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
    rules = [venue_instrument(one) for one in instruments.values()]
    venue = PaperVenue(config, rules, commission, archive=store)
    if store is not None:
        store.restore(venue)
    return venue


def _make_node(
    host: HostConfig,
    replay: ReplayConfig,
    execution: PaperExecutionClientConfig,
    recovering: Sequence[RecoveryClientConfig],
    log_dir: Path,
) -> LiveNode:
    name = host.settings.venue.name
    logging = LoggerConfig(
        stdout_level=LogLevel.OFF,
        fileout_level=getattr(LogLevel, host.settings.daemon.log_level),
        component_levels=dict.fromkeys(_CHATTY, "WARN"),
        file_config=FileWriterConfig(directory=str(log_dir), file_name="engine", file_format="json"),
    )
    builder = (
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
    )
    for one in recovering:
        builder = builder.add_exec_client(f"{name}-{one.owner}", RecoveryClientFactory, one)
    defer_pandas()
    # Arrow's own allocator keeps what a read has freed for the next one: some 10 MB, for ever.
    pa.set_memory_pool(pa.system_memory_pool())
    return builder.build()


class _Source:
    """The events of the catalog in time order, from any time on."""

    def __init__(self, host: HostConfig, catalog: Catalog) -> None:
        self._host = host
        self._catalog = catalog
        self._longest_ns = _longest_bar_ns(host)

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


def _longest_bar_ns(host: HostConfig) -> int:
    return max(interval_ns_of(name) for name in bar_types_of(host))


def _barrier(
    wired: Wired, status: ReplayStatus, fence: CommandFence, chronicle: Chronicle | None
) -> Callable[[int], Any]:
    async def settle(ts_event: int) -> None:
        while wired.hub.bars_seen < status.bars_sent and wired.hub.failure is None:
            await asyncio.sleep(0)
        wired.hub.flush(ts_event)
        if chronicle is not None:
            await chronicle.settled()
        await fence.reached()

    return settle


def _recording(chronicle: Chronicle | None) -> dict[str, Any]:
    """What has to be written down of the strategies' lives."""
    if chronicle is None:
        return {}
    return {
        "on_panel": chronicle.note_panel,
        "after_bar": chronicle.write_states,
        "log": chronicle.outbox,
    }


def _free_base(venue: PaperVenue, chronicle: Chronicle | None) -> Callable[[str], float]:
    def total(currency: str) -> float:
        return float(venue.balances().get(currency, (Decimal(0),))[0])

    return total if chronicle is None else chronicle.noting(total)


def _instrument_ids(host: HostConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for loaded in host.strategies for name in loaded.config.instruments))
