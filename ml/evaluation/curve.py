"""Equity curves: taken from a tape, added up to an account, cut into periods for statistics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml.evaluation.calendar import DAY_NS, HOUR_NS, MINUTE_NS, Calendar
from strategies.market import Floats
from strategies.tape import EquityRecord

type Ints = npt.NDArray[np.int64]
type PeriodUnit = Literal["day", "hour", "minute", "bar"]

MIN_COARSE_PERIODS = 60
"""A coarser period is used only where the run holds this many: fewer say too little about volatility."""


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """A book's value at the close of every bar."""

    initial: float
    """Equity before the first bar, quote currency."""
    ts_event: Ints
    """Bar close times, UTC nanoseconds, strictly ascending, shape (T,)."""
    equity: Floats
    """Net of all costs, quote currency, shape (T,)."""
    fees: Floats
    """All costs paid so far, quote currency, shape (T,)."""
    gross_exposure: Floats
    """Sum of absolute position values, quote currency, shape (T,)."""

    def __post_init__(self) -> None:
        if not self.initial > 0:
            raise ValueError(f"equity curve: expected a positive initial equity, found {self.initial}")
        if len(self.ts_event) == 0:
            raise ValueError("equity curve: expected at least one bar, found none; did the run see any data?")
        if np.any(np.diff(self.ts_event) <= 0):
            raise ValueError("equity curve: expected ascending times; two marks share one or go back")
        if not np.all(np.isfinite(self.equity)):
            raise ValueError("equity curve: expected finite equity, found NaN or infinity")

    @property
    def before_costs(self) -> "EquityCurve":
        """The same trades had they cost nothing: costs are added back, not reinvested."""
        zero = np.zeros_like(self.fees)
        return EquityCurve(self.initial, self.ts_event, self.equity + self.fees, zero, self.gross_exposure)

    @property
    def drawdowns(self) -> Floats:
        """Fraction below the highest equity so far, 0..1, shape (T,)."""
        peak = np.maximum.accumulate(np.maximum(self.equity, self.initial))
        return np.clip(1.0 - self.equity / peak, 0.0, 1.0)


def equity_curve(records: Iterable[EquityRecord], strategy: str, initial: float) -> EquityCurve:
    """One strategy's curve out of a tape's equity records.

    Args:
        records: Of any strategies, in the order in which they were written.
        strategy: Whose curve is wanted.
        initial: Capital before the first bar, quote currency.
    """
    rows = [(r.ts_event, r.equity, r.fees, r.gross_exposure) for r in records if r.strategy == strategy]
    ts = np.array([row[0] for row in rows], dtype=np.int64)
    values = np.array([row[1:] for row in rows], dtype=np.float64).reshape(len(rows), 3)
    return EquityCurve(initial, ts, values[:, 0], values[:, 1], values[:, 2])


def total_curve(curves: Sequence[EquityCurve], unallocated_quote: float = 0.0) -> EquityCurve:
    """Add several books up to the account they share.

    At a time at which a book was not marked, its last mark counts; before its first, its capital.

    Args:
        curves: The books.
        unallocated_quote: Cash of the account that no book holds.
    """
    ts = np.unique(np.concatenate([curve.ts_event for curve in curves]))
    equity = np.full(len(ts), unallocated_quote)
    fees, exposure = np.zeros(len(ts)), np.zeros(len(ts))
    for curve in curves:
        equity += marks_at(ts, curve.ts_event, curve.equity, curve.initial)
        fees += marks_at(ts, curve.ts_event, curve.fees, 0.0)
        exposure += marks_at(ts, curve.ts_event, curve.gross_exposure, 0.0)
    return EquityCurve(unallocated_quote + sum(c.initial for c in curves), ts, equity, fees, exposure)


def marks_at(ts: Ints, ts_known: Ints, values: Floats, before: float) -> Floats:
    """The last known value at each time, or ``before`` where none was known yet."""
    return np.concatenate([[before], values])[np.searchsorted(ts_known, ts, side="right")]


@dataclass(frozen=True, slots=True)
class Periods:
    """A curve cut into equal stretches of time: the units that statistics and resampling work on.

    Each period keeps how high, how low and how deep the curve went inside it, in log units from the
    period's start, so a drawdown over any sequence of periods is exact to the bar.
    """

    unit: PeriodUnit
    per_year: float
    log_return: Floats
    """Log return of each period, shape (P,)."""
    log_high: Floats
    """Highest point above the start, at least 0, shape (P,)."""
    log_low: Floats
    """Lowest point below the start, at most 0, shape (P,)."""
    log_drawdown: Floats
    """Deepest fall from a peak inside the period, at least 0, shape (P,)."""

    def __len__(self) -> int:
        return len(self.log_return)


def cut(curve: EquityCurve, calendar: Calendar) -> Periods:
    """Cut a curve into the coarsest of day, hour and minute of which it holds enough; else into bars.

    Daily returns are what a Sharpe ratio is usually quoted on and carry least of the noise of single
    marks; short runs have too few of them. A bar belongs to the period in which it closes, and one that
    closes at midnight to the day that ends there.

    Raises:
        ValueError: If equity is not positive throughout: log returns do not exist after ruin.
    """
    if curve.equity.min() <= 0:
        raise ValueError(f"periods: expected positive equity throughout, found {curve.equity.min()}")
    unit, starts = _choose_unit(curve.ts_event, calendar)
    path = np.log(np.concatenate([[curve.initial], curve.equity]))
    base = path[starts]
    ends = np.append(starts[1:], len(curve.equity))
    drawdown = np.array([_fall(path[a : b + 1]) for a, b in zip(starts, ends, strict=True)])
    return Periods(
        unit=unit,
        per_year=_periods_per_year(unit, calendar),
        log_return=path[ends] - base,
        log_high=np.maximum(np.maximum.reduceat(path[1:], starts) - base, 0.0),
        log_low=np.minimum(np.minimum.reduceat(path[1:], starts) - base, 0.0),
        log_drawdown=drawdown,
    )


def _fall(path: Floats) -> float:
    return float(np.max(np.maximum.accumulate(path) - path))


def _choose_unit(ts_event: Ints, calendar: Calendar) -> tuple[PeriodUnit, Ints]:
    coarse: Mapping[PeriodUnit, int] = {"day": DAY_NS, "hour": HOUR_NS, "minute": MINUTE_NS}
    for unit, length_ns in coarse.items():
        # A close stamp ends its bar, so the stroke of midnight still belongs to the day before.
        ids = (ts_event - 1) // length_ns
        starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
        if calendar.bar_interval_ns < length_ns and len(starts) >= MIN_COARSE_PERIODS:
            return unit, starts
    return "bar", np.arange(len(ts_event))


def _periods_per_year(unit: PeriodUnit, calendar: Calendar) -> float:
    if unit == "bar":
        return calendar.bars_per_year
    if unit == "day":
        return calendar.days_per_year
    # A session of six and a half hours touches seven clock hours, so seven returns a day.
    hours = ceil(calendar.session_hours)
    return calendar.days_per_year * (hours if unit == "hour" else calendar.session_hours * 60.0)
