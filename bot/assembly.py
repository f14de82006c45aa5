"""The one wiring: the same strategies into whatever host is given.

`BacktestEngine` and `LiveNode` both take actors and strategies; `wire` needs nothing else of them. Only
the making of the host differs between backtest, paper and live (`bot.backtest`, `bot.paper`, `bot.live`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from adapters.instruments import InstrumentSpec
from bot.account_exposure import exposure_of
from bot.config import HostConfig, LoadedStrategy
from bot.market_data import bar_type
from strategies.belief_summary import num_beliefs, summary_for
from strategies.bundle import Bundle, open_bundle, require_schema, schema_of_model
from strategies.config import StrategyConfig
from strategies.decision import DecisionPipeline, Stages
from strategies.delivery import Courier, IntentLog
from strategies.errors import ConfigError, SafetyError
from strategies.features import FeaturePipeline
from strategies.gate import TradingGate
from strategies.guardrails import AccountGuard, AccountLimits, GuardrailChain, RiskBook
from strategies.hub import PanelHub, PanelHubConfig
from strategies.market import BarRow, Instrument
from strategies.observation import ObservationBuilder
from strategies.orders import Identity
from strategies.policies import make_policy
from strategies.portfolio import Ledger
from strategies.regime import RegimeFilter
from strategies.regime_params import RegimeParams
from strategies.sizing import Sizer
from strategies.slices import Pace
from strategies.stopwatch import Stopwatch, no_stopwatch
from strategies.strategy import PolicyStrategy, PolicyStrategyConfig
from strategies.tape import HaltRecord, TapeSink


class Host(Protocol):
    """What `wire` needs of an engine or a node."""

    def add_actor(self, actor: Any) -> None:
        """Register an actor."""

    def add_strategy(self, strategy: Any) -> None:
        """Register a strategy."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the strategies of one host share."""

    instruments: Mapping[str, Instrument]
    tape: TapeSink
    gate: TradingGate
    bars_per_year: Callable[[str], float]
    """Bars a year for an interval such as ``1-MINUTE``."""
    account: AccountGuard
    """Limits over all strategies together."""
    borrow_cost: Callable[[float, int], float]
    """Fee for being short of a value for nanoseconds, quote currency."""
    spread_bps: float
    """Spread assumed where the venue quotes none."""
    free_base: Callable[[str], float] | None = None
    """Free balance of a currency at the venue; None where the account may go short."""
    held_at_venue: Callable[[str], Mapping[str, float]] | None = None
    """What the venue says that a strategy (by the engine's id) holds, signed base units by instrument; None
    where our books cannot differ from it."""
    panel_timeout_secs: float | None = 5.0
    """How long a panel waits for missing bars; 0 to the end of its own bar time, None until it is flushed."""
    on_bar: Callable[[str, BarRow], None] | None = None
    """Called with bar type and bar before the strategies decide."""
    on_panel: Callable[[int, Mapping[str, BarRow]], None] | None = None
    """Called with a close time and its bars, by bar type, before any strategy sees them."""
    after_bar: Callable[[int], None] | None = None
    """Called with a close time once every strategy has decided on it."""
    courier: Courier | None = None
    """Who carries orders on; None for the engine."""
    log: IntentLog | None = None
    """Where intents are written down before their orders leave; None where nothing outlives the process."""
    paces: Mapping[str, Pace] | None = None
    """How orders to the market are worked over time, by instrument id; None sends them whole."""
    now: Callable[[], int] | None = None
    """Wall clock, UTC nanoseconds, where bars come live; None takes the bars' own time."""
    monotonic: Callable[[], float] | None = None
    """Clock for the deadline of an inference; None sets no deadline, so a backtest depends on no machine."""
    stopwatch: Callable[[str], Stopwatch] = lambda _strategy: no_stopwatch
    """Makes the stopwatch of a strategy, by its name."""


@dataclass(frozen=True, slots=True)
class Wired:
    """What was put into the host, in the order in which it is called."""

    hub: PanelHub
    strategies: tuple[PolicyStrategy, ...]
    borrow: "BorrowMeter"
    account: AccountGuard


def wire(host: Host, loaded: Sequence[LoadedStrategy], surroundings: Surroundings) -> Wired:
    """Build every strategy and put it, with the hub that calls them, into the host.

    Raises:
        ConfigError: If a strategy cannot be built; the host is unchanged.
    """
    strategies = tuple(_build_strategy(one, surroundings) for one in loaded)
    ledgers = [strategy.pipeline.stages.ledger for strategy in strategies]
    borrow = BorrowMeter(surroundings.borrow_cost, ledgers)
    hub = PanelHub(
        PanelHubConfig(
            listeners=strategies,
            timeout_secs=surroundings.panel_timeout_secs,
            on_bar_seen=surroundings.on_bar,
            on_panel=surroundings.on_panel,
            before_decisions=_before_decisions(surroundings, borrow, strategies),
            after_decisions=_send_slices(strategies) if surroundings.paces else surroundings.after_bar,
        )
    )
    host.add_actor(hub)
    for strategy in strategies:
        host.add_strategy(strategy)
    return Wired(hub, strategies, borrow, surroundings.account)


def account_guard(host: HostConfig) -> AccountGuard:
    """Limits over all strategies of a host; their capital is the equity that losses count from."""
    account = host.settings.account
    limits = AccountLimits(
        max_gross_quote=account.max_gross_quote,
        max_net_quote=account.max_net_quote,
        daily_loss_quote=account.daily_loss_quote,
        session_loss_quote=account.session_loss_quote,
        drawdown_frac=account.drawdown_frac,
        loss_readings=account.loss_readings,
        close_at_loss_limit=account.close_at_loss_limit,
        day_start_utc_hour=account.day_start_utc_hour,
    )
    return AccountGuard(limits, sum(loaded.config.capital_quote for loaded in host.strategies))


def build_pipeline(
    loaded: LoadedStrategy,
    instruments: Sequence[Instrument],
    bars_per_year: float,
    *,
    account: AccountGuard | None = None,
    monotonic: Callable[[], float] | None = None,
    stopwatch: Stopwatch = no_stopwatch,
) -> DecisionPipeline:
    """Build the stages of one strategy.

    Raises:
        ConfigError: If a stage refuses its part of the configuration, or an artefact it names.
    """
    config, base_dir = loaded.config, loaded.path.parent
    features = FeaturePipeline(config.features, len(instruments))
    bundle = open_bundle(base_dir / config.policy.path) if config.policy.kind == "bundle" else None
    regime = _regime_filter(config, base_dir, bundle)
    num_states = regime.params.num_states if regime is not None and config.shows_beliefs else 0
    if bundle is not None:
        require_schema(bundle, schema_of_model(config, features.schema_sha256, num_states))
    policy = make_policy(
        config.policy,
        columns=features.columns,
        num_instruments=len(instruments),
        num_states=num_states,
        num_beliefs=num_beliefs(config, num_states),
        schema_sha256=features.schema_sha256,
        base_dir=base_dir,
        action_map=config.allocation.action_map,
        bundle=bundle,
        monotonic=monotonic,
    )
    stages = Stages(
        features=features,
        regime=regime,
        observation=ObservationBuilder(
            lookback=config.features.lookback,
            num_instruments=len(instruments),
            num_features=features.num_features,
            num_states=num_states,
            columns=features.columns,
            summary=None if regime is None else summary_for(config, regime.params),
        ),
        policy=policy,
        sizer=Sizer(config.sizing, instruments, bars_per_year),
        guardrails=GuardrailChain(config.guardrails, instruments, account),
        book=RiskBook(config.guardrails, len(instruments), config.capital_quote),
        ledger=Ledger(instruments, config.capital_quote),
    )
    identity = Identity(strategy=config.name, policy_id=policy.policy_id, config_sha256=loaded.sha256)
    return DecisionPipeline(config, instruments, stages, identity, stopwatch)


def trading_rules(spec: InstrumentSpec, *, may_short: bool) -> Instrument:
    """Trading rules as the stages need them.

    Args:
        spec: Rules as the edges know them.
        may_short: Whether the account may sell what it does not hold.
    """
    return Instrument(
        instrument_id=spec.instrument_id,
        base_currency=spec.base,
        quote_currency=spec.quote,
        tick_size=spec.tick_size,
        lot_size=spec.lot_size,
        min_quantity=spec.min_quantity,
        min_notional=spec.min_notional,
        maker_fee_bps=spec.maker_fee_bps,
        taker_fee_bps=spec.taker_fee_bps,
        shortable=spec.shortable and may_short,
        sector=spec.sector,
    )


class BorrowMeter:
    """Charges each book for being short, bar time by bar time; no engine does it for cash bars.

    Args:
        cost: Fee for a short value over a time in nanoseconds, quote currency.
        ledgers: Of all strategies.
    """

    def __init__(self, cost: Callable[[float, int], float], ledgers: Sequence[Ledger]) -> None:
        self._cost = cost
        self._ledgers = ledgers
        self._last_ts = 0
        self.total = 0.0
        """Charged so far, quote currency."""

    def accrue(self, ts_event: int) -> None:
        """Charge for the time since the last call; a time that was charged for before costs nothing."""
        if ts_event <= self._last_ts:
            return
        elapsed = ts_event - self._last_ts if self._last_ts else 0
        self._last_ts = ts_event
        for ledger in self._ledgers:
            short_value = (ledger.gross_exposure - ledger.net_exposure) / 2.0
            if short_value > 0.0 and elapsed > 0:
                fee = self._cost(short_value, elapsed)
                ledger.charge(fee)
                self.total += fee

    def snapshot(self) -> dict[str, Any]:
        """What must survive a restart, as plain JSON values."""
        return {"last_ts": self._last_ts, "total": self.total}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave.

        Raises:
            SafetyError: If it is damaged. The state is unchanged.
        """
        try:
            last_ts, total = int(snapshot["last_ts"]), float(snapshot["total"])
        except (KeyError, TypeError, ValueError) as error:
            raise SafetyError(
                f"expected the borrow fees as they were written down, found {dict(snapshot)!r} ({error!r})"
            ) from error
        self._last_ts, self.total = last_ts, total


def _before_decisions(
    surroundings: Surroundings, borrow: BorrowMeter, strategies: Sequence[PolicyStrategy]
) -> Callable[[int], None]:
    """What happens at each bar time once all books are marked, before the first strategy decides."""

    def read(ts_event: int) -> None:
        borrow.accrue(ts_event)
        exposure = exposure_of(strategies)
        latched = surroundings.account.mark(
            ts_event,
            sum([strategy.pipeline.stages.ledger.equity for strategy in strategies]),
            exposure.gross,
            exposure.net,
            buying_quote=exposure.buying,
            selling_quote=exposure.selling,
        )
        if latched is not None:
            detail = "loss limit over all strategies reached"
            surroundings.tape.write(HaltRecord(ts_event, "account", "REDUCING", latched.value, detail))

    return read


def _send_slices(strategies: Sequence[PolicyStrategy]) -> Callable[[int], None]:
    def send(ts_event: int) -> None:
        for strategy in strategies:
            strategy.send_slices(ts_event)

    return send


def _build_strategy(loaded: LoadedStrategy, surroundings: Surroundings) -> PolicyStrategy:
    config = loaded.config
    missing = [name for name in config.instruments if name not in surroundings.instruments]
    if missing:
        raise ConfigError(
            f"{loaded.path.name}: instruments {missing} are not in the catalog, which holds "
            f"{sorted(surroundings.instruments)}; import their bars or take them off the list"
        )
    pipeline = build_pipeline(
        loaded,
        [surroundings.instruments[name] for name in config.instruments],
        surroundings.bars_per_year(config.interval),
        account=surroundings.account,
        monotonic=surroundings.monotonic,
        stopwatch=surroundings.stopwatch(config.name),
    )
    return PolicyStrategy(
        PolicyStrategyConfig(
            pipeline=pipeline,
            bar_types=tuple(bar_type(name, config.interval) for name in config.instruments),
            gate=surroundings.gate,
            tape=surroundings.tape,
            free_base=surroundings.free_base,
            held_at_venue=surroundings.held_at_venue,
            spread_bps=surroundings.spread_bps,
            now=surroundings.now,
            log=surroundings.log,
            courier=surroundings.courier,
            paces=surroundings.paces,
        )
    )


def _regime_filter(config: StrategyConfig, base_dir: Path, bundle: Bundle | None) -> RegimeFilter | None:
    if config.regime is None:
        return None
    return RegimeFilter(RegimeParams.from_config(config.regime, base_dir, bundle))
