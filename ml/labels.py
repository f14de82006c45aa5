"""What there is to predict: the future of each bar, and how far into it a label looks.

Flow: datasets → **labels** → splits, classifiers.

A label uses the future by definition; it is a target, never an input. ``ends`` says how far it looks, so
that `ml.splits` can keep training rows whose labels reach into a test span out of the training set.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ml.datasets import Ints
from strategies.errors import DataError
from strategies.market import Floats


class Touch(IntEnum):
    """Which barrier was reached first."""

    LOWER = -1
    NONE = 0
    UPPER = 1


@dataclass(frozen=True, slots=True)
class Labels:
    """One target per row and how far it looks."""

    values: Floats
    """Shape (T,); NaN where the future is not known or the past does not suffice."""
    ends: Ints
    """Last row that the label depends on, shape (T,); the row itself where there is no label."""


def forward_return(close: Floats, horizon: int) -> Labels:
    """Log return of the next bars: y_t = log(close_{t+h} / close_t).

    Args:
        close: Shape (T,), quote currency.
        horizon: h, bars.

    Raises:
        DataError: If the horizon does not fit, or a price is not positive.
    """
    _check(close, horizon)
    values = np.full(len(close), np.nan)
    log_close = np.log(close)
    values[:-horizon] = log_close[horizon:] - log_close[:-horizon]
    return Labels(values, _ends(len(close), horizon))


def return_sign(close: Floats, horizon: int, threshold: float) -> Labels:
    """Direction of the next bars: 1 above the threshold, -1 below its negative, 0 between.

    Args:
        close: Shape (T,), quote currency.
        horizon: Bars.
        threshold: Log return that counts as a move, at least 0.

    Raises:
        DataError: As `forward_return`, or if the threshold is negative.
    """
    if not threshold >= 0.0:
        raise DataError(f"threshold = {threshold}: expected at least 0")
    returns = forward_return(close, horizon)
    moved = np.where(np.abs(returns.values) > threshold, np.sign(returns.values), 0.0)
    return Labels(np.where(np.isnan(returns.values), np.nan, moved), returns.ends)


def triple_barrier(
    high: Floats,
    low: Floats,
    close: Floats,
    *,
    width: Floats,
    horizon: int,
    upper: float = 1.0,
    lower: float = 1.0,
) -> Labels:
    """Which of two barriers the price reaches first within the next bars; `Touch.NONE` for neither.

    The barriers of row *t* are close_t · (1 + upper · width_t) and close_t · (1 - lower · width_t). A bar
    that spans both counts as the lower: what happened first inside a bar is unknown, and hope is not data.

    Args:
        high: Shape (T,), quote currency; so are low and close.
        low: See high.
        close: See high.
        width: Unit of the barriers as a fraction of the price, known at *t*, for example a running
            volatility; NaN gives no label; shape (T,).
        horizon: Bars until the vertical barrier.
        upper: Distance of the upper barrier in widths.
        lower: Distance of the lower barrier in widths.

    Raises:
        DataError: If shapes differ, the horizon does not fit, a price is not positive or a width negative.

    Source:
        López de Prado (2018), Advances in Financial Machine Learning, section 3.3.
    """
    _check(close, horizon)
    if not len(high) == len(low) == len(close) == len(width):
        raise DataError("expected high, low, close and width of one length")
    if (width < 0.0).any() or not (upper > 0.0 and lower > 0.0):
        raise DataError("expected widths of at least 0 and positive upper and lower distances")
    count = len(close) - horizon
    top, bottom = close * (1.0 + upper * width), close * (1.0 - lower * width)
    touched = np.zeros(count)
    ends = np.arange(horizon, len(close))
    for ahead in range(horizon, 0, -1):
        # Backwards, so that the earliest touch is the one that stays.
        rows = slice(ahead, ahead + count)
        above, below = high[rows] >= top[:count], low[rows] <= bottom[:count]
        touched = np.where(below, Touch.LOWER, np.where(above, Touch.UPPER, touched))
        ends = np.where(above | below, np.arange(ahead, ahead + count), ends)
    values = np.full(len(close), np.nan)
    values[:count] = np.where(np.isnan(width[:count]), np.nan, touched)
    all_ends = np.arange(len(close))
    all_ends[:count] = np.where(np.isnan(width[:count]), all_ends[:count], ends)
    return Labels(values, all_ends)


def _check(close: Floats, horizon: int) -> None:
    if not 1 <= horizon < len(close):
        raise DataError(f"horizon = {horizon}: expected 1 to {len(close) - 1}, one less than there are rows")
    if not (close > 0.0).all():
        raise DataError("expected positive prices; drop the rows before the first bar of an instrument")


def _ends(count: int, horizon: int) -> Ints:
    ends = np.arange(count)
    ends[:-horizon] += horizon
    return ends
