"""Selling a block in N steps: the static optimum of Almgren and Chriss.

    minimise Σ_k [ impact · n_k² + risk · x_k² ],   x_k = x_{k-1} - n_k,   x_0 = 1, x_N = 0
    x_k = sinh(kappa (N - k)) / sinh(kappa N),   2 (cosh kappa - 1) = risk / impact

Source:
    Almgren and Chriss (2001), Optimal execution of portfolio transactions, Journal of Risk 3(2), eqs. 16-18
    (steps of length one).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ml.networks import NO_FEATURES, Scaling, Shapes
from ml.smooth_market import State
from strategies.market import Floats
from tests.support.known_answers.tasks import Rule, discounted_worth, nothing_ahead, shapes_of


@dataclass(frozen=True)
class Liquidation:
    """The action is the logit of the share of the rest that is sold; the last step sells all of it."""

    steps: int = 10
    kappa: float = 0.15
    noise: float = 0.05
    """Standard deviation of the price's change a step, which the rest of the block is worth more or less."""
    gamma: float = 1.0
    name: str = "Almgren-Chriss liquidation"
    choices: tuple[float, ...] = ()

    @property
    def shapes(self) -> Shapes:
        return shapes_of(2, 1)

    @property
    def risk(self) -> float:
        """In units of the impact, which is 1."""
        return 2.0 * (math.cosh(self.kappa) - 1.0)

    @property
    def best_path(self) -> Floats:
        """x_0 to x_N."""
        left = self.steps - np.arange(self.steps + 1)
        return np.asarray(np.sinh(self.kappa * left) / np.sinh(self.kappa * self.steps))

    def cost(self, path: Floats) -> float:
        """Of a path of what is left."""
        return float((np.diff(path) ** 2).sum() + self.risk * (path[1:] ** 2).sum())

    @property
    def scaling(self) -> Scaling:
        return NO_FEATURES

    def begin(self, count: int, generator: torch.Generator) -> State:
        return {
            "left": torch.ones(count, dtype=torch.float64),
            "age": torch.zeros(count, dtype=torch.int64),
        }

    def room(self, state: State) -> Tensor:
        return self.steps - state["age"]

    def ahead(self, state: State, steps: int) -> Tensor:
        return nothing_ahead(state, steps)

    def vector(self, state: State) -> Tensor:
        return torch.stack((state["left"], 2.0 * state["age"] / self.steps - 1.0), dim=1).float()

    def step(self, state: State, action: Tensor, generator: torch.Generator) -> tuple[State, Tensor, Tensor]:
        age = state["age"] + 1
        last = age >= self.steps
        share = torch.where(last, 1.0, torch.sigmoid(action[:, 0].double()))
        sold = state["left"] * share
        left = state["left"] - sold
        drawn = torch.randn(len(left), generator=generator, dtype=torch.float64)
        reward = -(sold**2 + self.risk * left**2) + self.noise * left * drawn
        return {"left": left, "age": age}, reward, last

    def best(self, vector: Tensor) -> Tensor:
        """The share of the rest that the best path sells next, whatever is left: the problem scales."""
        age = ((vector[:, 1].double() + 1.0) * self.steps / 2.0).round().long().clamp_max(self.steps - 2)
        path = torch.as_tensor(self.best_path)
        share = 1.0 - path[age + 1] / path[age]
        return torch.logit(share)[:, None]

    def score(self, rule: Rule) -> float:
        """Least cost over that of the rule."""
        certain = replace(self, noise=0.0)
        return self.cost(self.best_path) / -discounted_worth(certain, rule, lives=1, steps=self.steps)
