"""The risk rules: each says how much of a wanted weight may be held, or why it cannot say.

Flow: moments → **rules** → sizer.

A rule of the portfolio multiplies all weights alike; a rule of a name looks at one instrument. A rule
that lacks what it needs (history, belief, edge, stop) fails safe: exposure may only shrink.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from strategies.config import (
    EdgeSizingConfig,
    KellyConfig,
    RegimeExposureConfig,
    RiskFractionConfig,
    SizingConfig,
    VolatilityTargetConfig,
)
from strategies.errors import ConfigError
from strategies.market import Vector
from strategies.policies.protocol import Action
from strategies.regime import RegimeBelief
from strategies.sizing.moments import ReturnMoments, ReturnWindow

_BPS = 1e-4


class SizingReason(StrEnum):
    """What changed the wanted weights."""

    KELLY = "kelly"
    VOLATILITY_TARGET = "volatility_target"
    REGIME_EXPOSURE = "regime_exposure"
    EDGE = "edge"
    RISK_FRACTION = "risk_fraction"
    WARMING_UP = "warming_up"
    """A rule has seen too few returns, or none that differ from zero."""
    NO_BELIEF = "no_belief"
    """The regime rule has no belief."""
    NO_EDGE = "no_edge"
    """The edge rule has no edge from the policy."""
    NO_STOP = "no_stop"
    """The risk rule has no stop on the losing side."""
    NO_EQUITY = "no_equity"
    """Equity is gone."""


UNABLE = frozenset(
    {
        SizingReason.WARMING_UP,
        SizingReason.NO_BELIEF,
        SizingReason.NO_EDGE,
        SizingReason.NO_STOP,
        SizingReason.NO_EQUITY,
    }
)
"""Reasons for which a rule could say nothing, so that exposure may only shrink."""


@dataclass(slots=True, eq=False)
class SizingContext:
    """What sizing looks at besides the weights; one a decision."""

    equity: float
    """Of the strategy, quote currency."""
    closes: Vector
    """Last close of each instrument, quote currency."""
    weights: Vector
    """What is held, N signed fractions of equity."""
    action: Action
    """For its stops, targets and edges."""
    belief: RegimeBelief | None


class PortfolioRule(Protocol):
    """Multiplies all weights by one factor."""

    reason: SizingReason
    history_bars: int
    """Closes to observe before it no longer tells where the stream began."""

    def observe(self, returns: list[float]) -> None:
        """Take the N returns of one bar."""

    def factor(self, weights: list[float], context: SizingContext) -> float | SizingReason:
        """The factor for these N weights, or the reason why there is none."""


class NameRule(Protocol):
    """Bounds the weight of one instrument."""

    history_bars: int
    """Closes to observe before it no longer tells where the stream began."""

    def observe(self, returns: list[float]) -> None:
        """Take the N returns of one bar."""

    def bound(
        self, index: int, want: float, have: float, context: SizingContext
    ) -> tuple[float, SizingReason | None]:
        """What may be held of a wanted weight that is not NaN, and the reason if that is less."""


class Kelly:
    """Fractional Kelly for the wanted mix: clip(fraction · mean / variance, 0, f_max).

    For returns wᵀr the growth rate of f · w is highest at f = mean / variance.

    Source:
        Thorp (2006), The Kelly criterion, section 7, with a riskless rate of zero.
    """

    __slots__ = ("_config", "_moments", "history_bars")
    reason = SizingReason.KELLY

    def __init__(self, config: KellyConfig, num_instruments: int) -> None:
        self._config = config
        self._moments = ReturnMoments(num_instruments, config.ema_alpha)
        self.history_bars = self._moments.history_bars + 1

    def observe(self, returns: list[float]) -> None:
        self._moments.update(returns)

    def factor(self, weights: list[float], _context: SizingContext) -> float | SizingReason:
        if not any(weights):
            return 1.0
        mean, second = self._moments.portfolio(weights)
        variance = second - mean * mean
        if not (self._moments.ready and variance > 0.0):
            return SizingReason.WARMING_UP
        return min(max(self._config.fraction * mean / variance, 0.0), self._config.f_max)


class VolatilityTarget:
    """clip(annual_target / max(volatility of the wanted mix, min_volatility_annual), scale_min, scale_max).

    The volatility is that of zero-mean returns, with exponential weights of the configured half-life.
    """

    __slots__ = ("_bars_per_year", "_config", "_moments", "history_bars")
    reason = SizingReason.VOLATILITY_TARGET

    def __init__(self, config: VolatilityTargetConfig, num_instruments: int, bars_per_year: float) -> None:
        self._config = config
        self._bars_per_year = bars_per_year
        self._moments = ReturnMoments(num_instruments, 1.0 - 0.5 ** (1.0 / config.halflife_bars))
        self.history_bars = self._moments.history_bars + 1

    def observe(self, returns: list[float]) -> None:
        self._moments.update(returns)

    def factor(self, weights: list[float], _context: SizingContext) -> float | SizingReason:
        if not self._moments.ready:
            return SizingReason.WARMING_UP
        config = self._config
        variance = max(self._moments.second_moment(weights), 0.0)
        volatility_annual = max(math.sqrt(self._bars_per_year * variance), config.min_volatility_annual)
        return min(max(config.annual_target / volatility_annual, config.scale_min), config.scale_max)


class RegimeExposure:
    """Belief-weighted multiplier of the states: Σ probs · multipliers."""

    __slots__ = ("_multipliers", "history_bars")
    reason = SizingReason.REGIME_EXPOSURE

    def __init__(self, config: RegimeExposureConfig) -> None:
        if not config.multipliers:
            raise ConfigError("sizing.regime_exposure.multipliers: expected one per regime state, found none")
        self._multipliers = config.multipliers
        self.history_bars = 0

    def observe(self, returns: list[float]) -> None:
        """Needs no history."""

    def factor(self, _weights: list[float], context: SizingContext) -> float | SizingReason:
        if context.belief is None:
            return SizingReason.NO_BELIEF
        probs = context.belief.probs
        if len(self._multipliers) != len(probs):
            raise ConfigError(
                f"sizing.regime_exposure.multipliers: expected {len(probs)}, one per regime state, "
                f"found {len(self._multipliers)}"
            )
        return math.sumprod(probs, self._multipliers)


class Edge:
    """More where more is expected per unit of risk: want · min(1, k · |edge_bps| / volatility_bps)."""

    __slots__ = ("_k", "_window", "history_bars")

    def __init__(self, config: EdgeSizingConfig, num_instruments: int) -> None:
        self._k = config.k
        self._window = ReturnWindow(num_instruments, config.window_bars)
        self.history_bars = config.window_bars + 1

    def observe(self, returns: list[float]) -> None:
        self._window.update(returns)

    def bound(
        self, index: int, want: float, have: float, context: SizingContext
    ) -> tuple[float, SizingReason | None]:
        if want == 0.0:
            return want, None
        edges = context.action.edge_bps
        edge_bps = math.nan if edges is None else abs(edges[index])
        if not math.isfinite(edge_bps):
            return only_shrink(want, have), SizingReason.NO_EDGE
        volatility_bps = self._window.volatility(index) / _BPS if self._window.ready else 0.0
        if not volatility_bps > 0.0:
            return only_shrink(want, have), SizingReason.WARMING_UP
        factor = self._k * edge_bps / volatility_bps
        return (want * factor, SizingReason.EDGE) if factor < 1.0 else (want, None)


class RiskFraction:
    """Every stopped trade loses at most the same share of equity.

    quantity ≤ risk_frac · equity / |close - stop|, as a weight: risk_frac · close / |close - stop|.
    The wanted weight stays the ceiling, so that a near stop does not become leverage. Whatever adds
    exposure needs a stop; what takes exposure away does not.
    """

    __slots__ = ("_risk_frac", "history_bars")

    def __init__(self, config: RiskFractionConfig) -> None:
        self._risk_frac = config.risk_frac
        self.history_bars = 0

    def observe(self, returns: list[float]) -> None:
        """Needs no history."""

    def bound(
        self, index: int, want: float, have: float, context: SizingContext
    ) -> tuple[float, SizingReason | None]:
        if want == 0.0 or (want * have > 0.0 and abs(want) <= abs(have)):
            return want, None
        close, stops = context.closes[index], context.action.stops
        distance = math.nan if stops is None else math.copysign(1.0, want) * (close - stops[index])
        if not 0.0 < distance < math.inf:
            return only_shrink(want, have), SizingReason.NO_STOP
        most = self._risk_frac * close / distance
        return (want, None) if abs(want) <= most else (math.copysign(most, want), SizingReason.RISK_FRACTION)


def portfolio_rules(
    config: SizingConfig, num_instruments: int, bars_per_year: float
) -> tuple[PortfolioRule, ...]:
    """The enabled rules of the portfolio, in the order in which they multiply."""
    rules: list[PortfolioRule] = []
    if config.kelly.enabled:
        rules.append(Kelly(config.kelly, num_instruments))
    if config.volatility_target.enabled:
        rules.append(VolatilityTarget(config.volatility_target, num_instruments, bars_per_year))
    if config.regime_exposure.enabled:
        rules.append(RegimeExposure(config.regime_exposure))
    return tuple(rules)


def name_rules(config: SizingConfig, num_instruments: int) -> tuple[NameRule, ...]:
    """The enabled rules of a name, in the order in which they bound."""
    rules: list[NameRule] = []
    if config.edge.enabled:
        rules.append(Edge(config.edge, num_instruments))
    if config.risk_fraction.enabled:
        rules.append(RiskFraction(config.risk_fraction))
    return tuple(rules)


def only_shrink(want: float, have: float) -> float:
    """What of a wish takes exposure away; NaN, leave it as it is, where nothing does."""
    if want == 0.0:
        return 0.0
    if have != 0.0 and want * have < 0.0:
        return 0.0
    return want if abs(want) < abs(have) else math.nan
