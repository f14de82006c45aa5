"""All folds together: their scorecards, the curve that they make in a row, and what it had to beat."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml.evaluation import Bootstrap, Calendar, EquityCurve, Statistic, match_fills
from ml.evaluation.book import BookMetrics, Dealings, book_metrics
from ml.evaluation.comparison import Comparison, compare
from ml.evaluation.curve import cut
from ml.evaluation.regimes import RegimeMetrics, joined_regimes
from ml.evaluation.run import book_as_json
from ml.evaluation.selection import DeflatedSharpe, deflated_sharpe
from ml.round_trips import RoundTrip
from ml.walk_forward.folds import Fold, FoldOutcome
from strategies.errors import DataError
from strategies.tape import FillRecord


@dataclass(frozen=True, slots=True)
class FoldCard:
    """One fold's figures."""

    fold: Fold
    book: BookMetrics
    baselines: dict[str, BookMetrics]


@dataclass(frozen=True, slots=True)
class WalkForwardSummary:
    """What the method would have earned. Null is undefined."""

    folds: tuple[FoldCard, ...]
    sharpe_mean: float | None
    """Over the folds in which a Sharpe ratio is defined."""
    sharpe_median: float | None
    sharpe_deviation: float | None
    """Sample standard deviation over the folds."""
    worst_drawdown_frac: float
    """Of any fold by itself."""
    profitable_frac: float
    """Share of the folds that ended above their start, net of costs."""
    account: BookMetrics
    """Of all folds in a row, each with what the one before left."""
    curve: EquityCurve
    baselines: dict[str, BookMetrics]
    baseline_curves: dict[str, EquityCurve]
    versus: dict[str, Comparison]
    regimes: RegimeMetrics | None
    """Summed over the folds: state numbers mean the same as far as refits keep them."""
    deflated: DeflatedSharpe | None
    calendar: Calendar
    bootstrap: Bootstrap

    def as_json(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        return {
            **book_as_json(self.account),
            "folds": [
                {
                    **asdict(card.fold),
                    **book_as_json(card.book),
                    "baselines": {name: book_as_json(book) for name, book in card.baselines.items()},
                }
                for card in self.folds
            ],
            "sharpe_mean": self.sharpe_mean,
            "sharpe_median": self.sharpe_median,
            "sharpe_deviation": self.sharpe_deviation,
            "worst_drawdown_frac": self.worst_drawdown_frac,
            "profitable_frac": self.profitable_frac,
            "baselines": {name: book_as_json(book) for name, book in self.baselines.items()},
            "versus": {name: asdict(found) for name, found in self.versus.items()},
            "regimes": None if self.regimes is None else asdict(self.regimes),
            "deflated_sharpe": None if self.deflated is None else asdict(self.deflated),
            "method": {
                "calendar": {**asdict(self.calendar), "bars_per_year": self.calendar.bars_per_year},
                "intervals": self.bootstrap.as_json(),
                "risk_free_rate": 0.0,
                "folds": "each begins flat with what the one before left; what it still holds at its end is "
                "valued at the last close",
            },
        }


def summarise(
    folds: Sequence[Fold],
    outcomes: Sequence[FoldOutcome],
    calendar: Calendar,
    *,
    trial_sharpes: Sequence[float] = (),
    bootstrap: Bootstrap | None = None,
) -> WalkForwardSummary:
    """Put the outcomes of all folds together.

    Args:
        folds: In order of time.
        outcomes: One for each.
        calendar: For annualisation.
        trial_sharpes: Sharpe ratios per period of everything that was tried, for the deflated one.
        bootstrap: Settings of the intervals; the defaults where None.

    Raises:
        DataError: If there is no fold, or folds have different baselines.
    """
    settings = bootstrap or Bootstrap()
    names = [tuple(outcome.baselines) for outcome in outcomes]
    if not outcomes or len(set(names)) != 1:
        raise DataError(f"walk-forward: expected folds with the same baselines, found {sorted(set(names))}")
    cards = tuple(
        FoldCard(
            fold,
            book_metrics(outcome.curve, _dealings([outcome]), calendar, settings),
            {
                name: book_metrics(curve, None, calendar, settings)
                for name, curve in outcome.baselines.items()
            },
        )
        for fold, outcome in zip(folds, outcomes, strict=True)
    )
    curve = chained([outcome.curve for outcome in outcomes])
    baseline_curves = {name: chained([outcome.baselines[name] for outcome in outcomes]) for name in names[0]}
    ratios = np.array([value for card in cards if (value := card.book.net.sharpe.value) is not None])
    regimes = [outcome.regimes for outcome in outcomes if outcome.regimes is not None]
    return WalkForwardSummary(
        folds=cards,
        sharpe_mean=float(ratios.mean()) if len(ratios) else None,
        sharpe_median=float(np.median(ratios)) if len(ratios) else None,
        sharpe_deviation=float(ratios.std(ddof=1)) if len(ratios) > 1 else None,
        worst_drawdown_frac=max(_value(card.book.net.max_drawdown_frac) for card in cards),
        profitable_frac=float(np.mean([card.book.net.pnl_quote > 0 for card in cards])),
        account=book_metrics(curve, _dealings(outcomes), calendar, settings),
        curve=curve,
        baselines={
            name: book_metrics(found, None, calendar, settings) for name, found in baseline_curves.items()
        },
        baseline_curves=baseline_curves,
        versus={name: compare(curve, found, calendar, settings) for name, found in baseline_curves.items()},
        regimes=joined_regimes(regimes) if len(regimes) == len(outcomes) else None,
        deflated=_deflated(curve, calendar, trial_sharpes),
        calendar=calendar,
        bootstrap=settings,
    )


def chained(curves: Sequence[EquityCurve]) -> EquityCurve:
    """Several curves in a row, each scaled to begin with what the one before left.

    After a ruin nothing moves any more.

    Args:
        curves: In order of time; none begins before the one before has ended.
    """
    level, paid = curves[0].initial, 0.0
    equity, fees, exposure = [], [], []
    for curve, factor in zip(curves, _factors(curves), strict=True):
        still = np.full(len(curve.equity), level)
        equity.append(curve.equity * factor if factor > 0.0 else still)
        fees.append(paid + curve.fees * factor)
        exposure.append(curve.gross_exposure * factor)
        level, paid = float(equity[-1][-1]), float(fees[-1][-1])
    return EquityCurve(
        curves[0].initial,
        np.concatenate([curve.ts_event for curve in curves]),
        np.concatenate(equity),
        np.concatenate(fees),
        np.concatenate(exposure),
    )


def _factors(curves: Sequence[EquityCurve]) -> list[float]:
    """What each curve is scaled by; nil after a ruin."""
    level, factors = curves[0].initial, []
    for curve in curves:
        factors.append(max(level, 0.0) / curve.initial)
        level = float(curve.equity[-1]) * factors[-1]
    return factors


def _dealings(outcomes: Sequence[FoldOutcome]) -> Dealings:
    trades: list[RoundTrip] = []
    fills: list[FillRecord] = []
    still_open = 0
    for outcome, factor in zip(outcomes, _factors([outcome.curve for outcome in outcomes]), strict=True):
        if factor > 0.0:
            own = [
                fill._replace(quantity=fill.quantity * factor, fee=fill.fee * factor)
                for fill in outcome.fills
            ]
            matched = match_fills(own)
            trades += matched.trades
            fills += own
            still_open += matched.open_positions
    return Dealings(trades, fills, still_open)


def _deflated(
    curve: EquityCurve, calendar: Calendar, trial_sharpes: Sequence[float]
) -> DeflatedSharpe | None:
    if curve.equity.min() <= 0:
        return None
    return deflated_sharpe(np.expm1(cut(curve, calendar).log_return), trial_sharpes)


def _value(found: Statistic) -> float:
    return 0.0 if found.value is None else found.value
