"""A backtest from configuration to artifacts: engine run, baselines beside it, scorecard, report.

Flow: host file + catalog → engine → tape → **run** → ``var/runs/<id>/``.

Every engine gets a process of its own: two engines in one process disturb each other silently, and a
forked engine deadlocks.
"""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapters.bars import BarColumns
from adapters.catalog import Catalog, interval_ns_of
from adapters.ingest.verification import verify_catalog
from adapters.playback import instrument_id_of
from bot.backtest import EngineRun, StrategyEnd, run_engine
from bot.config import HostConfig
from bot.config.problems import redact
from bot.config.toml import toml_text
from bot.engine_costs import COST_KINDS
from bot.market_data import bar_types_of, matching_bar_types
from bot.pins import pins_of, read_series, run_id_of
from bot.runs.baselines import BASELINES, baseline_host
from bot.runs.exits import exits_in_doubt
from bot.runs.models import read_models, require_traded
from ml.evaluation import Calendar, EquityCurve, evaluate_run
from ml.evaluation.curve import equity_curve
from ops.artifacts import write_run
from ops.report import BarSeries, RunContents
from strategies.errors import SafetyError
from strategies.tape import records_sha256

ATTRIBUTION_TOLERANCE = 1e-6
"""Largest difference, relative to the account's start, between the strategies' profits and the account's."""

_REFUSED = frozenset({"DENIED", "REJECTED"})

type Progress = Callable[[int, int], None]
"""Called with steps done and in all; a step is a thousandth of the work, about."""

_STEPS = 1000
_EVALUATED, _ENDED = 100, 100
"""Steps of the scorecard, and of what is written down after it."""
_BASELINE = 80
"""Steps of one baseline; the strategies' own run has the rest."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A backtest that was written down."""

    run_id: str
    run_dir: Path
    decisions_sha256: str
    orders_sha256: str
    fills_sha256: str
    metrics: Mapping[str, Any]
    pins: Mapping[str, Any]
    strategies: tuple[StrategyEnd, ...]
    refused_orders: Mapping[str, int]
    """Orders that the engine denied or the venue rejected, by reason; none is what to expect."""
    attribution_error: float
    """Sum of the strategies' profits less the account's, quote currency."""

    @property
    def faults(self) -> dict[str, str]:
        """Strategies that halted on a fault, with the fault."""
        return {end.name: end.fault for end in self.strategies if end.fault is not None}

    def as_json(self) -> dict[str, Any]:
        """What ``argonaut backtest --json`` prints."""
        document = asdict(self)
        document["run_dir"] = str(self.run_dir)
        document["faults"] = self.faults
        return document


def backtest(
    host: HostConfig,
    runs_dir: Path,
    *,
    baselines: Sequence[str] = BASELINES,
    workers: int = 2,
    progress: Progress | None = None,
    check_wanted: Callable[[], None] = lambda: None,
) -> FinishedRun:
    """Run the host's strategies and the baselines, and write everything down.

    Equal configuration, data and code give a directory of equal bytes, under an equal name.

    Args:
        host: What to run.
        runs_dir: Where run directories go.
        baselines: Which baselines to run beside.
        workers: Processes for the baselines; 0 runs none.
        progress: Told how far all of it is.
        check_wanted: Raises what shall end the run; asked after each stretch and before anything is written.

    Raises:
        ConfigError: If a strategy cannot be built.
        CatalogError: If bars are missing or damaged.
        SafetyError: If the strategies' profits do not add up to the account's.
    """
    catalog = Catalog(host.catalog_path)
    series = read_series(host, catalog)
    models = read_models(host)
    with _spawning_pool(workers) as pool:
        pending = {kind: pool.submit(_run_baseline, host, kind) for kind in baselines} if workers else {}
        tell = _Teller(progress, list(pending.values()))
        run = run_engine(host, catalog, tell.own_run, check_wanted)
        require_traded(models, run)
        _check_attribution(host, run)
        tell.wait_for_baselines(check_wanted)
        curves = {kind: future.result() for kind, future in pending.items()}
    pins = pins_of(host, catalog, series, policies=run.policies, regimes=run.regimes)
    capital = {end.name: end.capital for end in run.strategies}
    evaluation = evaluate_run(run.tape, capital_quote=capital, calendar=calendar_of(host), baselines=curves)
    tell.rest(_ENDED)
    contents = RunContents(
        run_id=run_id_of(host, pins),
        title=" + ".join(loaded.config.name for loaded in host.strategies),
        currency=host.settings.venue.currency,
        tape=run.tape,
        evaluation=evaluation,
        instruments={loaded.config.name: loaded.config.instruments for loaded in host.strategies},
        bars={instrument_id_of(name): _bar_series(columns) for name, columns in series.items()},
        pins=pins,
        config_text=toml_text(redact(host.as_file(models.paths))),
        models=models.files,
        costs_quote=_total_costs(run),
        data_quality=_data_quality(host, catalog, run)
        | {"exits_in_doubt": exits_in_doubt(run.tape.orders, _matched(host, series))},
    )
    check_wanted()
    run_dir = write_run(runs_dir, contents, replace=True)
    tell.rest(0)
    return FinishedRun(
        run_id=contents.run_id,
        run_dir=run_dir,
        decisions_sha256=records_sha256(run.tape.decisions),
        orders_sha256=records_sha256(run.tape.orders),
        fills_sha256=records_sha256(run.tape.fills),
        metrics=evaluation.as_json(),
        pins=pins,
        strategies=run.strategies,
        refused_orders=Counter(
            f"{order.status}: {order.reason}" for order in run.tape.orders if order.status in _REFUSED
        ),
        attribution_error=_attribution_error(run),
    )


class _Teller:
    """Says how far a backtest is: its own run, the baselines beside it, and what follows."""

    def __init__(self, progress: Progress | None, baselines: Sequence["Future[EquityCurve]"]) -> None:
        self._progress = progress
        self._baselines = baselines
        self._own = 0.0

    def own_run(self, done: int, total: int) -> None:
        self._own = done / total if total else 1.0
        self._tell()

    def wait_for_baselines(self, check_wanted: Callable[[], None]) -> None:
        self._own = 1.0
        missing = set(self._baselines)
        while missing:
            _, missing = wait(missing, timeout=1.0, return_when=FIRST_COMPLETED)
            self._tell()
            check_wanted()
        self._tell()

    def rest(self, missing: int) -> None:
        if self._progress is not None:
            self._progress(_STEPS - missing, _STEPS)

    def _tell(self) -> None:
        if self._progress is None:
            return
        own = _STEPS - _EVALUATED - _ENDED - _BASELINE * len(self._baselines)
        done = sum(one.done() for one in self._baselines)
        self._progress(int(own * self._own) + _BASELINE * done, _STEPS)


def _spawning_pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=max(1, workers), mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    )


def _run_baseline(host: HostConfig, kind: str) -> EquityCurve:
    baseline = baseline_host(host, kind)
    run = run_engine(baseline, Catalog(host.catalog_path))
    end = run.strategies[0]
    if end.fault is not None:
        raise SafetyError(f"baseline {kind} failed: {end.fault}")
    return equity_curve(run.tape.equity, kind, end.capital)


def _attribution_error(run: EngineRun) -> float:
    return sum(end.equity - end.capital for end in run.strategies) - run.account_profit


def _check_attribution(host: HostConfig, run: EngineRun) -> None:
    error = _attribution_error(run)
    if not abs(error) <= ATTRIBUTION_TOLERANCE * host.settings.venue.starting_balance:
        raise SafetyError(
            f"the strategies' profits differ from the account's by {error:.8f} "
            f"{host.settings.venue.currency}; "
            f"expected at most {ATTRIBUTION_TOLERANCE:g} of the account: a fill was booked twice or lost"
        )


def _total_costs(run: EngineRun) -> dict[str, float]:
    totals = {kind: sum(costs.get(kind, 0.0) for costs in run.costs.values()) for kind in COST_KINDS}
    return totals | {"borrow": run.borrow}


def calendar_of(host: HostConfig) -> Calendar:
    """What results of a host are annualised by."""
    venue = host.settings.venue
    return Calendar(
        bar_interval_ns=min(interval_ns_of(name) for name in bar_types_of(host)),
        days_per_year=float(venue.trading_days_per_year),
        session_hours=venue.trading_hours_per_day,
    )


def _bar_series(columns: BarColumns) -> BarSeries:
    arrays = columns.to_arrays()
    return BarSeries(arrays.ts_event, arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)


def _matched(host: HostConfig, series: Mapping[str, BarColumns]) -> dict[str, BarSeries]:
    return {instrument_id_of(name): _bar_series(series[name]) for name in matching_bar_types(host)}


def _data_quality(host: HostConfig, catalog: Catalog, run: EngineRun) -> dict[str, Any]:
    data = host.settings.data
    start = data.start_ns if data.start_ns is not None else np.iinfo(np.int64).min
    end = data.end_ns if data.end_ns is not None else np.iinfo(np.int64).max
    issues = [
        {"series": report.series, **asdict(finding)}
        for report in verify_catalog(catalog, bar_types_of(host))
        for finding in report.findings
        if finding.last_open_ns >= start and finding.first_open_ns < end
    ]
    return {
        "issues": issues,
        "bars": run.bars,
        "late_bars": run.late_bars,
        "incomplete_panels": run.incomplete_panels,
        "skipped_panels": {end.name: end.skipped_panels for end in run.strategies},
    }
