"""Training: nothing of what judges is learned from, an interruption changes nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.beliefs import filtered, regime_rows, with_beliefs
from ml.datasets import Dataset
from ml.environment import EpisodeConfig, MarketEnvironment
from ml.networks import Policy
from ml.pathwise import PathwiseConfig
from ml.playing import play_weights
from ml.ppo_config import PPOConfig, Stats
from ml.training import Trained, cut, train_model
from ml.training_config import EnvironmentConfig, SplitConfig, SplitKind, TrainerKind
from strategies.belief_summary import summary_for
from strategies.config import AllocationConfig, CostConfig, StrategyConfig
from strategies.errors import ConfigError, DataError
from strategies.observation import belief_vector
from strategies.regime import RegimeFilter
from tests.support.bundles import TWO_STATES
from tests.support.market_data import MINUTE_NS, START_NS, priced_dataset, random_dataset, rules_for
from tests.support.training import LOOKBACK, small_config, small_strategy, small_task


def market(seed: int = 0, rows: int = 1_500) -> Dataset:
    return random_dataset(2, rows, seed, lookback=LOOKBACK)


def spliced(first: Dataset, second: Dataset, row: int) -> Dataset:
    """The first market up to a row, and the second from there."""
    names = ("open", "close", "volume", "present", "features")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(first, name)[:row], getattr(second, name)[row:]]) for name in names
    }
    return replace(first, **joined)


def contents(trained: Trained) -> tuple[bytes, str | None]:
    return trained.policy, None if trained.regime is None else trained.regime.sha256


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train_model(market(), small_task(), tmp_path_factory.mktemp("run"))


def test_equal_settings_and_bars_make_equal_models(trained: Trained, tmp_path: Path) -> None:
    again = train_model(market(), small_task(), tmp_path)

    assert contents(again) == contents(trained)
    assert again.scorecard == trained.scorecard
    assert again.drift.as_json() == trained.drift.as_json()


def test_bars_that_judge_change_nothing_but_the_judgement(trained: Trained, tmp_path: Path) -> None:
    judged = cut(market(), SplitConfig()).judge

    other = train_model(spliced(market(), market(seed=9), judged[0]), small_task(), tmp_path)

    assert contents(other) == contents(trained)
    assert other.drift.as_json() == trained.drift.as_json()
    assert other.scorecard["selected"] == trained.scorecard["selected"]
    assert other.scorecard["judged"] != trained.scorecard["judged"]


def test_bars_that_select_do_not_reach_the_regime_model_or_the_normaliser(tmp_path: Path) -> None:
    # One network is never chosen over another where nothing is evaluated before the end.
    config = small_config(ppo=PPOConfig(total_timesteps=128, num_steps=128, batch_size=64, eval_every=10_000))
    selected = cut(market(), SplitConfig()).select
    task = small_task(config=config)

    one = train_model(market(), task, tmp_path / "one")
    other = train_model(spliced(market(), market(seed=9), selected[0]), task, tmp_path / "other")

    assert contents(one) == contents(other)
    assert one.scorecard["selected"] != other.scorecard["selected"]


def test_bars_that_are_learned_from_matter(trained: Trained, tmp_path: Path) -> None:
    other = train_model(spliced(market(seed=9), market(), 300), small_task(), tmp_path)

    assert contents(other)[0] != contents(trained)[0]
    assert contents(other)[1] != contents(trained)[1]


def test_interrupted_training_goes_on_to_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    seen: list[int] = []

    def interrupt(stats: Stats, _: Policy) -> None:
        seen.append(stats.timesteps)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(market(), small_task(), tmp_path, on_update=interrupt)
    again = train_model(
        market(), small_task(), tmp_path, on_update=lambda stats, _: seen.append(stats.timesteps)
    )

    # The second update was interrupted before its checkpoint and is made again.
    assert seen == [128, 256, 256, 384, 512]
    assert contents(again) == contents(trained)


def test_network_that_scored_best_is_the_one_that_leaves(tmp_path: Path) -> None:
    # A learning rate that ruins the network at once: the first evaluation is the best or as good.
    ppo = PPOConfig(
        total_timesteps=512, num_steps=128, batch_size=64, update_epochs=2, learning_rate=1.0, eval_every=128
    )
    found = train_model(market(), small_task(config=small_config(ppo=ppo)), tmp_path).scorecard

    scores = [score for _, score in found["training"]["ppo"]["scores"]]
    assert len(scores) == 4
    assert len(set(scores)) > 1
    assert found["training"]["ppo"]["best_score"] == max(scores)
    assert found["selected"]["policy"]["reward"] == pytest.approx(max(scores), abs=1e-12)


def test_discrete_policy_is_trained_and_exported(tmp_path: Path) -> None:
    strategy = small_strategy(allocation=AllocationConfig())
    config = small_config(
        environment=EnvironmentConfig(num_envs=8, num_clocks=4, horizon_bars=64, discrete=True)
    )

    found = train_model(market(), small_task(strategy, config), tmp_path)

    assert found.scorecard["parity_error"] == 0.0


@pytest.mark.parametrize("trainer", [TrainerKind.PATHWISE, TrainerKind.PATHWISE_PPO])
def test_other_trainers_make_models_and_go_on_after_an_interruption(
    tmp_path: Path, trainer: TrainerKind
) -> None:
    pathwise = PathwiseConfig(total_timesteps=256, num_envs=8, segment=16, eval_every=128)
    task = small_task(config=small_config(trainer=trainer, pathwise=pathwise))
    updates = 0

    def interrupt(*_: object) -> None:
        nonlocal updates
        updates += 1
        if updates == task.config.total_timesteps // 128 - 1:
            raise KeyboardInterrupt

    whole = train_model(market(), task, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_model(market(), task, tmp_path / "cut", on_update=interrupt)
    again = train_model(market(), task, tmp_path / "cut")

    assert contents(again) == contents(whole)
    assert list(whole.scorecard["training"]) == trainer.value.split("_")


def test_training_without_a_regime_model_makes_none(tmp_path: Path) -> None:
    found = train_model(market(), small_task(small_strategy(regime=None)), tmp_path)

    assert found.regime is None
    assert found.scorecard["regime"] is None


def test_spans_are_in_order_of_time_with_gaps_between_them() -> None:
    spans = cut(market(rows=1_000), SplitConfig(selection_frac=0.25, embargo_bars=10))

    # The last fifth judges. Of the 790 rows before its gap the last quarter selects.
    assert spans.judge == (800, 1_000)
    assert spans.select == (790 - 197, 790)
    assert spans.learn == (0, 790 - 197 - 10)


def test_dates_cut_where_they_say() -> None:
    # Bars close at 00:01, 00:02, …; the test begins with the close at 10:00, row 599.
    split = SplitConfig(
        kind=SplitKind.DATES, test_start="2024-01-01T10:00", test_end="2024-01-01T11:00", embargo_bars=0
    )

    spans = cut(market(rows=1_000), split)

    assert spans.judge == (599, 659)
    # The label of the last row before the test ends in the test.
    assert spans.select[1] == 598


@pytest.mark.parametrize("rows", [30, 60])
def test_too_few_bars_are_refused(tmp_path: Path, rows: int) -> None:
    with pytest.raises(DataError, match=r"longer span|too few|at least"):
        train_model(market(rows=rows), small_task(), tmp_path)


def test_regime_reads_the_mean_over_instruments_or_one_of_them() -> None:
    dataset = market()
    strategy = small_strategy()
    assert strategy.regime is not None
    one = strategy.regime.model_copy(update={"instrument_id": dataset.instruments[1]})

    np.testing.assert_allclose(
        regime_rows(dataset, strategy.regime)[5], dataset.features[5].astype(float).mean(axis=0)
    )
    np.testing.assert_array_equal(regime_rows(dataset, one)[5], dataset.features[5, 1])


def test_regime_of_an_unknown_column_or_instrument_is_refused() -> None:
    strategy = small_strategy()
    assert strategy.regime is not None
    for change in ({"columns": ("rsi_14",)}, {"instrument_id": "X.Y"}):
        with pytest.raises(ConfigError, match="regime: expected"):
            regime_rows(market(), strategy.regime.model_copy(update=change))


def believing(dataset: Dataset, strategy: StrategyConfig) -> Dataset:
    assert strategy.regime is not None
    return with_beliefs(dataset, strategy, TWO_STATES, filtered(dataset, strategy.regime, TWO_STATES))


def test_beliefs_are_those_of_the_filter_that_trades() -> None:
    dataset = believing(market(), small_strategy())
    # The first return is known at the second bar.
    assert np.isnan(dataset.beliefs[0]).all()
    regime = RegimeFilter(TWO_STATES)
    for row in range(1, 200):
        belief = regime.update(dataset.features[row].astype(float).mean(axis=0).tolist())
        np.testing.assert_allclose(dataset.beliefs[row], belief.probs, rtol=1e-6, atol=1e-30)


def test_features_that_never_warm_up_are_refused() -> None:
    dataset = market(rows=100)
    cold = replace(dataset, features=np.full_like(dataset.features, np.nan))

    with pytest.raises(DataError, match="not warm"):
        believing(cold, small_strategy())


def test_summary_of_beliefs_is_the_one_that_is_shown_where_it_trades() -> None:
    strategy = small_strategy()
    assert strategy.regime is not None
    regime = strategy.regime.model_copy(update={"summary_of": strategy.regime.columns[0]})
    strategy = strategy.model_copy(update={"regime": regime})

    dataset = believing(market(), strategy)

    summary, regime_filter = summary_for(strategy, TWO_STATES), RegimeFilter(TWO_STATES)
    assert dataset.beliefs.shape == (len(dataset), 5)
    assert np.isnan(dataset.beliefs[0]).all()
    for row in range(1, 200):
        belief = regime_filter.update(dataset.features[row].astype(float).mean(axis=0).tolist())
        np.testing.assert_array_equal(dataset.beliefs[row], belief_vector(belief.probs, summary))


def held(closes: list[float], **changes: Any) -> MarketEnvironment:
    prices = np.array([closes]).T
    given: dict[str, Any] = {
        "allocation": AllocationConfig(max_step_change=10.0, rebalance_eps=0.0),
        "costs": CostConfig(taker_fee_bps=0.0, half_spread_bps=0.0, impact_k=0.0),
        "episode": EpisodeConfig(start_cash=1_000.0, randomize_start=False),
        "observe_rows": True,
        "cash_buffer_frac": 0.0,
    }
    rules = rules_for(1, lot_size="0.000001", min_notional="0")
    return MarketEnvironment(priced_dataset(prices, prices), rules, **given | changes)


def test_life_of_a_position_that_is_held_by_hand() -> None:
    # Decided at 100 (the second row), bought at the open of the next bar, 110: 5 units for 550 of 1000.
    play = play_weights(held([100.0, 100.0, 110.0, 99.0, 121.0]), np.array([0.5]))

    assert play.equity == pytest.approx([1_000.0, 1_000.0, 945.0, 1_055.0])
    assert play.turnover == pytest.approx([550 / 1_000, 0.0, 0.0], abs=1e-6)
    assert play.gross == pytest.approx([550 / 1_000, 495 / 945, 605 / 1_055], abs=1e-6)
    figures = play.metrics(252.0)
    assert figures["total_return_frac"] == pytest.approx(0.055)
    assert figures["max_drawdown_frac"] == pytest.approx(0.055)
    returns = np.array([0.0, -0.055, 1_055 / 945 - 1])
    assert figures["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))


def test_spans_of_the_scorecard_name_their_first_and_last_bar(trained: Trained) -> None:
    spans = trained.scorecard["spans"]

    assert spans["learn"]["first_ns"] == START_NS + MINUTE_NS
    assert spans["judge"]["last_ns"] == START_NS + MINUTE_NS * 1_500
