"""What a regime belief says of the next bar's return, in five figures, however many states there are.

Flow: regime → **summary** → observation.
"""

from collections.abc import Sequence
from math import erfc, sqrt, sumprod

import numpy as np

from strategies.config import StrategyConfig
from strategies.market import Floats
from strategies.regime_params import RegimeParams

SUMMARY_FIELDS = ("p_bull", "p_bear", "p_up", "mu_over_sigma", "sigma")
"""In order (mission SB-102)."""


class BeliefSummary:
    """The next bar's return as a regime model foresees it: a mixture of normals.

    With the filtered belief ``a``, ``p = Aᵀ a``, and mean ``m_k`` and deviation ``s_k`` of the return in each
    state:

        p_bull, p_bear    p of the state with the highest, the lowest mean
        p_up              Σ p_k Φ(m_k / s_k): that the return is above zero
        mu_over_sigma     M / S of the mixture:  M = Σ p_k m_k,  S² = Σ p_k (s_k² + (m_k - M)²)
        sigma             its deviation, over that under the chain's stationary probabilities

    Args:
        params: Of the model.
        place: Which of its D features is the bar's return.
    """

    __slots__ = ("_bear", "_bull", "_columns", "_long_run", "_means", "_up", "_variances")

    def __init__(self, params: RegimeParams, place: int) -> None:
        means, variances = params.means[:, place], params.variances[:, place]
        self._columns: list[list[float]] = params.transition_matrix.T.tolist()
        self._means: list[float] = means.tolist()
        self._variances: list[float] = variances.tolist()
        self._up: list[float] = probs_above_zero(means, variances).tolist()
        self._bull, self._bear = int(means.argmax()), int(means.argmin())
        stationary: list[float] = _stationary(params.transition_matrix).tolist()
        self._long_run = self._moments(stationary)[1]

    def __call__(self, probs: Sequence[float]) -> tuple[float, ...]:
        """Sum a belief up.

        Args:
            probs: Filtered probabilities, shape (K,).

        Returns:
            Shape (5,), see `SUMMARY_FIELDS`.
        """
        ahead = [sumprod(column, probs) for column in self._columns]
        mean, deviation = self._moments(ahead)
        return (
            ahead[self._bull],
            ahead[self._bear],
            sumprod(self._up, ahead),
            mean / deviation,
            deviation / self._long_run,
        )

    def _moments(self, probs: list[float]) -> tuple[float, float]:
        mean = sumprod(self._means, probs)
        # Around the mean, not around 0: nothing cancels where the states lie far off and close together.
        around = [v + (m - mean) ** 2 for m, v in zip(self._means, self._variances, strict=True)]
        return mean, sqrt(sumprod(around, probs))


def probs_above_zero(means: Floats, variances: Floats) -> Floats:
    """Φ(m / s) of normals, accurate in both tails; of the shape of what is given."""
    return np.asarray(0.5 * np.vectorize(erfc, otypes=[np.float64])(-means / np.sqrt(2.0 * variances)))


def summary_for(config: StrategyConfig, params: RegimeParams) -> BeliefSummary | None:
    """What a strategy's policy is shown in the place of the belief; None where it is shown the belief."""
    regime = config.regime
    if regime is None or regime.summary_of is None:
        return None
    return BeliefSummary(params, regime.columns.index(regime.summary_of))


def num_beliefs(config: StrategyConfig, num_states: int) -> int:
    """How many figures of a belief a strategy's policy is shown.

    Args:
        config: The strategy.
        num_states: Of the belief; 0 where none is shown.
    """
    is_summed_up = config.regime is not None and config.regime.summary_of is not None
    return len(SUMMARY_FIELDS) if num_states and is_summed_up else num_states


def _stationary(transition_matrix: Floats) -> Floats:
    """Share of time in each state in the long run, shape (K,)."""
    count = len(transition_matrix)
    balance = np.vstack((transition_matrix.T - np.eye(count), np.ones(count)))
    found = np.linalg.lstsq(balance, np.append(np.zeros(count), 1.0), rcond=None)[0]
    probs = np.clip(found, 0.0, None)
    return np.asarray(probs / probs.sum())
