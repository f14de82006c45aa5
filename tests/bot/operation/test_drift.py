"""What a bundle was trained on beside what its strategy sees: quiet on the same, told of anything else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bot.assembly import build_pipeline
from bot.config.loading import LoadedStrategy
from bot.operation.drift import DriftWatch, drift_text, watched_columns, watched_row
from ml.drift import DriftAlarm, DriftSettings, calibrate_drift
from strategies.bundle import Bundle
from strategies.decision import Conditions, DecisionPipeline
from strategies.guardrails import TradingState
from strategies.market import BarRow, Floats, Panel
from tests.support.bundles import strategy_with_bundle, write_small_bundle
from tests.support.recovery import MINUTE, NAMES, START, rules

SETTINGS = DriftSettings(window_bars=60, period_bars=1_000)
BARS = 1_500


def market(
    seed: int, bars: int = BARS, spoil: Callable[[Floats], Floats] = lambda returns: returns
) -> Floats:
    """Closes of two random walks, shape (T, 2); what is spoilt is the second half."""
    returns = np.random.default_rng(seed).standard_normal((bars, 2)) * 1e-3
    returns[bars // 2 :] = spoil(returns[bars // 2 :])
    closes: Floats = 100.0 * np.exp(returns.cumsum(axis=0))
    return closes


def pipeline_of(path: Path) -> tuple[DecisionPipeline, LoadedStrategy]:
    config = strategy_with_bundle(path.name)
    loaded = LoadedStrategy(path.parent / "two.toml", config, "c" * 64)
    return build_pipeline(loaded, [rules(name) for name in NAMES], 525_600.0), loaded


def decisions(pipeline: DecisionPipeline, closes: Floats) -> Iterator[Any]:
    conditions = Conditions(
        now_ns=0,
        trading_state=TradingState.ACTIVE,
        armed=True,
        reconciled=True,
        doubtful=frozenset(),
        busy=frozenset(),
        free_base=None,
        working_buys=(),
        working_sells=(),
        spread_bps=0.0,
    )
    for bar, row in enumerate(closes.tolist()):
        ts_event = START + bar * MINUTE
        bars = tuple(BarRow(ts_event, close, close, close, close, 1e9) for close in row)
        if pipeline.observe(Panel(ts_event, bars)):
            yield pipeline.decide(conditions).record


class Bench:
    """A daemon's watch over one strategy."""

    def __init__(self, path: Path) -> None:
        self.pipeline, loaded = pipeline_of(path)
        self.told: list[tuple[str, DriftAlarm]] = []
        self.watch = DriftWatch(lambda name, alarm: self.told.append((name, alarm)))
        strategy = SimpleNamespace(name=loaded.config.name, pipeline=self.pipeline)
        self.said = self.watch.attach(SimpleNamespace(strategies=[loaded]), [strategy])  # type: ignore[arg-type, list-item]

    def live_through(self, closes: Floats) -> None:
        for record in decisions(self.pipeline, closes):
            self.watch.write(record)

    def sample(self, name: str) -> float:
        return sum(one.value for one in self.watch.samples() if one.name == name)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One whose reference is of what its strategy sees on a market."""
    untrained = write_small_bundle(tmp_path_factory.mktemp("untrained"))
    pipeline, _ = pipeline_of(untrained.path)
    rows = np.array([watched_row(pipeline) for _ in decisions(pipeline, market(seed=1, bars=4_000))])
    varies = rows.min(axis=0) < rows.max(axis=0)
    columns = [name for name, kept in zip(watched_columns(pipeline), varies, strict=True) if kept]
    reference = calibrate_drift(rows[:, varies], columns, SETTINGS)
    return write_small_bundle(tmp_path_factory.mktemp("trained"), drift=reference.as_json())


def test_columns_are_features_regime_and_deeds_in_the_order_of_the_row(bundle: Bundle) -> None:
    pipeline, _ = pipeline_of(bundle.path)
    closes = market(seed=2, bars=40)
    *_, last = decisions(pipeline, closes)

    row = dict(zip(watched_columns(pipeline), watched_row(pipeline).tolist(), strict=True))

    assert list(row)[:2] == ["ALPHAUSDT log_return_1", "ALPHAUSDT rsi_14"]
    assert row["BETAUSDT log_return_1"] == pytest.approx(np.log(closes[-1, 1] / closes[-2, 1]))
    assert row["regime_state"] == float(last.regime_state)
    assert (row["policy_gross"], row["policy_turnover"]) == (0.0, 0.0)


def test_deeds_are_what_is_held_and_what_the_last_bar_traded_as_shares_of_equity(bundle: Bundle) -> None:
    pipeline, _ = pipeline_of(bundle.path)
    closes: Floats = np.full((42, 2), 100.0) + np.arange(42.0)[:, None] % 2  # 100 and 101 by turns
    for number, _ in enumerate(decisions(pipeline, closes)):
        if number == 0:
            pipeline.stages.ledger.apply_fill(0, 20.0, 100.0, 0.0)
        row = dict(zip(watched_columns(pipeline), watched_row(pipeline).tolist(), strict=True))
        if number == 1:
            traded = row["policy_turnover"]

    # Of 10,000: 2,000 traded in one bar, by then held at 100 or 101; nothing in the last.
    assert traded == pytest.approx(0.2)
    worth = 10_000.0 + 20.0 * (closes[-1, 0] - 100.0)
    assert row["policy_gross"] == pytest.approx(20.0 * closes[-1, 0] / worth)
    assert row["policy_turnover"] == 0.0


def test_market_like_the_training_data_is_quiet(bundle: Bundle) -> None:
    bench = Bench(bundle.path)

    bench.live_through(market(seed=3))

    assert bench.said == []
    assert bench.told == []
    assert bench.sample("drift_active_alarms") == 0
    assert 0.0 < bench.sample("drift_score_nats") < 1.0
    assert 0.0 < bench.sample("drift_threshold_used_ratio") <= 1.0


@pytest.mark.parametrize(
    ("spoil", "column"),
    [
        (lambda returns: 3.0 * returns, "ALPHAUSDT log_return_1"),
        (lambda returns: 0.0 * returns, "BETAUSDT log_return_1"),
        (lambda returns: returns + 2e-3, "regime_log_evidence"),
    ],
    ids=["volatility x3", "frozen feed", "another market than the regime model's"],
)
def test_market_that_becomes_another_is_told_and_stays_visible(
    bundle: Bundle, spoil: Callable[[Floats], Floats], column: str
) -> None:
    bench = Bench(bundle.path)

    bench.live_through(market(seed=4, spoil=spoil))

    found = [(alarm.column, alarm.kind) for _, alarm in bench.told]
    assert column in dict(found)
    assert bench.sample("drift_active_alarms") > 0
    assert bench.sample("drift_alarms") == len(found)
    assert bench.sample("drift_threshold_used_ratio") > 1.0


def test_bundle_of_other_columns_is_not_watched_and_trades_all_the_same(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((2_000, 1))
    reference = calibrate_drift(rows, ["GAMMAUSDT rsi_14"], SETTINGS)

    bench = Bench(write_small_bundle(tmp_path / "other", drift=reference.as_json()).path)
    bench.live_through(market(seed=5, bars=60))

    assert "two_trained is not watched for drift: expected columns of" in bench.said[0]
    assert "found ['GAMMAUSDT rsi_14']; train the bundle again" in bench.said[0]
    assert list(bench.watch.samples()) == []


def test_monitor_that_fails_is_dropped_and_stands_in_nobodys_way(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(bundle.path)
    monkeypatch.setattr(bench.watch._watched["two_trained"].monitor, "update", lambda row: 1 / 0)

    bench.live_through(market(seed=6, bars=60))

    assert list(bench.watch.samples()) == []


def test_alarm_says_what_it_means() -> None:
    alarm = DriftAlarm("BTCUSDT rsi_14", "level", 31.24, 12.5, 900)

    assert drift_text(alarm) == (
        "BTCUSDT rsi_14 has moved away from its centre in training (level 31.2, threshold 12.5)"
    )
