"""Several runs beside each other, as a page."""

from collections.abc import Mapping
from typing import Any

from ml.evaluation.contest import Contest
from ops.report.document import Part, render_document
from ops.report.lines import returns_chart
from ops.report.markup import Markup, element, joined, table
from ops.report.scorecard import versus
from ops.report.wording import instant, number, percent, signed_number, signed_percent, statistic

_ROWS: tuple[tuple[str, str, Any], ...] = (
    ("Total return", "total_return_frac", signed_percent),
    ("CAGR", "cagr_frac", signed_percent),
    ("Volatility, annual", "volatility_annual", percent),
    ("Sharpe", "sharpe", signed_number),
    ("Sortino", "sortino", signed_number),
    ("Calmar", "calmar", signed_number),
    ("Max drawdown", "max_drawdown_frac", percent),
)


def render_contest(contest: Contest) -> str:
    """The whole page."""
    document = contest.as_json()
    facts = [
        f"{instant(contest.start_ts)} to {instant(contest.end_ts)} UTC, which all share",
        f"{len(contest.entrants)} runs",
        f"{contest.periods:,} returns, one a {contest.return_period}",
    ]
    first = contest.entrants[contest.reference].curve
    lines = {
        name: entrant.curve.equity / entrant.curve.initial - 1.0 for name, entrant in contest.entrants.items()
    }
    parts = [
        Part("curves", "Return, net of costs", returns_chart(first.ts_event, lines)),
        Part("figures", "Figures", _figures(document)),
        Part("versus", f"Less {contest.reference}", versus(document)),
        Part("selection", "Choosing the best of them", selection(document)),
    ]
    return render_document("Comparison", facts, parts)


def _figures(document: Mapping[str, Any]) -> Markup:
    runs = document["runs"]
    rows: list[list[object]] = []
    for label, key, wording in _ROWS:
        rows.append([label, *(statistic(run[key], wording) for run in runs.values())])
        rows.append(
            [f"{label}, before costs", *(statistic(run["gross"][key], wording) for run in runs.values())]
        )
    rows.append(["Costs", *(number(run["costs_quote"]) for run in runs.values())])
    note = element(
        "p",
        "Small print under a figure is its 95 % interval by the circular block bootstrap. Costs are in the "
        "currency of each run, over the shared time.",
        class_="note",
    )
    return joined([table(["", *runs], rows, caption="Figures of all runs", class_="figures"), note])


def selection(document: Mapping[str, Any]) -> Markup:
    """How much of the best is luck."""
    deflated, overfitting = document["deflated_sharpe"], document["overfitting"]
    rows: list[list[object]] = []
    if deflated is not None:
        rows += [
            ["Best by Sharpe ratio", str(document.get("best") or "")],
            ["Its Sharpe ratio per period", signed_number(deflated["sharpe"], 4)],
            [f"What the best of {deflated['trials']} reaches by luck", signed_number(deflated["luck"], 4)],
            ["Deflated: probability that it is more than luck", percent(deflated["prob"], 1)],
        ]
    if overfitting is not None:
        rows += [
            ["Probability of backtest overfitting", percent(overfitting["probability"], 1)],
            [
                "Probability that the best of one half loses in the other",
                percent(overfitting["loss_probability"], 1),
            ],
            ["Splits", f"{overfitting['splits']:,}"],
        ]
    note = element(
        "p",
        "Count every run that was ever tried, not only those that are shown: what was thrown away counts. "
        "The probability of overfitting is near one half for pure noise and says little alone.",
        class_="note",
    )
    if not rows:
        return element("p", "Too few runs or too little time to tell.", class_="note")
    return joined([table(["", ""], rows, caption="Selection", class_="left"), note])
