"""Fewer points, same picture: deterministic downsampling that keeps the extremes.

A year of minutes has half a million bars and a screen two thousand columns. Lines keep the first, last,
lowest and highest bar of every bucket, so no spike and no drawdown is lost; prices become longer candles.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ops.report.contents import BarSeries
from strategies.market import Floats

type Ints = npt.NDArray[np.int64]

MINUTE = 60
HOUR = 3600
DAY = 86_400
CANDLE_SECONDS = (
    *(1, 5, 15, 30),
    *(m * MINUTE for m in (1, 2, 5, 10, 15, 30)),
    *(h * HOUR for h in (1, 2, 4, 6, 8, 12)),
    *(d * DAY for d in (1, 2, 7, 14, 28)),
)
"""Lengths that a candle may have."""


def extreme_indices(lines: list[Floats], max_points: int) -> Ints:
    """Choose bars so that every line keeps its extremes.

    Args:
        lines: Series over the same bars, each of shape (T,).
        max_points: Bound on the number of bars chosen.

    Returns:
        Ascending bar indices; all of them where they are few enough.
    """
    count = len(lines[0])
    if count <= max_points:
        return np.arange(count)
    buckets = max(1, max_points // (2 + 2 * len(lines)))
    edges = np.unique(np.linspace(0, count, buckets + 1).astype(np.int64))
    chosen = [edges[:-1], edges[1:] - 1]
    for line in lines:
        spans = list(pairwise(edges.tolist()))
        chosen.append(np.array([a + int(np.argmin(line[a:b])) for a, b in spans], dtype=np.int64))
        chosen.append(np.array([a + int(np.argmax(line[a:b])) for a, b in spans], dtype=np.int64))
    return np.unique(np.concatenate(chosen))


class Candles(NamedTuple):
    """Bars joined to longer ones; empty stretches have none."""

    seconds: int
    """Length of a candle."""
    start: Ints
    """Opening time, UTC seconds."""
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def candle_seconds(span_seconds: float, shortest: float, max_candles: int) -> int:
    """The shortest permitted candle of which no more than ``max_candles`` cover the span."""
    fitting = (s for s in CANDLE_SECONDS if s >= shortest and span_seconds / s <= max_candles)
    return next(fitting, CANDLE_SECONDS[-1])


def join_candles(bars: BarSeries, seconds: int) -> Candles:
    """Join bars to candles of equal length.

    A bar belongs to the candle in which it closes, the closing stroke included.
    """
    ids = (bars.ts_event - 1) // (seconds * 1_000_000_000)
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    ends = np.append(starts[1:], len(ids)) - 1
    return Candles(
        seconds,
        ids[starts] * seconds,
        bars.open[starts],
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.low, starts),
        bars.close[ends],
        np.add.reduceat(bars.volume, starts),
    )


def dominant_runs(ts_event: Ints, states: Ints, seconds: int) -> list[tuple[int, int, int]]:
    """Regimes as bands: the commonest state of every candle, neighbours of one state joined.

    Args:
        ts_event: Decision times, UTC nanoseconds, ascending, shape (T,).
        states: Most probable state, at least 0, shape (T,).
        seconds: Length of a candle.

    Returns:
        (start, end, state), UTC seconds.
    """
    if len(states) == 0:
        return []
    ids = (ts_event - 1) // (seconds * 1_000_000_000)
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    counts = np.stack([np.add.reduceat(states == k, starts, dtype=np.int64) for k in range(states.max() + 1)])
    dominant = counts.argmax(axis=0)
    slots = ids[starts]
    breaks = np.flatnonzero((np.diff(dominant) != 0) | (np.diff(slots) != 1)) + 1
    first = np.concatenate([[0], breaks])
    last = np.append(breaks, len(slots)) - 1
    return [
        (int(slots[a]) * seconds, (int(slots[b]) + 1) * seconds, int(dominant[a]))
        for a, b in zip(first, last, strict=True)
    ]


def month_returns(ts_event: Ints, equity: Floats, initial: float) -> dict[tuple[int, int], float]:
    """Return of each calendar month (UTC) as a fraction, keyed by year and month."""
    return _returns_by(_months(ts_event), equity, initial)


def day_returns(ts_event: Ints, equity: Floats, initial: float) -> dict[int, float]:
    """Return of each UTC day as a fraction, keyed by days since 1970."""
    days = (ts_event - 1) // (DAY * 1_000_000_000)
    return {int(day): value for day, value in _ends(days, equity, initial)}


def _months(ts_event: Ints) -> Ints:
    # A close on the stroke of a month's first midnight belongs to the month before.
    months: Ints = (ts_event - 1).astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)
    return months


def _returns_by(months: Ints, equity: Floats, initial: float) -> dict[tuple[int, int], float]:
    return {(1970 + int(m) // 12, int(m) % 12 + 1): value for m, value in _ends(months, equity, initial)}


def _ends(ids: Ints, equity: Floats, initial: float) -> list[tuple[int, float]]:
    ends = np.append(np.flatnonzero(np.diff(ids)), len(ids) - 1)
    levels = np.concatenate([[initial], equity[ends]])
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(levels[:-1] > 0, levels[1:] / levels[:-1] - 1.0, 0.0)
    return [(int(ids[end]), float(value)) for end, value in zip(ends, values, strict=True)]
