"""PPO: advantages by hand, one update against a plain re-derivation, seeds, resuming, groups, refusals."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch.nn import functional

from ml.checkpoints import load_checkpoint, save_checkpoint
from ml.environment import EpisodeConfig, MarketEnvironment
from ml.networks import NetworkConfig, PolicyKind
from ml.ppo import PPO, Rollout, gae
from ml.ppo_config import PPOConfig, Schedule, Stats
from strategies.config import ActionMap, AllocationConfig, CostConfig
from strategies.errors import ConfigError, DataError
from tests.support.market_data import random_dataset, rules_for

DEVICES = (
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
    ),
)
SMALL = PPOConfig(
    total_timesteps=512, num_steps=128, batch_size=32, update_epochs=2, learning_rate=1e-3, eval_every=128
)


def market(num_clocks: int = 2, rows: int = 200, **changes: Any) -> MarketEnvironment:
    return MarketEnvironment(
        random_dataset(2, rows, lookback=8),
        rules_for(2),
        allocation=AllocationConfig(action_map=ActionMap.SIMPLEX_CASH),
        costs=CostConfig(),
        episode=EpisodeConfig(horizon_bars=20),
        num_envs=8,
        num_clocks=num_clocks,
        observe_rows=True,
        **changes,
    )


def trainer(config: PPOConfig = SMALL, kind: PolicyKind = PolicyKind.MLP, **changes: Any) -> PPO:
    network = NetworkConfig(kind=kind, hidden=(16,), code=8, channels=4)
    return PPO(market(**changes), network, config)


def cart_poles(count: int = 4) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda: gymnasium.make("CartPole-v1")] * count, autoreset_mode=AutoresetMode.SAME_STEP
    )


def pendulums() -> SyncVectorEnv:
    return SyncVectorEnv([lambda: gymnasium.make("Pendulum-v1")] * 4, autoreset_mode=AutoresetMode.SAME_STEP)


def weights(run: PPO) -> list[bytes]:
    return [one.numpy(force=True).tobytes() for one in run.policy.state_dict().values()]


def test_advantages_by_hand() -> None:
    # gamma 0.5, lambda 0.5. Step 2 ends for good, step 1 goes on.
    # delta = (1 + 0.5·4 - 2, 2 + 0.5·6 - 4, 3 + 0 - 6) = (1, 1, -3)
    # A_3 = -3; A_2 = 1 + 0.25·(-3) = 0.25; A_1 = 1 + 0.25·0.25 = 1.0625
    column = {
        "rewards": [1.0, 2.0, 3.0],
        "values": [2.0, 4.0, 6.0],
        "next_values": [4.0, 6.0, 99.0],
        "terminated": [False, False, True],
        "ended": [False, False, True],
    }

    advantages = gae(
        **{key: np.array(value)[:, None] for key, value in column.items()}, gamma=0.5, gae_lambda=0.5
    )

    assert advantages[:, 0] == pytest.approx([1.0625, 0.25, -3.0])


def test_episode_that_is_cut_for_time_counts_what_would_have_followed_and_nothing_of_the_next() -> None:
    # delta_1 = 1 + 0.5·10 - 2 = 4 and nothing of step 2 is carried over the cut.
    advantages = gae(
        np.array([[1.0], [7.0]]),
        np.array([[2.0], [0.0]]),
        np.array([[10.0], [0.0]]),
        np.array([[False], [False]]),
        np.array([[True], [False]]),
        gamma=0.5,
        gae_lambda=0.5,
    )

    assert advantages[:, 0] == pytest.approx([4.0, 7.0])


def test_what_follows_a_step_is_worth_what_the_critic_says_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # With lambda 0 an advantage is r + gamma · v(next) - v, so that v(next) can be told from it.
    config = replace(SMALL, gae_lambda=0.0, scale_reward=False)
    run = PPO(pendulums(), NetworkConfig(hidden=(8,), dropout=0.0), config)
    rewards, step = [], run.environment.step

    def recorded(actions: Any) -> Any:
        answer = step(actions)
        rewards.append(torch.as_tensor(answer[1], dtype=torch.float32))
        return answer

    monkeypatch.setattr(run.environment, "step", recorded)

    rollout, _ = run.collect()

    following = (rollout.advantages - torch.stack(rewards) + rollout.values) / config.gamma
    with torch.no_grad():
        last = run.policy(torch.zeros(4, 0), run._seen.vector)[1]
    torch.testing.assert_close(following, torch.cat((rollout.values[1:], last[None])), atol=1e-4, rtol=1e-4)


def reference_update(run: PPO, rollout: Rollout) -> dict[str, torch.Tensor]:
    """Parameters after learning from a rollout, from Adam and the formulas written out anew.

    Two tanh layers, a normal policy with its own density, entropy and gradient clipping, on all samples at
    once, with as many passes.
    """
    config = run.config
    params = {name: value.detach().clone().requires_grad_() for name, value in run.policy.named_parameters()}
    moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in params.items()}
    seen = rollout.vectors.flatten(0, 1)
    actions, old = rollout.actions.flatten(0, 1), rollout.logprobs.flatten()
    advantages, returns = rollout.advantages.flatten(), rollout.returns.flatten()
    old_values = rollout.values.flatten()
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    for number in range(1, config.update_epochs + 1):
        outputs = []
        for column in ("actor", "critic"):
            inner, last = ((params[f"{column}.{at}.weight"], params[f"{column}.{at}.bias"]) for at in (0, 1))
            outputs.append(functional.linear(torch.tanh(functional.linear(seen, *inner)), *last))
        mean, value = outputs[0], outputs[1][:, 0]
        log_std = params["log_std"]
        density = -0.5 * ((actions - mean) / log_std.exp()) ** 2 - log_std - 0.5 * math.log(2 * math.pi)
        ratio = (density.sum(dim=1) - old).exp()
        unclipped = ratio * advantages
        clipped = ratio.clamp(1 - config.clip_coef, 1 + config.clip_coef) * advantages
        errors = (value - returns) ** 2
        if config.clip_value is not None:
            near = old_values + (value - old_values).clamp(-config.clip_value, config.clip_value)
            errors = torch.maximum(errors, (near - returns) ** 2)
        entropy = (0.5 + 0.5 * math.log(2 * math.pi) + log_std).sum()
        loss = (
            -torch.minimum(unclipped, clipped).mean()
            + config.vf_coef * 0.5 * errors.mean()
            - config.ent_coef * entropy
        )
        grads = dict(zip(params, torch.autograd.grad(loss, list(params.values())), strict=True))
        norm = torch.sqrt(sum((grad**2).sum() for grad in grads.values()))  # type: ignore[arg-type]
        shrink = min(1.0, config.max_grad_norm / (float(norm) + 1e-6))
        for name, grad in grads.items():
            first, second = moments[name]
            first.mul_(0.9).add_(0.1 * shrink * grad)
            second.mul_(0.999).add_(0.001 * (shrink * grad) ** 2)
            step = first / (1 - 0.9**number) / ((second / (1 - 0.999**number)).sqrt() + 1e-5)
            params[name] = (params[name] - config.learning_rate * step).detach().requires_grad_()
    return params


@pytest.mark.parametrize("clip_value", [None, 0.05])
def test_update_is_a_plain_derivation_of_it(clip_value: float | None) -> None:
    config = PPOConfig(
        num_steps=128,
        batch_size=128,
        update_epochs=4,
        learning_rate=1e-2,
        clip_coef=0.05,
        clip_value=clip_value,
        ent_coef=0.01,
        max_grad_norm=0.5,
    )
    run = PPO(pendulums(), NetworkConfig(hidden=(8,), dropout=0.0), config)
    rollout, _ = run.collect()
    expected = reference_update(run, rollout)

    stats = run.learn(rollout)

    assert stats.clip_frac > 0.0
    for name, value in run.policy.named_parameters():
        torch.testing.assert_close(value.detach(), expected[name].detach(), rtol=1e-4, atol=2e-6, msg=name)


def test_reference_of_the_update_notices_another_clip() -> None:
    run = PPO(pendulums(), NetworkConfig(hidden=(8,), dropout=0.0), replace(SMALL, batch_size=128))
    rollout, _ = run.collect()
    other = reference_update(run, rollout)
    run.config = replace(run.config, vf_coef=0.5)

    run.learn(rollout)

    assert any(
        not torch.allclose(value, other[name], atol=1e-5) for name, value in run.policy.named_parameters()
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", list(PolicyKind))
def test_equal_seeds_give_equal_weights_and_others_do_not(kind: PolicyKind, device: str) -> None:
    runs = [trainer(replace(SMALL, seed=seed, device=device), kind) for seed in (1, 1, 2)]

    for run in runs:
        run.train()

    assert weights(runs[0]) == weights(runs[1])
    assert weights(runs[0]) != weights(runs[2])


@pytest.mark.parametrize("device", DEVICES[1:])
def test_mixed_precision_learns_what_full_precision_does_nearly(device: str) -> None:
    full, mixed = (
        trainer(replace(SMALL, device=device, mixed_precision=is_mixed)) for is_mixed in (False, True)
    )

    for run in (full, mixed):
        run.train()

    for one, other in zip(full.policy.parameters(), mixed.policy.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.02)
    assert weights(full) != weights(mixed)


@pytest.mark.parametrize("device", DEVICES)
def test_interrupted_run_goes_on_bit_for_bit(tmp_path: Path, device: str) -> None:
    config = replace(SMALL, schedule=Schedule.LINEAR, device=device)
    whole, stopped, resumed = trainer(config), trainer(config), trainer(replace(config, seed=9))
    whole.train(lambda _: 1.0)
    for _ in range(2):
        stopped.update()
    save_checkpoint(tmp_path / "last.npz", stopped.snapshot())

    resumed.restore(load_checkpoint(tmp_path / "last.npz"))
    resumed.train(lambda _: 1.0)

    assert weights(resumed) == weights(whole)
    assert resumed.timesteps == whole.timesteps == 512


def test_group_answers_as_its_members_would_alone() -> None:
    # Dropout is off while acting; the code of a shared window is computed once and must serve all alike.
    grouped, alone = trainer(num_clocks=2), trainer(num_clocks=8)
    alone.policy.load_state_dict(grouped.policy.state_dict())
    seen, _ = grouped.environment.reset(seed=4)

    ours = grouped.act(grouped.policy.eval(), seen)
    theirs = alone.act(alone.policy.eval(), seen)

    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


def test_learning_in_groups_is_learning_alone_when_the_minibatch_is_everything() -> None:
    # With all samples in one minibatch, no dropout and one pass, grouping may change nothing but the cost.
    config = replace(SMALL, batch_size=128, update_epochs=1)
    network = NetworkConfig(kind=PolicyKind.WINDOW_CNN, hidden=(16,), code=8, channels=4, dropout=0.0)
    runs = [PPO(market(num_clocks), network, config) for num_clocks in (2, 8)]
    rollout, _ = runs[0].collect()
    spread = rollout._replace(rows=rollout.rows.repeat_interleave(4, dim=1))

    runs[0].learn(rollout)
    runs[1].learn(spread)

    for ours, theirs in zip(runs[0].policy.parameters(), runs[1].policy.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_evaluations_keep_the_best_policy_and_end_training(tmp_path: Path) -> None:
    scores = iter([1.0, 3.0, 2.0, 2.0])
    run = trainer(replace(SMALL, patience=2))
    at_best: list[list[bytes]] = []

    def evaluate(_: Any) -> float:
        score = next(scores)
        if score == 3.0:
            at_best.append(weights(run))
        return score

    outcome = run.train(evaluate, checkpoints=tmp_path)

    assert (outcome.reason, outcome.best_score, [score for _, score in outcome.scores]) == (
        "patience",
        3.0,
        [1.0, 3.0, 2.0, 2.0],
    )
    best = load_checkpoint(tmp_path / "best.npz")["policy"]
    assert [one.numpy().tobytes() for one in best.values()] == at_best[0]


def test_score_that_is_reached_ends_training() -> None:
    outcome = trainer(replace(SMALL, stop_score=2.0)).train(lambda _: 2.5)

    assert (outcome.reason, outcome.timesteps) == ("stop_score", 128)


def test_learning_rate_goes_down_to_zero_where_asked() -> None:
    told: list[Stats] = []

    trainer(replace(SMALL, schedule=Schedule.LINEAR)).train(on_update=told.append)

    assert [stats.learning_rate for stats in told] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_target_divergence_ends_the_passes_early() -> None:
    told: list[Stats] = []
    config = replace(SMALL, learning_rate=0.05, update_epochs=20, max_grad_norm=100.0)

    for target in (None, 1e-4):
        trainer(replace(config, target_kl=target, total_timesteps=128)).train(on_update=told.append)

    assert told[1].approx_kl < 0.5 * told[0].approx_kl


def test_cart_pole_is_held_up_after_a_few_rounds() -> None:
    config = PPOConfig(
        total_timesteps=24_576,
        num_steps=2_048,
        batch_size=256,
        learning_rate=1e-3,
        gamma=0.99,
        gae_lambda=0.95,
        clip_coef=0.2,
        ent_coef=0.0,
        vf_coef=0.5,
        max_grad_norm=0.5,
    )
    told: list[Stats] = []

    PPO(cart_poles(8), NetworkConfig(dropout=0.0), config).train(on_update=told.append)

    # A random policy lasts 22 steps; the mean of the episodes that end in a rollout includes exploration.
    assert told[0].mean_return < 60.0
    assert max(stats.mean_return for stats in told) > 300.0


def test_reward_that_is_not_finite_stops_the_run() -> None:
    run = trainer()
    rollout, _ = run.collect()
    rollout.advantages[3, 2] = math.nan

    with pytest.raises(DataError, match="not finite"):
        run.learn(rollout)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(SMALL, num_steps=129), "expected multiples of 8 environments"),
        (replace(SMALL, batch_size=33), "and of 4 that share a clock"),
        (replace(SMALL, device="tpu"), "expected 'cpu' or 'cuda'"),
        (replace(SMALL, mixed_precision=True), "needs device = 'cuda'"),
    ],
)
def test_knobs_that_do_not_fit_are_refused(config: PPOConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        trainer(config)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_absent_gpu_is_named() -> None:
    with pytest.raises(ConfigError, match="no GPU"):
        trainer(replace(SMALL, device="cuda"))


def test_environments_that_cannot_be_read_are_refused() -> None:
    plain = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2)

    with pytest.raises(ConfigError, match="SAME_STEP"):
        PPO(plain, NetworkConfig(), SMALL)
    windows = MarketEnvironment(
        random_dataset(1, 100), rules_for(1), allocation=AllocationConfig(), costs=CostConfig(), num_envs=8
    )
    with pytest.raises(ConfigError, match="observe_rows"):
        PPO(windows, NetworkConfig(), SMALL)


def test_constant_feature_is_refused() -> None:
    environment = market()
    environment.dataset.features[...] = 1.0

    with pytest.raises(ConfigError, match=r"features \[0\] are constant"):
        PPO(environment, NetworkConfig(kind=PolicyKind.MLP), SMALL)


def test_checkpoint_that_is_damaged_or_another_runs_is_refused(tmp_path: Path) -> None:
    run = trainer()
    run.train(checkpoints=tmp_path)
    path = tmp_path / "last.npz"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    with pytest.raises(DataError, match="cannot be read"):
        load_checkpoint(path)
    with pytest.raises(DataError, match="cannot be read"):
        load_checkpoint(tmp_path / "none.npz")
    path.write_bytes(content)
    with pytest.raises(DataError, match="state of a run"):
        trainer(kind=PolicyKind.WINDOW_LSTM).restore(load_checkpoint(path))
