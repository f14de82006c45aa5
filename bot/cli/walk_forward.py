"""``argonaut walk-forward``: train, test on what follows, move on; through the engine."""

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
    note,
    print_table,
    progress_bar,
)
from bot.cli.tables import statistic_text
from bot.exit_codes import ExitCode
from bot.interrupts import Interrupts
from bot.learning.extra import require_trainer
from strategies.errors import ConfigError

if TYPE_CHECKING:
    from ml.walk_forward import WalkForwardSummary, Window


def walk_forward(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="Training file, for example configs/training.toml.")
    ],
    train_days: Annotated[int, typer.Option("--train-days", min=1, help="Days to train on.")] = 252,
    test_days: Annotated[int, typer.Option("--test-days", min=1, help="Days to test on, then move on.")] = 63,
    train_bars: Annotated[int | None, typer.Option("--train-bars", min=2, help="Instead of days.")] = None,
    test_bars: Annotated[int | None, typer.Option("--test-bars", min=2, help="Instead of days.")] = None,
    baselines: Annotated[bool, typer.Option(help="Run the baselines over each test span.")] = True,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Folds at a time; default: as CONFIG says, else 2."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory; default: walk-forwards/ of the state.")
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Train a bundle on each fold's past and backtest it on what follows; what the method would have earned.

    Every bar that is judged on lies after all that its bundle has learned from. An interrupted run goes on
    with the same command; finished folds are kept.

    Examples:
      argonaut walk-forward configs/training.toml

      argonaut walk-forward configs/training.toml --train-bars 20000 --test-bars 5000 --json

    Exit codes: 0 done; 65 bars are missing, too few for a fold, or a fold failed; 78 bad configuration; 130
    interrupted.
    """
    require_trainer()
    from bot.runs.walk_forward import as_json as document_of
    from bot.runs.walk_forward import run_walk_forward

    window = _window(train_days, test_days, train_bars, test_bars)
    with Interrupts().remembered() as interrupts, progress_bar(f"walk-forward {config.name}") as advance:
        finished = run_walk_forward(
            config,
            window,
            state_dir / "walk-forwards",
            directory=out,
            baselines=baselines,
            workers=workers,
            progress=advance,
            check_wanted=interrupts.check,
        )
    if as_json:
        emit_json(document_of(finished))
    else:
        _print(finished.summary)
        note(f"report: {finished.directory / 'report.html'}")
    return ExitCode.OK


def _window(train_days: int, test_days: int, train_bars: int | None, test_bars: int | None) -> "Window":
    from ml.walk_forward import Window

    if train_bars is None and test_bars is None:
        return Window(train_days, test_days, "days")
    if train_bars is None or test_bars is None:
        raise ConfigError("expected --train-bars and --test-bars together, found one of them")
    return Window(train_bars, test_bars, "bars")


def _print(summary: "WalkForwardSummary") -> None:
    document = summary.as_json()
    table = Table(
        title="Net of costs, on bars after all that was learned from; brackets hold the 95 % interval"
    )
    for heading in ("", "return", "max drawdown", "Sharpe", "trades"):
        table.add_column(heading, justify="left" if not heading else "right")
    books = {f"fold {fold['number']}": fold for fold in document["folds"]}
    for name, book in (books | {"all in a row": document} | document["baselines"]).items():
        table.add_row(
            name,
            statistic_text(book["total_return_frac"], percent=True),
            statistic_text(book["max_drawdown_frac"], percent=True),
            statistic_text(book["sharpe"], percent=False),
            str(book.get("trade_count", "")),
        )
    print_table(table)
    figures = (summary.sharpe_mean, summary.sharpe_median, summary.sharpe_deviation)
    mean, median, deviation = ("–" if figure is None else f"{figure:.2f}" for figure in figures)
    emit_text(
        f"Sharpe over folds: mean {mean}, median {median}, deviation {deviation}; "
        f"{summary.profitable_frac:.0%} of folds earned; worst drawdown {summary.worst_drawdown_frac:.2%}"
    )
