"""A classifier as a trainer: what it is asked lies behind it, and what leaves is what was judged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.classifiers import ClassifierSettings, Signal
from ml.classifiers.learning import learn_classifier
from ml.datasets import Dataset
from ml.environment import EpisodeConfig, MarketEnvironment
from ml.training import Task, Trained, cut, train_model
from ml.training_config import SplitConfig, TrainerKind
from strategies.config import ActionMap, AllocationConfig, CostConfig
from strategies.errors import ConfigError, DataError
from strategies.policies.onnx import OnnxPolicy
from tests.support.market_data import random_dataset, rules_for
from tests.support.observations import make_observation
from tests.support.training import LOOKBACK, small_config, small_strategy, small_task

HORIZON = 5
SETTINGS = ClassifierSettings(
    kind="boosting", horizon_bars=HORIZON, num_trees=20, signal=Signal(dead_zone=0.0)
)


def market(seed: int = 0, rows: int = 1_500) -> Dataset:
    return random_dataset(2, rows, seed, lookback=LOOKBACK)


def task(settings: ClassifierSettings = SETTINGS, action_map: ActionMap = ActionMap.WEIGHTS) -> Task:
    allocation = AllocationConfig(action_map=action_map, max_step_change=2.0)
    return replace(
        small_task(config=small_config(trainer=TrainerKind.CLASSIFIER, classifier=settings)),
        strategy=small_strategy(allocation=allocation),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train_model(market(), task(), tmp_path_factory.mktemp("run"))


def with_future(dataset: Dataset, row: int) -> Dataset:
    """Another market from a row on."""
    other = market(seed=9, rows=len(dataset))
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(dataset, name)[:row], getattr(other, name)[row:]])
        for name in ("open", "close", "volume", "present", "features")
    }
    return replace(dataset, **joined)


def test_what_lies_behind_the_learning_span_changes_nothing_that_was_learned(
    trained: Trained, tmp_path: Path
) -> None:
    learn = cut(market(), SplitConfig()).learn

    other = train_model(with_future(market(), learn[1]), task(), tmp_path)

    assert other.policy == trained.policy
    assert other.scorecard["judged"] != trained.scorecard["judged"]
    assert other.scorecard["training"] != trained.scorecard["training"]


def test_last_close_of_the_learning_span_is_a_label(trained: Trained, tmp_path: Path) -> None:
    last = cut(market(), SplitConfig()).learn[1] - 1
    close = market().close.copy()
    close[last] *= 1.5

    other = train_model(replace(market(), close=close), task(), tmp_path)

    assert other.policy != trained.policy


def test_file_answers_as_the_model_that_was_judged(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(trained.policy)
    dataset = market()
    policy = OnnxPolicy(
        path,
        num_instruments=2,
        num_features=dataset.num_features,
        num_beliefs=2,
        schema_sha256=dataset.schema_sha256,
        action_map=ActionMap.WEIGHTS,
        deadline_ms=1e3,
        monotonic=None,
    )

    answers = []
    for row in range(700, 760):
        observation = make_observation([[0.0]] * 2, [1.0] * 2, lookback=LOOKBACK)
        observation.window = dataset.windows[row - LOOKBACK + 1]
        answers.append(policy.act(observation))

    assert trained.scorecard["parity_error"] <= 1e-6
    assert len({answer.values for answer in answers}) > 10
    assert all(0.0 <= value <= 0.5 for answer in answers for value in answer.values)


def test_life_is_lived_by_the_weights_of_each_row() -> None:
    dataset = market()
    learned = learn_classifier(
        dataset, SETTINGS, learn=(0, 900), judged={}, embargo_bars=0, bars_per_year=365.0
    )
    environment = MarketEnvironment(
        dataset.slice(900, 1_200),
        rules_for(2),
        allocation=AllocationConfig(max_step_change=1e6),
        costs=CostConfig(),
        episode=EpisodeConfig(start_cash=100_000.0),
        num_envs=1,
        observe_rows=True,
    )

    play = learned.play(environment)

    probs = learned.fit.probs(environment.dataset.features[LOOKBACK - 1 : -1].astype(np.float64))
    wanted = SETTINGS.signal.weights(probs).sum(axis=1)
    # Lots are whole, fees are paid, and prices move between the decision and the close: not more than that.
    assert np.corrcoef(play.gross, wanted[-len(play.gross) :])[0, 1] > 0.95


def test_scorecard_says_how_good_it_is_on_bars_it_never_saw(trained: Trained) -> None:
    metrics = trained.scorecard["training"]["classifier"]

    assert set(metrics) == {"selected", "judged"}
    for one in metrics.values():
        # Nobody can know a random walk.
        assert 0.4 < one["auc"] < 0.6
        assert set(one["importance"]) == set(market().columns)


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        (task(action_map=ActionMap.SIMPLEX_CASH), ConfigError, 'simplex_cash": expected "weights"'),
        (task(replace(SETTINGS, horizon_bars=5_000)), DataError, "expected more than 5000 bars of learn"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    tmp_path: Path, wrong: Task, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        train_model(market(), wrong, tmp_path)
