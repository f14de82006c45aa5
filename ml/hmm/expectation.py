"""The expectation step of a hidden Markov model, exact, in numpy, many bars at a time.

Forward and backward recursions go bar by bar, which numpy is slow at. So the history is cut into C *lanes*
of consecutive bars, and all lanes advance together. Where a lane starts depends on the one before it; hence
three passes, each of T / C steps over C lanes:

1. the product of each lane's transition-and-likelihood matrices, from which the filtered probabilities at the
   start of every lane, and the backward ones at its end, follow (`ml.hmm.lanes`);
2. the forward recursion of all lanes from those starts;
3. the backward recursion, which gathers the sums that the estimates need and stores nothing.

Likelihoods are relative to those under one state, the *reference*: that saves its exponential, and the sum
over bars of what they were divided by is a single product.

A daemon fits, too, when it is asked to, and its sandbox forbids code that is made while it runs
(`ops.runs.confinement`): loops compiled on the way are no choice.

Source:
    Rabiner (1989), eqs. 18-27, 90-92, normalised per step; the lanes are the parallel prefix of
    Blelloch (1990) with one level.
"""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from ml.hmm.lanes import stitch
from strategies.market import Floats

_MOST_LANES = 2048
"""More would leave the processor's cache."""
_RESCALE_EVERY = 8
"""Steps after which the lanes' products are brought back to 1, and evidence to its logarithm."""
_MOST_LOG_RATIO = 80.0
"""Likelihoods above e to this times the reference's are scaled down: so many steps never overflow."""

LEAST_PROB = 1e-10
"""Smallest transition probability that the step may be given: so many steps never underflow."""


@dataclass(frozen=True, slots=True, eq=False)
class Expectations:
    """Sums over all bars under the smoothed probabilities; the probabilities themselves are not kept."""

    log_likelihood: float
    """Of all bars, in nats."""
    sums: Floats
    """Σ_t γ_t(k) s(x_t), shape (K, P); the first column is the expected number of bars in each state."""
    transitions: Floats
    """Expected number of moves from state (row) to state (column), shape (K, K)."""
    initial_probs: Floats
    """Smoothed probability of each state at the first bar, shape (K,)."""


class ExpectationStep:
    """Runs the step on one history, over and over, without allocating.

    Args:
        statistics: The row s(x) of each bar (`ml.hmm.gaussians.statistics`), shape (T, P), T ≥ 2.
        num_states: K.
    """

    def __init__(self, statistics: Floats, num_states: int) -> None:
        count, width = statistics.shape
        lanes = max(1, min(_MOST_LANES, int(2.0 * sqrt(count))))
        self._steps = steps = ceil(count / lanes)
        self._lanes = lanes = ceil(count / steps)
        self._short_from = count - (lanes - 1) * steps
        # What is missing from the last lane is nil, also the constant: every state then has likelihood 1.
        self._statistics = np.zeros((steps, width, lanes))
        by_lane = self._statistics.transpose(2, 0, 1)
        by_lane[:-1] = statistics[: (lanes - 1) * steps].reshape(lanes - 1, steps, width)
        by_lane[-1, : self._short_from] = statistics[(lanes - 1) * steps :]
        self._total = statistics.sum(axis=0)
        self._likelihood = np.empty((steps, num_states, lanes))
        self._filtered = np.empty((steps + 1, num_states, lanes))
        self._evidence = np.empty((steps, lanes))

    def run(self, coefficients: Floats, initial_probs: Floats, transition_matrix: Floats) -> Expectations:
        """Expectations under one set of parameters.

        Args:
            coefficients: θ of each state, shape (K, P).
            initial_probs: Shape (K,).
            transition_matrix: Shape (K, K), no entry below `LEAST_PROB`.
        """
        # The reference comes first: the state that makes all bars together likeliest, so that little cancels.
        order = np.argsort(-(coefficients @ self._total), kind="stable")
        found = self._run(coefficients[order], initial_probs[order], transition_matrix[np.ix_(order, order)])
        back = np.argsort(order)
        return Expectations(
            found.log_likelihood,
            found.sums[back],
            found.transitions[np.ix_(back, back)],
            found.initial_probs[back],
        )

    def _run(self, coefficients: Floats, initial_probs: Floats, transition_matrix: Floats) -> Expectations:
        log_scale = self._score(coefficients)
        starts, backward = stitch(self._multiply(transition_matrix), initial_probs)
        self._filtered[0] = starts
        self._filter(initial_probs, transition_matrix)
        return self._gather(log_scale + self._log_evidence(), backward, transition_matrix)

    def _score(self, coefficients: Floats) -> float:
        """Set the likelihoods of all bars, as far as they differ; return the logarithm of what they share."""
        relative = coefficients[1:] - coefficients[0]
        excess = 0.0
        for step in range(self._steps):
            reference, others = self._likelihood[step, 0], self._likelihood[step, 1:]
            np.vecmat(relative, self._statistics[step], out=others)
            if others.max(initial=0.0) > _MOST_LOG_RATIO:
                above = np.maximum(others.max(axis=0), 0.0)
                excess += float(above.sum())
                others -= above
                np.exp(-above, out=reference)
            else:
                reference[:] = 1.0
            np.exp(others, out=others)
        return float(coefficients[0] @ self._total) + excess

    def _multiply(self, transition_matrix: Floats) -> Floats:
        """Product of each lane's matrices, shape (C, K, K): from the state before it (column) to its last."""
        num_states = len(transition_matrix)
        came_from = np.ascontiguousarray(transition_matrix.T)
        products, before = np.empty((2, num_states, num_states, self._lanes))
        products[:] = np.eye(num_states)[:, :, None]
        for step in range(self._steps):
            products, before = before, products
            np.matmul(came_from, before.reshape(num_states, -1), out=products.reshape(num_states, -1))
            if step == 0:  # nothing is before the first bar
                products[:, :, 0] = np.eye(num_states)
            products *= self._likelihood[step][:, None, :]
            if step % _RESCALE_EVERY == _RESCALE_EVERY - 1:
                products /= products.max(axis=(0, 1))
        return np.ascontiguousarray(products.transpose(2, 0, 1))

    def _filter(self, initial_probs: Floats, transition_matrix: Floats) -> None:
        came_from = np.ascontiguousarray(transition_matrix.T)
        for step in range(self._steps):
            filtered = self._filtered[step + 1]
            np.vecmat(came_from, self._filtered[step], out=filtered)
            if step == 0:
                filtered[:, 0] = initial_probs
            filtered *= self._likelihood[step]
            filtered.sum(axis=0, out=self._evidence[step])
            filtered /= self._evidence[step]

    def _log_evidence(self) -> float:
        # The first bar stands by itself: what it is expected to be has no smallest probability.
        whole = 1 + (self._steps - 1) // _RESCALE_EVERY * _RESCALE_EVERY
        grouped = self._evidence[1:whole].reshape(-1, _RESCALE_EVERY, self._lanes).prod(axis=1)
        first, last = self._evidence[0], self._evidence[whole:]
        return float(np.log(first).sum() + np.log(grouped).sum() + np.log(last).sum())

    def _gather(self, log_likelihood: float, backward: Floats, transition_matrix: Floats) -> Expectations:
        num_states = len(transition_matrix)
        backward /= (self._filtered[-1] * backward).sum(axis=0)
        smoothed_probs, arriving = np.empty_like(backward), np.empty_like(backward)
        sums = np.zeros((num_states, self._statistics.shape[1]))
        transitions = np.zeros((num_states, num_states))
        for step in reversed(range(self._steps)):
            np.multiply(self._filtered[step + 1], backward, out=smoothed_probs)
            sums += np.vecdot(smoothed_probs[:, None, :], self._statistics[step])
            np.divide(self._likelihood[step], self._evidence[step], out=arriving)
            arriving *= backward
            # No move leads to the first bar, nor to those that are missing.
            moved = slice(step == 0, self._lanes if step < self._short_from else self._lanes - 1)
            transitions += np.vecdot(self._filtered[step, :, None, moved], arriving[:, moved])
            np.vecmat(transition_matrix, arriving, out=backward)
        transitions *= transition_matrix
        return Expectations(log_likelihood, sums, transitions, smoothed_probs[:, 0].copy())
