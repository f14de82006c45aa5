"""Which state gets which number: by volatility at first, and after that as the previous model had it.

EM numbers states at random. Strategies name states by number (``blocked_states``, ``multipliers``), so a
refit that exchanged two of them would trade something else.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from strategies.market import Floats
from strategies.regime import fold
from strategies.regime_params import RegimeParams

type Groups = list[list[int]]
"""States of each macro state, in order; a flat model has one state in each."""
type Order = list[int]
"""Old number of each new state, shape (K,)."""

MATCHED_ROWS = 5_000
"""Newest rows on which two models are compared."""


def volatility_order(params: RegimeParams, groups: Groups, return_column: int) -> Order:
    """Order groups, and states within each, by the standard deviation of the return column, calmest first.

    Args:
        params: The model.
        groups: Its macro states.
        return_column: Which feature is the return.
    """
    is_diagonal = params.covariances.ndim == 2
    variances = (
        params.covariances[:, return_column]
        if is_diagonal
        else params.covariances[:, return_column, return_column]
    )
    spread = {
        index: float(np.average(variances[group], weights=params.initial_probs[group] + 1e-12))
        for index, group in enumerate(groups)
    }
    order: Order = []
    for index in sorted(spread, key=spread.__getitem__):
        order += sorted(groups[index], key=lambda state: float(variances[state]))
    return order


def match_states(previous: RegimeParams, params: RegimeParams, groups: Groups, rows: Floats) -> Order:
    """Number the states so that both models say the same as often as they can.

    Both filter the newest rows; the expected number of bars on which a state of one and a state of the other
    hold together is what the assignment maximises. Macro states are matched first, then states within each.

    Args:
        previous: The model whose numbers stay.
        params: The model to be numbered.
        groups: Macro states of both.
        rows: Feature rows in order of time, shape (T, D).

    Source:
        Kuhn (1955), "The Hungarian method for the assignment problem".
    """
    newest = rows[-MATCHED_ROWS:]
    overlap = fold(previous, newest).T @ fold(params, newest)
    of_groups = np.array([[overlap[np.ix_(old, new)].sum() for new in groups] for old in groups])
    order: Order = []
    for old, new in enumerate(_assigned(of_groups)):
        within = overlap[np.ix_(groups[old], groups[new])]
        order += [groups[new][state] for state in _assigned(within)]
    return order


def permuted(params: RegimeParams, order: Order) -> RegimeParams:
    """The same model with its states renumbered: new state *k* is the old ``order[k]``."""
    return RegimeParams(
        initial_probs=params.initial_probs[order],
        transition_matrix=params.transition_matrix[np.ix_(order, order)],
        means=params.means[order],
        covariances=params.covariances[order],
    )


def agreement(left: RegimeParams, right: RegimeParams, rows: Floats) -> float:
    """Share of the rows on which the most probable states of two filters have the same number."""
    same: npt.NDArray[np.bool_] = fold(left, rows).argmax(axis=1) == fold(right, rows).argmax(axis=1)
    return float(same.mean())


def _assigned(overlap: Floats) -> list[int]:
    _, columns = linear_sum_assignment(overlap, maximize=True)
    result: list[int] = columns.tolist()
    return result
