"""Growing a fortune: the growth-optimal portfolio of several assets and cash, in each of several states.

    maximise E log(1 + w · R) over w >= 0, Σ w <= 1

In each state there are finitely many equally likely outcomes, so the expectation is exact, and the problem is
convex: a solver finds its optimum.

Source:
    Kelly (1956), A new interpretation of information rate; Cover and Thomas (2006), Elements of information
    theory, chapter 16.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from ml.networks import NO_FEATURES, Scaling, Shapes
from ml.smooth_market import State, simplex_cash
from strategies.market import Floats
from tests.support.known_answers.tasks import Rule, nothing_ahead, shapes_of


@dataclass(frozen=True)
class Growth:
    """The action is what `simplex_cash` makes weights of; which state it is, is seen."""

    assets: int = 4
    states: int = 6
    outcomes: int = 64
    horizon: int = 64
    gamma: float = 0.0
    """Nothing that is done now matters later."""
    name: str = "Kelly on a simplex"
    choices: tuple[float, ...] = ()

    @property
    def shapes(self) -> Shapes:
        return shapes_of(self.states, self.assets + 1)

    @cached_property
    def returns(self) -> Floats:
        """Of each state and outcome, shape (S, M, N): correlated, some assets with an edge, some without."""
        rng = np.random.default_rng(7)
        market = rng.standard_normal((self.states, self.outcomes, 1))
        own = rng.standard_normal((self.states, self.outcomes, self.assets))
        noise = 0.6 * market + 0.8 * own
        noise -= noise.mean(axis=1, keepdims=True)
        edge = rng.uniform(-0.15, 0.25, size=(self.states, 1, self.assets))
        return np.asarray(np.expm1(0.3 * (edge + noise)))

    @cached_property
    def optimum(self) -> Floats:
        """Best weights of each state, shape (S, N)."""
        return np.stack([best_weights(outcomes) for outcomes in self.returns])

    def growth(self, weights: Floats) -> float:
        """Mean log growth a step of weights by state, shape (S, N)."""
        return float(np.log1p((self.returns @ weights[:, :, None])[:, :, 0]).mean())

    @property
    def scaling(self) -> Scaling:
        return NO_FEATURES

    def begin(self, count: int, generator: torch.Generator) -> State:
        return {
            "state": torch.randint(self.states, (count,), generator=generator),
            "age": torch.zeros(count, dtype=torch.int64),
        }

    def room(self, state: State) -> Tensor:
        return self.horizon - state["age"]

    def ahead(self, state: State, steps: int) -> Tensor:
        return nothing_ahead(state, steps)

    def vector(self, state: State) -> Tensor:
        return torch.nn.functional.one_hot(state["state"], self.states).float()

    def step(self, state: State, action: Tensor, generator: torch.Generator) -> tuple[State, Tensor, Tensor]:
        count = len(action)
        drawn = torch.randint(self.outcomes, (count,), generator=generator)
        outcome = torch.as_tensor(self.returns)[state["state"], drawn]
        reward = torch.log1p((simplex_cash(action.double(), 1.0) * outcome).sum(dim=1))
        after = {
            "state": torch.randint(self.states, (count,), generator=generator),
            "age": state["age"] + 1,
        }
        return after, reward, torch.zeros(count, dtype=torch.bool)

    def best(self, vector: Tensor) -> Tensor:
        """Logits of the solver's weights."""
        weights = torch.as_tensor(self.optimum)[vector.argmax(dim=1)].clamp_min(1e-12)
        invested = weights.sum(dim=1, keepdim=True).clamp(1e-9, 1.0 - 1e-9)
        return torch.cat((weights.log(), torch.logit(invested)), dim=1)

    def score(self, rule: Rule) -> float:
        """Growth over the most there is; exact."""
        weights = simplex_cash(rule(torch.eye(self.states)).double(), 1.0)
        return self.growth(weights.numpy()) / self.growth(self.optimum)


def best_weights(outcomes: Floats) -> Floats:
    """Growth-optimal weights of equally likely outcomes, shape (M, N)."""
    count = outcomes.shape[1]

    def loss(weights: Floats) -> tuple[float, Floats]:
        wealth = 1.0 + outcomes @ weights
        return -100.0 * float(np.log(wealth).mean()), -100.0 * (outcomes / wealth[:, None]).mean(axis=0)

    found = minimize(
        loss,
        np.full(count, 0.5 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "ineq", "fun": lambda weights: 1.0 - weights.sum()},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return np.asarray(np.clip(found.x, 0.0, 1.0))
