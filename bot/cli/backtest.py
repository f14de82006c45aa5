"""``argonaut backtest``: the strategies over the catalog, with the baselines beside them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.console import (
    DEFAULT_STATE_DIR,
    HostCatalogOption,
    JsonOption,
    StateDirOption,
    emit_json,
    note,
    progress_bar,
)
from bot.cli.tables import print_scorecard
from bot.config import load_host
from bot.exit_codes import ExitCode
from bot.interrupts import Interrupts

if TYPE_CHECKING:
    from bot.runs.backtests import FinishedRun


def backtest(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="Host file, for example configs/backtest.toml.")
    ],
    strategy: Annotated[
        list[Path] | None,
        typer.Option("--strategy", help="Strategy file; replaces those of CONFIG. Repeatable."),
    ] = None,
    catalog: HostCatalogOption = None,
    start: Annotated[str | None, typer.Option("--start", help="ISO date or time, UTC.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="ISO date or time, UTC.")] = None,
    baselines: Annotated[bool, typer.Option(help="Run the baselines beside.")] = True,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Run strategies over the catalog and write a report.

    Examples:
      argonaut backtest configs/backtest.toml --start 2023-01-01 --end 2023-02-01

      argonaut backtest configs/backtest.toml --strategy configs/strategies/donchian_btcusdt.toml --json

    Exit codes: 0 done; 1 a strategy halted on a fault; 65 bars are missing; 78 bad configuration.
    """
    with Interrupts().remembered() as interrupts:
        finished, currency = _run(config, strategy, catalog, (start, end), baselines, state_dir, interrupts)
    for name, fault in finished.faults.items():
        note(f"strategy {name} halted: {fault}")
    for reason, count in finished.refused_orders.items():
        note(f"{count} orders were refused, {reason}")
    if as_json:
        emit_json(finished.as_json())
    else:
        print_scorecard(finished.metrics, currency)
        note(f"report: {finished.run_dir / 'report.html'}")
    return ExitCode.FINDINGS if finished.faults else ExitCode.OK


def _run(
    config: Path,
    strategy: list[Path] | None,
    catalog: Path | None,
    span: tuple[str | None, str | None],
    baselines: bool,
    state_dir: Path,
    interrupts: Interrupts,
) -> "tuple[FinishedRun, str]":
    from bot.runs.backtests import backtest as run_backtest

    start, end = span
    overrides: dict[str, Any] = {"data.start": start, "data.end": end}
    overrides["data.catalog"] = None if catalog is None else str(catalog.resolve())
    overrides["strategies"] = [str(path.resolve()) for path in strategy] if strategy else None
    host = load_host(config, {key: value for key, value in overrides.items() if value is not None})
    with progress_bar(f"backtest {config.name}") as advance:
        finished = run_backtest(
            host,
            state_dir / "runs",
            workers=2 if baselines else 0,
            progress=advance,
            check_wanted=interrupts.check,
        )
    return finished, host.settings.venue.currency
