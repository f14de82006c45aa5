"""Trading on predictable returns at quadratic cost: the linear-quadratic portfolio of Gârleanu and Pedersen.

    r_{t+1} = Σ_k f_k + u,   f_k' = (1 - phi_k) f_k + ε_k
    maximise E Σ_t gamma^t [ gamma · (x_t · r_{t+1} - risk/2 · x_t² · σ²) - cost/2 · σ² · (x_t - x_{t-1})² ]

The optimum trades a fixed share of the way to an aim that weighs lasting signals more:

    x_t = (1 - a/cost) x_{t-1} + a/cost · Σ_k f_k / (risk · σ² · (1 + phi_k · a / risk))

Source:
    Gârleanu and Pedersen (2013), Dynamic trading with predictable returns and transaction costs, Journal of
    Finance 68(6), proposition 3 and example 1; their 1 - rho is our gamma.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ml.networks import NO_FEATURES, Scaling, Shapes
from ml.smooth_market import State
from tests.support.known_answers.tasks import Rule, discounted_worth, nothing_ahead, shapes_of


@dataclass(frozen=True)
class Rebalancing:
    """One asset and two signals, a quick and a lasting one; the action is a trade in units of ``unit``."""

    decay: tuple[float, float] = (0.3, 0.05)
    """phi: share of a signal that is gone after a step."""
    strength: tuple[float, float] = (0.3, 0.15)
    """Standard deviation of each signal, in those of ``u``."""
    risk: float = 1.0
    cost: float = 3.0
    gamma: float = 0.98
    noise: float = 1.0
    """Standard deviation of ``u``; without it rewards are the expected ones."""
    horizon: int = 128
    name: str = "Gârleanu-Pedersen portfolio"
    choices: tuple[float, ...] = ()
    unit: float = 0.1

    @property
    def shapes(self) -> Shapes:
        return shapes_of(3, 1)

    @cached_property
    def speed(self) -> float:
        """The paper's a."""
        held = self.risk * self.gamma + self.cost * (1.0 - self.gamma)
        root = math.sqrt(held**2 + 4.0 * self.risk * self.cost * self.gamma**2)
        return (root - held) / (2.0 * self.gamma)

    @property
    def scaling(self) -> Scaling:
        return NO_FEATURES

    def begin(self, count: int, generator: torch.Generator) -> State:
        signal = torch.tensor(self.strength) * torch.randn((count, 2), generator=generator)
        return {
            "position": torch.zeros(count, dtype=torch.float64),
            "signal": signal.double(),
            "age": torch.zeros(count, dtype=torch.int64),
        }

    def room(self, state: State) -> Tensor:
        return self.horizon - state["age"]

    def ahead(self, state: State, steps: int) -> Tensor:
        return nothing_ahead(state, steps)

    def vector(self, state: State) -> Tensor:
        scaled = state["signal"] / torch.tensor(self.strength)
        return torch.cat((state["position"][:, None] / self._typical, scaled), dim=1).float()

    def step(self, state: State, action: Tensor, generator: torch.Generator) -> tuple[State, Tensor, Tensor]:
        trade = self.unit * action[:, 0].double()
        position, signal = state["position"] + trade, state["signal"]
        drawn = torch.randn((len(position), 3), generator=generator, dtype=torch.float64)
        earned = position * (signal.sum(dim=1) + self.noise * drawn[:, 2])
        reward = self.gamma * (earned - 0.5 * self.risk * position**2) - 0.5 * self.cost * trade**2
        decay, strength = torch.tensor(self.decay), torch.tensor(self.strength)
        shock = strength * (1.0 - (1.0 - decay) ** 2).sqrt()
        after = {
            "position": position,
            "signal": (1.0 - decay) * signal + shock * drawn[:, :2],
            "age": state["age"] + 1,
        }
        return after, reward, torch.zeros(len(position), dtype=torch.bool)

    def best(self, vector: Tensor) -> Tensor:
        """The paper's rule."""
        position = vector[:, 0].double() * self._typical
        signal = vector[:, 1:].double() * torch.tensor(self.strength)
        damped = 1.0 + torch.tensor(self.decay) * self.speed / self.risk
        aim = (signal / damped).sum(dim=1) / self.risk
        return (self.speed / self.cost * (aim - position) / self.unit)[:, None]

    def score(self, rule: Rule) -> float:
        """Expected worth over that of the paper's rule, on the same signals."""
        certain = replace(self, noise=0.0)
        steps = math.ceil(math.log(1e-3) / math.log(self.gamma))
        ours, most = (discounted_worth(certain, one, lives=2_048, steps=steps) for one in (rule, self.best))
        return ours / most

    @property
    def _typical(self) -> float:
        """Scale of a position: the aim of the lasting signal alone."""
        return self.strength[1] / self.risk
