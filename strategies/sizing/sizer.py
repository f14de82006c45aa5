"""How much: the enabled risk rules on wanted weights, then whole lots.

Flow: allocation → **sizer** → trades → guardrails.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from strategies.config import SizingConfig
from strategies.errors import DataError, SafetyError
from strategies.market import Instrument, Vector
from strategies.sizing.lots import lots_quantity, whole_lots
from strategies.sizing.rules import (
    UNABLE,
    SizingContext,
    SizingReason,
    name_rules,
    only_shrink,
    portfolio_rules,
)


class Refusal(NamedTuple):
    """A wanted weight that a rule could say nothing to, so that exposure may only shrink."""

    index: int  # type: ignore[assignment]  # hides a method of tuples that nothing here needs
    """Position of the instrument in the configuration."""
    wanted: float
    """Signed fraction of equity."""
    allowed: float
    """Signed fraction of equity; NaN leaves the instrument as it is."""
    reason: SizingReason


class Target(NamedTuple):
    """What is to be held after this decision."""

    quantities: tuple[float, ...]
    """N, signed base units in whole lots; NaN leaves an instrument as it is."""
    stops: tuple[float, ...] | None
    """N, quote currency; NaN where there is none."""
    targets: tuple[float, ...] | None
    """N, quote currency; NaN where there is none."""
    scale: float
    """Kelly · volatility target · regime exposure, as applied to the weights."""
    reasons: tuple[SizingReason, ...]
    """Rules that changed a weight, or could not say."""
    refusals: tuple[Refusal, ...] = ()
    """Weights that were not allowed because a rule could not say."""


class Sizer:
    """Scales wanted weights by the enabled rules and turns weights into whole lots.

    The rules of the portfolio (Kelly, volatility target, regime exposure) multiply all weights; then the
    rules of a name (edge, risk fraction) bound each weight. See `strategies.sizing.rules`.

    Args:
        config: The rules.
        instruments: In configuration order.
        bars_per_year: For annual volatility.

    Raises:
        ConfigError: If regime exposure is enabled without multipliers.
    """

    __slots__ = (
        "_bars_per_year",
        "_closes",
        "_config",
        "_hold",
        "_is_scaled",
        "_lot_sizes",
        "_name_rules",
        "_portfolio_rules",
        "_reasons",
        "_refusals",
        "_scale",
    )

    def __init__(self, config: SizingConfig, instruments: Sequence[Instrument], bars_per_year: float) -> None:
        self._config = config
        self._bars_per_year = bars_per_year
        self._lot_sizes = [instrument.lot_size for instrument in instruments]
        self._hold = Target((math.nan,) * len(instruments), None, None, 1.0, ())
        self.reset()

    def reset(self) -> None:
        """Forget all returns, as at construction."""
        count = len(self._lot_sizes)
        self._portfolio_rules = portfolio_rules(self._config, count, self._bars_per_year)
        self._name_rules = name_rules(self._config, count)
        self._closes: list[float] | None = None
        self._scale = 1.0
        self._reasons: list[SizingReason] = []
        self._refusals: list[Refusal] = []
        self._is_scaled = False

    @property
    def history_bars(self) -> int:
        """Bars to observe before the enabled rules no longer tell where the stream began; 0 without any."""
        portfolio_bars = [rule.history_bars for rule in self._portfolio_rules]
        return max([*portfolio_bars, *(rule.history_bars for rule in self._name_rules)], default=0)

    def observe(self, closes: Vector) -> None:
        """Take the closes of one bar into the rules' estimates; once a bar, before `scale`.

        Args:
            closes: N, quote currency. A close that is not positive and finite counts as
                unchanged; the return over the gap comes with the next one.
        """
        if not self._portfolio_rules and not self._name_rules:
            return
        last, new = self._closes, list(closes)
        if last is None:
            self._closes = new
            return
        returns = [0.0] * len(new)
        for index, close in enumerate(closes):
            before = last[index]
            if not 0.0 < close < math.inf:
                new[index] = before
            elif before > 0.0:
                returns[index] = close / before - 1.0
        self._closes = new
        for portfolio_rule in self._portfolio_rules:
            portfolio_rule.observe(returns)
        for name_rule in self._name_rules:
            name_rule.observe(returns)

    def scale(self, weights: list[float], context: SizingContext) -> list[float]:
        """Apply the rules to wanted weights; `allocate` calls it before it counts turnover.

        An instrument that is left as it is counts in the portfolio with its present weight.

        Args:
            weights: N signed fractions of equity; NaN leaves an instrument as it is.
            context: The decision.

        Returns:
            N signed fractions of equity, NaN = leave.

        Raises:
            ConfigError: If there are not as many multipliers as regime states.
        """
        self._is_scaled = True
        self._scale = 1.0
        self._reasons = []
        self._refusals = []
        if not self._portfolio_rules and not self._name_rules:
            return weights
        if not context.equity > 0.0:
            left = [0.0 if weight == 0.0 else math.nan for weight in weights]
            return self._refuse(weights, left, SizingReason.NO_EQUITY)
        current = context.weights
        whole = [current[index] if math.isnan(want) else want for index, want in enumerate(weights)]
        for rule in self._portfolio_rules:
            factor = rule.factor(whole, context)
            if isinstance(factor, SizingReason):
                return self._refuse(weights, list(map(only_shrink, weights, current)), factor)
            if factor != 1.0:
                self._scale *= factor
                self._reasons.append(rule.reason)
        scaled = [want * self._scale for want in weights]
        if not self._name_rules:
            return scaled
        return [
            self._bound(index, want, have, context)
            for index, (want, have) in enumerate(zip(scaled, current, strict=True))
        ]

    def size(self, weights: Vector, context: SizingContext) -> Target:
        """Turn weights into quantities, rounded towards zero to whole lots.

        Args:
            weights: N signed fractions of equity, as `allocate` returns them.
            context: The decision that `scale` saw.

        Raises:
            DataError: If an instrument that is to be traded has no positive, finite close.
            SafetyError: If rules are enabled that this decision's weights have not been through.
        """
        is_scaled, self._is_scaled = self._is_scaled, False
        if all(map(math.isnan, weights)):
            if not (is_scaled and self._reasons):
                return self._hold
            told = self._scale, tuple(self._reasons), tuple(self._refusals)
            return Target(self._hold.quantities, None, None, *told)
        if not is_scaled and (self._portfolio_rules or self._name_rules):
            raise SafetyError(
                "sizing rules are enabled but the weights have not been through them; "
                "pass Sizer.scale to allocate before Sizer.size"
            )
        quantities = [self._quantity(index, weight, context) for index, weight in enumerate(weights)]
        action = context.action
        return Target(
            tuple(quantities),
            action.stops,
            action.targets,
            self._scale,
            tuple(self._reasons),
            tuple(self._refusals),
        )

    def _refuse(self, wanted: Vector, allowed: list[float], reason: SizingReason) -> list[float]:
        self._reasons.append(reason)
        for index, (want, may) in enumerate(zip(wanted, allowed, strict=True)):
            if not (math.isnan(want) or want == may):
                self._refusals.append(Refusal(index, want, may, reason))
        return allowed

    def _bound(self, index: int, want: float, have: float, context: SizingContext) -> float:
        for rule in self._name_rules:
            if math.isnan(want):
                break
            wanted = want
            want, reason = rule.bound(index, want, have, context)
            if reason is None:
                continue
            if reason in UNABLE and want != wanted:
                self._refusals.append(Refusal(index, wanted, want, reason))
            if reason not in self._reasons:
                self._reasons.append(reason)
        return want

    def _quantity(self, index: int, weight: float, context: SizingContext) -> float:
        if weight == 0.0 or math.isnan(weight):
            return weight
        close = context.closes[index]
        if not 0.0 < close < math.inf:
            raise DataError(f"instrument {index}: expected a positive, finite close, found {close}")
        if not context.equity > 0.0:
            return math.nan
        lot_size = self._lot_sizes[index]
        return lots_quantity(whole_lots(weight * context.equity / close, lot_size), lot_size)
