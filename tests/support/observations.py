"""Observations that are made by hand."""

from collections.abc import Sequence

import numpy as np

from strategies.observation import Observation
from strategies.regime import RegimeBelief


def make_observation(
    features: Sequence[Sequence[float]],
    closes: Sequence[float],
    *,
    positions: Sequence[float] | None = None,
    bars_held: Sequence[int] | None = None,
    belief: RegimeBelief | None = None,
    columns: tuple[str, ...] = (),
    seed: int = 0,
    lookback: int = 4,
) -> Observation:
    """Make an observation of N instruments; what is left out is zero, window and portfolio are drawn.

    Args:
        features: Newest row, shape (N, F).
        closes: Shape (N,).
        seed: Of the window and the portfolio vector.
        lookback: Rows of the window.
    """
    count = len(closes)
    rng = np.random.default_rng(seed)
    return Observation(
        ts_event=1,
        window=rng.standard_normal((lookback, count, len(features[0]))).astype(np.float32),
        portfolio=rng.standard_normal(7 + count).astype(np.float32),
        beliefs=np.array([] if belief is None else belief.probs, dtype=np.float32),
        features=np.array(features, dtype=np.float64),
        closes=tuple(closes),
        columns=columns,
        positions=(0.0,) * count if positions is None else tuple(positions),
        bars_held=(0,) * count if bars_held is None else tuple(bars_held),
        belief=belief,
    )
