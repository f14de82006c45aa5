"""Where the search for a model begins: the likelihood has many local optima, and most starts miss the best.

Cutting the history by its volatility reached the best known optimum, or one within 2.5 nats of it, in every
case tried; random starts find the cases that nobody tried.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.hmm.gaussians import Covariance, estimates, statistics
from ml.hmm.transitions import Transitions, normalised
from strategies.market import Floats
from strategies.regime_params import RegimeParams

type States = npt.NDArray[np.int64]

PREVIOUS = "previous"
"""Name of the start from the model that is to be replaced."""

_FAST_BARS = 21
"""Window of the volatility that states are cut by."""
_SLOW_BARS = 252
"""Likewise for macro states, which are to last longer."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Parameters that EM sets out from, in standardised units."""

    name: str
    """previous, volatility, or random with its number."""
    initial_probs: Floats
    transition_matrix: Floats
    means: Floats
    covariances: Floats


def volatility_states(returns: Floats, num_states: int) -> States:
    """Cut a history into equal shares by its volatility around each bar, state 0 the calmest; shape (T,)."""
    return _ranks(_volatility(returns, _FAST_BARS), num_states)


def hierarchical_states(returns: Floats, num_macro: int, num_micro: int) -> States:
    """Cut by slow volatility, and each part again by fast volatility; numbered macro · num_micro + micro."""
    slow = min(_SLOW_BARS, max(_FAST_BARS + 2, len(returns) // (4 * num_macro)))
    macro = _ranks(_volatility(returns, slow), num_macro)
    fast = _volatility(returns, _FAST_BARS)
    states = np.empty(len(returns), dtype=np.int64)
    for m in range(num_macro):
        states[macro == m] = m * num_micro + _ranks(fast[macro == m], num_micro)
    return states


def start_from_states(
    name: str, rows: Floats, states: States, transitions: Transitions, covariance: Covariance, floor: float
) -> Start:
    """Parameters that fit a history whose states are known.

    Args:
        name: Of the start.
        rows: Standardised, shape (T, D).
        states: Shape (T,); every state occurs.
        transitions: Family of the transition matrix.
        covariance: Shape of the covariances.
        floor: Smallest variance.
    """
    num_states = transitions.num_states
    certain = np.eye(num_states)[states]
    sums = certain.T @ statistics(rows, covariance)
    means, covariances = estimates(sums, rows.shape[1], covariance, floor)
    moves = certain[:-1].T @ certain[1:] + 1.0 / num_states
    return Start(
        name,
        np.full(num_states, 1.0 / num_states),
        transitions.estimate(moves),
        means,
        covariances,
    )


def start_from_params(params: RegimeParams, location: Floats, scale: Floats, floor: float) -> Start:
    """Parameters of a model that was fitted before, in the units of new rows.

    Args:
        params: The model.
        location: Mean of each column, shape (D,).
        scale: Standard deviation of each column, shape (D,).
        floor: Smallest variance; added to every one, so that a state that had shrunk can grow again.
    """
    num_features = params.num_features
    is_diagonal = params.covariances.ndim == 2
    units = scale**2 if is_diagonal else np.outer(scale, scale)
    lift = floor if is_diagonal else floor * np.eye(num_features)
    return Start(
        PREVIOUS,
        np.full(params.num_states, 1.0 / params.num_states),
        normalised(params.transition_matrix),
        (params.means - location) / scale,
        params.covariances / units + lift,
    )


def random_states(num_rows: int, num_states: int, generator: np.random.Generator) -> States:
    """Cut a history at random into stretches and give each to a state; every state occurs. Shape (T,)."""
    stretches = max(2 * num_states, min(num_rows // 50, 20 * num_states))
    cuts = np.sort(generator.choice(np.arange(1, num_rows), size=stretches - 1, replace=False))
    owners = generator.permutation(np.arange(stretches) % num_states)
    lengths = np.diff(np.concatenate([[0], cuts, [num_rows]]))
    return np.repeat(owners, lengths)


def _volatility(returns: Floats, bars: int) -> Floats:
    squares = np.square(returns - returns.mean())
    totals = np.concatenate([[0.0], np.cumsum(squares)])
    at = np.arange(len(returns))
    low, high = np.maximum(at - bars // 2, 0), np.minimum(at + bars // 2 + 1, len(returns))
    volatility: Floats = (totals[high] - totals[low]) / (high - low)
    return volatility


def _ranks(values: Floats, parts: int) -> States:
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values)) * parts // len(values)
    return ranks
