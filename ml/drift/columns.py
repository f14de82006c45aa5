"""What is watched for drift, bar by bar: what a strategy sees, how its regime model fits, what it does.

One definition for training, which calibrates on these columns, and for the daemon, which watches them.
"""

from collections.abc import Sequence

import numpy as np

from strategies.market import Floats
from strategies.regime import RegimeFilter
from strategies.regime_params import RegimeParams

REGIME_COLUMNS = ("regime_state", "regime_log_evidence")
"""Most probable state, and log p(x_t | x_1..t-1) of the newest bar, in nats."""

POLICY_COLUMNS = ("policy_gross", "policy_turnover")
"""What the policy made of the book: gross exposure, and what the last bar traded, as fractions of equity."""


def feature_columns(instruments: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """Names of the features of all instruments, in the order of a flat feature row.

    Args:
        instruments: With or without their venue, which is no part of the names: a model may change venues.
        columns: Names of the features of one instrument.
    """
    return tuple(f"{name.partition('.')[0]} {column}" for name in instruments for column in columns)


def regime_columns(regime: RegimeFilter) -> tuple[float, float]:
    """`REGIME_COLUMNS` of the newest bar of a running filter."""
    return float(regime.belief.state), regime.log_evidence


def regime_rows(params: RegimeParams, rows: Floats) -> Floats:
    """`REGIME_COLUMNS` of a whole history, shape (T, 2): the stream, folded.

    Args:
        params: The model.
        rows: Feature rows in order of time, shape (T, D).
    """
    regime = RegimeFilter(params)
    found = np.empty((len(rows), len(REGIME_COLUMNS)))
    for at, row in enumerate(rows.tolist()):
        regime.update(row)
        found[at] = regime_columns(regime)
    return found
