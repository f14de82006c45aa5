"""The expectation step of a hidden Markov model, exact, in numpy, many bars at a time.

Forward and backward recursions go bar by bar, which numpy is slow at. So the history is cut into C *lanes*
of consecutive bars, and all lanes advance together. Where a lane starts depends on the one before it; hence
three passes, each of T / C steps over C lanes:

1. the product of each lane's transition-and-likelihood matrices, from which the filtered probabilities at the
   start of every lane, and the backward ones at its end, follow one after the other (C small products);
2. the forward recursion of all lanes from those starts;
3. the backward recursion, which gathers the sums that the estimates need and stores nothing.

Two compiled loops over the bars would take three fifths of the time. But a daemon fits, too, when it is asked
to, and its sandbox forbids code that is made while it runs (`ops.runs.confinement`).

Source:
    Rabiner (1989), eqs. 18-27, 90-92, normalised per step; the lanes are the parallel prefix of
    Blelloch (1990) with one level.
"""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from strategies.market import Floats

_MOST_LANES = 1024
"""More would leave the processor's cache."""
_RESCALE_EVERY = 4
"""Steps after which the lanes' products are brought back to 1; they cannot underflow so soon."""

LEAST_PROB = 1e-10
"""Smallest transition probability that the step may be given."""


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
        padded = np.zeros((lanes * steps, width))
        padded[:count] = statistics
        self._statistics = np.ascontiguousarray(padded.reshape(lanes, steps, width).transpose(1, 2, 0))
        self._likelihood = np.empty((steps, num_states, lanes))
        self._filtered = np.empty((steps + 1, num_states, lanes))
        self._evidence = np.empty((steps, lanes))
        self._log_scale = np.empty((steps, lanes))

    def run(self, coefficients: Floats, initial_probs: Floats, transition_matrix: Floats) -> Expectations:
        """Expectations under one set of parameters.

        Args:
            coefficients: θ of each state, shape (K, P).
            initial_probs: Shape (K,).
            transition_matrix: Shape (K, K), no entry below `LEAST_PROB`.
        """
        products = self._multiply(coefficients, transition_matrix)
        backward = self._stitch(products, initial_probs)
        self._filter(initial_probs, transition_matrix)
        log_likelihood = float(np.log(self._evidence).sum() + self._log_scale.sum())
        return self._gather(log_likelihood, backward, transition_matrix)

    def _multiply(self, coefficients: Floats, transition_matrix: Floats) -> Floats:
        """Product of each lane's matrices, shape (C, K, K): from the state before it (column) to its last."""
        num_states = len(transition_matrix)
        came_from = np.ascontiguousarray(transition_matrix.T)
        products = np.zeros((num_states, num_states, self._lanes))
        products[np.arange(num_states), np.arange(num_states)] = 1.0
        predicted = np.empty_like(products)
        flat, flat_predicted = products.reshape(num_states, -1), predicted.reshape(num_states, -1)
        for step in range(self._steps):
            likelihood = self._likelihood[step]
            np.matmul(coefficients, self._statistics[step], out=likelihood)
            likelihood.max(axis=0, out=self._log_scale[step])
            likelihood -= self._log_scale[step]
            np.exp(likelihood, out=likelihood)
            np.matmul(came_from, flat, out=flat_predicted)
            if step == 0:  # nothing is before the first bar
                predicted[:, :, 0] = np.eye(num_states)
            np.multiply(predicted, likelihood[:, None, :], out=products)
            if step % _RESCALE_EVERY == _RESCALE_EVERY - 1:
                products /= products.max(axis=(0, 1))
        return np.ascontiguousarray(products.transpose(2, 0, 1))

    def _stitch(self, products: Floats, initial_probs: Floats) -> Floats:
        """Set the filtered probabilities before each lane; return the backward ones at its end, (K, C)."""
        forward = initial_probs
        backward = np.ones(len(initial_probs))
        backwards = np.empty((len(initial_probs), self._lanes))
        for lane in range(self._lanes):
            self._filtered[0, :, lane] = forward
            forward = products[lane] @ forward
            forward = forward / forward.sum()
        for lane in reversed(range(self._lanes)):
            backwards[:, lane] = backward
            backward = backward @ products[lane]
            backward = backward / backward.sum()
        return backwards

    def _filter(self, initial_probs: Floats, transition_matrix: Floats) -> None:
        came_from = np.ascontiguousarray(transition_matrix.T)
        for step in range(self._steps):
            filtered = self._filtered[step + 1]
            np.matmul(came_from, self._filtered[step], out=filtered)
            if step == 0:
                filtered[:, 0] = initial_probs
            filtered *= self._likelihood[step]
            filtered.sum(axis=0, out=self._evidence[step])
            filtered /= self._evidence[step]

    def _gather(self, log_likelihood: float, backward: Floats, transition_matrix: Floats) -> Expectations:
        num_states = len(transition_matrix)
        backward /= (self._filtered[-1] * backward).sum(axis=0)
        smoothed_probs, arriving = np.empty_like(backward), np.empty_like(backward)
        sums = np.zeros((num_states, self._statistics.shape[1]))
        transitions = np.zeros((num_states, num_states))
        for step in reversed(range(self._steps)):
            np.multiply(self._filtered[step + 1], backward, out=smoothed_probs)
            sums += smoothed_probs @ self._statistics[step].T
            np.divide(self._likelihood[step], self._evidence[step], out=arriving)
            arriving *= backward
            real = self._lanes if step < self._short_from else self._lanes - 1
            transitions += self._filtered[step, :, :real] @ arriving[:, :real].T
            np.matmul(transition_matrix, arriving, out=backward)
        # No move leads to the first bar.
        transitions -= np.outer(self._filtered[0, :, 0], arriving[:, 0])
        transitions *= transition_matrix
        return Expectations(log_likelihood, sums, transitions, smoothed_probs[:, 0].copy())
