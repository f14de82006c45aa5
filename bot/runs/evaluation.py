"""How a trained model does on bars that it did not learn from: ``argonaut evaluate``.

Flow: bundle + catalog → `bot.runs.spans` → summary, report.

    var/evaluations/<model>-<id>/
      report.json, report.html    figures, baselines, regimes, answers of the policy
      runs/<run>/                 the backtest, with its own report

What a bundle learned from, and what chose it among its checkpoints, is in its scorecard. A market that moved
at the same time knows of those bars, too, so the clock counts and not the catalog.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from adapters.catalog import Catalog
from bot.config import load_host
from bot.config.documents import document_sha256
from bot.pins import code_sha256
from bot.runs.backtests import Progress, calendar_of
from bot.runs.spans import backtest_span, bar_times, bars_before, iso
from ml.datasets import Ints
from ml.walk_forward import Fold, WalkForwardSummary, summarise
from ops.artifacts import DECISIONS
from ops.report.behaviour import Answers, answers_of
from ops.report.evaluation import render_evaluation
from strategies.bundle import SCORECARD, STRATEGY, Bundle
from strategies.errors import ConfigError, DataError

REPORT, PAGE = "report.json", "report.html"


@dataclass(frozen=True, slots=True)
class Learned:
    """The closes of a model's first and last bar that it learned from or that chose it, UTC nanoseconds."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Bars of an evaluation that the model knows, first and last close, UTC nanoseconds."""

    start_ns: int
    end_ns: int
    bars: int


@dataclass(frozen=True, slots=True)
class FinishedEvaluation:
    """An evaluation that was written down."""

    directory: Path
    run_dir: Path
    bundle: Bundle
    currency: str
    learned: Learned | None
    overlap: Overlap | None
    summary: WalkForwardSummary
    answers: Answers
    pins: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """What ``report.json`` holds and ``argonaut evaluate --json`` prints, but for the directories."""
        document = self.summary.as_json()
        (fold,) = document.pop("folds")
        for name in (*_OVER_FOLDS, "number"):
            document.pop(name, None)
        document["method"].pop("folds")
        return {
            **document,
            "bundle": self.bundle.name,
            "bundle_id": self.bundle.bundle_id,
            "start_ns": fold["test_start_ns"],
            "end_ns": fold["test_end_ns"],
            "learned": None if self.learned is None else asdict(self.learned),
            "overlap": None if self.overlap is None else asdict(self.overlap),
            "answers": self.answers,
            "pins": dict(self.pins),
        }


_OVER_FOLDS = ("sharpe_mean", "sharpe_median", "sharpe_deviation", "worst_drawdown_frac", "profitable_frac")


def evaluate(
    host_path: Path,
    bundle: Bundle,
    evaluations_dir: Path,
    *,
    catalog: Path | None = None,
    start: str | None = None,
    end: str | None = None,
    allow_overlap: bool = False,
    baselines: bool = True,
    progress: Progress | None = None,
    check_wanted: Callable[[], None] = lambda: None,
) -> FinishedEvaluation:
    """Run a bundle through the engine over bars that it did not learn from, and write the report.

    Args:
        host_path: Host file; its venue, costs and catalog are used.
        bundle: The model.
        evaluations_dir: Where evaluations go.
        catalog: Instead of the host's.
        start: Bars that close after this, ISO; None begins after the last bar that it learned from.
        end: Bars that close by this, ISO; None for the last.
        allow_overlap: Whether bars that it learned from may be among them.
        baselines: Whether to run the baselines beside.
        progress: Told how far all of it is.
        check_wanted: Raises what shall end the run.

    Raises:
        CatalogError: If bars are missing or damaged.
        ConfigError: If a setting does not fit, or the span overlaps what it learned from.
        DataError: If there are too few bars, or the strategy halted on a fault.
    """
    given: dict[str, Any] = {"strategies": [str(bundle.path / STRATEGY)]}
    given |= {} if catalog is None else {"data.catalog": str(catalog.resolve())}
    asked = {"data.start": start, "data.end": end}
    host = load_host(host_path, given | {key: value for key, value in asked.items() if value is not None})
    # A span in the host file is that of its own backtests.
    start_ns = None if start is None else host.settings.data.start_ns
    end_ns = None if end is None else host.settings.data.end_ns
    strategy, where = host.strategies[0].config, host.catalog_path.resolve()
    learned = learned_of(bundle)
    times = bar_times(strategy, Catalog(where))
    rows = choose_rows(times, learned, start_ns, end_ns, needed=bars_before(strategy))
    overlap = overlap_of(times[rows], learned)
    _check(bundle, times[rows], learned, overlap, allow_overlap=allow_overlap)
    span = (int(times[rows][0]), int(times[rows][-1]))
    pins: dict[str, Any] = {"bundle_id": bundle.bundle_id, "host": host.sha256, "code": code_sha256()}
    pins |= {"span": span, "baselines": baselines}
    name = f"{bundle.name}-{document_sha256(pins | {'catalog': str(where)})[:12]}"
    directory = evaluations_dir / name
    ran = backtest_span(
        host_path,
        bundle.path / STRATEGY,
        where,
        span,
        directory / "runs",
        baselines=baselines,
        workers=2,
        progress=progress,
        check_wanted=check_wanted,
    )
    known = learned or Learned(span[0], span[0])
    fold = Fold(1, known.start_ns, known.end_ns, *span)
    finished = FinishedEvaluation(
        directory=directory,
        run_dir=ran.run.run_dir,
        bundle=bundle,
        currency=host.settings.venue.currency,
        learned=learned,
        overlap=overlap,
        summary=summarise([fold], [ran.outcome], calendar_of(host)),
        answers=_answers(ran.run.run_dir, strategy.instruments),
        pins=pins | {"run": ran.run.pins},
    )
    _write_report(finished)
    return finished


def learned_of(bundle: Bundle) -> Learned | None:
    """What a bundle says it has seen before it was judged; None where it says nothing of it."""
    try:
        spans = bundle.document(SCORECARD)["spans"]
        closes = [int(spans[name][key]) for name in ("learn", "select") for key in ("first_ns", "last_ns")]
    except (KeyError, TypeError, ValueError):
        return None
    return Learned(min(closes), max(closes))


def choose_rows(
    times: Ints, learned: Learned | None, start_ns: int | None, end_ns: int | None, *, needed: int
) -> slice:
    """The bars to judge by: those that were asked for, or all that come after what was learned from.

    Args:
        times: Closes of all bars, ascending.
        learned: What the model has seen.
        start_ns: Only bars that close after this; None for those after what was learned from.
        end_ns: Only bars that close by this; None for all.
        needed: Bars that have to come before the first.

    Raises:
        DataError: If there are none.
    """
    stop = len(times) if end_ns is None else int(np.searchsorted(times, end_ns, side="right"))
    if start_ns is not None:
        first = int(np.searchsorted(times, start_ns, side="right"))
    else:
        after = -1 if learned is None else learned.end_ns
        first = max(needed, int(np.searchsorted(times, after, side="right")))
    if stop - first < 2:
        seen = "" if learned is None else f" It learned from bars up to {iso(learned.end_ns)}."
        held = f"{iso(int(times[0]))} to {iso(int(times[-1]))}" if len(times) else "none"
        raise DataError(
            f"expected bars to judge by, found {max(stop - first, 0)}; the catalog holds {held}, the first "
            f"{needed} only warm up.{seen} Name a span with --start and --end, or import later bars"
        )
    return slice(first, stop)


def overlap_of(times: Ints, learned: Learned | None) -> Overlap | None:
    """The bars among these that lie in the span that was learned from."""
    if learned is None:
        return None
    common = times[(times >= learned.start_ns) & (times <= learned.end_ns)]
    return Overlap(int(common[0]), int(common[-1]), len(common)) if len(common) else None


def _check(
    bundle: Bundle, times: Ints, learned: Learned | None, overlap: Overlap | None, *, allow_overlap: bool
) -> None:
    if allow_overlap:
        return
    if learned is None:
        raise ConfigError(
            f"{bundle.path}: expected the spans that it learned from in {SCORECARD}, found none; with "
            "--allow-overlap it is evaluated all the same, on bars that it may know"
        )
    if overlap is not None:
        raise ConfigError(
            f"expected bars that {bundle.name} did not learn from, found {overlap.bars} of {len(times)} "
            f"that it did, from {iso(overlap.start_ns)} to {iso(overlap.end_ns)}: it saw "
            f"{iso(learned.start_ns)} to {iso(learned.end_ns)}. Leave out --start to begin after "
            "them, or say --allow-overlap"
        )


def _answers(run_dir: Path, instruments: tuple[str, ...]) -> Answers:
    # The first decision of a span is at its first close, so all of them count.
    table = pyarrow.parquet.read_table(run_dir / DECISIONS, columns=["action", "confidence"])
    return answers_of(table["action"].to_pylist(), table["confidence"].to_pylist(), instruments)


def _write_report(finished: FinishedEvaluation) -> None:
    document = finished.as_json()
    _write(
        finished.directory / REPORT,
        json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n",
    )
    page = render_evaluation(finished.bundle.name, finished.currency, finished.summary, document)
    _write(finished.directory / PAGE, page)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
