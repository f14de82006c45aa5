"""A walk-forward through the engine: ``argonaut walk-forward``.

Flow: training file + catalog → ml.walk_forward ⇄ (`bot.learning.training`, `bot.runs.backtests`)
→ summary, report.

    var/walk-forwards/<id>/
      report.json, report.html    all folds together
      plan.json                   which folds, of what
      fold-001/model/<bundle>/    trained on the fold's training span alone
      fold-001/runs/<run>/        the backtest of that bundle over the test span, with its own report

A fold begins flat, and what it holds at its end is valued at the last close; see `bot.runs.spans`.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.catalog import Catalog
from bot.config import DataConfig, HostConfig
from bot.config.documents import document_sha256
from bot.embedded_data import store_generated
from bot.pins import code_sha256, pins_of, read_series
from bot.runs.backtests import calendar_of
from bot.runs.spans import SECOND_NS, backtest_span, bar_times, iso
from ml.walk_forward import (
    Fold,
    FoldOutcome,
    WalkForwardSummary,
    Window,
    WorkersConfig,
    make_workers,
    plan_folds,
    summarise,
    walk_forward,
)
from ops.model_store import copy_bundle
from ops.report.walk_forward import render_walk_forward
from strategies.bundle import MANIFEST, STRATEGY

if TYPE_CHECKING:
    from bot.learning.training import LoadedTraining

REPORT, PAGE = "report.json", "report.html"


@dataclass(frozen=True, slots=True)
class FinishedWalkForward:
    """A walk-forward that was written down."""

    directory: Path
    folds: tuple[Fold, ...]
    summary: WalkForwardSummary


@dataclass(frozen=True, slots=True)
class BundleFit:
    """Trains a bundle on a fold's training span; see `ml.walk_forward.Fit`."""

    training: Path
    catalog: Path

    def __call__(self, fold: Fold, directory: Path) -> None:
        from bot.learning.training import load_training, train

        loaded = _of_fold(load_training(self.training), fold, self.catalog)
        bundle = train(loaded, directory.parent, now_ns=time.time_ns).bundle
        copy_bundle(bundle, directory / bundle.path.name)


@dataclass(frozen=True, slots=True)
class EngineEvaluation:
    """Runs a fold's bundle through the engine over its test span; see `ml.walk_forward.Evaluate`."""

    host: Path
    catalog: Path
    baselines: bool

    def __call__(self, fold: Fold, directory: Path) -> FoldOutcome:
        (manifest,) = directory.glob(f"*/{MANIFEST}")
        span = (fold.test_start_ns, fold.test_end_ns)
        strategy = manifest.parent / STRATEGY
        runs = directory.parent / "runs"
        return backtest_span(self.host, strategy, self.catalog, span, runs, baselines=self.baselines).outcome


def run_walk_forward(
    training: Path,
    window: Window,
    walks_dir: Path,
    *,
    directory: Path | None = None,
    baselines: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    check_wanted: Callable[[], None] = lambda: None,
    begun: Callable[[Path], None] = lambda _: None,
) -> FinishedWalkForward:
    """Train and judge every fold, or go on where an earlier call was interrupted, and write the report.

    Args:
        training: Training file; its own split is replaced by the folds.
        window: How much is trained and tested on.
        walks_dir: Where walk-forwards go.
        directory: This one's; None takes one in ``walks_dir`` that is named after all that it depends on.
        baselines: Whether to run the baselines over each test span, too.
        workers: Folds at a time; None takes what the training file says.
        progress: Told how many folds are done and how many there are.
        check_wanted: Raises what shall end the run.
        begun: Told the directory before the first fold.

    Raises:
        CatalogError: If bars are missing or damaged.
        ConfigError: If a setting does not fit, or the directory is another walk-forward's.
        DataError: If not one fold fits, or a fold failed; finished folds are kept.
    """
    from bot.learning.training import load_training

    loaded = load_training(training)
    window = replace(window, embargo_bars=loaded.config.split.embargo_bars)
    pins: dict[str, Any] = {
        "training": loaded.sha256,
        "code": code_sha256(),
        "window": asdict(window),
        "baselines": baselines,
    }
    if directory is None:
        directory = walks_dir / f"{training.stem}-{document_sha256(pins)[:12]}"
    catalog = _catalog(loaded, directory)
    host = _with_span(loaded.host, catalog, loaded.config.start, loaded.config.end)
    opened = Catalog(catalog)
    pins["data"] = pins_of(host, opened, read_series(host, opened), policies={}, regimes={})["data"]
    times = bar_times(host.strategies[0].config, opened, host.settings.data)
    folds = plan_folds(times, window)
    directory.mkdir(parents=True, exist_ok=True)
    begun(directory)
    outcomes = walk_forward(
        folds,
        directory,
        fit=BundleFit(training.resolve(), catalog),
        evaluate=EngineEvaluation(host.path.resolve(), catalog, baselines),
        pins=pins,
        workers=make_workers(_counted(loaded.config.workers, workers)),
        progress=progress,
        check_wanted=check_wanted,
    )
    summary = summarise(folds, outcomes, calendar_of(host))
    document = {"training": training.name, "pins": pins, **summary.as_json()}
    _write(directory / REPORT, json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n")
    _write(directory / PAGE, render_walk_forward(training.stem, host.settings.venue.currency, summary))
    return FinishedWalkForward(directory, folds, summary)


def _counted(config: WorkersConfig, count: int | None) -> WorkersConfig:
    return config if count is None else replace(config, count=count)


def _of_fold(loaded: "LoadedTraining", fold: Fold, catalog: Path) -> "LoadedTraining":
    """The training of one fold: its own spans instead of those of the file."""
    start, end = iso(fold.train_start_ns - SECOND_NS), iso(fold.test_end_ns)
    dates = {
        "kind": "dates",
        "test_start": iso(fold.test_start_ns),
        "test_end": iso(fold.test_end_ns + SECOND_NS),
    }
    document = loaded.config.model_dump(mode="json")
    document |= {"start": start, "end": end, "generate": None, "split": document["split"] | dates}
    return replace(
        loaded,
        config=type(loaded.config).model_validate_json(json.dumps(document)),
        host=_with_span(loaded.host, catalog, start, end),
        sha256=document_sha256({"training": loaded.sha256, "fold": asdict(fold)}),
    )


def _with_span(host: HostConfig, catalog: Path, start: str | None, end: str | None) -> HostConfig:
    data = DataConfig(catalog=str(catalog), start=start, end=end)
    return replace(host, settings=host.settings.model_copy(update={"data": data}))


def _catalog(loaded: "LoadedTraining", directory: Path) -> Path:
    """The host's catalog, or a generated one beside the folds."""
    generate = loaded.config.generate
    if generate is None:
        return loaded.host.catalog_path.resolve()
    catalog = directory / "catalog"
    if not catalog.exists():
        directory.mkdir(parents=True, exist_ok=True)
        store_generated(catalog, loaded.host, seed=generate.seed, days=generate.days)
    return catalog.resolve()


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def as_json(finished: FinishedWalkForward) -> Mapping[str, Any]:
    """What ``argonaut walk-forward --json`` prints."""
    return {"directory": str(finished.directory), **finished.summary.as_json()}
