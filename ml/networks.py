"""The policies: four encoders of the feature window behind one head, in torch.

Flow: observation → **networks** → ppo, pathwise, export.

    window (L, N, F) --encoder--> code ┐
    portfolio, beliefs ----------------┴--head--> mean of the action (or logits), value

The code depends on the bars alone and not on what is held: portfolios at one market time share it, and it
is computed once for all of them.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, NamedTuple, Self, cast

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent
from torch.nn import functional

from ml.heads import Column, linear, quick_tanh
from strategies.config import Bars, Positive, Section
from strategies.errors import ConfigError
from strategies.market import Floats

MIN_LOG_STD, MAX_LOG_STD = -5.0, 1.0
_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
MAX_SCORE = 10.0
"""Deviations from the mean at which a scaled feature is cut."""


class PolicyKind(StrEnum):
    """How the window becomes a code."""

    MLP = "mlp"
    """All of it at once."""
    WINDOW_CNN = "window_cnn"
    """Convolutions over time and instruments, the features as channels of an image (mission SB-106)."""
    WINDOW_LSTM = "window_lstm"
    """A long short-term memory over time, each row flat (mission SB-107)."""
    CAUSAL_CONV = "causal_conv"
    """Dilated convolutions over time that look back only."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Shape of a policy."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    kind: PolicyKind = PolicyKind.WINDOW_CNN
    hidden: tuple[Bars, ...] = (64, 64)
    """Widths of the head's layers, of the actor and the critic each."""
    code: Bars = 64
    """Width of what the encoder makes of a window."""
    channels: Bars = 32
    """Width of convolutions and of the long short-term memory."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Share of the code that is dropped while training."""
    initial_std: Positive = 1.0
    """Standard deviation of continuous actions before training."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """What a policy reads and writes."""

    lookback: int
    """L; 0 for an observation without a window."""
    num_instruments: int
    num_features: int
    vector: int
    """Width of what is read beside the window: portfolio and beliefs, or all of a plain observation."""
    actions: int
    """Numbers of a continuous action, or choices of a discrete one."""
    discrete_dims: int = 0
    """Independent choices of a discrete action, actions / discrete_dims each; 0 for a continuous one."""


class Scaling(NamedTuple):
    """How features become scores: deviations from their mean, cut where they are far out."""

    mean: Tensor
    """Shape (F,), float32."""
    scale: Tensor
    """Inverse of the standard deviation, likewise."""

    @classmethod
    def of(cls, mean: Floats, std: Floats) -> Self:
        """The scaling by moments of the training data, each of shape (F,).

        Raises:
            ConfigError: If a feature is constant or not finite: a policy could learn nothing from it.
        """
        usable = np.isfinite(mean) & np.isfinite(std) & (std > 0.0)
        if not usable.all():
            bad = np.flatnonzero(~usable).tolist()
            raise ConfigError(
                f"features {bad} are constant or not finite in the training data; take them out"
            )
        return cls(*(torch.as_tensor(part, dtype=torch.float32) for part in (mean, 1.0 / std)))

    def scores(self, features: Tensor) -> Tensor:
        """Scores of features, shape (..., F), in their place."""
        return features.sub_(self.mean).mul_(self.scale).clamp_(-MAX_SCORE, MAX_SCORE)


NO_FEATURES = Scaling(torch.zeros(0), torch.ones(0))
"""Of what is seen without windows."""


class Policy(nn.Module):
    """Encoder, actor and critic.

    A continuous action is normal around ``mean`` with one learned deviation per number; a discrete one has
    ``mean`` as its logits.

    Args:
        config: Shape of the network.
        shapes: Shape of what it reads and writes.
        scaling: How the features it is shown have become scores; goes with it where it is exported.

    Raises:
        ConfigError: If a window is too short for the convolutions.
    """

    def __init__(self, config: NetworkConfig, shapes: Shapes, scaling: Scaling) -> None:
        super().__init__()
        self.config, self.shapes = config, shapes
        self.encoder: nn.Module | None = make_encoder(config, shapes) if shapes.lookback else None
        self.code_width = config.code if self.encoder is not None else 0
        self.dropout = nn.Dropout(config.dropout)
        inputs = (self.code_width, shapes.vector, config.hidden)
        self.actor = Column(*inputs, shapes.actions, gain=0.01)
        self.critic = Column(*inputs, 1, gain=1.0)
        self.scaling = scaling
        start = math.log(config.initial_std)
        self.log_std = nn.Parameter(torch.full((0 if shapes.discrete_dims else shapes.actions,), start))

    def encode(self, scores: Tensor) -> Tensor:
        """Code of windows of scores, shape (B, L, N, F) to (B, code)."""
        if self.encoder is None:
            return scores.new_zeros((len(scores), 0))
        return cast("Tensor", self.dropout(self.encoder(scores)))

    def forward(self, code: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Mean or logits, and value, of what is seen.

        Args:
            code: Of windows, shape (U, code).
            vector: What is seen beside them, shape (U · G, V): the first G share the first window, and so on.

        Returns:
            Shapes (U · G, A) and (U · G,).
        """
        return self.actor(code, vector), self.critic(code, vector).squeeze(-1)


class Gaussian:
    """Independent normal numbers whose deviations are the same for every row.

    ``torch.distributions`` spreads the deviations over the rows first, which takes time at every step.

    Args:
        mean: Shape (B, A).
        log_std: Logarithm of the deviations, shape (A,).
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.mean, self.log_std, self._volume = mean, log_std, log_std.sum()

    def sample(self) -> Tensor:
        """One draw of each row, shape (B, A)."""
        return self.mean + self.log_std.exp() * torch.randn_like(self.mean)

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density, shape (B,)."""
        scores = (value - self.mean) * (-self.log_std).exp()
        squares = (scores * scores).sum(dim=1)
        return torch.sub(-self._volume - len(self.log_std) * _HALF_LOG_2_PI, squares, alpha=0.5)

    def entropy(self) -> Tensor:
        """In nats, of every row alike, shape ()."""
        return self._volume + len(self.log_std) * (0.5 + _HALF_LOG_2_PI)


def distribution(mean: Tensor, policy: Policy) -> Distribution | Gaussian:
    """What actions are drawn from.

    Args:
        mean: Mean of a continuous action, or logits of discrete ones, shape (B, A).
        policy: Whose answer it is.
    """
    dims = policy.shapes.discrete_dims
    if dims == 0:
        return Gaussian(mean, policy.log_std.clamp(MIN_LOG_STD, MAX_LOG_STD))
    logits = mean.reshape(len(mean), dims, -1)
    return Independent(Categorical(logits=logits, validate_args=False), 1, validate_args=False)


def make_encoder(config: NetworkConfig, shapes: Shapes) -> nn.Module:
    """Build the encoder of a kind: (B, L, N, F) to (B, code).

    Raises:
        ConfigError: If the window is too short for it.
    """
    match config.kind:
        case PolicyKind.MLP:
            width = shapes.lookback * shapes.num_instruments * shapes.num_features
            return WindowLayer(config, width)
        case PolicyKind.WINDOW_CNN:
            return WindowConvolution(config, shapes)
        case PolicyKind.WINDOW_LSTM:
            return WindowMemory(config, shapes)
        case PolicyKind.CAUSAL_CONV:
            return CausalConvolution(config, shapes)


class WindowLayer(nn.Module):
    """One layer over all of the window."""

    def __init__(self, config: NetworkConfig, width: int) -> None:
        super().__init__()
        self.out = linear(width, config.code)

    def forward(self, window: Tensor) -> Tensor:
        """See `make_encoder`."""
        return quick_tanh(self.out(window.flatten(1)))


class WindowConvolution(nn.Module):
    """The window as an image of L x N with F channels; strides over time, instruments kept apart."""

    def __init__(self, config: NetworkConfig, shapes: Shapes) -> None:
        super().__init__()
        width, height = config.channels, shapes.lookback
        layers: list[nn.Module] = []
        inputs = shapes.num_features
        for kernel, stride in ((5, 2), (5, 2), (3, 2)):
            kept = min(kernel, height)
            layers += [
                nn.Conv2d(inputs, width, kernel_size=(kept, 1), stride=(min(stride, kept), 1)),
                nn.ReLU(),
            ]
            height = (height - kept) // min(stride, kept) + 1
            inputs = width
        self.convolutions = nn.Sequential(*layers)
        self.out = linear(width * height * shapes.num_instruments, config.code)

    def forward(self, window: Tensor) -> Tensor:
        """See `make_encoder`."""
        image = self.convolutions(window.permute(0, 3, 1, 2))
        return functional.relu(self.out(image.flatten(1)))


class WindowMemory(nn.Module):
    """A long short-term memory over the rows; its last state is the code."""

    def __init__(self, config: NetworkConfig, shapes: Shapes) -> None:
        super().__init__()
        self.memory = nn.LSTM(shapes.num_instruments * shapes.num_features, config.channels, batch_first=True)
        self.out = linear(config.channels, config.code)

    def forward(self, window: Tensor) -> Tensor:
        """See `make_encoder`."""
        states, _ = self.memory(window.flatten(2))
        return torch.tanh(self.out(states[:, -1]))


class CausalConvolution(nn.Module):
    """Convolutions whose reach doubles until it spans the window; the last row is the code.

    Source:
        Bai, Kolter and Koltun (2018), An empirical evaluation of generic convolutional and recurrent
        networks for sequence modeling.
    """

    def __init__(self, config: NetworkConfig, shapes: Shapes) -> None:
        super().__init__()
        inputs, layers = shapes.num_instruments * shapes.num_features, []
        for level in range(max(1, math.ceil(math.log2(max(shapes.lookback, 2) / 2)))):
            layers.append(nn.Conv1d(inputs, config.channels, kernel_size=3, dilation=2**level))
            inputs = config.channels
        self.layers = nn.ModuleList(layers)
        self.out = linear(config.channels, config.code)

    def forward(self, window: Tensor) -> Tensor:
        """See `make_encoder`."""
        rows = window.flatten(2).transpose(1, 2)
        for layer in self.layers:
            convolution = cast("nn.Conv1d", layer)
            reach = 2 * convolution.dilation[0]
            ahead = functional.relu(convolution(functional.pad(rows, (reach, 0))))
            rows = rows + ahead if rows.shape == ahead.shape else ahead
        return torch.tanh(self.out(rows[:, :, -1]))
