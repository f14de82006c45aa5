"""How expected moves between states become a transition matrix, with a prior that states last.

Without the prior a state that explains a handful of bars may flicker; ``stay_bars`` says how many imaginary
bars every state has already been seen to last, on top of what the data show.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ml.hmm.expectation import LEAST_PROB
from strategies.market import Floats


class Transitions(Protocol):
    """A family of transition matrices with a conjugate prior."""

    @property
    def num_states(self) -> int:
        """K."""

    @property
    def num_parameters(self) -> int:
        """Free parameters of the matrix."""

    def estimate(self, transitions: Floats) -> Floats:
        """Matrix of the family that is most probable after so many expected moves, shape (K, K)."""

    def log_prior(self, transition_matrix: Floats) -> float:
        """Logarithm of the prior density at a matrix of the family, up to a constant."""


@dataclass(frozen=True, slots=True)
class StickyTransitions:
    """Any transition matrix; each row has a Dirichlet prior that favours staying.

    Source:
        Fox, Sudderth, Jordan & Willsky (2011), "A sticky HDP-HMM", its prior for a fixed number of states.
    """

    num_states: int
    stay_bars: float = 0.0
    """Imaginary moves from each state to itself."""

    @property
    def num_parameters(self) -> int:
        """K (K - 1)."""
        return self.num_states * (self.num_states - 1)

    def estimate(self, transitions: Floats) -> Floats:
        """Rows of the expected moves with the imaginary ones, normalised."""
        return normalised(transitions + self.stay_bars * np.eye(self.num_states))

    def log_prior(self, transition_matrix: Floats) -> float:
        """Σ_k stay_bars · log A_kk."""
        return float(self.stay_bars * np.log(transition_matrix.diagonal()).sum())


@dataclass(frozen=True, slots=True)
class HierarchicalTransitions:
    """Micro states within macro states: a macro regime lasts, and the micro regimes alternate inside it.

    With state (m, i) = macro m, micro i, macro matrix S, micro matrices B_m and entry probabilities e_m:

        A[(m, i), (m, j)] = S[m, m] · B_m[i, j]            A[(m, i), (n, j)] = S[m, n] · e_n[j],   n ≠ m

    Each factor has a closed-form estimate from the expected moves, so EM stays exact. The states are numbered
    m · num_micro + i, and the flat matrix is all that the regime filter needs.

    Source:
        Fine, Singer & Tishby (1998), "The hierarchical hidden Markov model", flattened as in
        Murphy & Paskin (2001), with an exit probability per macro state.
    """

    num_macro: int
    num_micro: int
    stay_bars: float = 0.0
    """Imaginary moves from each macro state to itself; micro states have none."""

    @property
    def num_states(self) -> int:
        """Macro times micro states."""
        return self.num_macro * self.num_micro

    @property
    def num_parameters(self) -> int:
        """Of S, all B and all e."""
        macro, micro = self.num_macro, self.num_micro
        return macro * (macro - 1) + macro * micro * (micro - 1) + macro * (micro - 1)

    def estimate(self, transitions: Floats) -> Floats:
        """S, B and e from the moves between and within macro states, multiplied out."""
        macro, micro = self.num_macro, self.num_micro
        moves = transitions.reshape(macro, micro, macro, micro)
        macro_matrix = normalised(moves.sum(axis=(1, 3)) + self.stay_bars * np.eye(macro))
        within = np.stack([normalised(moves[m, :, m, :]) for m in range(macro)])
        entering = moves.sum(axis=(0, 1)) - np.stack([moves[m, :, m, :].sum(axis=0) for m in range(macro)])
        entry_probs = normalised(entering)
        matrix = np.empty_like(moves)
        for m in range(macro):
            matrix[m] = macro_matrix[m][None, :, None] * entry_probs[None, :, :]
            matrix[m, :, m, :] = macro_matrix[m, m] * within[m]
        return normalised(matrix.reshape(self.num_states, self.num_states))

    def log_prior(self, transition_matrix: Floats) -> float:
        """Σ_m stay_bars · log S_mm."""
        macro, micro = self.num_macro, self.num_micro
        shape = (macro, micro, macro, micro)
        stay = [transition_matrix.reshape(shape)[m, 0, m, :].sum() for m in range(macro)]
        return float(self.stay_bars * np.log(stay).sum())


def normalised(counts: Floats) -> Floats:
    """Rows that sum to one, no entry below `LEAST_PROB`; a row without any count is even."""
    totals = counts.sum(axis=1, keepdims=True)
    even = np.full_like(counts, 1.0 / counts.shape[1])
    rows = np.where(totals > 0.0, counts / np.where(totals > 0.0, totals, 1.0), even)
    floored = np.maximum(rows, 2.0 * LEAST_PROB)
    result: Floats = floored / floored.sum(axis=1, keepdims=True)
    return result


def stationary_probs(transition_matrix: Floats) -> Floats:
    """Long-run share of each state, shape (K,): the solution of π A = π, Σ π = 1."""
    num_states = len(transition_matrix)
    system = np.vstack([transition_matrix.T - np.eye(num_states), np.ones(num_states)])
    target = np.zeros(num_states + 1)
    target[-1] = 1.0
    probs = np.maximum(np.linalg.lstsq(system, target, rcond=None)[0], 0.0)
    result: Floats = probs / probs.sum()
    return result
