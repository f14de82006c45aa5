"""A book against a baseline: paired, so that what moved both cancels."""

from dataclasses import dataclass

import numpy as np

from ml.evaluation import statistics
from ml.evaluation.bootstrap import MIN_OBSERVATIONS, Bootstrap, Statistic, estimate, resample_indices
from ml.evaluation.calendar import Calendar
from ml.evaluation.curve import EquityCurve, cut, marks_at


@dataclass(frozen=True, slots=True)
class Comparison:
    """The book less the baseline, over the same periods and the same resamples."""

    excess_return_frac: Statistic
    """Total return less the baseline's."""
    sharpe_difference: Statistic
    correlation: float | None
    """Of period returns."""


def compare(book: EquityCurve, baseline: EquityCurve, calendar: Calendar, bootstrap: Bootstrap) -> Comparison:
    """Compare two curves.

    Args:
        book: Whose times count.
        baseline: Read at the book's times; its capital where it had not begun.
        calendar: For annualisation.
        bootstrap: For the intervals.
    """
    aligned = EquityCurve(
        baseline.initial,
        book.ts_event,
        marks_at(book.ts_event, baseline.ts_event, baseline.equity, baseline.initial),
        book.fees,
        book.gross_exposure,
    )
    unknown = Statistic(None)
    if book.equity.min() <= 0 or aligned.equity.min() <= 0:
        return Comparison(unknown, unknown, None)
    ours, theirs = cut(book, calendar), cut(aligned, calendar)
    value = _differences(ours.log_return, theirs.log_return, ours.per_year)
    if len(ours) < MIN_OBSERVATIONS:
        return Comparison(estimate(float(value[0]), None, bootstrap, len(ours)), unknown, None)
    at = resample_indices(len(ours), bootstrap)
    samples = _differences(ours.log_return[at], theirs.log_return[at], ours.per_year)
    sharpe = estimate(float(value[1]), samples[1], bootstrap, len(ours))
    return Comparison(
        excess_return_frac=estimate(float(value[0]), samples[0], bootstrap, len(ours)),
        sharpe_difference=sharpe if sharpe.ci_low is not None else unknown,
        correlation=_correlation(ours.log_return, theirs.log_return),
    )


def _differences(ours: np.ndarray, theirs: np.ndarray, per_year: float) -> tuple[np.ndarray, np.ndarray]:
    excess = statistics.total_return(ours) - statistics.total_return(theirs)
    if ours.shape[-1] < 2:
        return excess, np.full_like(excess, np.nan)
    sharpe = statistics.sharpe(np.expm1(ours), per_year) - statistics.sharpe(np.expm1(theirs), per_year)
    return excess, sharpe


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    if ours.std() == 0 or theirs.std() == 0:
        return None
    return float(np.corrcoef(ours, theirs)[0, 1])
