"""Where each lane of a history starts and ends, from the products of the lanes' matrices.

Neighbours are multiplied pair by pair until one is left, and what holds at its two ends is handed back down.

Source:
    Blelloch (1990), "Prefix sums and their applications", §1.2.
"""

import numpy as np

from strategies.market import Floats


def stitch(products: Floats, initial_probs: Floats) -> tuple[Floats, Floats]:
    """State probabilities between the lanes.

    Args:
        products: Of each lane in order of time, shape (C, K, K), from the state before it (column) to its
            last (row), with the likelihood of its bars; of any scale.
        initial_probs: Before the first lane, shape (K,).

    Returns:
        Filtered probabilities before each lane, and backward ones after it, both of shape (K, C) and with
        columns that sum to one.
    """
    starts, ends = _stitch(_scaled(products), initial_probs)
    return starts.T.copy(), ends.T.copy()


def _stitch(products: Floats, initial_probs: Floats) -> tuple[Floats, Floats]:
    count, num_states = products.shape[:2]
    if count == 1:
        return initial_probs[None], np.full((1, num_states), 1.0 / num_states)
    if count % 2:
        products = np.concatenate([products, np.eye(num_states)[None]])
    left, right = products[0::2], products[1::2]
    starts, ends = np.empty((2, len(products), num_states))
    starts[0::2], ends[1::2] = _stitch(_scaled(right @ left), initial_probs)
    starts[1::2] = _normalised(np.matvec(left, starts[0::2]))
    ends[0::2] = _normalised(np.vecmat(ends[1::2], right))
    return starts[:count], ends[:count]


def _scaled(products: Floats) -> Floats:
    return products / products.max(axis=(1, 2), keepdims=True)


def _normalised(rows: Floats) -> Floats:
    return rows / rows.sum(axis=1, keepdims=True)
