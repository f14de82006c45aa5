"""``argonaut leak-check``: does anything between a strategy's bars and its decisions know the future?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bot.cli.console import (
    DEFAULT_STATE_DIR,
    JsonOption,
    StateDirOption,
    emit_json,
    emit_text,
    print_table,
    progress_bar,
)
from bot.config import LoadedStrategy, load_host, load_strategy
from bot.config.loading import is_host
from bot.exit_codes import ExitCode

if TYPE_CHECKING:
    from bot.checks.leak_check import LeakReport


def leak_check(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="Strategy file, or a host file for all of its strategies."),
    ],
    catalog: Annotated[
        Path | None, typer.Option("--catalog", envvar="ARGONAUT_CATALOG", help="Directory of the catalog.")
    ] = None,
    bars: Annotated[
        int | None, typer.Option("--bars", min=100, help="Newest bars to look at; default: four warm-ups.")
    ] = None,
    cuts: Annotated[
        int, typer.Option("--cuts", min=1, help="Moments behind which the future is changed.")
    ] = 6,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Change the future and run everything again: features, regime, observation, decisions, labels, splits.

    What moves although only later bars were changed knows the future. Beside it: how many bars each feature
    needs until it no longer depends on where the data began, against what it declares.

    Examples:
      argonaut leak-check configs/strategies/donchian_btcusdt.toml

      argonaut leak-check configs/backtest.toml --cuts 20 --json

    Exit codes: 0 nothing found; 1 a leak, or a warm-up that is not as declared; 65 bars are missing; 78 bad
    configuration.
    """
    from adapters.catalog import Catalog
    from bot.checks.leak_check import check_leaks
    from ml.leaks import LeakSettings

    strategies, default_catalog = _strategies(config)
    opened = Catalog(catalog or default_catalog)
    reports = []
    for loaded in strategies:
        with progress_bar(f"leak check of {loaded.config.name}") as advance:
            settings = LeakSettings(num_cuts=cuts)
            reports.append(check_leaks(loaded, opened, bars=bars, settings=settings, progress=advance))
    if as_json:
        emit_json({"strategies": [report.as_json() for report in reports]})
    else:
        for report in reports:
            _print(report)
    return ExitCode.OK if all(report.is_clean for report in reports) else ExitCode.FINDINGS


def _strategies(config: Path) -> tuple[tuple[LoadedStrategy, ...], Path]:
    if is_host(config):
        host = load_host(config)
        return host.strategies, host.catalog_path
    return (load_strategy(config),), Path("catalog")


def _print(report: "LeakReport") -> None:
    checked = ", ".join(f"{count} of {stage}" for stage, count in report.claims.items())
    emit_text(f"{report.strategy}: {report.bars:,} bars; checked {checked}")
    for leak in report.leaks:
        emit_text(
            f"LEAK in {leak.stage}, {leak.name}: reads at least {leak.least_reach_bars} bars beyond what it "
            f"may know ({', '.join(leak.changes)}; up to {leak.values} values)"
        )
    if not report.leaks:
        emit_text("no leak found")
    table = Table(title="Warm-up, in bars")
    for heading in ("feature", "declared", "first value", "declared to settle", "settled", "finding"):
        table.add_column(heading, justify="left" if heading in ("feature", "finding") else "right")
    for row in report.warm_up:
        figures = (row.declared_bars, row.first_bar, row.declared_settle_bars, row.settle_bars)
        table.add_row(
            row.column, *("–" if figure is None else f"{figure:,}" for figure in figures), row.finding
        )
    print_table(table)
