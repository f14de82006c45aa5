"""Statistics of returns: each formula once, over the last axis, for the run and for its resamples alike.

Undefined is NaN: a ratio whose denominator is nil says nothing, however large it would print.
"""

from math import sqrt

import numpy as np

from strategies.market import Floats

RESOLUTION = 1e-12
"""A spread of returns this small beside their size is rounding, not risk."""


def total_return(log_return: Floats) -> Floats:
    """exp(Σ log r) - 1, as a fraction."""
    growth: Floats = np.expm1(log_return.sum(axis=-1))
    return growth


def growth_annual(log_return: Floats, per_year: float) -> Floats:
    """Compound annual growth rate, as a fraction: the growth that repeated for a year."""
    with np.errstate(over="ignore"):
        growth: Floats = np.expm1(log_return.mean(axis=-1) * per_year)
    return growth


def volatility_annual(returns: Floats, per_year: float) -> Floats:
    """Sample standard deviation of simple returns times the root of periods a year."""
    volatility: Floats = returns.std(axis=-1, ddof=1) * sqrt(per_year)
    return volatility


def sharpe(returns: Floats, per_year: float) -> Floats:
    """Mean over standard deviation of simple returns, annualised; the risk-free rate is nil.

    Source:
        Sharpe (1994), "The Sharpe ratio".
    """
    return _ratio(returns.mean(axis=-1), returns.std(axis=-1, ddof=1), returns) * sqrt(per_year)


def sortino(returns: Floats, per_year: float) -> Floats:
    """Mean over downside deviation √(mean(min(r, 0)²)) of simple returns, annualised; the target is nil.

    Source:
        Sortino & Price (1994), "Performance measurement in a downside risk framework".
    """
    downside = np.sqrt(np.square(np.minimum(returns, 0.0)).mean(axis=-1))
    return _ratio(returns.mean(axis=-1), downside, returns) * sqrt(per_year)


def max_drawdown(log_return: Floats, log_high: Floats, log_low: Floats, log_drawdown: Floats) -> Floats:
    """Deepest fall from a peak, as a fraction 0..1, over a sequence of periods.

    Args:
        log_return: Log return of each period, shape (..., P).
        log_high: Highest point of each above its start, shape (..., P).
        log_low: Lowest point of each below its start, shape (..., P).
        log_drawdown: Deepest fall inside each, shape (..., P).
    """
    level = np.zeros(log_return.shape[:-1])
    peak, deepest = level.copy(), log_drawdown.max(axis=-1)
    for at in range(log_return.shape[-1]):
        deepest = np.maximum(deepest, peak - (level + log_low[..., at]))
        peak = np.maximum(peak, level + log_high[..., at])
        level = level + log_return[..., at]
    return -np.expm1(-deepest)


def calmar(growth: Floats, drawdown: Floats) -> Floats:
    """Compound annual growth over maximum drawdown."""
    return _ratio(np.asarray(growth), np.asarray(drawdown), None)


def hit_rate(means: Floats) -> Floats:
    """Share of trades that won, from the mean of the indicator (column 0)."""
    return means[..., 0]


def profit_factor(means: Floats) -> Floats:
    """Gains over losses, from their means (columns 0 and 1); undefined where nothing was lost."""
    return _ratio(means[..., 0], means[..., 1], None)


def _ratio(numerator: Floats, denominator: Floats, scale: Floats | None) -> Floats:
    floor = 0.0 if scale is None else RESOLUTION * np.abs(scale).max(axis=-1)
    defined = denominator > floor
    return np.where(defined, numerator / np.where(defined, denominator, 1.0), np.nan)
