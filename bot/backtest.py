"""The strategies in the backtest engine, over a catalog.

A decision at the close of a bar fills at the next open: each bar is preceded by one quote at its open,
and orders take one nanosecond to arrive, so the quote that fills them is the one after the decision.
With ``vwap_window`` an order leaves in parts, one a bar, and each fills at the open that comes next.
The engine runs once per process, in chunks of bars, so memory does not grow with the span.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import DefaultFillModel, StaticLatencyModel
from nautilus_trader.model import AccountType, Currency, Money, OmsType, TraderId, Venue
from nautilus_trader.risk import RiskEngineConfig

from adapters.catalog import Catalog
from adapters.instruments import spec_of
from adapters.playback import STRETCH_ROWS
from bot.assembly import Surroundings, Wired, account_guard, trading_rules, wire
from bot.config import AccountType as AccountKind
from bot.config import HostConfig
from bot.deferred_pandas import defer_pandas
from bot.engine_costs import CostMeter, EngineFees
from bot.market_data import latency_ns, make_playback, matching_bar_types, paces_of
from strategies.errors import ConfigError, DataError, SafetyError
from strategies.gate import TradingGate
from strategies.guards import Guarded
from strategies.market import Instrument
from strategies.tape import MemoryTape

_ALL_TIME_NS = 2**62


@dataclass(frozen=True, slots=True)
class StrategyEnd:
    """Where one strategy stands at the end of a run."""

    name: str
    equity: float
    capital: float
    fault: str | None
    """What made it halt; None where nothing did."""
    skipped_panels: int


@dataclass(frozen=True, slots=True)
class EngineRun:
    """What one run of the engine left behind."""

    tape: MemoryTape
    strategies: tuple[StrategyEnd, ...]
    costs: Mapping[str, Mapping[str, float]]
    """Quote currency by strategy name, then by kind."""
    borrow: float
    """Charged for short positions, quote currency."""
    policies: Mapping[str, str]
    """Policy id by strategy name."""
    regimes: Mapping[str, str]
    """Hash of the regime model's parameters by the name of each strategy that has one."""
    account_profit: float
    """Change of the venue account's worth at the last closes, less borrow fees, quote currency."""
    bars: int
    late_bars: int
    incomplete_panels: int


def run_engine(
    host: HostConfig,
    catalog: Catalog,
    progress: Callable[[int, int], None] | None = None,
    check_wanted: Callable[[], None] = lambda: None,
    *,
    stretch_rows: int = STRETCH_ROWS,
) -> EngineRun:
    """Run the host's strategies over the catalog in a fresh engine.

    Args:
        host: A host of any kind; its venue, costs and strategies are used.
        catalog: Where the bars lie.
        progress: Called with nanoseconds done and in all, after each stretch.
        check_wanted: Called after each stretch; raises what shall end the run.
        stretch_rows: Bars of one series that are held at a time; the result does not depend on it.

    Raises:
        ConfigError: If a strategy cannot be built.
        CatalogError: If the catalog holds no bars for the span, or is damaged.
        SafetyError: If the engine saw no bars, or a cost could not be computed: the result would lie.
    """
    venue = Venue(host.settings.venue.name)
    currency = Currency.from_str(host.settings.venue.currency)
    instruments = _instruments(host, catalog)
    may_short = host.settings.venue.account_type.value == "margin"
    rules = {
        name: trading_rules(spec_of(instrument), may_short=may_short)
        for name, instrument in instruments.items()
    }
    _check_quote_currency(rules, host)
    meter = CostMeter(host.settings.costs, rules, matching_bar_types(host))
    fees = EngineFees(meter, currency)
    engine = _make_engine(host, venue, currency, fees)
    for instrument in instruments.values():
        engine.add_instrument(instrument)
    tape = MemoryTape()
    surroundings = Surroundings(
        instruments=rules,
        tape=tape,
        gate=TradingGate(armed=True),
        bars_per_year=host.settings.venue.bars_per_year,
        account=account_guard(host),
        borrow_cost=meter.borrow_cost,
        spread_bps=2.0 * host.settings.costs.half_spread_bps,
        free_base=None if may_short else _holdings(engine, venue),
        # Recorded bars come on time or never; a later decision would miss the open that follows the close.
        panel_timeout_secs=0.0,
        on_bar=meter.note_bar,
        paces=paces_of(host),
    )
    try:
        wired = wire(engine, host.strategies, surroundings)
        bars = _play(engine, wired, host, catalog, progress, check_wanted, stretch_rows)
        outcome = _outcome(engine, host, wired, meter, fees, tape, bars)
        # Only now: ending fills what was sent on the last bar, at a price that no bar has, and tells nobody.
        engine.end()
        return outcome
    finally:
        engine.dispose()


def _make_engine(host: HostConfig, venue: Venue, currency: Currency, fees: EngineFees) -> BacktestEngine:
    defer_pandas()
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("ARGONAUT-001"),
            logging=LoggerConfig(bypass_logging=True),
            run_analysis=False,
            # Our guardrails limit the order rate; the engine's silent default of 100/s would drop orders.
            risk_engine=RiskEngineConfig(max_order_submit_rate="100000/00:00:01"),
        )
    )
    engine.add_venue(
        venue=venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH
        if host.settings.venue.account_type.value == "cash"
        else AccountType.MARGIN,
        starting_balances=[Money(host.settings.venue.starting_balance, currency)],
        default_leverage=Decimal(str(host.settings.venue.leverage)),
        fee_model=fees,
        # A stop that the market has passed when it arrives must fill: rejected, it leaves a naked position.
        reject_stop_orders=False,
        # Sizing spends no more than there is; a gap beyond its buffer must show as a loss, not end the run.
        allow_cash_borrowing=True,
        fill_model=DefaultFillModel(1.0, 0.0, 0),
        latency_model=StaticLatencyModel(base_latency_nanos=latency_ns(host)),
        bar_adaptive_high_low_ordering=host.settings.venue.bar_adaptive_high_low_ordering,
    )
    return engine


def _instruments(host: HostConfig, catalog: Catalog) -> dict[str, Any]:
    names = dict.fromkeys(name for loaded in host.strategies for name in loaded.config.instruments)
    return {name: catalog.instrument(name) for name in names}


def _check_quote_currency(rules: Mapping[str, Instrument], host: HostConfig) -> None:
    for name, instrument in rules.items():
        if instrument.quote_currency != host.settings.venue.currency:
            raise ConfigError(
                f"{name} is quoted in {instrument.quote_currency}, but the account's currency is "
                f"{host.settings.venue.currency}; set venue.currency, or trade it on a host of its own"
            )


def _holdings(engine: BacktestEngine, venue: Venue) -> Callable[[str], float]:
    """Base currency that the account holds, whoever of ours bought it."""
    cache = engine.cache  # taken now: a running engine does not hand it out

    def total(currency: str) -> float:
        # The cache hands out a copy of the account with all its events: forget them, or each sale costs more.
        cache.purge_account_events(_ALL_TIME_NS, 0)
        account = cache.account_for_venue(venue)
        balance = None if account is None else account.balance_total(Currency.from_str(currency))
        return 0.0 if balance is None else float(balance)

    return total


def _play(
    engine: BacktestEngine,
    wired: Wired,
    host: HostConfig,
    catalog: Catalog,
    progress: Callable[[int, int], None] | None,
    check_wanted: Callable[[], None],
    stretch_rows: int,
) -> int:
    playback = make_playback(host, catalog, stretch_rows=stretch_rows)
    bars_seen = 0
    for stretch in playback.stretches():
        for bars, quotes in stretch.series:
            bars_seen += len(bars)
            if bars:
                engine.add_data(bars, validate=False, sort=False)
                engine.add_data(quotes, validate=False, sort=False)
        engine.sort_data()
        if stretch.is_whole:  # the engine's clock costs more than the rest of gathering a panel
            wired.hub.expect_whole_panels(stretch.end_ns)
        with _without_collection():
            engine.run(streaming=True)
        engine.clear_data()
        check_wanted()
        owners: list[Guarded] = [wired.hub, *wired.strategies]
        for owner in owners:
            if isinstance(owner.failure, KeyboardInterrupt):
                raise owner.failure  # the engine has swallowed a Ctrl-C: nobody wants the rest
        if progress is not None:
            progress(stretch.end_ns - playback.first_ns, playback.last_ns - playback.first_ns)
    if bars_seen == 0:
        raise DataError(
            f"no bars between {host.settings.data.start} and {host.settings.data.end}: the span lies in a "
            "gap; `argonaut data verify` shows the gaps"
        )
    return bars_seen


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Look for no cyclic garbage meanwhile: a run keeps what it makes, and looking costs a twentieth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _outcome(
    engine: BacktestEngine,
    host: HostConfig,
    wired: Wired,
    meter: CostMeter,
    fees: EngineFees,
    tape: MemoryTape,
    bars: int,
) -> EngineRun:
    if fees.fault is not None:
        raise SafetyError(f"the cost model failed, so orders were not filled: {fees.fault}") from fees.fault
    if wired.hub.last_ts_event == 0:
        raise SafetyError(f"{bars} bars were given to the engine, but the strategies saw none of them")
    names = {str(strategy.strategy_id): strategy.name for strategy in wired.strategies}
    return EngineRun(
        tape=tape,
        strategies=tuple(
            StrategyEnd(
                name=strategy.name,
                equity=strategy.pipeline.stages.ledger.equity,
                capital=strategy.pipeline.stages.ledger.capital,
                fault=None
                if strategy.failure is None
                else f"{type(strategy.failure).__name__}: {strategy.failure}",
                skipped_panels=strategy.skipped_panels,
            )
            for strategy in wired.strategies
        ),
        costs={names[key]: totals for key, totals in meter.totals.items()},
        borrow=wired.borrow.total,
        policies={strategy.name: strategy.pipeline.identity.policy_id for strategy in wired.strategies},
        regimes={
            strategy.name: regime.params.sha256
            for strategy in wired.strategies
            if (regime := strategy.pipeline.stages.regime) is not None
        },
        account_profit=_account_worth(engine, host, wired)
        - host.settings.venue.starting_balance
        - wired.borrow.total,
        bars=bars,
        late_bars=wired.hub.late_bars,
        incomplete_panels=wired.hub.incomplete_panels,
    )


def _account_worth(engine: BacktestEngine, host: HostConfig, wired: Wired) -> float:
    """The venue account, each position at the last close that its strategy saw: the ledgers' sum.

    Raises:
        SafetyError: If the account holds another quantity than the ledgers say.
    """
    account: Any = engine.cache.account_for_venue(Venue(host.settings.venue.name))
    worth = float(account.balance_total(Currency.from_str(host.settings.venue.currency)))
    if host.settings.venue.account_type is AccountKind.CASH:
        _check_holdings(account, wired)
        return worth + sum(strategy.pipeline.stages.ledger.net_exposure for strategy in wired.strategies)
    closes = {
        (str(strategy.strategy_id), instrument.instrument_id): close
        for strategy in wired.strategies
        for instrument, close in zip(
            strategy.pipeline.instruments, strategy.pipeline.stages.ledger.closes, strict=True
        )
    }
    for position in engine.cache.positions_open():
        close = closes[str(position.strategy_id), str(position.instrument_id)]
        worth += float(position.signed_qty) * (close - float(position.avg_px_open))
    return worth


def _check_holdings(account: Any, wired: Wired) -> None:
    booked: dict[str, float] = {}
    smallest: dict[str, float] = {}
    for strategy in wired.strategies:
        positions = strategy.pipeline.stages.ledger.positions
        for instrument, position in zip(strategy.pipeline.instruments, positions, strict=True):
            base = instrument.base_currency
            booked[base] = booked.get(base, 0.0) + position
            smallest[base] = float(instrument.lot_size)
    for base, quantity in booked.items():
        balance = account.balance_total(Currency.from_str(base))
        held = 0.0 if balance is None else float(balance)
        if abs(held - quantity) > smallest[base] / 2.0:
            raise SafetyError(
                f"the account holds {held:g} {base}, but the strategies' books add up to {quantity:g}: "
                "a fill was booked twice or lost"
            )
