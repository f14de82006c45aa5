"""Tables that more than one command shows."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from bot.cli.console import print_table
from bot.findings import Finding, Level

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
