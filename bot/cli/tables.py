"""Tables that more than one command shows."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from bot.checks.findings import Finding, Level
from bot.cli.console import print_table

_STYLES = {Level.OK: "green", Level.NOTE: "yellow", Level.BAD: "bold red"}


def print_findings(findings: Iterable[Finding]) -> None:
    """Show findings with what to do about each; the words say what colours say."""
    table = Table()
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for one in findings:
        table.add_row(
            Text(one.level.value, _STYLES[one.level]), one.subject, Text(one.found), Text(one.advice)
        )
    print_table(table)


def print_scorecard(metrics: Mapping[str, Any], currency: str) -> None:
    """Show the figures of a backtest, strategies before baselines.

    Args:
        metrics: The content of ``metrics.json``.
        currency: That costs are in.
    """
    table = Table(title="Net of costs; brackets hold the 95 % interval")
    for heading in ("", "return", "max drawdown", "Sharpe", "trades", f"costs {currency}"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, book in (metrics["strategies"] | metrics["baselines"]).items():
        table.add_row(
            name,
            statistic_text(book["total_return_frac"], percent=True),
            statistic_text(book["max_drawdown_frac"], percent=True),
            statistic_text(book["sharpe"], percent=False),
            str(book.get("trade_count", "")),
            f"{book['costs']['total_quote']:,.2f}" if "total_quote" in book["costs"] else "",
        )
    print_table(table)


def statistic_text(value: Any, *, percent: bool) -> str:
    """A figure of a scorecard with its interval."""

    def shown(number: float | None) -> str:
        if number is None:
            return "–"
        return f"{number:.2%}" if percent else f"{number:.2f}"

    if not isinstance(value, Mapping):
        return shown(value)
    return f"{shown(value['value'])} [{shown(value['ci_low'])}, {shown(value['ci_high'])}]"
