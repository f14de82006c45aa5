"""Whether a strategy knows its future: its own stages are run over bars whose future was changed.

Flow: strategy file + catalog → `ml.leaks` ← decisions of the very stages that trade.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from adapters.catalog import Catalog, interval_ns_of
from adapters.instruments import spec_of
from bot.assembly import build_pipeline, trading_rules
from bot.config import LoadedStrategy
from bot.market_data import bar_type
from ml.datasets import Bars, panels
from ml.evaluation import Calendar
from ml.leaks import (
    Claim,
    FoldSettings,
    Leak,
    LeakSettings,
    Market,
    Pipeline,
    WarmUp,
    find_leaks,
    learning_claims,
    rows_of,
    warm_up,
)
from strategies.decision import Conditions, DecisionPipeline
from strategies.errors import DataError
from strategies.features import FeaturePipeline
from strategies.guardrails import TradingState
from strategies.market import Floats, Instrument

FEWEST_ROWS = 2_000
_SETTLINGS = 4
_MOST_EARLY_FRAC = 0.5

type Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What the check of one strategy found."""

    strategy: str
    bars: int
    """Bar times that were looked at, the newest of the catalog."""
    claims: dict[str, int]
    """How many kinds of values were checked, by stage."""
    leaks: tuple[Leak, ...]
    warm_up: tuple[WarmUp, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.leaks and not any(row.finding for row in self.warm_up)

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        document = asdict(self)
        document["warm_up"] = [asdict(row) | {"finding": row.finding} for row in self.warm_up]
        return document | {"is_clean": self.is_clean}


def check_leaks(
    loaded: LoadedStrategy,
    catalog: Catalog,
    *,
    bars: int | None = None,
    settings: LeakSettings | None = None,
    progress: Progress | None = None,
) -> LeakReport:
    """Look for leaks in everything between a strategy's bars and its decisions, and in what it is trained on.

    Args:
        loaded: The strategy.
        catalog: Where its bars lie; the newest are taken.
        bars: Bar times to look at; None takes what the warm-up of the features asks for.
        settings: How hard is looked.
        progress: Told how many runs are done and how many there are.

    Raises:
        CatalogError: If bars are missing or damaged.
        ConfigError: If a stage refuses the configuration.
        DataError: If there are too few bars.
    """
    config = loaded.config
    pipeline = FeaturePipeline(config.features, len(config.instruments))
    settle = pipeline.settle_bars + config.features.lookback
    wanted = bars or max(FEWEST_ROWS, _SETTLINGS * settle)
    market = _newest(loaded, catalog, wanted)
    rows = len(np.unique(np.concatenate([series.ts_event for series in market.values()])))
    warm = pipeline.warmup_bars + config.features.lookback
    if rows < 2 * warm:
        raise DataError(
            f"{config.name}: expected at least {2 * warm} bars, twice the warm-up, found {rows}; import more"
        )
    test_bars = max(1, (rows - warm) // 8)
    folds = FoldSettings(
        horizon_bars=min(12, test_bars),
        train_bars=3 * test_bars,
        test_bars=test_bars,
        embargo_bars=min(5, test_bars),
    )
    found: list[Leak] = []
    counts: dict[str, int] = {}
    parts = [decision_claims(loaded, _rules(loaded, catalog)), learning_claims(config.features, folds)]
    for number, part in enumerate(parts):
        for claim in part(market):
            counts[claim.stage] = counts.get(claim.stage, 0) + 1
        found += find_leaks(part, market, settings, _half(progress, number))
    return LeakReport(config.name, rows, counts, tuple(found), warm_up(config.features, market))


def decision_claims(loaded: LoadedStrategy, rules: Sequence[Instrument]) -> Pipeline:
    """Belief, observation and decision at each bar, as claims about the bars up to it.

    What was approved is filled at the next open, free of charge, so that the book is one that trades.

    Args:
        loaded: The strategy.
        rules: Trading rules of its instruments.
    """
    interval_ns = interval_ns_of(bar_type(loaded.config.instruments[0], loaded.config.interval))
    bars_per_year = Calendar.crypto(interval_ns).bars_per_year

    def claims(market: Market) -> Iterator[Claim]:
        pipeline = build_pipeline(loaded, rules, bars_per_year)
        seen: dict[str, dict[int, Floats]] = {"regime": {}, "observation": {}, "decisions": {}}
        wanted = np.zeros(len(rules))
        times = np.unique(np.concatenate([bars.ts_event for bars in market.values()]))
        for panel in panels(times, list(market.values())):
            for index, bar in enumerate(panel.bars):
                if bar is not None and wanted[index]:
                    pipeline.stages.ledger.apply_fill(index, float(wanted[index]), bar.open, 0.0)
                    wanted[index] = 0.0
            ready = pipeline.observe(panel)
            if pipeline.belief is not None:
                seen["regime"][panel.ts_event] = np.array(pipeline.belief.probs)
            if ready:
                seen["observation"][panel.ts_event] = _observed(pipeline)
                seen["decisions"][panel.ts_event] = _decided(pipeline, panel.ts_event, wanted)
        names = {"regime": "belief", "observation": "window and book", "decisions": "action to trade"}
        for stage, values in seen.items():
            if values:
                keys = np.array(list(values), dtype=np.int64)
                yield Claim(stage, names[stage], keys, keys, np.stack(list(values.values())))

    return claims


def _observed(pipeline: DecisionPipeline) -> Floats:
    """The window's oldest and newest row and its sum, and the book as a policy sees it."""
    stages = pipeline.stages
    observation = stages.observation.build(stages.ledger, pipeline.closes, pipeline.belief)
    window = observation.window.astype(np.float64)
    parts = (window[0], window[-1], window.sum(axis=0), observation.portfolio, observation.beliefs)
    return np.concatenate([part.ravel() for part in parts])


def _decided(pipeline: DecisionPipeline, ts_event: int, wanted: Floats) -> Floats:
    """Action, confidence, weights, targets and approved trades; the trades are added to what is wanted."""
    decision = pipeline.decide(
        Conditions(
            trading_state=TradingState.ACTIVE,
            armed=True,
            now_ns=ts_event,
            reconciled=True,
            busy=frozenset(np.flatnonzero(wanted).tolist()),
            doubtful=frozenset(),
            free_base=None,
            working_buys=(),
            working_sells=(),
            spread_bps=1.0,
        )
    )
    approved = np.zeros(len(wanted))
    names = [instrument.instrument_id for instrument in pipeline.instruments]
    for verdict in decision.verdicts:
        approved[names.index(verdict.instrument_id)] += verdict.approved
    wanted += approved
    record = decision.record
    parts = (record.action, (record.confidence,), record.weights, record.targets, approved)
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


def _rules(loaded: LoadedStrategy, catalog: Catalog) -> list[Instrument]:
    specs = [spec_of(catalog.instrument(name)) for name in loaded.config.instruments]
    return [trading_rules(spec, may_short=True) for spec in specs]


def _newest(loaded: LoadedStrategy, catalog: Catalog, count: int) -> dict[str, Bars]:
    """The last bars that all instruments have lived through."""
    config = loaded.config
    series = {
        name: catalog.read_arrays(bar_type(name, config.interval))
        for name in dict.fromkeys(config.instruments)
    }
    times = np.unique(np.concatenate([bars.ts_event for bars in series.values()]))
    begin = max(int(times[-count:][0]), *(int(bars.ts_event[0]) for bars in series.values()))
    return {name: rows_of(bars, bars.ts_event >= begin) for name, bars in series.items()}


def _half(progress: Progress | None, number: int) -> Progress | None:
    """Two checks follow each other: each is half of the way."""
    if progress is None:
        return None
    return lambda done, total: progress(done + number * total, 2 * total)
