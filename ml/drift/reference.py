"""What the training data looked like, and how far from it is too far: all that the online monitor needs.

Plain numbers, saved as JSON beside the model. Made by `ml.drift.calibration`, read by `ml.drift.monitor`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from strategies.errors import ConfigError
from strategies.market import Floats

FORMAT = 1
_ARRAYS = ("edges", "expected_probs", "centre", "scale", "mean_distance", "thresholds")


class Statistic(IntEnum):
    """What is measured of every column, each with a threshold of its own."""

    PSI = 0
    """Population stability index of the window against the training data: Σ (p - q) log(p / q)."""
    KL = 1
    """Kullback-Leibler divergence of the window from the training data: Σ p log(p / q), nats."""
    LEVEL = 2
    """Two-sided cumulative sum of the value's distance from its centre."""
    SPREAD = 3
    """Two-sided cumulative sum of the absolute distance beside its mean in the training data."""
    FROZEN = 4
    """Bars for which the value has been the same to the bit."""


@dataclass(frozen=True, slots=True, eq=False)
class DriftReference:
    """Description of D columns and calibrated thresholds.

    Raises:
        ConfigError: If shapes disagree or numbers are out of range.
    """

    columns: tuple[str, ...]
    """Names; features, regime and policy columns alike."""
    window_bars: int
    """Bars that PSI and KL look back on."""
    period_bars: int
    """Bars that the false-alarm probability is about."""
    false_alarm_prob: float
    """Probability of any alarm within the period on data like the training data."""
    edges: Floats
    """Inner edges of the bins, ascending, shape (D, B - 1); infinite where a column needs fewer bins."""
    expected_probs: Floats
    """Share of the training data in each bin, smoothed, shape (D, B)."""
    centre: Floats
    """Median of the training data, shape (D,)."""
    scale: Floats
    """Half the middle 68 % of the training data, or its standard deviation where that is nil; shape (D,)."""
    mean_distance: Floats
    """Mean absolute distance from the centre, in scales, clipped as the monitor clips; shape (D,)."""
    thresholds: Floats
    """One for each `Statistic`, shape (D, 5)."""

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            array = np.array(getattr(self, name), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        count = len(self.columns)
        bins = self.expected_probs.shape[-1] if self.expected_probs.ndim == 2 else 0
        shapes = {
            "edges": (count, bins - 1),
            "expected_probs": (count, bins),
            "centre": (count,),
            "scale": (count,),
            "mean_distance": (count,),
            "thresholds": (count, len(Statistic)),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or np.isnan(array).any():
                raise ConfigError(
                    f"drift: {name}: expected numbers of shape {shape}, found {array.tolist()}; "
                    "calibrate again"
                )
        positive = (self.expected_probs, self.scale, self.mean_distance, self.thresholds)
        if self.window_bars < 2 or count == 0 or any((array <= 0.0).any() for array in positive):
            raise ConfigError(
                "drift: expected columns, window_bars >= 2 and positive expected_probs, scale, mean_distance "
                f"and thresholds, found {count} columns and window_bars = {self.window_bars}; calibrate again"
            )

    def as_json(self) -> dict[str, Any]:
        """The reference as plain JSON values."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "columns": list(self.columns),
            "window_bars": self.window_bars,
            "period_bars": self.period_bars,
            "false_alarm_prob": self.false_alarm_prob,
        }
        for name in _ARRAYS:
            document[name] = getattr(self, name).tolist()
        # JSON knows no infinity.
        document["edges"] = [[edge for edge in row if np.isfinite(edge)] for row in document["edges"]]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "DriftReference":
        """Read what `as_json` wrote.

        Raises:
            ConfigError: If it is of another format, or damaged.
        """
        expected = {"format", "columns", "window_bars", "period_bars", "false_alarm_prob", *_ARRAYS}
        if document.get("format") != FORMAT or set(document) != expected:
            raise ConfigError(
                f"drift: expected a reference of format {FORMAT} with {sorted(expected)}, found format "
                f"{document.get('format')!r} with {sorted(document)}; calibrate again"
            )
        values = {name: document[name] for name in expected - {"format"}}
        try:
            bins = len(values["expected_probs"][0])
            values["edges"] = [row + [np.inf] * (bins - 1 - len(row)) for row in values["edges"]]
            values["columns"] = tuple(values["columns"])
            return cls(**values)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise ConfigError(f"drift: the reference is damaged: {error}; calibrate again") from error
