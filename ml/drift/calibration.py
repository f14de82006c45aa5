"""Sets the thresholds of the drift monitor so that data like the training data rarely alarm.

A fixed threshold means nothing without the window and the autocorrelation: a PSI above 0.25 is normal for a
window of a persistent feature. So stretches are drawn from the training data at random, long enough to hold
its autocorrelation and clusters of volatility; the monitor itself runs over them, and the largest value of
each statistic in each stretch is kept. An alarm that is to come once in many weeks is rarer than anything
that the training data hold, so the threshold is read off the tail of the distribution of these maxima. All
statistics of all columns share the allowed probability evenly.

Source:
    Moving blocks as in Künsch (1989), "The jackknife and the bootstrap for general stationary observations".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gamma, log
from typing import ClassVar

import numpy as np
from pydantic import ConfigDict

from ml.drift.monitor import CLIP, DriftStatistics
from ml.drift.reference import DriftReference, Statistic
from ml.rows import require_usable
from strategies.config import Section
from strategies.errors import ConfigError, DataError
from strategies.market import Floats

_STRETCH_WINDOWS = 2
_FEWEST_STRETCHES = 10
_HEAVIEST_TAIL = 0.2
"""Bound of the tail index ξ: what a stretch holds is bounded, and a threshold must be within reach."""
_LEAST_THRESHOLD = 1e-6
_FEWEST_FROZEN_BARS = 10.0
_FROZEN_MARGIN = 2.0
"""How many times the longest standstill of the training data a standstill may last."""
_PRIOR_COUNT = 0.5


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """How thresholds are calibrated; equal settings and rows give equal thresholds."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    window_bars: int = 500
    period_bars: int = 10_080
    """Bars that the false-alarm probability is about: a week of one-minute bars."""
    false_alarm_prob: float = 0.1
    """Probability of any alarm within the period. The promise is one alarm a period; the margin is for what
    the training data did not show."""
    num_bins: int = 10
    num_stretches: int = 400
    """Stretches of the training data that are drawn."""
    seed: int = 7

    def __post_init__(self) -> None:
        is_valid = (
            self.window_bars >= 20
            and self.period_bars >= self.window_bars
            and 0.0 < self.false_alarm_prob < 1.0
            and 3 <= self.num_bins <= 100
            and self.num_stretches >= 50
        )
        if not is_valid:
            raise ConfigError(
                "drift: expected window_bars >= 20, period_bars >= window_bars, 0 < false_alarm_prob < 1, "
                f"3 to 100 bins and num_stretches >= 50, found {self}"
            )


def calibrate_drift(
    rows: Floats, columns: Sequence[str], settings: DriftSettings | None = None
) -> DriftReference:
    """Describe training data and set the thresholds.

    Args:
        rows: What the model was trained on, in order of time, shape (T, D), finite: features, and where they
            are to be watched, regime and policy columns (`regime_rows`).
        columns: Names of the D columns.
        settings: See `DriftSettings`.

    Raises:
        DataError: If rows are not finite, a column is constant, or there are too few.
    """
    settings = settings or DriftSettings()
    check_rows(rows, columns, settings)
    description = _describe(rows, columns, settings)
    maxima = _simulate(rows, description, settings)
    return replace(description, thresholds=_thresholds(maxima, _longest_runs(rows), settings))


def _describe(rows: Floats, columns: Sequence[str], settings: DriftSettings) -> DriftReference:
    bins = settings.num_bins
    edges = np.stack([_edges(column, bins) for column in rows.T])
    counts = np.stack(
        [
            np.bincount(np.searchsorted(edge, column, side="left"), minlength=bins)
            for edge, column in zip(edges, rows.T, strict=True)
        ]
    )
    low, centre, high = np.quantile(rows, [0.16, 0.5, 0.84], axis=0)
    scale = 0.5 * (high - low)
    scale = np.where(scale > 1e-9 * rows.std(axis=0), scale, rows.std(axis=0))
    distance = np.clip((rows - centre) / scale, -CLIP, CLIP)
    return DriftReference(
        columns=tuple(columns),
        window_bars=settings.window_bars,
        period_bars=settings.period_bars,
        false_alarm_prob=settings.false_alarm_prob,
        edges=edges,
        expected_probs=(counts.astype(np.float64) + _PRIOR_COUNT) / (len(rows) + _PRIOR_COUNT * bins),
        centre=centre,
        scale=scale,
        mean_distance=np.abs(distance).mean(axis=0),
        thresholds=np.full((len(columns), len(Statistic)), np.inf),
    )


def _edges(column: Floats, bins: int) -> Floats:
    """Inner edges that hold equal shares; of a column with few values, the middles between them."""
    distinct = np.unique(column)
    if len(distinct) <= bins:
        edges = 0.5 * (distinct[1:] + distinct[:-1])
        return np.concatenate([edges, np.full(bins - 1 - len(edges), np.inf)])
    quantiles: Floats = np.quantile(column, np.arange(1, bins) / bins)
    return quantiles


def _simulate(rows: Floats, description: DriftReference, settings: DriftSettings) -> Floats:
    """Largest value of every statistic in each stretch, shape (stretches, D, 5)."""
    generator = np.random.Generator(np.random.PCG64(settings.seed))
    starts = generator.integers(0, len(rows), size=settings.num_stretches)
    statistics = DriftStatistics(description, settings.num_stretches)
    maxima = np.zeros((settings.num_stretches, *description.thresholds.shape))
    for bar in range(settings.window_bars + stretch_bars(settings)):
        values = statistics.update(rows[(starts + bar) % len(rows)])
        if bar >= settings.window_bars:
            np.maximum(maxima, values, out=maxima)
    return maxima


def stretch_bars(settings: DriftSettings) -> int:
    """Bars of a stretch over which the largest values are taken, after a window to warm up."""
    return _STRETCH_WINDOWS * settings.window_bars


def _thresholds(maxima: Floats, longest_runs: Floats, settings: DriftSettings) -> Floats:
    # How long a column stood still in the training data is known; drawing it again would add nothing.
    drifting = maxima[:, :, : Statistic.FROZEN]
    stretches_per_period = settings.period_bars / stretch_bars(settings)
    share = settings.false_alarm_prob / drifting[0].size
    levels = return_levels(drifting, -np.log1p(-share) / stretches_per_period)
    frozen = np.maximum(_FROZEN_MARGIN * longest_runs, _FEWEST_FROZEN_BARS)
    # A sum that never left nil must not alarm at the first step.
    return np.concatenate([np.maximum(levels, _LEAST_THRESHOLD), frozen[:, None]], axis=1)


def return_levels(maxima: Floats, rate: float) -> Floats:
    """Levels that a stretch exceeds at a rate too small to be seen among the stretches that there are.

    A generalised extreme-value distribution F is fitted to the maxima by probability-weighted moments, its
    tail no lighter than a Gumbel's; the level solves -log F = rate.

    Args:
        maxima: Shape (stretches, ...).
        rate: Expected exceedances a stretch.

    Returns:
        Shape (...).

    Source:
        Hosking, Wallis & Wood (1985), "Estimation of the generalized extreme-value distribution by the method
        of probability-weighted moments", eqs. 9-14.
    """
    count = len(maxima)
    ordered = np.sort(maxima, axis=0)
    at = np.arange(count, dtype=np.float64)
    first, second = at / (count - 1), at * (at - 1.0) / ((count - 1) * (count - 2))
    b0 = ordered.mean(axis=0)
    b1 = np.tensordot(first, ordered, axes=1) / count
    b2 = np.tensordot(second, ordered, axes=1) / count
    width = 2.0 * b1 - b0
    spread = width > 1e-12 * np.abs(b0)
    skew = (3.0 * b2 - b0) / np.where(spread, width, 1.0)
    c = 1.0 / np.where(spread, skew, 1.5) - log(2.0) / log(3.0)
    shape = np.clip(7.8590 * c + 2.9554 * c * c, -_HEAVIEST_TAIL, -1e-6)  # Hosking's k is minus the usual ξ
    gammas = np.vectorize(gamma)(1.0 + shape)
    scale = width * shape / (gammas * (1.0 - 2.0**-shape))
    location = b0 + scale * (gammas - 1.0) / shape
    levels: Floats = location + scale * (1.0 - rate**shape) / shape
    return np.where(spread, levels, b0)


def _longest_runs(rows: Floats) -> Floats:
    """Most bars in a row on which each column did not change, shape (D,)."""
    longest, run = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for same in rows[1:] == rows[:-1]:
        run = np.where(same, run + 1.0, 0.0)
        np.maximum(longest, run, out=longest)
    return longest


def check_rows(rows: Floats, columns: Sequence[str], settings: DriftSettings) -> None:
    """See that `calibrate_drift` can use rows.

    Raises:
        DataError: As `calibrate_drift`.
    """
    if rows.ndim != 2 or rows.shape[1] != len(columns) or not columns:
        raise DataError(f"drift: expected rows of shape (T, {len(columns)}), found {rows.shape}")
    needed = _FEWEST_STRETCHES * stretch_bars(settings)
    if len(rows) < needed:
        raise DataError(
            f"drift: expected at least {needed} rows for windows of {settings.window_bars} bars, "
            f"found {len(rows)}; give more history or a shorter window"
        )
    require_usable("drift", rows, columns)
