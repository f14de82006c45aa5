"""The pathwise trainer: its objective by hand, seeds, resuming, evaluations, refusals; a start for PPO."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ml.checkpoints import load_checkpoint, save_checkpoint
from ml.environment import EpisodeConfig, MarketEnvironment
from ml.networks import NO_FEATURES, NetworkConfig, PolicyKind, Shapes
from ml.pathwise import Pathwise, PathwiseConfig
from ml.ppo import PPO
from ml.ppo_config import PPOConfig, Schedule, Stats
from ml.smooth_market import SmoothMarket, State
from strategies.config import ActionMap, AllocationConfig, CostConfig
from strategies.errors import ConfigError, DataError
from tests.support.market_data import random_dataset, rules_for

SMALL = PathwiseConfig(total_timesteps=256, num_envs=8, segment=8, learning_rate=1e-3, eval_every=64)


def market(**changes: Any) -> MarketEnvironment:
    return MarketEnvironment(
        random_dataset(2, 200, lookback=8),
        rules_for(2),
        allocation=AllocationConfig(action_map=ActionMap.SIMPLEX_CASH),
        costs=CostConfig(),
        episode=EpisodeConfig(horizon_bars=20),
        num_envs=8,
        observe_rows=True,
        **changes,
    )


def trainer(config: PathwiseConfig = SMALL, kind: PolicyKind = PolicyKind.MLP) -> Pathwise:
    network = NetworkConfig(kind=kind, hidden=(16,), code=8, channels=4)
    return Pathwise(SmoothMarket(market()), network, config)


def weights(run: Pathwise | PPO) -> list[bytes]:
    return [one.numpy(force=True).tobytes() for one in run.policy.state_dict().values()]


class Slope:
    """A state x' = x + a that is paid 2 x' a step; it ends for good once ``limit`` is passed."""

    shapes = Shapes(0, 0, 0, 1, 1)

    def __init__(self, limit: float = math.inf) -> None:
        self.limit = limit

    @property
    def scaling(self) -> Any:
        return NO_FEATURES

    def begin(self, count: int, generator: torch.Generator) -> State:
        return {"x": torch.zeros(count), "age": torch.zeros(count, dtype=torch.int64)}

    def room(self, state: State) -> torch.Tensor:
        return 8 - state["age"]

    def ahead(self, state: State, steps: int) -> torch.Tensor:
        return torch.zeros((steps * len(state["x"]), 0, 0, 0))

    def vector(self, state: State) -> torch.Tensor:
        return state["x"][:, None]

    def step(self, state: State, action: torch.Tensor, generator: torch.Generator) -> Any:
        x = state["x"] + action[:, 0]
        return {"x": x, "age": state["age"] + 1}, 2.0 * x, x.detach().abs() > self.limit


def on_slope(limit: float = math.inf, **changes: Any) -> Pathwise:
    """A policy that always answers 1, and a critic that always answers 5."""
    config = PathwiseConfig(num_envs=2, segment=3, gamma=0.5, gae_lambda=0.5, scale_reward=False)
    run = Pathwise(Slope(limit), NetworkConfig(hidden=(), dropout=0.0), replace(config, **changes))
    with torch.no_grad():
        for last, answer in ((run.policy.actor.layers[-1], 1.0), (run.policy.critic.layers[-1], 5.0)):
            last.weight.zero_()
            last.bias.fill_(answer)
    return run


def test_objective_and_its_gradient_by_hand() -> None:
    # x = 1, 2, 3 and rewards 2, 4, 6: J = 2 + 0.5·4 + 0.25·6 + 0.125·5 = 6.125, a third of it a step.
    # dx_t/db = t where the answer is b for every x: dJ/db = 2 + 0.5·4 + 0.25·6 = 5.5, and the value does not
    # depend on x. dx_t/dw, the answer being w·x + b at w = 0, b = 1: x_1' = 0, x_2' = 1, x_3' = 1 + 2 = 3:
    # dJ/dw = 0.5·2·1 + 0.25·2·3 = 2.5.
    run = on_slope(max_grad_norm=1e9)

    stats = run.update()

    assert stats.policy_loss == pytest.approx(-6.125 / 3.0)
    assert stats.grad_norms["actor.0.bias"] == pytest.approx(5.5 / 3.0)
    assert stats.grad_norms["actor.0.weight"] == pytest.approx(2.5 / 3.0)
    # Both slopes of the loss are negative, so both numbers rise.
    assert run.policy.actor.layers[-1].bias.item() > 1.0
    assert run.policy.actor.layers[-1].weight.item() > 0.0


def test_critic_learns_the_returns_and_nothing_of_the_actor() -> None:
    # delta = 2 + 0.5·5 - 5 = -0.5, 4 + 2.5 - 5 = 1.5, 6 + 2.5 - 5 = 3.5; with gamma·lambda = 0.25
    # A = (-0.5 + 0.25·2.375, 1.5 + 0.25·3.5, 3.5) = (0.09375, 2.375, 3.5); the loss is half the mean square,
    # its slope in the critic's bias -mean A.
    run = on_slope(max_grad_norm=1e9)

    stats = run.update()

    assert stats.value_loss == pytest.approx(0.5 * (0.09375**2 + 2.375**2 + 3.5**2) / 3.0)
    assert stats.grad_norms["critic.0.bias"] == pytest.approx((0.09375 + 2.375 + 3.5) / 3.0)
    assert run.policy.critic.layers[-1].bias.item() > 5.0


def test_life_that_ended_earns_nothing_more_and_begins_anew() -> None:
    # x = 2 passes the limit: rewards 2 and 4, no third one, and no value of what follows: J = 2 + 0.5·4.
    run = on_slope(limit=1.5)

    stats = run.update()
    after = run.update()

    assert stats.policy_loss == pytest.approx(-4.0 / 3.0)
    assert after.mean_return == pytest.approx(6.0)


def test_life_too_short_for_another_segment_begins_anew() -> None:
    run = on_slope(learning_rate=1e-9)

    told = [run.update().mean_return for _ in range(3)]

    # Eight steps of life are two segments of three; x = 1 to 6 earned 2 + 4 + ... + 12.
    assert told[:2] == pytest.approx([math.nan, math.nan], nan_ok=True)
    assert told[2] == pytest.approx(42.0, rel=1e-5)


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_equal_seeds_give_equal_weights_and_others_do_not(kind: PolicyKind) -> None:
    runs = [trainer(replace(SMALL, seed=seed), kind) for seed in (1, 1, 2)]

    for run in runs:
        run.train()

    assert weights(runs[0]) == weights(runs[1])
    assert weights(runs[0]) != weights(runs[2])


def test_interrupted_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    config = replace(SMALL, schedule=Schedule.LINEAR)
    whole, stopped, resumed = trainer(config), trainer(config), trainer(replace(config, seed=9))
    whole.train()
    for _ in range(2):
        stopped.update()
    save_checkpoint(tmp_path / "last.npz", stopped.snapshot())

    resumed.restore(load_checkpoint(tmp_path / "last.npz"))
    resumed.train()

    assert weights(resumed) == weights(whole)
    assert resumed.timesteps == whole.timesteps == 256


def test_evaluations_keep_the_best_policy_and_end_training(tmp_path: Path) -> None:
    scores = iter([1.0, 3.0, 2.0, 2.0])

    outcome = trainer(replace(SMALL, patience=2)).train(lambda _: next(scores), checkpoints=tmp_path)

    assert (outcome.reason, outcome.best_score, outcome.timesteps) == ("patience", 3.0, 256)
    assert load_checkpoint(tmp_path / "last.npz")["timesteps"] == 256
    assert set(load_checkpoint(tmp_path / "best.npz")["policy"]) == set(trainer().policy.state_dict())


def test_policy_is_a_start_for_ppo() -> None:
    network = NetworkConfig(kind=PolicyKind.MLP, hidden=(16,), code=8)
    first = Pathwise(SmoothMarket(market()), network, SMALL)
    first.train()
    config = PPOConfig(total_timesteps=128, num_steps=128, batch_size=32, update_epochs=1)

    second = PPO(market(), network, config)
    second.policy.load_state_dict(first.policy.state_dict())
    told: list[Stats] = []
    second.train(on_update=told.append)

    assert math.isfinite(told[0].policy_loss)
    assert weights(second) != weights(first)


def test_loss_that_is_not_finite_stops_the_run() -> None:
    run = trainer()
    with torch.no_grad():
        run.policy.critic.layers[-1].bias.fill_(math.nan)

    with pytest.raises(DataError, match="not finite"):
        run.update()


def test_runs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="no more than the 20 steps"):
        trainer(replace(SMALL, segment=21))
    with pytest.raises(ConfigError, match="'cpu' or 'cuda'"):
        trainer(replace(SMALL, device="tpu"))
    run = trainer()
    with pytest.raises(DataError, match="state of a run"):
        trainer(kind=PolicyKind.WINDOW_LSTM).restore(run.snapshot())
