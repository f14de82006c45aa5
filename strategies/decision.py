"""The whole way from a panel of bars to order intents, as one readable list of pure stages.

Flow: panel → features → regime → observation → policy → allocation → sizing → guardrails
→ orders → **decision**.

Nothing here knows a clock, a venue or a mode. The backtest, the paper daemon and the live daemon call
`DecisionPipeline` with the same arguments and so get the same answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, NamedTuple

from strategies.allocation import allocate
from strategies.config import StrategyConfig
from strategies.errors import DataError
from strategies.features import FeaturePipeline, FeatureVector
from strategies.guardrails import (
    GuardrailChain,
    GuardrailContext,
    GuardrailReason,
    RiskBook,
    TradingState,
)
from strategies.market import Instrument, Panel, Vector
from strategies.observation import ObservationBuilder
from strategies.orders import (
    Bracket,
    Identity,
    OrderIntent,
    OrderRole,
    decision_id,
    plan_orders,
    skip_reason,
)
from strategies.policies import Policy
from strategies.portfolio import Ledger
from strategies.regime import RegimeBelief, RegimeFilter, RegimeState
from strategies.regime_places import regime_places
from strategies.sizing import Sizer, SizingContext, Target, Trade, fit_to_cash, plan_trades
from strategies.stopwatch import Lap, Stopwatch, no_stopwatch
from strategies.tape import DecisionRecord, VerdictRecord
from strategies.verdict_records import of_refusals, of_trade


class Conditions(NamedTuple):
    """What the host knows at the moment of a decision and a stage may not ask for itself."""

    trading_state: TradingState
    armed: bool
    """Whether orders may leave at all; always true on paper and in a backtest."""
    now_ns: int
    """Decision time by the clock that stamps the bars: the host's live, the bars' own in a replay."""
    reconciled: bool
    """Whether our books agree with the venue's."""
    busy: frozenset[int]
    """Instruments with an order of ours still working; they are left alone until it is done."""
    doubtful: frozenset[int]
    """Instruments of which nobody can say what is held; they are left alone altogether."""
    free_base: Callable[[str], float] | None
    """Balance of a base currency that may be sold, asked only before a sale; None on a margin account."""
    working_buys: Sequence[float]
    """Base units still to fill of our purchases, protection left out, one entry per instrument; or empty."""
    working_sells: Sequence[float]
    """Likewise of sales, positive."""
    spread_bps: float
    """Spread that the venue quotes, or that the cost model assumes where it quotes none."""
    instrument_states: Sequence[TradingState] = ()
    """Trading state of each instrument, where one or its venue is restricted by itself; empty for none."""


class Decision(NamedTuple):
    """The outcome of one bar time."""

    record: DecisionRecord
    verdicts: tuple[VerdictRecord, ...]
    orders: tuple[OrderIntent | Bracket, ...]


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one strategy, built once by the host."""

    features: FeaturePipeline
    regime: RegimeFilter | None
    observation: ObservationBuilder
    policy: Policy
    sizer: Sizer
    guardrails: GuardrailChain
    book: RiskBook
    ledger: Ledger


class DecisionPipeline:
    """Turns panels into decisions, one bar time after the other.

    Args:
        config: The strategy.
        instruments: In configuration order.
        stages: Built stages; their state belongs to this pipeline from now on.
        identity: What order ids are derived from.
        stopwatch: Told when each stage is done.

    Raises:
        ConfigError: If the regime model names a column that the manifest does not produce.
    """

    def __init__(
        self,
        config: StrategyConfig,
        instruments: Sequence[Instrument],
        stages: Stages,
        identity: Identity,
        stopwatch: Stopwatch = no_stopwatch,
    ) -> None:
        self.config = config
        self.instruments = tuple(instruments)
        self.stages = stages
        self.identity = identity
        self.belief: RegimeBelief | None = None
        self.latched: GuardrailReason | None = None
        """The loss limit that the newest bar latched; None mostly."""
        self._remembered: tuple[int, RegimeState] | None = None
        self._lap = stopwatch
        self._ts_event = 0
        self._closes = (0.0,) * len(instruments)
        self._volumes = [0.0] * len(instruments)
        self.last_bar_ts = [0] * len(instruments)
        """Close time of each instrument's newest bar, UTC nanoseconds; 0 before the first."""
        self._regime_places = regime_places(config, stages.features.columns)

    @property
    def closes(self) -> tuple[float, ...]:
        """Last close of each instrument, quote currency; 0 before the first."""
        return self._closes

    @property
    def warmup_bars(self) -> int:
        """Bars before the first decision: the features' warm-up and a full observation window."""
        return self.stages.features.warmup_bars + self.config.features.lookback - 1

    @property
    def history_bars(self) -> int:
        """Bars of each instrument after which nobody can tell any more where the stream began.

        Recursive averages have forgotten their first value all through the window, and the sizing rules have
        theirs; a regime model forgets at the pace of its own transitions.
        """
        features, lookback = self.stages.features, self.config.features.lookback
        sizing = features.warmup_bars - 1 + self.stages.sizer.history_bars
        return max(features.settle_bars + lookback - 1, sizing)

    def observe(self, panel: Panel) -> bool:
        """Take in the bars of one close time: features, estimates, belief, book, window.

        The book is marked at every panel that is well formed, whether or not there is a decision: losses
        count while features warm up, too.

        Uses bars up to and including ``panel.ts_event`` only.

        Returns:
            Whether there is enough history to decide.

        Raises:
            DataError: If a bar is malformed, and then no stage has advanced; or if the regime model cannot
                use the features, and then this bar has no decision.
        """
        stages, lap = self.stages, self._lap
        self.latched = None
        lap(Lap.BAR)
        features = stages.features.update(panel)
        lap(Lap.FEATURES)
        self._ts_event = panel.ts_event
        self._note_bars(panel)
        stages.ledger.mark(self._closes)
        try:
            if features.ready:
                stages.sizer.observe(self._closes)
                self.belief = self._update_regime(features)
                lap(Lap.REGIME)
        finally:
            self.latched = stages.book.mark(panel.ts_event, stages.ledger.equity, self._regime_state)
        if not features.ready:
            return False
        stages.observation.push(features)
        return stages.observation.ready

    def warm_up(self, panel: Panel) -> None:
        """Take in the bars of a time that was lived through before a restart: all but book and ledger.

        Features, estimates and window come from bars alone and are built anew. A belief weighs all bars that
        there ever were, so it is the one that was remembered, from its bar on. What the strategy holds, and
        what it lost, was remembered, too, and has seen these bars.

        Raises:
            DataError: As `observe`.
        """
        stages = self.stages
        features = stages.features.update(panel)
        self._ts_event = panel.ts_event
        self._note_bars(panel)
        if not features.ready:
            return
        stages.sizer.observe(self._closes)
        try:
            self.belief = self._update_regime(features)
        finally:
            self._believe_again()
        stages.observation.push(features)

    def remember_belief(self, ts_event: int, state: Mapping[str, Any] | None) -> None:
        """Where the regime filter stood after the bars of a time that `warm_up` will come to.

        Args:
            state: From `RegimeState.as_json`; None where none was written down: it is built from bars.

        Raises:
            KeyError, TypeError, ValueError: If it is damaged.
        """
        self._remembered = None if state is None else (ts_event, RegimeState.from_json(state))

    def _believe_again(self) -> None:
        regime, remembered = self.stages.regime, self._remembered
        if regime is None or remembered is None or remembered[0] != self._ts_event:
            return
        self._remembered = None
        if regime.restore(remembered[1]):
            self.belief = regime.belief

    def decide(self, conditions: Conditions) -> Decision:
        """Decide on the bars observed last.

        Returns:
            What was decided, what the guardrails said to it, and what is to be sent.
        """
        stages, lap = self.stages, self._lap
        ledger, sizer, belief, closes = stages.ledger, stages.sizer, self.belief, self._closes
        lap(Lap.DECISION)
        observation = stages.observation.build(ledger, closes, belief)
        lap(Lap.OBSERVATION)
        action = stages.policy.act(observation)
        lap(Lap.POLICY)
        held = ledger.weights()
        sizing = SizingContext(ledger.equity, closes, held, action, belief)
        weights = allocate(
            action,
            held,
            self.config.allocation,
            scale=lambda wanted: sizer.scale(wanted, sizing),
            bars_held=ledger.bars_held,
        )
        target = stages.guardrails.given_up(sizer.size(weights, sizing), stages.book)
        lap(Lap.SIZING)
        trades = self._plan(target, conditions)
        verdicts, orders = self._check_and_plan(trades, conditions, action.confidence)
        if target.refusals:
            verdicts = (*self._refused(target, held), *verdicts)
        lap(Lap.GUARDRAILS)
        state, probs = (-1, ()) if belief is None else (belief.state, belief.probs)
        record = DecisionRecord(
            self._ts_event,
            self.config.name,
            observation.sha256(),
            state,
            probs,
            closes,
            action.values,
            action.confidence,
            weights,
            target.quantities,
        )
        lap(Lap.RECORD)
        return Decision(record, verdicts, orders)

    @property
    def _regime_state(self) -> int | None:
        return None if self.belief is None else self.belief.state

    def _plan(self, target: Target, conditions: Conditions) -> tuple[Trade, ...]:
        positions, closes = self.stages.ledger.positions, self._closes
        if all(map(isnan, target.quantities)):
            return ()
        trades = plan_trades(target, positions, closes, self.instruments)
        if not trades:
            return ()
        if conditions.free_base is not None and any(trade.quantity < 0.0 for trade in trades):
            free = [conditions.free_base(instrument.base_currency) for instrument in self.instruments]
            trades = plan_trades(target, positions, closes, self.instruments, free)
        if conditions.busy:
            trades = tuple(trade for trade in trades if trade.index not in conditions.busy)
        return fit_to_cash(trades, self._spendable(conditions), self.instruments)

    def _spendable(self, conditions: Conditions) -> float:
        ledger, buys = self.stages.ledger, conditions.working_buys
        working = sum([quantity * close for quantity, close in zip(buys, self._closes, strict=False)])
        return ledger.cash - working - self.config.sizing.cash_buffer_frac * ledger.equity

    def _note_bars(self, panel: Panel) -> None:
        closes = list(self._closes)
        for index, bar in enumerate(panel.bars):
            if bar is not None:
                closes[index] = bar.close
                self._volumes[index] = bar.volume
                self.last_bar_ts[index] = bar.ts_event
        self._closes = tuple(closes)

    def _update_regime(self, features: FeatureVector) -> RegimeBelief | None:
        regime = self.stages.regime
        if regime is None:
            return None
        value = features.values.item
        x = [sum([value(at) for at in places]) / len(places) for places in self._regime_places]
        try:
            return regime.update(x)
        except ValueError as error:
            raise DataError(
                f"strategy {self.config.name}: the regime model cannot use {x}: {error}"
            ) from error

    def _check_and_plan(
        self, trades: Sequence[Trade], conditions: Conditions, confidence: float
    ) -> tuple[tuple[VerdictRecord, ...], tuple[OrderIntent | Bracket, ...]]:
        if not trades:
            return (), ()
        stages = self.stages
        context = self._guardrail_context(conditions, confidence)
        verdicts: list[VerdictRecord] = []
        orders: list[OrderIntent | Bracket] = []
        for trade in trades:
            context.has_stop = trade.stop is not None
            decision = self._decision_id(trade)
            verdict = stages.guardrails.check(trade, context, stages.book, decision)
            config, instrument = self.config.orders, self.instruments[trade.index]
            bid, ask = context.bid[trade.index], context.ask[trade.index]
            planned = plan_orders(
                trade,
                verdict,
                config=config,
                instrument=instrument,
                identity=self.identity,
                decision=decision,
                ts_event=self._ts_event,
                bid=bid,
                ask=ask,
            )
            skip = None
            if planned is not None:
                orders.append(planned)
            else:
                skip = skip_reason(trade, verdict, config=config, instrument=instrument, bid=bid, ask=ask)
            verdicts.append(of_trade(self._ts_event, self.config.name, trade, verdict, skip))
        return tuple(verdicts), tuple(orders)

    def _refused(self, target: Target, held: Vector) -> Iterator[VerdictRecord]:
        return of_refusals(
            self._ts_event,
            self.config.name,
            target.refusals,
            held,
            self._closes,
            self.stages.ledger.equity,
            self.instruments,
            self.config.allocation.rebalance_eps,
        )

    def _guardrail_context(self, conditions: Conditions, confidence: float) -> GuardrailContext:
        ledger = self.stages.ledger
        half_spread, closes = conditions.spread_bps / 2e4, self._closes
        below, above = 1.0 - half_spread, 1.0 + half_spread
        return GuardrailContext(
            ts_event=self._ts_event,
            now_ns=conditions.now_ns,
            trading_state=conditions.trading_state,
            armed=conditions.armed,
            reconciled=conditions.reconciled,
            doubtful=conditions.doubtful,
            equity=ledger.equity,
            cash=ledger.cash,
            positions=ledger.positions,
            closes=closes,
            bid=[close * below for close in closes],
            ask=[close * above for close in closes],
            bar_volumes=self._volumes,
            last_bar_ts=self.last_bar_ts,
            confidence=confidence,
            regime_state=self._regime_state,
            working_buys=conditions.working_buys,
            working_sells=conditions.working_sells,
            instrument_states=conditions.instrument_states,
        )

    def _decision_id(self, trade: Trade) -> str:
        role = OrderRole.REDUCE if trade.reduces else OrderRole.OPEN
        return decision_id(self.identity, trade.instrument_id, self._ts_event, role)
