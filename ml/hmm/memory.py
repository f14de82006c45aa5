"""What a refit remembers of the model before it: imaginary bars that the old model would have expected.

The likelihood of a regime model is flat along many directions, so that 63 new bars in 2,520 move maximum
likelihood by far more than they tell. The old model is therefore a conjugate prior, worth so many bars:

    sums_k ← Σ_t γ_t(k) s(x_t) + n π_k E[s(x) | state k, old]        moves ← moves + n π_k A_kj

with π the old model's long-run shares. Expectation maximisation stays exact; its objective is the
log-likelihood of the rows plus the expected one of the imaginary bars.

Source:
    Ibrahim & Chen (2000), "Power prior distributions for regression models", for the idea; the prior is that
    of Gauvain & Lee (1994), "Maximum a posteriori estimation for multivariate Gaussian mixture observations".
"""

from typing import Protocol

import numpy as np

from ml.hmm.expectation import Expectations
from ml.hmm.starts import Start
from ml.hmm.transitions import stationary_probs
from strategies.market import Floats

_TINY = 1e-300
"""Stands for a move that is impossible, and was so before: it adds nothing to the objective."""


class Step(Protocol):
    """The expectation step, with or without a memory."""

    def run(self, coefficients: Floats, initial_probs: Floats, transition_matrix: Floats) -> Expectations:
        """Expectations under one set of parameters; see `ExpectationStep`."""


class RememberingStep:
    """Adds the imaginary bars of an old model to what the step expects of the rows.

    Args:
        step: Of the rows.
        old: The old model, in the units of the rows.
        bars: Imaginary bars, n.
    """

    def __init__(self, step: Step, old: Start, bars: float) -> None:
        self._step = step
        weights = bars * stationary_probs(old.transition_matrix)[:, None]
        self._sums = weights * _expected_statistics(old)
        self._transitions = weights * old.transition_matrix

    def run(self, coefficients: Floats, initial_probs: Floats, transition_matrix: Floats) -> Expectations:
        """Expectations under one set of parameters; see `ExpectationStep`."""
        found = self._step.run(coefficients, initial_probs, transition_matrix)
        remembered = float(
            (self._sums * coefficients).sum()
            + (self._transitions * np.log(np.maximum(transition_matrix, _TINY))).sum()
        )
        return Expectations(
            found.log_likelihood + remembered,
            found.sums + self._sums,
            found.transitions + self._transitions,
            found.initial_probs,
        )


def _expected_statistics(old: Start) -> Floats:
    """E[s(x)] of each state, shape (K, P); see `ml.hmm.gaussians`."""
    means, covariances = old.means, old.covariances
    constant = np.ones((len(means), 1))
    if covariances.ndim == 2:
        return np.concatenate([constant, means, covariances + means * means], axis=1)
    left, right = np.triu_indices(means.shape[1])
    second = covariances[:, left, right] + means[:, left] * means[:, right]
    return np.concatenate([constant, means, second], axis=1)
