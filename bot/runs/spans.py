"""Backtests of one strategy over a span whose first close is its first decision.

The bars before the span only warm up features and window. A curve begins with what was there before the span.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from adapters.catalog import Catalog
from bot.config import DataConfig, load_host
from bot.market_data import bar_type
from bot.runs.backtests import FinishedRun, Progress, backtest
from ml.datasets import Ints
from ml.evaluation import EquityCurve
from ml.evaluation.curve import marks_at
from ml.walk_forward import FoldOutcome
from ml.walk_forward.folds import regimes_of
from ops.run_records import read_run
from strategies.config import StrategyConfig
from strategies.errors import DataError
from strategies.features import FeaturePipeline

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SpanRun:
    """A backtest over a span, and what it did in it."""

    run: FinishedRun
    outcome: FoldOutcome


def backtest_span(
    host_path: Path,
    strategy_path: Path,
    catalog: Path,
    span: tuple[int, int],
    runs_dir: Path,
    *,
    baselines: bool,
    workers: int = 1,
    progress: Progress | None = None,
    check_wanted: Callable[[], None] = lambda: None,
) -> SpanRun:
    """Run a strategy through the engine.

    Args:
        host_path: The host's venue and costs count; its strategies and data are replaced.
        strategy_path: The strategy.
        catalog: Where the bars lie.
        span: Its first and its last close, UTC nanoseconds.
        runs_dir: Where the run's directory goes.
        baselines: Whether the baselines run beside.
        workers: Processes for the baselines.
        progress: Told how far all of it is.
        check_wanted: Raises what shall end the run.

    Raises:
        DataError: If there are too few bars before the span, or the strategy halted on a fault.
        CatalogError: If bars are missing or damaged.
        ConfigError: If the strategy cannot be built.
    """
    start_ns, end_ns = span
    given: dict[str, Any] = {
        "strategies": [str(strategy_path.resolve())],
        "data.catalog": str(catalog),
    }
    strategy = load_host(host_path, given).strategies[0].config
    begin = warm_up_start(strategy, bar_times(strategy, Catalog(catalog)), start_ns)
    host = load_host(host_path, given | {"data.start": begin, "data.end": iso(end_ns)})
    finished = backtest(
        host,
        runs_dir,
        workers=workers if baselines else 0,
        progress=progress,
        check_wanted=check_wanted,
    )
    if finished.faults:
        raise DataError(f"{strategy.name}: the strategy halted on a fault: {finished.faults}")
    recorded = read_run(finished.run_dir)
    outcome = FoldOutcome(
        curve=since(recorded.account, start_ns),
        baselines={name: since(curve, start_ns) for name, curve in recorded.baselines.items()},
        fills=recorded.fills,
        regimes=regimes_of(recorded.metrics["strategies"][strategy.name].get("regimes")),
    )
    return SpanRun(finished, outcome)


def bars_before(config: StrategyConfig) -> int:
    """How many bars a strategy has to see before the one of its first decision."""
    warm_up = FeaturePipeline(config.features, len(config.instruments)).warmup_bars
    return warm_up + config.features.lookback - 2


def bar_times(config: StrategyConfig, catalog: Catalog, data: DataConfig | None = None) -> Ints:
    """Close times at which any instrument of a strategy has a bar, UTC nanoseconds, ascending."""
    start, end = (None, None) if data is None else (data.start_ns, data.end_ns)
    series = [
        catalog.read_arrays(bar_type(name, config.interval), start, end).ts_event
        for name in config.instruments
    ]
    return np.unique(np.concatenate(series))


def warm_up_start(config: StrategyConfig, times: Ints, test_start_ns: int) -> str:
    """Bars that close after this make the first decision fall on the first close of the test."""
    needed = bars_before(config)
    first = int(np.searchsorted(times, test_start_ns)) - needed
    if first < 0:
        raise DataError(
            f"{config.name}: expected {needed} bars before the test to warm up, found "
            f"{needed + first}; begin later, or take bars from before"
        )
    return iso(int(times[first]) - SECOND_NS)


def since(curve: EquityCurve, start_ns: int) -> EquityCurve:
    """What a curve did from a time on; it begins with what was there before."""
    rows = curve.ts_event >= start_ns
    before = np.array([start_ns - 1])
    initial = float(marks_at(before, curve.ts_event, curve.equity, curve.initial)[0])
    paid = float(marks_at(before, curve.ts_event, curve.fees, 0.0)[0])
    return EquityCurve(
        initial, curve.ts_event[rows], curve.equity[rows], curve.fees[rows] - paid, curve.gross_exposure[rows]
    )


def iso(ts_ns: int) -> str:
    """A time in the words of a host file."""
    return datetime.fromtimestamp(ts_ns // SECOND_NS, UTC).isoformat()
