"""The figures: headline tiles, all books side by side, months, and the run against its baselines."""

from collections.abc import Mapping
from typing import Any

from ops.report.contents import RunContents
from ops.report.markup import Markup, element, joined, table
from ops.report.sampling import month_returns
from ops.report.wording import (
    ABSENT,
    duration,
    number,
    percent,
    signed_number,
    signed_percent,
    statistic,
    tone,
)

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def tiles(metrics: Mapping[str, Any], currency: str) -> Markup:
    """The account's headline figures, each with its interval drawn."""
    cost_bps = metrics["costs"]["bps_of_notional"]
    return element(
        "div",
        _tile("Net return", metrics["total_return_frac"], signed_percent),
        _tile("CAGR", metrics["cagr_frac"], signed_percent),
        _tile("Sharpe", metrics["sharpe"], signed_number),
        _tile("Max drawdown", metrics["max_drawdown_frac"], percent, reference=None),
        _tile("Profit factor", metrics["profit_factor"], number, reference=1.0),
        _tile("Hit rate", metrics["hit_rate"], percent, reference=None, digits=1),
        _plain_tile("Round trips", f"{metrics['trade_count']:,}", _held(metrics)),
        _plain_tile(
            f"Costs, {currency}",
            number(metrics["costs"]["total_quote"]),
            f"{number(cost_bps, 1)} bps of {number(metrics['traded_notional_quote'], 0)} traded",
        ),
        class_="tiles",
    )


def _held(metrics: Mapping[str, Any]) -> str:
    still = metrics["open_positions"]
    note = f"; {still} still open" if still else ""
    return f"held {duration(metrics['average_hold_secs']['value'])} on average{note}"


def _tile(
    label: str, found: Mapping[str, Any], wording: Any, *, reference: float | None = 0.0, **options: Any
) -> Markup:
    """A figure over its interval; above the reference is good, None means that there is none."""
    value = found["value"]
    if value is None:
        return _plain_tile(label, ABSENT, "not defined for this run")
    mood = None if reference is None else tone(value - reference)
    note: Markup | str = "too few observations for an interval"
    if found["ci_low"] is not None:
        low, high = wording(found["ci_low"], **options), wording(found["ci_high"], **options)
        note = joined([_whisker(found, reference), element("span", f"{low.removesuffix(' %')} … {high}")])
    return element(
        "div",
        element("div", label, class_="label"),
        element("div", wording(value, **options), class_=f"value {mood or ''}".strip()),
        element("div", note, class_="note"),
        class_="tile",
    )


def _plain_tile(label: str, value: str, note: str) -> Markup:
    return element(
        "div",
        element("div", label, class_="label"),
        element("div", value, class_="value"),
        element("div", note, class_="note"),
        class_="tile",
    )


def _whisker(found: Mapping[str, Any], reference: float | None) -> Markup:
    low, high, value = found["ci_low"], found["ci_high"], found["value"]
    shown = [low, high, value] if reference is None else [low, high, value, reference]
    left, right = min(shown), max(shown)
    span = (right - left) or 1.0

    def x(at: float) -> str:
        return f"{3 + 94 * (at - left) / span:.2f}"

    marks = [
        element("line", x1=x(low), x2=x(high), y1=5, y2=5, class_="range"),
        element("line", x1=x(value), x2=x(value), y1=2, y2=8, class_="point"),
    ]
    if reference is not None:
        marks.insert(1, element("line", x1=x(reference), x2=x(reference), y1=0, y2=10, class_="reference"))
    return element(
        "svg", *marks, viewBox="0 0 100 10", preserveAspectRatio="none", class_="whisker", aria_hidden="true"
    )


ROWS: tuple[tuple[str, str, Any, Mapping[str, Any]], ...] = (
    ("Total return", "total_return_frac", signed_percent, {}),
    ("CAGR", "cagr_frac", signed_percent, {}),
    ("Volatility, annual", "volatility_annual", percent, {}),
    ("Sharpe", "sharpe", signed_number, {}),
    ("Sortino", "sortino", signed_number, {}),
    ("Calmar", "calmar", signed_number, {}),
    ("Max drawdown", "max_drawdown_frac", percent, {}),
    ("Average drawdown", "average_drawdown_frac", percent, {}),
    ("Longest drawdown", "longest_drawdown_secs", duration, {}),
    ("Hit rate", "hit_rate", percent, {"digits": 1}),
    ("Profit factor", "profit_factor", number, {}),
    ("Average trade", "average_trade_quote", signed_number, {}),
    ("Average trade, bps", "average_trade_bps", signed_number, {"digits": 1}),
    ("Best trade", "best_trade_quote", signed_number, {}),
    ("Worst trade", "worst_trade_quote", signed_number, {}),
    ("Average hold", "average_hold_secs", duration, {}),
    ("Round trips", "trade_count", number, {"digits": 0}),
    ("Turnover", "turnover", number, {"digits": 1}),
    ("Turnover, annual", "turnover_annual", number, {"digits": 1}),
    ("Time in market", "time_in_market_frac", percent, {"digits": 1}),
    ("Average exposure", "average_exposure_frac", percent, {"digits": 1}),
)
TONELESS = {"volatility_annual", "max_drawdown_frac", "hit_rate", "profit_factor", "average_hold_secs"}


def figures(metrics: Mapping[str, Any]) -> Markup:
    """Every figure of the account (net and gross), of each strategy and of each baseline."""
    columns: list[tuple[str, Mapping[str, Any]]] = [
        ("Account, net", metrics),
        ("Account, before costs", metrics["gross"]),
    ]
    if len(metrics["strategies"]) > 1:
        columns += list(metrics["strategies"].items())
    columns += [(f"{name} (baseline)", book) for name, book in metrics["baselines"].items()]
    rows = [
        [label, *(_figure(book.get(key), key, wording, options) for _, book in columns)]
        for label, key, wording, options in ROWS
    ]
    return table(["", *(name for name, _ in columns)], rows, caption="All figures", class_="figures")


def _figure(found: Any, key: str, wording: Any, options: Mapping[str, Any]) -> object:
    if found is None:
        return element("span", ABSENT, class_="absent")
    if not isinstance(found, Mapping):
        return wording(found, **options)
    written = statistic(found, wording, **options)
    return element("span", written, class_="toneless") if key in TONELESS else written


def method_note(metrics: Mapping[str, Any]) -> Markup:
    """How the figures were made, in one sentence or two."""
    intervals, calendar = metrics["method"]["intervals"], metrics["method"]["calendar"]
    return element(
        "p",
        f"Small print under a figure is its {100 * intervals['level']:g} % interval: "
        f"{intervals['resamples']:,} resamples, {intervals['method']}, seed {intervals['seed']}. "
        f"Ratios rest on {metrics['periods']:,} returns, one a {metrics['return_period']}, annualised by "
        f"{calendar['days_per_year']:g} days of {calendar['session_hours']:g} hours, with a risk-free rate "
        "of nil. A ratio without an interval is not shown. Round trips are matched first in, first out; one "
        "closing order is one trade.",
        class_="note",
    )


def versus(metrics: Mapping[str, Any]) -> Markup:
    """The account less each baseline, over the same resampled periods."""
    if not metrics["versus"]:
        return element("p", "No baseline ran beside.", class_="note")
    rows = [
        [
            name,
            statistic(found["excess_return_frac"], signed_percent),
            statistic(found["sharpe_difference"], signed_number),
            number(found["correlation"]),
            _judgement(found["excess_return_frac"]),
        ]
        for name, found in metrics["versus"].items()
    ]
    headers = ["Against", "Excess return", "Sharpe difference", "Correlation", "Reading"]
    return table(headers, rows, caption="Against baselines")


def _judgement(excess: Mapping[str, Any]) -> str:
    if excess["ci_low"] is None:
        return "too short to tell"
    if excess["ci_low"] > 0:
        return "better, beyond chance"
    if excess["ci_high"] < 0:
        return "worse, beyond chance"
    return "cannot be told apart"


def months(run: RunContents) -> Markup:
    """Return by calendar month, account net of costs."""
    curve = run.evaluation.account_curve
    found = month_returns(curve.ts_event, curve.equity, curve.initial)
    largest = max((abs(value) for value in found.values()), default=0.0) or 1.0
    rows = []
    for year in sorted({year for year, _ in found}):
        values = [found.get((year, month)) for month in range(1, 13)]
        whole = 1.0
        for value in values:
            whole *= 1.0 + (value or 0.0)
        rows.append([str(year), *(_heat(value, largest) for value in values), _heat(whole - 1.0, None)])
    return table(["Year", *MONTHS, "Year"], rows, caption="Return by month", class_="months")


def _heat(value: float | None, largest: float | None) -> Markup:
    if value is None:
        return element("span", "·", class_="absent")
    written = signed_percent(value).removesuffix(" %")
    if largest is None:
        return element("strong", written, class_=tone(value))
    strength = round(8 + 62 * abs(value) / largest)
    kind = "gain" if value > 0 else "loss" if value < 0 else ""
    return element("span", written, class_=f"heat {kind}".strip(), style=f"--strength:{strength}%")
