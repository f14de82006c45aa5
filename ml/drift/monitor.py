"""Watches live values for drift from the training data: constant work and memory a bar, numpy only, no clock.

`DriftStatistics` measures many streams side by side, so that calibration runs the code that a daemon runs.
`DriftMonitor` compares one stream with its thresholds and says what begins and what ends.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.drift.reference import DriftReference, Statistic
from strategies.market import Floats

CLIP = 8.0
"""Scales beyond which a value counts no more: one bad tick is no drift, a hundredfold unit is within bars."""
_LEVEL_SLACK = 0.5
"""Scales that the level may stray without adding to its sum."""
_SPREAD_SLACK = 0.5
"""Shares of the mean distance that the spread may stray without adding to its sum."""
_PRIOR_COUNT = 0.5
"""Imaginary values in each bin, so that an empty one is no infinity."""
_CALM_FRAC = 0.5
"""Share of the threshold below which an alarm ends."""
_CAP_FRAC = 2.0
"""Share of the threshold at which a cumulative sum stops, so that it is soon back when the drift ends."""


class DriftAlarm(NamedTuple):
    """Something began to look unlike the training data."""

    column: str
    kind: str
    """psi, kl, level, spread, frozen or not_finite."""
    value: float
    threshold: float
    bar: int
    """Rows seen when it began, from 1."""


class DriftStatistics:
    """Measures S streams of the D columns.

    Args:
        reference: Description of the columns. Its thresholds only cap the cumulative sums.
        num_streams: S.
    """

    def __init__(self, reference: DriftReference, num_streams: int = 1) -> None:
        shape = (num_streams, len(reference.columns))
        bins = reference.expected_probs.shape[1]
        self._reference = reference
        self._log_expected = np.log(reference.expected_probs)
        self._caps = _CAP_FRAC * reference.thresholds
        self._ring = np.zeros((reference.window_bars, *shape), dtype=np.int64)
        self._counts = np.zeros((*shape, bins))
        self._flat_counts = self._counts.reshape(-1)
        self._offsets = np.arange(shape[0] * shape[1]).reshape(shape) * bins
        self._sums = np.zeros((4, *shape))
        self._last = np.full(shape, np.nan)
        self._bars = 0
        self.values = np.zeros((*shape, len(Statistic)))
        """Newest statistics, shape (S, D, 5); PSI and KL are 0 until the window is full."""

    def update(self, rows: Floats) -> Floats:
        """Take in one row of each stream.

        Args:
            rows: Shape (S, D). A value that is not finite leaves the column's statistics as they were.

        Returns:
            `values`, which the next row overwrites.
        """
        reference = self._reference
        finite = np.isfinite(rows)
        clean = rows if finite.all() else np.where(finite, rows, reference.centre)
        self._count(clean, finite)
        distance = np.clip((clean - reference.centre) / reference.scale, -CLIP, CLIP)
        excess = np.abs(distance) / reference.mean_distance - 1.0
        steps = np.stack(
            [
                distance - _LEVEL_SLACK,
                -distance - _LEVEL_SLACK,
                excess - _SPREAD_SLACK,
                -excess - _SPREAD_SLACK,
            ]
        )
        steps *= finite
        self._sums += steps
        np.maximum(self._sums, 0.0, out=self._sums)
        values = self.values
        for statistic, (up, down) in {Statistic.LEVEL: (0, 1), Statistic.SPREAD: (2, 3)}.items():
            cap = self._caps[:, statistic]
            np.minimum(self._sums[up], cap, out=self._sums[up])
            np.minimum(self._sums[down], cap, out=self._sums[down])
            np.maximum(self._sums[up], self._sums[down], out=values[..., statistic])
        runs = values[..., Statistic.FROZEN]
        runs[...] = np.where(finite, np.where(clean == self._last, runs + 1.0, 0.0), runs)
        self._last = np.where(finite, clean, self._last)
        return values

    def _count(self, clean: Floats, finite: npt.NDArray[np.bool_]) -> None:
        reference = self._reference
        bins = (clean[..., None] > reference.edges).sum(axis=-1)
        slot = self._bars % reference.window_bars
        is_full = self._bars >= reference.window_bars
        self._bars += 1
        if is_full:
            bins = np.where(finite, bins, self._ring[slot])
            self._flat_counts[(self._offsets + self._ring[slot]).reshape(-1)] -= 1.0
        self._ring[slot] = bins
        self._flat_counts[(self._offsets + bins).reshape(-1)] += 1.0
        if self._bars < reference.window_bars:
            return
        num_bins = reference.expected_probs.shape[1]
        probs = (self._counts + _PRIOR_COUNT) / (reference.window_bars + _PRIOR_COUNT * num_bins)
        log_ratios = np.log(probs) - self._log_expected
        gaps = probs - reference.expected_probs
        np.einsum("sdb,sdb->sd", gaps, log_ratios, out=self.values[..., Statistic.PSI])
        np.einsum("sdb,sdb->sd", probs, log_ratios, out=self.values[..., Statistic.KL])


class DriftMonitor:
    """Compares one stream with the thresholds of its reference.

    An alarm begins when a statistic exceeds its threshold and ends when it is below half of it. A value that
    is not finite alarms at once, and until the next finite one.

    Args:
        reference: Description of the columns, with calibrated thresholds.
    """

    def __init__(self, reference: DriftReference) -> None:
        self.reference = reference
        self._statistics = DriftStatistics(reference)
        shape = (len(reference.columns), len(Statistic))
        self._active = np.zeros(shape, dtype=np.bool_)
        self._not_finite = np.zeros(len(reference.columns), dtype=np.bool_)
        self._bars = 0

    @property
    def score(self) -> float:
        """Largest Kullback-Leibler divergence of any column, nats; 0 until the window is full."""
        return float(self._statistics.values[0, :, Statistic.KL].max())

    @property
    def ratio(self) -> float:
        """Largest statistic beside its threshold; above 1 something is wrong."""
        return float((self._statistics.values[0] / self.reference.thresholds).max())

    @property
    def active(self) -> tuple[tuple[str, str], ...]:
        """Column and kind of every alarm that has begun and not ended."""
        columns = self.reference.columns
        found = [
            (columns[at], Statistic(kind).name.lower()) for at, kind in np.argwhere(self._active).tolist()
        ]
        found += [(columns[at], "not_finite") for at in np.flatnonzero(self._not_finite).tolist()]
        return tuple(found)

    def update(self, row: Floats) -> tuple[DriftAlarm, ...]:
        """Take in the newest row and return the alarms that begin with it.

        Args:
            row: One value per column, shape (D,), from the first row on that is warm.

        Raises:
            ValueError: If the shape differs. The state is unchanged.
        """
        row = np.asarray(row, dtype=np.float64)
        if row.shape != (len(self.reference.columns),):
            raise ValueError(
                f"expected a row of {len(self.reference.columns)} columns, found shape {row.shape}"
            )
        self._bars += 1
        values = self._statistics.update(row[None])[0]
        thresholds = self.reference.thresholds
        exceeded = values > thresholds
        not_finite = ~np.isfinite(row)
        begun = exceeded & ~self._active
        begun_not_finite = not_finite & ~self._not_finite
        self._active = exceeded | (self._active & (values > _CALM_FRAC * thresholds))
        self._not_finite = not_finite
        if not begun.any() and not begun_not_finite.any():
            return ()
        return self._alarms(begun, begun_not_finite, row, values)

    def _alarms(
        self,
        begun: npt.NDArray[np.bool_],
        begun_not_finite: npt.NDArray[np.bool_],
        row: Floats,
        values: Floats,
    ) -> tuple[DriftAlarm, ...]:
        columns, thresholds = self.reference.columns, self.reference.thresholds
        alarms = [
            DriftAlarm(columns[at], "not_finite", float(row[at]), 0.0, self._bars)
            for at in np.flatnonzero(begun_not_finite).tolist()
        ]
        for at, kind in np.argwhere(begun).tolist():
            name = Statistic(kind).name.lower()
            value, threshold = float(values[at, kind]), float(thresholds[at, kind])
            alarms.append(DriftAlarm(columns[at], name, value, threshold, self._bars))
        return tuple(alarms)
