"""Several runs beside each other, over the time that they share.

Each is compared with the first, paired period by period. With more of them the question is how much of the
best is luck: the deflated Sharpe ratio of the best, and the probability that choosing it was overfitting.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml.evaluation.book import CurveMetrics, book_metrics
from ml.evaluation.bootstrap import Bootstrap
from ml.evaluation.calendar import Calendar
from ml.evaluation.comparison import Comparison, compare
from ml.evaluation.curve import EquityCurve, cut, marks_at
from ml.evaluation.selection import (
    DeflatedSharpe,
    Overfitting,
    deflated_sharpe,
    overfitting_probability,
)
from strategies.errors import DataError
from strategies.market import Floats

FEWEST_FOR_OVERFITTING = 3
"""With two there is one choice, of which ranks say next to nothing."""
_BLOCKS = (16, 8, 4)
_PERIODS_A_BLOCK = 4


@dataclass(frozen=True, slots=True)
class Entrant:
    """One run over the shared time."""

    net: CurveMetrics
    gross: CurveMetrics
    costs_quote: float
    """Paid over the shared time."""
    curve: EquityCurve
    """Over the shared time, in its own money."""


@dataclass(frozen=True, slots=True)
class Contest:
    """What can be said of several runs together; None where it cannot."""

    start_ts: int
    """Where the shared time begins, UTC nanoseconds."""
    end_ts: int
    periods: int
    return_period: str
    entrants: dict[str, Entrant]
    reference: str
    """The first, which the others are compared with."""
    versus: dict[str, Comparison]
    """Each of the others less the first."""
    best: str | None
    """Highest Sharpe ratio over the shared time."""
    deflated: DeflatedSharpe | None
    """Of the best, with all runs as tries."""
    overfitting: Overfitting | None

    def as_json(self) -> dict[str, Any]:
        """The contest as plain JSON values."""
        return {
            "start_ts": self.start_ts,
            "end_ts": self.end_ts,
            "periods": self.periods,
            "return_period": self.return_period,
            "reference": self.reference,
            "runs": {
                name: {
                    **asdict(entrant.net),
                    "gross": asdict(entrant.gross),
                    "costs_quote": entrant.costs_quote,
                }
                for name, entrant in self.entrants.items()
            },
            "versus": {name: asdict(found) for name, found in self.versus.items()},
            "best": self.best,
            "deflated_sharpe": None if self.deflated is None else asdict(self.deflated),
            "overfitting": None if self.overfitting is None else asdict(self.overfitting),
        }


def hold_contest(
    curves: Mapping[str, EquityCurve], calendar: Calendar, bootstrap: Bootstrap | None = None
) -> Contest:
    """Compare runs.

    Args:
        curves: By name, at least two; the first is what the others are compared with.
        calendar: For annualisation.
        bootstrap: Settings of the intervals; the defaults where None.

    Raises:
        DataError: If there are fewer than two, or they share no time.
    """
    settings = bootstrap or Bootstrap()
    if len(curves) < 2:
        raise DataError(f"comparison: expected two runs or more, found {len(curves)}")
    shared = over_shared_time(curves)
    reference = next(iter(shared))
    books = {name: book_metrics(curve, None, calendar, settings) for name, curve in shared.items()}
    solvent = {
        name: np.expm1(cut(curve, calendar).log_return)
        for name, curve in shared.items()
        if curve.equity.min() > 0
    }
    sharpes = {name: _sharpe(returns) for name, returns in solvent.items()}
    best = max(sharpes, key=sharpes.__getitem__) if sharpes else None
    any_book = books[reference]
    return Contest(
        start_ts=int(shared[reference].ts_event[0]),
        end_ts=int(shared[reference].ts_event[-1]),
        periods=any_book.periods,
        return_period=any_book.return_period,
        entrants={
            name: Entrant(books[name].net, books[name].gross, books[name].costs.total_quote, curve)
            for name, curve in shared.items()
        },
        reference=reference,
        versus={
            name: compare(curve, shared[reference], calendar, settings)
            for name, curve in shared.items()
            if name != reference
        },
        best=best,
        deflated=None if best is None else deflated_sharpe(solvent[best], list(sharpes.values())),
        overfitting=_overfitting(list(solvent.values())),
    )


def over_shared_time(curves: Mapping[str, EquityCurve]) -> dict[str, EquityCurve]:
    """The same curves between the latest beginning and the earliest end, all marked at the same times.

    Raises:
        DataError: If there is no such time.
    """
    start = max(int(curve.ts_event[0]) for curve in curves.values())
    end = min(int(curve.ts_event[-1]) for curve in curves.values())
    times = np.unique(np.concatenate([curve.ts_event for curve in curves.values()]))
    times = times[(times >= start) & (times <= end)]
    if not len(times):
        spans = ", ".join(
            f"{name}: {curve.ts_event[0]} to {curve.ts_event[-1]}" for name, curve in curves.items()
        )
        raise DataError(f"comparison: expected runs that share some time, found {spans} (ns)")
    return {name: _between(curve, times) for name, curve in curves.items()}


def _between(curve: EquityCurve, times: np.ndarray) -> EquityCurve:
    before = np.array([times[0] - 1])
    initial = float(marks_at(before, curve.ts_event, curve.equity, curve.initial)[0])
    paid = float(marks_at(before, curve.ts_event, curve.fees, 0.0)[0])
    if initial <= 0.0:
        raise DataError(
            "comparison: expected runs that are solvent when the shared time begins, found one ruined"
        )
    return EquityCurve(
        initial,
        times,
        marks_at(times, curve.ts_event, curve.equity, curve.initial),
        marks_at(times, curve.ts_event, curve.fees, 0.0) - paid,
        marks_at(times, curve.ts_event, curve.gross_exposure, 0.0),
    )


def _sharpe(returns: Floats) -> float:
    """Per period; nil for what never moved."""
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / spread if spread > 0.0 else 0.0


def _overfitting(returns: list[Floats]) -> Overfitting | None:
    if len(returns) < FEWEST_FOR_OVERFITTING:
        return None
    together = np.stack(returns, axis=1)
    fitting = [blocks for blocks in _BLOCKS if len(together) >= _PERIODS_A_BLOCK * blocks]
    return overfitting_probability(together, num_blocks=fitting[0]) if fitting else None
