"""How each known answer is learned, by PPO and by pathwise gradients; the same for tests and benchmarks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ml.networks import NetworkConfig
from ml.pathwise import Pathwise, PathwiseConfig
from ml.ppo import PPO
from ml.ppo_config import PPOConfig, Schedule
from tests.support.known_answers.growth import Growth
from tests.support.known_answers.liquidation import Liquidation
from tests.support.known_answers.rebalancing import Rebalancing
from tests.support.known_answers.reversion import Reversion
from tests.support.known_answers.tasks import Task, TaskEnvironment, rule_of

NETWORK = NetworkConfig(hidden=(64, 64), dropout=0.0)
ENVIRONMENTS = 64
CONTROL_ENVIRONMENTS = 8
EPISODES = 20
"""By which a policy of a control problem is judged."""

PLAIN = PPOConfig(
    num_steps=4_096,
    batch_size=1_024,
    update_epochs=5,
    learning_rate=2e-3,
    schedule=Schedule.LINEAR,
    gae_lambda=0.95,
    clip_coef=0.2,
    ent_coef=0.0,
    vf_coef=0.5,
    max_grad_norm=0.5,
)
CLIMB = PathwiseConfig(learning_rate=3e-3, schedule=Schedule.LINEAR)


@dataclass(frozen=True)
class Lesson:
    """One problem, and how to learn it."""

    task: Task
    target: float
    """Share of the optimum that the better of the two trainers must reach."""
    ppo: PPOConfig
    pathwise: PathwiseConfig
    environments: int = ENVIRONMENTS
    """Of PPO, at once."""
    smooth_task: Task | None = None
    """What the pathwise trainer learns instead, where the choices of the task are discrete."""


LESSONS = (
    Lesson(
        Rebalancing(),
        0.99,
        replace(PLAIN, total_timesteps=1_000_000),
        replace(CLIMB, total_timesteps=1_500_000, num_envs=128, learning_rate=5e-3, vf_coef=4.0),
    ),
    Lesson(
        Liquidation(),
        0.99,
        replace(PLAIN, total_timesteps=300_000),
        replace(CLIMB, total_timesteps=200_000, segment=10),
    ),
    Lesson(
        Reversion(),
        0.98,
        # What a choice is worth is small beside the noise in its reward: many samples an update, and enough
        # entropy for the choices near the edge of the band to be tried until the end.
        replace(
            PLAIN,
            total_timesteps=5_000_000,
            num_steps=65_536,
            batch_size=8_192,
            update_epochs=6,
            gae_lambda=0.8,
            ent_coef=0.05,
        ),
        replace(CLIMB, total_timesteps=200_000, num_envs=64, segment=32),
        environments=512,
        smooth_task=Reversion(is_discrete=False),
    ),
    Lesson(
        Growth(),
        0.95,
        replace(PLAIN, total_timesteps=500_000, gae_lambda=0.0),
        replace(CLIMB, total_timesteps=500_000, num_envs=256, segment=4, learning_rate=1e-2),
    ),
)


@dataclass(frozen=True)
class Control:
    """A control problem of Gymnasium, judged by the return of its episodes."""

    name: str
    ppo: PPOConfig


CONTROLS = (
    Control(
        "CartPole-v1",
        replace(
            PLAIN, total_timesteps=100_000, num_steps=2_048, batch_size=256, gamma=0.99, scale_reward=False
        ),
    ),
    Control(
        "Pendulum-v1",
        replace(PLAIN, total_timesteps=200_000, num_steps=4_096, batch_size=256, gamma=0.9),
    ),
)


def learned_by_ppo(lesson: Lesson, seed: int) -> float:
    """Share of the optimum that a run of PPO reaches."""
    config = replace(lesson.ppo, gamma=lesson.task.gamma, seed=seed)
    run = PPO(TaskEnvironment(lesson.task, lesson.environments), NETWORK, config)
    run.train()
    return lesson.task.score(rule_of(run.policy, lesson.task))


def learned_by_gradients(lesson: Lesson, seed: int) -> float:
    """Share of the optimum that a run of pathwise gradients reaches."""
    task = lesson.smooth_task or lesson.task
    run = Pathwise(task, NETWORK, replace(lesson.pathwise, gamma=task.gamma, seed=seed))
    run.train()
    return task.score(rule_of(run.policy, task))


def control_learned_by_ppo(control: Control, seed: int) -> float:
    """Mean return that a run of PPO reaches on a control problem."""
    run = PPO(control_environment(control.name), NETWORK, replace(control.ppo, seed=seed))
    run.train()
    run.policy.eval()
    return mean_return(control.name, lambda seen: run.act(run.policy, seen))


def control_environment(name: str, count: int = CONTROL_ENVIRONMENTS) -> SyncVectorEnv:
    """Several of one control problem."""
    return SyncVectorEnv([lambda: gymnasium.make(name)] * count, autoreset_mode=AutoresetMode.SAME_STEP)


def mean_return(name: str, act: Callable[[Any], Any]) -> float:
    """Of the first episode of each of `EPISODES` environments, with seeds that are equal for all trainers."""
    environment = control_environment(name, EPISODES)
    seen, _ = environment.reset(seed=10_000)
    returns, running = np.zeros(EPISODES), np.ones(EPISODES, dtype=np.bool_)
    while running.any():
        seen, reward, terminated, truncated, _ = environment.step(act(seen))
        returns += reward * running
        running &= ~(terminated | truncated)
    return float(returns.mean())
