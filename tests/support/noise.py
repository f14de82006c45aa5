"""Strategies that know nothing, on markets without drift: whatever they earn is luck.

A market's simple returns have a mean of nil, three volatilities that follow each other by chance, and heavy
tails, so that prices are a martingale and clusters look like patterns. Strategies read the past only, trade
at the close for the next bar, and pay nothing: with costs they would be called lucky even less often.
"""

from collections.abc import Callable

import numpy as np

from ml.evaluation import EquityCurve
from strategies.market import Floats

DAY_NS = 86_400 * 10**9
_VOLATILITIES = np.array([0.006, 0.012, 0.03])
_LEAVING_PROB = 0.02
_LARGEST_MOVE = 0.5

type Rule = Callable[[Floats, int, np.random.Generator], Floats]
"""From past returns and a window to weights, each of which holds for the next bar."""


def driftless_returns(count: int, generator: np.random.Generator) -> Floats:
    """Simple returns of a market that goes nowhere, shape (count,)."""
    leaves = generator.random(count) < _LEAVING_PROB
    drawn = generator.integers(3, size=count)
    last = np.maximum.accumulate(np.where(leaves, np.arange(count), 0))
    shocks = generator.standard_t(4, count) / np.sqrt(2.0)
    returns: Floats = np.clip(_VOLATILITIES[drawn[last]] * shocks, -_LARGEST_MOVE, _LARGEST_MOVE)
    return returns


def _past(returns: Floats, window: int) -> Floats:
    sums: Floats = np.convolve(returns, np.ones(window))[: len(returns)]
    return sums


def _momentum(returns: Floats, window: int, _: np.random.Generator) -> Floats:
    return np.sign(_past(returns, window))


def _reversal(returns: Floats, window: int, _: np.random.Generator) -> Floats:
    return -np.sign(_past(returns, window))


def _long_only(returns: Floats, window: int, _: np.random.Generator) -> Floats:
    return np.where(_past(returns, window) > 0.0, 1.0, 0.0)


def _drawn(returns: Floats, window: int, generator: np.random.Generator) -> Floats:
    weights = generator.uniform(-1.0, 1.0, len(returns) // window + 1)
    return np.repeat(weights, window)[: len(returns)]


def _held(returns: Floats, _: int, __: np.random.Generator) -> Floats:
    return np.ones(len(returns))


def _steadied(returns: Floats, window: int, _: np.random.Generator) -> Floats:
    volatility = np.sqrt(_past(np.square(returns), window) / window) + 1e-4
    steadied: Floats = np.clip(0.01 / volatility, 0.0, 1.0) * np.sign(_past(returns, window))
    return steadied


RULES: tuple[Rule, ...] = (_momentum, _reversal, _long_only, _drawn, _held, _steadied)


def ignorant_curve(seed: int, days: int) -> EquityCurve:
    """Daily equity of one strategy on a market of its own.

    Args:
        seed: Of market, rule and window.
        days: Bars.
    """
    generator = np.random.Generator(np.random.PCG64([seed, days]))
    returns = driftless_returns(days, generator)
    rule = RULES[int(generator.integers(len(RULES)))]
    weights = rule(returns, int(generator.integers(5, 60)), generator)
    gains = np.concatenate([[0.0], weights[:-1] * returns[1:]])
    equity = 100_000.0 * np.cumprod(1.0 + gains)
    return EquityCurve(
        100_000.0, DAY_NS * np.arange(1, days + 1), equity, np.zeros(days), np.abs(weights) * equity
    )
