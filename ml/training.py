"""From a dataset to a model that may trade: regime fit, training, export, scorecard, in one pass.

Flow: datasets, splits → hmm → environment → ppo → playing → export → **training** → bundles.

In order of time the bars are cut in three. The regime model, the feature normaliser and the network learn
from the first; the second chooses the best network on the way; the third judges it once, at the end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ml.beliefs import filtered, first_warm, regime_rows, with_beliefs
from ml.checkpoints import load_checkpoint
from ml.classifiers.learning import learn_classifier
from ml.datasets import Dataset, Ints
from ml.drift import (
    POLICY_COLUMNS,
    REGIME_COLUMNS,
    DriftReference,
    calibrate_drift,
    check_rows,
    feature_columns,
)
from ml.drift import regime_rows as regime_drift_rows
from ml.environment import EpisodeConfig, MarketEnvironment
from ml.export import parity_error, policy_onnx
from ml.hmm import HmmFit, fit_hmm
from ml.networks import Policy
from ml.pathwise import Pathwise
from ml.playing import Play, play_policy, play_weights
from ml.ppo import PPO
from ml.ppo_config import Outcome, Stats
from ml.smooth_market import SmoothMarket
from ml.splits import Split, TimeRange, custom_ranges, eighty_twenty, last_year
from ml.training_config import SplitConfig, SplitKind, TrainerKind, TrainingConfig
from ml.views import MarketView, device_of
from strategies.config import ActionMap, AllocationConfig, CostConfig, StrategyConfig
from strategies.errors import ConfigError, DataError
from strategies.market import Float32s, Floats, Instrument
from strategies.regime_params import RegimeParams

LAST, BEST = "last.npz", "best.npz"
"""Checkpoints, in a directory named after the trainer."""

_PARITY_OBSERVATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be learned, besides the bars."""

    strategy: StrategyConfig
    instruments: Sequence[Instrument]
    """Trading rules, in the order of the strategy."""
    costs: CostConfig
    config: TrainingConfig
    bars_per_year: float


@dataclass(frozen=True, slots=True)
class Spans:
    """Rows of the dataset, each from start to before stop."""

    learn: tuple[int, int]
    select: tuple[int, int]
    judge: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model and how it came about."""

    policy: bytes
    """ONNX."""
    regime: RegimeParams | None
    drift: DriftReference
    scorecard: Mapping[str, Any]


def train_model(
    dataset: Dataset,
    task: Task,
    workdir: Path,
    *,
    on_update: Callable[[Stats, Policy], None] = lambda _stats, _policy: None,
    previous_regime: RegimeParams | None = None,
) -> Trained:
    """Train a model, or go on with a training that was interrupted.

    Args:
        dataset: Bars and features, without beliefs.
        task: What is to be learned.
        workdir: Checkpoints lie here; where there are some, the training goes on from them.
        on_update: Told after each update, with the network as it is.
        previous_regime: Model whose numbering of states is kept.

    Raises:
        ConfigError: If the settings do not fit the strategy or each other.
        DataError: If the data are too short or a loss is not finite.
    """
    spans = cut(dataset, task.config.split)
    regime_fit = _fit_regime(dataset, task, spans, previous_regime)
    regime_json = None
    if regime_fit is not None and task.strategy.regime is not None:
        beliefs = filtered(dataset, task.strategy.regime, regime_fit.params)
        regime_json = _regime_json(regime_fit, beliefs[slice(*spans.learn)])
        dataset = with_beliefs(dataset, task.strategy, regime_fit.params, beliefs)
    seen = _seen(dataset, task, spans, regime_fit)
    check_rows(*seen, task.config.drift)  # before the hours that learning may take
    is_classifier = task.config.trainer is TrainerKind.CLASSIFIER
    learned = (
        _classified(dataset, task, spans)
        if is_classifier
        else _network(dataset, task, spans, workdir, on_update)
    )
    scorecard = {
        "spans": _spans_json(dataset, spans),
        "judged": _judged(dataset, task, spans.judge, learned.play),
        "selected": _judged(dataset, task, spans.select, learned.play),
        "training": learned.training,
        "regime": regime_json,
        "parity_error": learned.parity_error,
    }
    lived = learned.play(_environment(dataset, task, spans.learn))
    return Trained(
        policy=learned.content,
        regime=None if regime_fit is None else regime_fit.params,
        drift=calibrate_drift(*_with_deeds(*seen, lived), task.config.drift),
        scorecard=scorecard,
    )


def cut(dataset: Dataset, config: SplitConfig) -> Spans:
    """The three spans of a dataset.

    Raises:
        DataError: If one has no rows.
    """
    count = len(dataset)
    # What is decided at a close fills in the next bar and is worth something at its close.
    ends = np.minimum(np.arange(count) + 1, count - 1)
    split = _split(dataset, ends, config)
    first, stop = int(split.train[0]), int(split.train[-1]) + 1
    selected = int((stop - first) * config.selection_frac)
    spans = Spans(
        learn=(first, stop - selected - config.embargo_bars),
        select=(stop - selected, stop),
        judge=(int(split.test[0]), int(split.test[-1]) + 1),
    )
    if selected < 2 or spans.learn[1] - spans.learn[0] < 2:
        raise DataError(
            f"expected bars to learn from and to select on before the test, found {stop - first} in all; "
            "take a longer span"
        )
    return spans


def _split(dataset: Dataset, ends: Any, config: SplitConfig) -> Split:
    match config.kind:
        case SplitKind.EIGHTY_TWENTY:
            return eighty_twenty(ends, embargo_bars=config.embargo_bars)
        case SplitKind.LAST_YEAR:
            return last_year(dataset.ts_event, ends, embargo_bars=config.embargo_bars)
        case SplitKind.DATES:
            test = TimeRange("test", str(config.test_start), str(config.test_end))
            train = TimeRange("train", "1970-01-01", test.start)
            return custom_ranges(dataset.ts_event, ends, train, test, embargo_bars=config.embargo_bars)


def _fit_regime(dataset: Dataset, task: Task, spans: Spans, previous: RegimeParams | None) -> HmmFit | None:
    regime = task.strategy.regime
    if regime is None:
        return None
    start = max(first_warm(dataset), spans.learn[0])
    rows = regime_rows(dataset, regime)[start : spans.learn[1]]
    return fit_hmm(rows, task.config.regime, previous=previous, columns=regime.columns)


def _environment(
    dataset: Dataset,
    task: Task,
    span: tuple[int, int],
    *,
    is_training: bool = False,
    allocation: AllocationConfig | None = None,
) -> MarketEnvironment:
    """Many portfolios at random times of a span to train on, or one that lives through it once."""
    settings, strategy = task.config.environment, task.strategy
    # The window of the first decision reaches back before the span; nothing is learned from those rows.
    rows = dataset.slice(max(0, span[0] - dataset.lookback + 1), span[1])
    return MarketEnvironment(
        rows,
        task.instruments,
        allocation=allocation or strategy.allocation,
        costs=task.costs,
        reward=task.config.reward,
        episode=EpisodeConfig(
            start_cash=strategy.capital_quote,
            horizon_bars=settings.horizon_bars if is_training else None,
            randomize_start=is_training,
            min_hold_bars=settings.min_hold_bars,
            ruin_frac=settings.ruin_frac,
        ),
        num_envs=settings.num_envs if is_training else 1,
        num_clocks=settings.num_clocks if is_training else 1,
        is_discrete=settings.discrete and allocation is None,
        observe_rows=True,
        cash_buffer_frac=strategy.sizing.cash_buffer_frac,
    )


class _Learned(NamedTuple):
    """What decides, however it was learned."""

    content: bytes
    play: Callable[[MarketEnvironment], Play]
    training: Mapping[str, Any]
    parity_error: float


def _network(
    dataset: Dataset,
    task: Task,
    spans: Spans,
    workdir: Path,
    on_update: Callable[[Stats, Policy], None],
) -> _Learned:
    learning = _environment(dataset, task, spans.learn, is_training=True)
    selecting = _environment(dataset, task, spans.select)
    policy, outcomes = _learn(learning, selecting, task.config, workdir, on_update)
    action_map = task.strategy.allocation.action_map
    content = policy_onnx(policy, action_map=action_map, schema_sha256=dataset.schema_sha256)
    told = {name: _outcome_json(outcome) for name, outcome in outcomes.items()}
    return _Learned(
        content, partial(play_policy, policy), told, _parity(content, policy, learning, action_map)
    )


def _classified(dataset: Dataset, task: Task, spans: Spans) -> _Learned:
    if task.strategy.allocation.action_map is not ActionMap.WEIGHTS:
        raise ConfigError(
            f'allocation.action_map = "{task.strategy.allocation.action_map.value}": expected "weights" for '
            'trainer = "classifier", which answers with weights'
        )
    learned = learn_classifier(
        dataset,
        task.config.classifier,
        learn=spans.learn,
        judged={"selected": spans.select, "judged": spans.judge},
        embargo_bars=task.config.split.embargo_bars,
        bars_per_year=task.bars_per_year,
    )
    return _Learned(learned.content, learned.play, {"classifier": learned.metrics}, learned.parity_error)


def _learn(
    learning: MarketEnvironment,
    selecting: MarketEnvironment,
    config: TrainingConfig,
    workdir: Path,
    on_update: Callable[[Stats, Policy], None],
) -> tuple[Policy, dict[str, Outcome]]:
    """The best network of the configured trainers, one after the other, and how each of them ended."""
    outcomes: dict[str, Outcome] = {}
    best: Mapping[str, Any] | None = None
    for trainer in _trainers(learning, config):
        name = type(trainer).__name__.lower()
        checkpoints = workdir / name
        if best is not None:
            trainer.policy.load_state_dict(best)
        if (checkpoints / LAST).is_file():
            trainer.restore(load_checkpoint(checkpoints / LAST))
        outcomes[name] = trainer.train(
            lambda policy: play_policy(policy, selecting).reward,
            partial(_tell, on_update, trainer),
            checkpoints,
        )
        if (checkpoints / BEST).is_file():
            trainer.policy.load_state_dict(load_checkpoint(checkpoints / BEST)["policy"])
        best = trainer.policy.state_dict()
    return trainer.policy.cpu(), outcomes


def _trainers(learning: MarketEnvironment, config: TrainingConfig) -> Iterator[PPO | Pathwise]:
    if config.trainer in (TrainerKind.PATHWISE, TrainerKind.PATHWISE_PPO):
        world = SmoothMarket(learning, device_of(config.pathwise.device))
        yield Pathwise(world, config.network, config.pathwise)
    if config.trainer in (TrainerKind.PPO, TrainerKind.PATHWISE_PPO):
        yield PPO(learning, config.network, config.ppo)


def _tell(on_update: Callable[[Stats, Policy], None], trainer: PPO | Pathwise, stats: Stats) -> None:
    on_update(stats, trainer.policy)


def _judged(
    dataset: Dataset, task: Task, span: tuple[int, int], play: Callable[[MarketEnvironment], Play]
) -> dict[str, Any]:
    """Figures of a span, beside holding everything and holding nothing."""
    count = dataset.num_instruments
    held = _environment(dataset, task, span, allocation=AllocationConfig(max_step_change=1e6))
    plays = {
        "policy": play(_environment(dataset, task, span)),
        "equal_weight_held": play_weights(held, np.full(count, 1.0 / count)),
    }
    return {name: play.metrics(task.bars_per_year) for name, play in plays.items()}


def _parity(content: bytes, policy: Policy, environment: MarketEnvironment, action_map: ActionMap) -> float:
    """Worst difference over real windows with the portfolios of a random life."""
    data = environment.dataset
    view = MarketView(environment, torch.device("cpu"))
    draws = np.random.default_rng(0)
    seen = view.read(environment.reset(seed=0)[0])
    rows: list[Ints] = []
    vectors: list[Float32s] = []
    while len(rows) * environment.num_envs < _PARITY_OBSERVATIONS:
        rows.append(np.repeat(seen.rows.numpy(), view.group))
        vectors.append(seen.vector.numpy().copy())
        actions: Any = draws.standard_normal((environment.num_envs, policy.shapes.actions))
        if policy.shapes.discrete_dims:
            actions = draws.integers(0, 3, (environment.num_envs, policy.shapes.discrete_dims))
        elif action_map is ActionMap.WEIGHTS:
            actions = np.clip(actions, -1.0, 1.0)
        seen = view.read(environment.step(actions)[0])
    windows = data.windows[np.concatenate(rows) - data.lookback + 1]
    check = partial(parity_error, content, policy, windows, np.concatenate(vectors), action_map)
    return max(check(batch) for batch in (1, 64))


def _seen(dataset: Dataset, task: Task, spans: Spans, fit: HmmFit | None) -> tuple[Floats, tuple[str, ...]]:
    """What is watched for drift, but for the policy: rows of the bars that were learned from, and names."""
    first, start = first_warm(dataset), max(first_warm(dataset), spans.learn[0])
    features = dataset.features[start : spans.learn[1]].astype(np.float64)
    rows = features.reshape(len(features), -1)
    columns = feature_columns(dataset.instruments, dataset.columns)
    if fit is None or task.strategy.regime is None:
        return rows, columns
    read = regime_rows(dataset, task.strategy.regime)[first : spans.learn[1]]
    fitted = regime_drift_rows(fit.params, read)[start - first :]
    return np.hstack([rows, fitted]), columns + REGIME_COLUMNS


def _with_deeds(rows: Floats, columns: tuple[str, ...], lived: Play) -> tuple[Floats, tuple[str, ...]]:
    """Add what the policy did on the same bars; what it never did otherwise cannot be watched."""
    count = min(len(rows), len(lived.gross))
    deeds = np.stack([lived.gross, lived.turnover], axis=1)[-count:]
    varies = deeds.min(axis=0) < deeds.max(axis=0)
    names = tuple(name for name, kept in zip(POLICY_COLUMNS, varies, strict=True) if kept)
    return np.hstack([rows[-count:], deeds[:, varies]]), columns + names


def _spans_json(dataset: Dataset, spans: Spans) -> dict[str, Any]:
    return {
        name: {
            "rows": stop - start,
            "first_ns": int(dataset.ts_event[start]),
            "last_ns": int(dataset.ts_event[stop - 1]),
        }
        for name, (start, stop) in asdict(spans).items()
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    document: dict[str, Any] = asdict(outcome)
    document["best_score"] = outcome.best_score if np.isfinite(outcome.best_score) else None
    return document


def _regime_json(fit: HmmFit, beliefs: Floats) -> dict[str, Any]:
    warm = beliefs[np.isfinite(beliefs).all(axis=1)]
    shares = np.bincount(warm.argmax(axis=1), minlength=fit.params.num_states) / len(warm)
    return {
        "log_likelihood": fit.log_likelihood,
        "bic": fit.bic,
        "start": fit.start,
        "iterations": fit.iterations,
        "means": fit.params.means.tolist(),
        "covariances": fit.params.covariances.tolist(),
        "transition_matrix": fit.params.transition_matrix.tolist(),
        "share_of_bars": shares.tolist(),
    }
