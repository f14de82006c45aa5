"""How a trainer sees an environment: what it reads as tensors, and which portfolios share a market time.

Flow: environment → **views** → ppo, pathwise.
"""

import os
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from ml.environment import MarketEnvironment
from ml.networks import NO_FEATURES, Policy, Scaling, Shapes
from strategies.errors import ConfigError
from strategies.market import Float32s, Floats


class Seen(NamedTuple):
    """One observation of E environments."""

    rows: Tensor
    """Row of the dataset at each clock, shape (E / group,); zeros for a plain environment."""
    vector: Tensor
    """What is read beside the window, shape (E, V), float32."""


class View(Protocol):
    """Reads the observations of one environment."""

    shapes: Shapes
    group: int
    """Environments that share a clock; they stand side by side."""
    scaling: Scaling
    """How features become the scores that a policy is shown."""
    last_row: int
    """Of the data."""

    def read(self, observation: Any) -> Seen:
        """Turn an observation of all environments into tensors."""

    def windows(self, rows: Tensor) -> Tensor:
        """Windows of scores that end with these rows, shape (U, L, N, F)."""


class MarketView:
    """Looks windows up in the dataset, so that no rollout holds a copy of them.

    Args:
        environment: With ``observe_rows``.
        device: Where scores and tensors are.
        scaling: Of the policy that is shown them; by default that of the environment's own features.

    Raises:
        ConfigError: If the environment hands out windows.
    """

    def __init__(
        self, environment: MarketEnvironment, device: torch.device, scaling: Scaling | None = None
    ) -> None:
        spaces_seen = environment.single_observation_space
        if not (isinstance(spaces_seen, spaces.Dict) and "row" in spaces_seen.spaces):
            raise ConfigError("expected a market environment with observe_rows=True: windows are looked up")
        data = environment.dataset
        discrete, actions = _actions_of(environment.single_action_space)
        self.group = environment.num_envs // environment.num_clocks
        self.shapes = Shapes(
            lookback=data.lookback,
            num_instruments=data.num_instruments,
            num_features=data.num_features,
            vector=7 + data.num_instruments + data.num_beliefs,
            actions=actions,
            discrete_dims=discrete,
        )
        self._device = device
        self.scaling = scaling or Scaling.of(*_moments(data.features[data.decidable]))
        # Rows are scaled once. Windows overlap in them: one costs memory only while it is used.
        scores = self.scaling.scores(torch.tensor(data.features)).to(device)
        row = data.num_instruments * data.num_features
        self.last_row = len(data) - 1
        self._windows = scores.as_strided((len(data) - data.lookback + 1, data.lookback * row), (row, 1))
        self._beliefs = torch.tensor(data.beliefs, device=device)

    def read(self, observation: Any) -> Seen:
        rows = torch.as_tensor(observation["row"], device=self._device)
        portfolio = torch.as_tensor(observation["portfolio"], device=self._device)
        return Seen(rows[:: self.group], torch.cat((portfolio, self._beliefs[rows]), dim=1))

    def windows(self, rows: Tensor) -> Tensor:
        shapes = self.shapes
        found = self._windows.index_select(0, rows - (shapes.lookback - 1))
        return found.view(-1, shapes.lookback, shapes.num_instruments, shapes.num_features)


class PlainView:
    """Any Gymnasium vector environment whose observation is one array of numbers.

    Args:
        environment: With same-step resets.
        device: Where tensors are.

    Raises:
        ConfigError: If it resets in another way, or its observation is not one array.
    """

    def __init__(self, environment: VectorEnv[Any, Any, Any], device: torch.device) -> None:
        seen = environment.single_observation_space
        if not (isinstance(seen, spaces.Box) and len(seen.shape) == 1):
            raise ConfigError(f"expected observations that are one vector of numbers, found {seen}")
        if environment.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ConfigError("expected an environment that was made with AutoresetMode.SAME_STEP")
        discrete, actions = _actions_of(environment.single_action_space)
        self.group = 1
        self.shapes = Shapes(0, 0, 0, seen.shape[0], actions, discrete)
        self.scaling, self.last_row = NO_FEATURES, 0
        self._device = device

    def read(self, observation: Any) -> Seen:
        vector = torch.as_tensor(np.asarray(observation, dtype=np.float32), device=self._device)
        return Seen(torch.zeros(len(vector), dtype=torch.int64, device=self._device), vector)

    def windows(self, rows: Tensor) -> Tensor:
        return torch.zeros((len(rows), 0, 0, 0), device=self._device)


class CodesAhead:
    """Codes of windows while a policy stands still: those that a clock comes to next are made at once.

    Args:
        policy: In evaluation mode.
        view: Of the environment that it acts in.
        clocks: How many there are, U.
    """

    _STEPS = 32

    def __init__(self, policy: Policy, view: View, clocks: int) -> None:
        self._policy, self._view = policy, view
        device = policy.log_std.device
        self._clocks = torch.arange(clocks, device=device)
        self._ahead = torch.arange(self._STEPS, device=device)
        self._first = torch.full((clocks,), -self._STEPS, device=device)
        self._codes = torch.zeros((clocks, self._STEPS, policy.code_width), device=device)

    def at(self, rows: Tensor) -> Tensor:
        """Codes of the windows that end with a row for each clock, shape (U,) to (U, code)."""
        passed = rows - self._first
        new = (passed < 0) | (passed >= self._STEPS)
        if new.any():
            first = rows[new]
            ahead = (first[:, None] + self._ahead).clamp_max(self._view.last_row)
            codes = self._policy.encode(self._view.windows(ahead.flatten()))
            self._codes[new] = codes.view(*ahead.shape, codes.shape[1])
            self._first[new] = first
            passed = rows - self._first
        return self._codes[self._clocks, passed]


def _moments(rows: Float32s) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each feature, shape (T, N, F) to (F,)."""
    exact = rows.astype(np.float64)
    return exact.mean(axis=(0, 1)), exact.std(axis=(0, 1))


def policy_answer(policy: Policy, view: View, seen: Seen) -> tuple[Tensor, Tensor]:
    """Mean or logits (E, A) and value (E,); each window is encoded once for the group that shares it."""
    mean, value = policy(policy.encode(view.windows(seen.rows)), seen.vector)
    return mean, value


def most_likely_actions(
    policy: Policy, view: View, observation: Any, environment: VectorEnv[Any, Any, Any]
) -> Any:
    """What the policy would do, in the form that the environment takes."""
    with torch.no_grad():
        mean, _ = policy_answer(policy, view, view.read(observation))
    if policy.shapes.discrete_dims:
        mean = mean.reshape(len(mean), policy.shapes.discrete_dims, -1).argmax(dim=-1)
    return as_asked(mean, environment)


def as_asked(action: Tensor, environment: VectorEnv[Any, Any, Any]) -> Any:
    """Actions of a policy in the form, and within the bounds, that the environment takes."""
    values, space = action.numpy(force=True), environment.single_action_space
    if isinstance(space, spaces.Box):
        return np.clip(values, space.low, space.high)
    return values[:, 0] if isinstance(space, spaces.Discrete) else values


def device_of(name: str) -> torch.device:
    """The device of a name; on a GPU, sums are made in one order.

    Raises:
        ConfigError: If there is no such device.
    """
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"device = {name!r}: expected 'cpu' or 'cuda'")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device = 'cuda': this machine has no GPU that torch can use; set device = 'cpu'")
    if name == "cuda":
        # What adds up in whatever order its threads come would give other weights each time.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read as the first matrix is multiplied
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
    return torch.device(name)


def view_of(environment: VectorEnv[Any, Any, Any], device: torch.device) -> View:
    """The view that fits an environment.

    Raises:
        ConfigError: If there is none.
    """
    if isinstance(environment, MarketEnvironment):
        return MarketView(environment, device)
    return PlainView(environment, device)


def _actions_of(space: spaces.Space[Any]) -> tuple[int, int]:
    """Independent choices (0 for a continuous action) and numbers that the network answers with."""
    match space:
        case spaces.Discrete():
            return 1, int(space.n)
        case spaces.MultiDiscrete() if len(set(space.nvec.tolist())) == 1:
            return len(space.nvec), int(space.nvec.sum())
        case spaces.Box() if len(space.shape) == 1:
            return 0, int(space.shape[0])
        case _:
            raise ConfigError(f"expected actions that are numbers or choices, found {space}")
