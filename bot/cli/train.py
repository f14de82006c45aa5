"""``argonaut train``: from a training file to a bundle that backtest and daemon trade."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
from bot.exit_codes import ExitCode
from bot.interrupts import Interrupts
from bot.learning.extra import require_trainer
from ops.model_store import copy_bundle

_FIGURES = {
    "total_return_frac": "return",
    "max_drawdown_frac": "max drawdown",
    "sharpe": "Sharpe",
    "turnover_per_bar_frac": "turnover a bar",
    "mean_gross_frac": "mean exposure",
}


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="Training file, for example configs/training.toml.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Copy the bundle there, too; a new directory.")
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Train a policy, and a regime model where the strategy has one, and pack them into a bundle.

    An interrupted training goes on with the same command; one that was done is not done again.

    Examples:
      argonaut train configs/training.toml

      argonaut train configs/training.toml --json

    Exit codes: 0 done; 65 bars are missing or too few; 78 bad configuration; 130 interrupted.
    """
    require_trainer()
    from bot.learning.training import load_training
    from bot.learning.training import train as run_training

    loaded = load_training(config)
    with Interrupts().remembered() as interrupts, progress_bar(f"train {config.name}") as advance:
        finished = run_training(
            loaded,
            state_dir,
            now_ns=time.time_ns,
            progress=advance,
            check_wanted=interrupts.check,
            say=note,
        )
    if out is not None:
        copy_bundle(finished.bundle, out)
    if as_json:
        emit_json(
            {
                "run_id": finished.run.run_id,
                "is_new": finished.is_new,
                "bundle": str(finished.bundle.path),
                "bundle_id": finished.bundle.bundle_id,
                "scorecard": finished.scorecard,
            }
        )
        return ExitCode.OK
    if not finished.is_new:
        note(f"{finished.run.run_id} was trained before")
    _print_scorecard(finished.scorecard)
    emit_text(f"bundle: {finished.bundle.path}")
    host = loaded.host.path
    note(f"try it: argonaut backtest {host} --strategy {finished.bundle.path / 'strategy.toml'}")
    return ExitCode.OK


def _print_scorecard(scorecard: Mapping[str, Any]) -> None:
    table = Table(title="In the training environment, net of costs")
    for heading in ("bars", "", *_FIGURES.values()):
        table.add_column(heading, justify="right" if heading in _FIGURES.values() else "left")
    for span, title in (("selected", "that chose it"), ("judged", "never seen")):
        for name, figures in scorecard[span].items():
            table.add_row(title, name, *(_shown(key, figures[key]) for key in _FIGURES))
    print_table(table)


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2%}" if key.endswith("_frac") else f"{value:.2f}"
