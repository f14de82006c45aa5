"""The feature pipeline: panels of bars in, one row of features per instrument out.

Flow: market → **features** → regime → observation.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from math import isfinite
from struct import Struct
from typing import NamedTuple

import numpy as np

from strategies.config import FeaturesConfig
from strategies.errors import DataError
from strategies.features.kernel import NAN, CrossKernel
from strategies.features.manifest import Manifest, read_manifest
from strategies.features.registry import AnyKernel
from strategies.features.validity import check_panel
from strategies.market import BarRow, Floats, Panel

type Update = Callable[[BarRow, list[float], int], None]
type PanelUpdate = Callable[[Sequence[BarRow], Sequence[list[float]], int], None]


class FeatureVector(NamedTuple):
    """The features of all instruments at one bar time."""

    ts_event: int
    """Bar time of the panel, UTC nanoseconds."""
    values: Floats
    """Shape (N, F), fresh and read-only; NaN where an instrument is not yet warm."""
    ready: bool
    """Whether every instrument is warm and every value finite."""


class FeaturePipeline:
    """Runs the kernels of a manifest over a stream of panels.

    The row of an instrument changes only when a bar of it arrives: without one it keeps its previous row to
    the bit, and its kernels do not advance. Cross-asset kernels advance with every panel that has a bar,
    once every instrument has been seen, and take a missing instrument at its last known bar.

    Args:
        config: The strategy's feature section.
        num_instruments: Width N of the panels.

    Raises:
        ConfigError: If a kernel or parameter is unknown or wrong.
    """

    def __init__(self, config: FeaturesConfig, num_instruments: int) -> None:
        self.manifest: Manifest = read_manifest(config, num_instruments)
        self.num_instruments = num_instruments
        self.columns = self.manifest.columns
        self.num_features = len(self.columns)
        self.schema_sha256 = self.manifest.sha256()
        self._shape = (num_instruments, self.num_features)
        # Packing the floats into the array's memory is a third faster than handing numpy the list.
        self._pack = Struct(f"{num_instruments * self.num_features}d").pack
        kernels: list[AnyKernel] = [spec.build() for spec in self.manifest.specs]
        self.warmup_bars: int = max(kernel.warmup_bars for kernel in kernels)
        """Number (from 1) of the first bar at which every column is valid."""
        self.settle_bars: int = max(kernel.settle_bars for kernel in kernels)
        """Bars to feed before recursive averages no longer tell where the stream began."""
        self.reset()

    def reset(self) -> None:
        """Forget every bar; the pipeline is then as if new."""
        self._ts_event: int | None = None
        self._last_bars: list[BarRow | None] = [None] * self.num_instruments
        self._unseen = self.num_instruments
        self._rows = [[NAN] * self.num_features for _ in range(self.num_instruments)]
        self._updates: list[list[tuple[Update, int]]] = [[] for _ in range(self.num_instruments)]
        self._panel_updates: list[tuple[PanelUpdate, int]] = []
        at = 0
        for spec in self.manifest.specs:
            for updates in self._updates:
                kernel = spec.build()
                if isinstance(kernel, CrossKernel):
                    # One serves all instruments.
                    self._panel_updates.append((kernel.update_panel, at))
                    break
                updates.append((kernel.update, at))
            at += len(spec.columns)

    def update(self, panel: Panel) -> FeatureVector:
        """Take in the bars of one bar time and return the features as of then.

        Uses bars up to and including ``panel.ts_event`` only.

        Raises:
            DataError: If a bar is malformed, late or repeated, or the panel has another width. The state is
                unchanged, so a bad bar costs one decision, never the pipeline.
        """
        bars = panel.bars
        check_panel(panel, self.num_instruments, self._ts_event)
        self._ts_event = panel.ts_event
        rows, last_bars = self._rows, self._last_bars
        fresh_rows = []
        for index, bar in enumerate(bars):
            if bar is None:
                continue
            if last_bars[index] is None:
                self._unseen -= 1
            last_bars[index] = bar
            row = rows[index]
            fresh_rows.append(row)
            for update, at in self._updates[index]:
                update(bar, row, at)
        if fresh_rows and self._panel_updates and not self._unseen:
            known_bars = [bar for bar in last_bars if bar is not None]
            for update_panel, at in self._panel_updates:
                update_panel(known_bars, fresh_rows, at)
        flat = list(chain.from_iterable(rows))
        values = np.ndarray(self._shape, np.float64, self._pack(*flat))
        # A sum is finite only if all of its terms are; prices are bounded, so it cannot overflow.
        return FeatureVector(panel.ts_event, values, isfinite(sum(flat)))


def fold(config: FeaturesConfig, panels: Sequence[Panel]) -> Floats:
    """Features of a whole history: the stream, folded; there is no other batch path.

    Args:
        config: The strategy's feature section.
        panels: Panels in order of time, all of one width N.

    Returns:
        Shape (T, N, F); row *t* depends on panels up to and including *t* only. NaN before the warm-up.

    Raises:
        DataError: If there is no panel, or one of them is malformed.
    """
    if not panels:
        raise DataError("no panels to compute features of: expected at least one")
    pipeline = FeaturePipeline(config, len(panels[0].bars))
    values = np.empty((len(panels), pipeline.num_instruments, pipeline.num_features))
    for t, panel in enumerate(panels):
        values[t] = pipeline.update(panel).values
    return values
