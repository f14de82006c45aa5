"""The scorecard of a run: every book and baseline, as one JSON document.

The document's root is the account, net of costs; ``gross`` holds the same before costs:

    {trade_count, total_return_frac: {value, ci_low, ci_high}, sharpe: {…}, …, gross: {…}, costs: {…},
     strategies: {name: {…the same…, regimes}}, baselines: {name: {…}},
     versus: {baseline: {excess_return_frac, sharpe_difference, correlation}}, method: {…}}

Null is undefined. A ratio stands there with its interval or not at all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ml.evaluation.book import BookMetrics, Dealings, book_metrics
from ml.evaluation.bootstrap import Bootstrap, Statistic
from ml.evaluation.calendar import Calendar
from ml.evaluation.comparison import Comparison, compare
from ml.evaluation.curve import EquityCurve, equity_curve, total_curve
from ml.evaluation.regimes import RegimeMetrics, regime_metrics
from ml.evaluation.trades import Matched, match_fills
from strategies.tape import MemoryTape

NO_BASELINES: Mapping[str, EquityCurve] = {}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of a run, and the round trips that they rest on."""

    matched: Matched
    account_curve: EquityCurve
    curves: Mapping[str, EquityCurve]
    """Per strategy."""
    baseline_curves: Mapping[str, EquityCurve]
    account: BookMetrics
    strategies: Mapping[str, BookMetrics]
    regimes: Mapping[str, RegimeMetrics]
    """Of those strategies that have a regime model."""
    baselines: Mapping[str, BookMetrics]
    versus: Mapping[str, Comparison]
    """The account against each baseline."""
    calendar: Calendar
    bootstrap: Bootstrap

    def as_json(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        strategies = {name: book_as_json(book) for name, book in self.strategies.items()}
        for name, regime in self.regimes.items():
            strategies[name]["regimes"] = asdict(regime)
        return {
            **book_as_json(self.account),
            "strategies": strategies,
            "baselines": {name: book_as_json(book) for name, book in self.baselines.items()},
            "versus": {name: asdict(comparison) for name, comparison in self.versus.items()},
            "method": {
                "calendar": {**asdict(self.calendar), "bars_per_year": self.calendar.bars_per_year},
                "intervals": self.bootstrap.as_json(),
                "risk_free_rate": 0.0,
                "trades": "first in first out; one closing order is one trade",
            },
        }


def evaluate_run(
    tape: MemoryTape,
    *,
    capital_quote: Mapping[str, float],
    calendar: Calendar,
    baselines: Mapping[str, EquityCurve] = NO_BASELINES,
    unallocated_quote: float = 0.0,
    bootstrap: Bootstrap | None = None,
) -> Evaluation:
    """Compute the scorecard of a run.

    Args:
        tape: The run's records.
        capital_quote: Each strategy's capital before the first bar; its keys say which strategies ran.
        calendar: Bar interval and trading days a year.
        baselines: Curves to beat, each over the same span.
        unallocated_quote: Cash of the account that no strategy was given; it dilutes the account's figures.
        bootstrap: Settings of the intervals; the defaults where None.

    Raises:
        ValueError: If a strategy of ``capital_quote`` left no equity record.
    """
    settings = bootstrap or Bootstrap()
    matched = match_fills(tape.fills, tape.orders)
    curves = {name: equity_curve(tape.equity, name, capital) for name, capital in capital_quote.items()}
    account_curve = total_curve(list(curves.values()), unallocated_quote)
    strategies = {
        name: book_metrics(curve, _dealings(name, tape, matched), calendar, settings)
        for name, curve in curves.items()
    }
    found = {
        name: regime_metrics([d for d in tape.decisions if d.strategy == name], curve)
        for name, curve in curves.items()
    }
    return Evaluation(
        matched=matched,
        account_curve=account_curve,
        curves=curves,
        baseline_curves=baselines,
        account=book_metrics(
            account_curve, Dealings(matched.trades, tape.fills, matched.open_positions), calendar, settings
        ),
        strategies=strategies,
        regimes={name: regime for name, regime in found.items() if regime is not None},
        baselines={name: book_metrics(curve, None, calendar, settings) for name, curve in baselines.items()},
        versus={name: compare(account_curve, curve, calendar, settings) for name, curve in baselines.items()},
        calendar=calendar,
        bootstrap=settings,
    )


def _dealings(name: str, tape: MemoryTape, matched: Matched) -> Dealings:
    last = {(row.strategy, row.instrument_id): row for row in matched.positions}
    return Dealings(
        [trade for trade in matched.trades if trade.strategy == name],
        [fill for fill in tape.fills if fill.strategy == name],
        sum(row.quantity != 0.0 for (strategy, _), row in last.items() if strategy == name),
    )


def book_as_json(book: BookMetrics) -> dict[str, Any]:
    """One book as the flat document that ``metrics.json`` holds for it."""
    nested = {"net", "gross", "activity", "costs", "net_trades", "gross_trades"}
    plain = {f.name: getattr(book, f.name) for f in fields(book) if f.name not in nested}
    net_trades = asdict(book.net_trades) if book.net_trades else {}
    gross_trades = asdict(book.gross_trades) if book.gross_trades else {}
    activity = asdict(book.activity) if book.activity else {}
    return {
        **plain,
        **asdict(book.net),
        **net_trades,
        **activity,
        "gross": {**asdict(book.gross), **gross_trades},
        "costs": asdict(book.costs),
    }


__all__ = ["Evaluation", "Statistic", "book_as_json", "evaluate_run"]
