"""A walk-forward as a page: every fold, and all of them in a row beside the baselines."""

from typing import Any

from ml.evaluation.contest import over_shared_time
from ml.walk_forward import FoldCard, WalkForwardSummary
from ops.report.contest import selection
from ops.report.document import Part, render_document
from ops.report.lines import returns_chart
from ops.report.markup import Markup, element, joined, table
from ops.report.scorecard import figures, method_note, tiles, versus
from ops.report.sections import regimes
from ops.report.wording import instant, number, percent, signed_number, signed_percent, statistic

_DAY_NS = 86_400 * 10**9


def render_walk_forward(name: str, currency: str, summary: WalkForwardSummary) -> str:
    """The whole page.

    Args:
        name: What was trained.
        currency: Quote currency of the account.
        summary: Of all folds.
    """
    document = summary.as_json()
    own = {"regimes": document["regimes"]} if document["regimes"] is not None else {}
    document |= {"strategies": {name: own}, "best": None, "overfitting": None}
    curves = over_shared_time({name: summary.curve, **summary.baseline_curves})
    lines = {key: curve.equity / curve.initial - 1.0 for key, curve in curves.items()}
    facts = [
        f"{instant(document['start_ts'])} to {instant(document['end_ts'])} UTC, none of it learned from",
        f"{len(summary.folds)} folds",
    ]
    parts = [
        Part("overview", "All folds in a row", joined([tiles(document, currency), _over_folds(summary)])),
        Part("curves", "Return, net of costs", returns_chart(curves[name].ts_event, lines)),
        Part("folds", "Folds", _folds(summary)),
        Part("figures", "Figures", joined([figures(document), method_note(document)])),
        Part("versus", "Against baselines", versus(document)),
        Part("regimes", "Regimes", regimes(document)),
        Part("selection", "More than luck", selection(document)),
    ]
    return render_document(f"Walk-forward of {name}", facts, parts)


def _over_folds(summary: WalkForwardSummary) -> Markup:
    rows: list[list[object]] = [
        ["Sharpe ratio of a fold, mean", signed_number(summary.sharpe_mean)],
        ["median", signed_number(summary.sharpe_median)],
        ["standard deviation", number(summary.sharpe_deviation)],
        ["Folds that earned", percent(summary.profitable_frac, 0)],
        ["Worst drawdown of a fold", percent(summary.worst_drawdown_frac)],
    ]
    return table(["", ""], rows, caption="Over the folds", class_="left")


def _folds(summary: WalkForwardSummary) -> Markup:
    baselines = list(summary.baselines)
    headers = [
        "Fold",
        "Trained on",
        "Tested on",
        "Net return",
        "Before costs",
        "Sharpe",
        "Max drawdown",
        "Trades",
    ]
    rows = [[*_fold(card), *(_return_of(card, name) for name in baselines)] for card in summary.folds]
    content = table([*headers, *baselines], rows, caption="Folds", class_="figures")
    note = element(
        "p", "The last columns hold the return of each baseline over the same span.", class_="note"
    )
    return joined([content, note])


def _fold(card: FoldCard) -> list[object]:
    fold, net, gross = card.fold, _json(card.book.net), _json(card.book.gross)
    trades = card.book.activity.trade_count if card.book.activity else 0
    return [
        str(fold.number),
        _span(fold.train_start_ns, fold.train_end_ns),
        _span(fold.test_start_ns, fold.test_end_ns),
        statistic(net["total_return_frac"], signed_percent),
        statistic(gross["total_return_frac"], signed_percent),
        statistic(net["sharpe"], signed_number),
        statistic(net["max_drawdown_frac"], percent),
        f"{trades:,}",
    ]


def _json(curve: Any) -> dict[str, dict[str, float | None]]:
    names = ("total_return_frac", "sharpe", "max_drawdown_frac")
    found = {name: getattr(curve, name) for name in names}
    return {
        name: {"value": one.value, "ci_low": one.ci_low, "ci_high": one.ci_high}
        for name, one in found.items()
    }


def _return_of(card: FoldCard, name: str) -> str:
    return signed_percent(card.baselines[name].net.total_return_frac.value)


def _span(start_ns: int, end_ns: int) -> str:
    short = end_ns - start_ns < 10 * _DAY_NS
    first, last = instant(start_ns), instant(end_ns)
    return f"{first} to {last}" if short else f"{first[:10]} to {last[:10]}"
