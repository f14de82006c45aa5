"""Rewards in units of the return's own deviation, so that the critic learns on any scale of money.

Flow: environment → **reward_scale** → ppo.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from strategies.market import Floats


class RewardScale:
    """Divides rewards by the running deviation of the discounted return.

    Args:
        num_envs: E.
        gamma: Discount.

    Source:
        Engstrom et al. (2020), Implementation matters in deep policy gradients, section 3.
    """

    def __init__(self, num_envs: int, gamma: float) -> None:
        self._gamma = gamma
        self._returns = np.zeros(num_envs)
        self._count, self._mean, self._square = 1e-4, 0.0, 0.0

    def __call__(self, rewards: Floats, ended: Any) -> Floats:
        """Scale the rewards of one step, shape (E,)."""
        return rewards / self.deviation_with(rewards, ended)

    def deviation_with(self, rewards: Floats, ended: Any) -> float:
        """The deviation, these rewards of one step, shape (E,), counted in."""
        self._returns = self._gamma * self._returns + rewards
        count = len(rewards)
        mean, total = float(self._returns.mean()), self._count + count
        apart = mean - self._mean
        self._square += float(((self._returns - mean) ** 2).sum()) + apart**2 * self._count * count / total
        self._mean += apart * count / total
        self._count = total
        self._returns[ended] = 0.0
        return math.sqrt(self._square / self._count + 1e-12)

    def snapshot(self) -> dict[str, Any]:
        """All state."""
        return {"returns": self._returns.copy(), "moments": [self._count, self._mean, self._square]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave."""
        self._returns = np.array(state["returns"])
        self._count, self._mean, self._square = state["moments"]
