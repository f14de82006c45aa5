"""How many bars a feature needs until it no longer depends on where its data began.

Each feature declares its warm-up and, where it is recursive, how long its start is felt (`Kernel`). Here
both are measured: pipelines that began later are run beside the one that began first, until they agree.
"""

from dataclasses import dataclass

import numpy as np

from ml.datasets import Bars, Ints, panels
from ml.leaks.claims import Market, rows_of
from strategies.config import FeaturesConfig
from strategies.errors import DataError
from strategies.features import FeaturePipeline, fold
from strategies.market import Floats

TOLERANCE = 1e-5
"""Relative to the column's spread: closer than this, where the data began is forgotten. A recursive average
counts as settled when its first value weighs a millionth, and that value may lie ten spreads away."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """One column, as declared and as measured; bars count from 1."""

    column: str
    declared_bars: int
    """Bar from which the kernel says that its value is valid."""
    first_bar: int | None
    """Bar of the first value; None where there was none."""
    declared_settle_bars: int
    """Bars after which the kernel says that the start is forgotten."""
    settle_bars: int | None
    """Bars after which it was; None where the data end before."""

    @property
    def finding(self) -> str:
        """What is wrong; empty where the declaration holds."""
        if self.first_bar is None:
            return "no value at all: take a longer span"
        if self.first_bar > self.declared_bars:
            return f"its first value comes at bar {self.first_bar}"
        if self.settle_bars is None:
            return "still depends on where the data began when they end: take a longer span"
        if self.settle_bars > self.declared_settle_bars:
            return f"depends on where the data began for {self.settle_bars} bars"
        return ""


def warm_up(features: FeaturesConfig, market: Market, *, num_starts: int = 4) -> tuple[WarmUp, ...]:
    """Measure every column of a feature section, the worst instrument each.

    Args:
        features: The strategy's feature section.
        market: Bars by instrument id.
        num_starts: Pipelines that begin later, spread over the first half of the data.

    Raises:
        DataError: If there are too few bars.
    """
    # Panel features begin with the last instrument.
    begin = max(int(bars.ts_event[0]) for bars in market.values())
    market = {name: _from(bars, begin) for name, bars in market.items()}
    reference, counts = _values(features, market)
    if len(reference) < 2 * (num_starts + 1):
        raise DataError(
            f"warm-up: expected at least {2 * (num_starts + 1)} bar times, found {len(reference)}"
        )
    pipeline = FeaturePipeline(features, len(market))
    first = [_first_valid(reference[:, :, at], counts) for at in range(pipeline.num_features)]
    settle: list[int | None] = [0] * pipeline.num_features
    times = np.unique(np.concatenate([bars.ts_event for bars in market.values()]))
    for start in np.linspace(0, len(times) // 2, num_starts + 1).astype(np.int64)[1:].tolist():
        since = {name: _from(bars, times[start]) for name, bars in market.items()}
        later, later_counts = _values(features, since)
        for at in range(pipeline.num_features):
            found = _settled(reference[start:, :, at], later[:, :, at], later_counts)
            worst = settle[at]
            settle[at] = None if found is None or worst is None else max(worst, found)
    kernels = [spec.build() for spec in pipeline.manifest.specs]
    declared = [kernel for kernel in kernels for _ in kernel.columns]
    return tuple(
        WarmUp(column, kernel.warmup_bars, first[at], kernel.settle_bars, settle[at])
        for at, (column, kernel) in enumerate(zip(pipeline.columns, declared, strict=True))
    )


def _values(features: FeaturesConfig, market: Market) -> tuple[Floats, Ints]:
    """Features of every row, shape (T, N, F), and how many bars each instrument has had, shape (T, N)."""
    times = np.unique(np.concatenate([bars.ts_event for bars in market.values()]))
    counts = [np.searchsorted(bars.ts_event, times, side="right") for bars in market.values()]
    return fold(features, list(panels(times, list(market.values())))), np.stack(counts, axis=1)


def _from(bars: Bars, start_ns: int) -> Bars:
    return rows_of(bars, bars.ts_event >= start_ns)


def _first_valid(values: Floats, counts: Ints) -> int | None:
    valid = np.isfinite(values)
    if not valid.any(axis=0).all():
        return None
    return int(counts[np.argmax(valid, axis=0), np.arange(values.shape[1])].max())


def _settled(reference: Floats, later: Floats, counts: Ints) -> int | None:
    """Bars of the later stream until it agrees with the other for good; None if it does not."""
    scale = float(np.nanstd(reference)) if np.isfinite(reference).any() else 0.0
    apart = ~(np.abs(later - reference) <= TOLERANCE * scale)
    if apart[-1].any():
        return None
    rows, instruments = np.nonzero(apart)
    return int(counts[rows, instruments].max()) + 1 if len(rows) else 1
