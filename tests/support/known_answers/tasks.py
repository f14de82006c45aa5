"""Problems whose best answer is known, as worlds for `ml.pathwise` and Gymnasium environments for `ml.ppo`.

A task is one definition of its dynamics, in torch; `TaskEnvironment` plays it for trainers that want numpy.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ml.networks import Policy, Shapes
from ml.pathwise import World
from ml.smooth_market import State
from strategies.market import Floats

type Rule = Callable[[Tensor], Tensor]
"""From what is seen, shape (E, V), to actions, shape (E, A)."""


class Task(World, Protocol):
    """A world with a known optimum."""

    @property
    def name(self) -> str:
        """As people call it."""

    @property
    def gamma(self) -> float:
        """Discount of its objective."""

    @property
    def choices(self) -> tuple[float, ...]:
        """What a discrete action stands for; empty for a continuous one."""

    def best(self, vector: Tensor) -> Tensor:
        """The optimal action."""

    def score(self, rule: Rule) -> float:
        """What a rule reaches, as a share of the optimum."""


def shapes_of(vector: int, actions: int, choices: Sequence[float] = ()) -> Shapes:
    """Of an observation without a window."""
    return Shapes(0, 0, 0, vector, len(choices) or actions, 1 if choices else 0)


def nothing_ahead(state: State, steps: int) -> Tensor:
    """Windows of a world that has none."""
    return torch.zeros((steps * len(state["age"]), 0, 0, 0))


def rule_of(policy: Policy, task: Task) -> Rule:
    """What a trained policy does when it does not explore."""
    policy.eval()

    @torch.no_grad()
    def rule(vector: Tensor) -> Tensor:
        mean, _ = policy(policy.encode(torch.zeros((len(vector), 0, 0, 0))), vector)
        return torch.tensor(task.choices)[mean.argmax(dim=1)][:, None] if task.choices else mean

    return rule


@torch.no_grad()
def discounted_worth(task: Task, rule: Rule, *, lives: int, steps: int, seed: int = 20_260_101) -> float:
    """Mean discounted reward of a rule; equal seeds, equal chances for all rules."""
    generator = torch.Generator().manual_seed(seed)
    state, worth, discount = task.begin(lives, generator), 0.0, 1.0
    for _ in range(steps):
        state, reward, _ = task.step(state, rule(task.vector(state)), generator)
        worth += discount * float(reward.mean())
        discount *= task.gamma
    return worth


class TaskEnvironment(VectorEnv[Any, Any, Any]):
    """A task in Gymnasium's vector interface, with same-step resets.

    Args:
        task: What is played.
        num_envs: E.
    """

    def __init__(self, task: Task, num_envs: int) -> None:
        self.task, self.num_envs = task, num_envs
        shapes, wide = task.shapes, float("inf")
        self.single_observation_space = spaces.Box(-wide, wide, (shapes.vector,), np.float32)
        self.single_action_space = (
            spaces.Discrete(len(task.choices))
            if task.choices
            else spaces.Box(-wide, wide, (shapes.actions,), np.float32)
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self._generator = torch.Generator()
        self._values = torch.tensor(task.choices)
        self._state: State = {}

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        if isinstance(seed, int):
            self._generator.manual_seed(seed)
        self._state = self.task.begin(self.num_envs, self._generator)
        return self._seen(), {}

    @torch.no_grad()
    def step(self, actions: Any) -> tuple[Any, Floats, Any, Any, dict[str, Any]]:
        chosen = self._values[torch.as_tensor(actions)][:, None] if self.task.choices else actions
        action = torch.as_tensor(chosen, dtype=torch.float64)
        self._state, reward, terminated = self.task.step(self._state, action, self._generator)
        truncated = (self.task.room(self._state) <= 0) & ~terminated
        ended = terminated | truncated
        infos: dict[str, Any] = {}
        if bool(ended.any()):
            final = np.full(self.num_envs, None, dtype=object)
            for place, seen in enumerate(self._seen()):
                final[place] = seen
            infos = {"final_obs": final, "_final_obs": ended.numpy()}
            fresh = self.task.begin(self.num_envs, self._generator)
            for name, value in self._state.items():
                wide = ended.reshape(-1, *(1,) * (value.dim() - 1))
                self._state[name] = torch.where(wide, fresh[name], value)
        return self._seen(), reward.double().numpy(), terminated.numpy(), truncated.numpy(), infos

    def _seen(self) -> Any:
        return self.task.vector(self._state).numpy()
