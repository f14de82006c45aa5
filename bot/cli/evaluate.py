"""``argonaut evaluate``: a trained model on bars that it did not learn from, through the engine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from bot.exit_codes import ExitCode
from bot.interrupts import Interrupts
from strategies.bundle import Bundle, open_bundle
from strategies.errors import ConfigError

if TYPE_CHECKING:
    from bot.runs.evaluation import FinishedEvaluation


def evaluate(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="Host file, for example configs/backtest.toml.")
    ],
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Directory of a bundle, or the id of a training.")
    ],
    catalog: HostCatalogOption = None,
    start: Annotated[
        str | None,
        typer.Option("--start", help="ISO date or time, UTC; default: after all that it learned from."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="ISO date or time, UTC; default: the last bar.")
    ] = None,
    allow_overlap: Annotated[
        bool,
        typer.Option("--allow-overlap", help="Also on bars that it learned from; the report says which."),
    ] = False,
    baselines: Annotated[bool, typer.Option(help="Run the baselines beside.")] = True,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Backtest a trained model on bars after all that it learned from, and write a report.

    Figures with their intervals, the baselines beside, results by regime, and how the policy's answers are
    spread. A span that holds bars that it learned from, or that chose it, is refused.

    Examples:
      argonaut evaluate configs/backtest.toml var/models/ppo_hmm_binance/latest

      argonaut evaluate configs/backtest.toml ppo_hmm_binance-3f2a --start 2023-01-01 --end 2023-06-30 --json

    Exit codes: 0 done; 65 bars are missing or too few, or the strategy halted on a fault; 78 bad
    configuration, no such model, or a span that it learned from.
    """
    from bot.runs.evaluation import evaluate as run_evaluation

    bundle = _bundle(model, state_dir)
    with Interrupts().remembered() as interrupts, progress_bar(f"evaluate {bundle.name}") as advance:
        finished = run_evaluation(
            config,
            bundle,
            state_dir / "evaluations",
            catalog=catalog,
            start=start,
            end=end,
            allow_overlap=allow_overlap,
            baselines=baselines,
            progress=advance,
            check_wanted=interrupts.check,
        )
    if as_json:
        emit_json(
            finished.as_json() | {"directory": str(finished.directory), "run_dir": str(finished.run_dir)}
        )
    else:
        _print(finished)
    return ExitCode.OK


def _bundle(model: str, state_dir: Path) -> Bundle:
    """By its directory, or by the id of the training that it came out of."""
    if Path(model).is_dir():
        return open_bundle(Path(model))
    from ml.registry import Registry
    from ops.model_store import ModelStore

    path = state_dir / "training.sqlite"
    runs = [run for run in Registry(path).runs() if run.run_id.startswith(model)] if path.is_file() else []
    if len(runs) != 1:
        raise ConfigError(
            f"{model}: expected the directory of a bundle, or the id of one training, found {len(runs)} such "
            "trainings; `argonaut models list` shows the bundles"
        )
    if runs[0].bundle_id is None:
        raise ConfigError(
            f"training {runs[0].run_id}: expected one that has ended well, found {runs[0].state}"
        )
    return ModelStore(state_dir).find(runs[0].name, runs[0].bundle_id)


def _print(finished: "FinishedEvaluation") -> None:
    document = finished.as_json()
    print_scorecard(
        {"strategies": {finished.bundle.name: document}, "baselines": document["baselines"]},
        finished.currency,
    )
    if finished.learned is None:
        note("what it learned from is not known: these figures may show what it remembers")
    elif finished.overlap is not None:
        note(f"it learned from {finished.overlap.bars} of these bars: the figures show what it remembers")
    note(f"report: {finished.directory / 'report.html'}")
