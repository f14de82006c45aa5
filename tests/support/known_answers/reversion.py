"""Trading a mean-reverting price at proportional cost; the optimum by dynamic programming.

    x' = (1 - pull) x + ε,  ε ~ N(0, 1);  a step earns  position · (x' - x) - cost · |change of the position|

The problem is linear in a position between -1 and 1, so the best one is always -1, 0, 1 or the present one:
the optimum over three choices is the optimum of the continuous problem, too.

Source:
    Tauchen (1986), Finite state Markov-chain approximations to univariate and vector autoregressions, for the
    grid; de Lataillade et al. (2012), Optimal trading with linear costs, for the shape of the answer.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from ml.networks import NO_FEATURES, Scaling, Shapes
from ml.smooth_market import State
from strategies.market import Floats
from tests.support.known_answers.tasks import Rule, discounted_worth, nothing_ahead, shapes_of

POSITIONS = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class Reversion:
    """The action is the position: one of three, or, ``is_discrete`` not set, anything, cut to [-1, 1]."""

    pull: float = 0.1
    cost: float = 1.0
    noise: float = 1.0
    """1 pays what the price does, 0 what it is expected to do."""
    gamma: float = 0.98
    horizon: int = 256
    is_discrete: bool = True
    name: str = "Ornstein-Uhlenbeck with costs"
    cells: int = 401

    @property
    def choices(self) -> tuple[float, ...]:
        return POSITIONS if self.is_discrete else ()

    @property
    def shapes(self) -> Shapes:
        return shapes_of(2, 1, self.choices)

    @property
    def spread(self) -> float:
        """Standard deviation of the price."""
        return 1.0 / math.sqrt(1.0 - (1.0 - self.pull) ** 2)

    @property
    def scaling(self) -> Scaling:
        return NO_FEATURES

    def begin(self, count: int, generator: torch.Generator) -> State:
        return {
            "price": self.spread * torch.randn(count, generator=generator, dtype=torch.float64),
            "position": torch.zeros(count, dtype=torch.float64),
            "age": torch.zeros(count, dtype=torch.int64),
        }

    def room(self, state: State) -> Tensor:
        return self.horizon - state["age"]

    def ahead(self, state: State, steps: int) -> Tensor:
        return nothing_ahead(state, steps)

    def vector(self, state: State) -> Tensor:
        return torch.stack((state["price"] / self.spread, state["position"]), dim=1).float()

    def step(self, state: State, action: Tensor, generator: torch.Generator) -> tuple[State, Tensor, Tensor]:
        position = action[:, 0].double().clamp(-1.0, 1.0)
        drawn = torch.randn(len(position), generator=generator, dtype=torch.float64)
        expected = -self.pull * state["price"]
        paid = self.cost * (position - state["position"]).abs()
        reward = position * (expected + self.noise * drawn) - paid
        after = {"price": state["price"] + expected + drawn, "position": position, "age": state["age"] + 1}
        return after, reward, torch.zeros(len(position), dtype=torch.bool)

    def best(self, vector: Tensor) -> Tensor:
        """The nearest cell's answer."""
        grid, _, answers = self.solution
        price = vector[:, 0].double().numpy() * self.spread
        place = np.clip(np.rint((price - grid[0]) / (grid[1] - grid[0])), 0, self.cells - 1).astype(int)
        return torch.as_tensor(answers[place, (vector[:, 1].round().long() + 1).numpy()])[:, None]

    @cached_property
    def solution(self) -> tuple[Floats, Floats, Floats]:
        """Grid of prices (G,); worth of each price and position held (G, 3); best position (G, 3)."""
        grid = np.linspace(-5.0, 5.0, self.cells) * self.spread
        edges = np.concatenate([[-np.inf], (grid[1:] + grid[:-1]) / 2.0, [np.inf]])
        moves = np.diff(ndtr(edges - (1.0 - self.pull) * grid[:, None]), axis=1)
        positions = np.array(POSITIONS)
        # gain[g, held, next]: what a step earns at once.
        paid = self.cost * np.abs(positions[:, None] - positions)
        gain = -self.pull * grid[:, None, None] * positions - paid
        worth = np.zeros((self.cells, 3))
        while True:
            ahead = gain + self.gamma * (moves @ worth)[:, None, :]
            better = ahead.max(axis=2)
            if np.abs(better - worth).max() < 1e-9:
                return grid, better, positions[ahead.argmax(axis=2)]
            worth = better

    def score(self, rule: Rule) -> float:
        """Expected worth over that of the best rule, on the same prices."""
        certain = replace(self, noise=0.0)
        steps = math.ceil(math.log(1e-3) / math.log(self.gamma))
        ours, most = (discounted_worth(certain, one, lives=2_048, steps=steps) for one in (rule, self.best))
        return ours / most
