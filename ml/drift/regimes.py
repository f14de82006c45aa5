"""The columns that say whether the regime model still fits: which state, and how surprised it is."""

import numpy as np

from strategies.market import Floats
from strategies.regime import RegimeBelief, RegimeFilter, RegimeParams

REGIME_COLUMNS = ("regime_state", "regime_log_evidence")
"""Most probable state, and log p(x_t | x_1..t-1) of the newest bar, in nats."""


class RegimeColumns:
    """Reads the columns off a running filter, bar by bar."""

    def __init__(self) -> None:
        self._log_likelihood = 0.0

    def row(self, belief: RegimeBelief, log_likelihood: float) -> tuple[float, float]:
        """The columns of the newest bar.

        Args:
            belief: After the bar.
            log_likelihood: `RegimeFilter.log_likelihood` after the bar.
        """
        log_evidence = log_likelihood - self._log_likelihood
        self._log_likelihood = log_likelihood
        return float(belief.state), log_evidence


def regime_rows(params: RegimeParams, rows: Floats) -> Floats:
    """The columns of a whole history, shape (T, 2): the stream, folded.

    Args:
        params: The model.
        rows: Feature rows in order of time, shape (T, D).
    """
    regime, columns = RegimeFilter(params), RegimeColumns()
    return np.array([columns.row(regime.update(row), regime.log_likelihood) for row in rows.tolist()])
