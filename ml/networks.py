"""The policies: four encoders of the feature window behind one head, in torch.

Flow: observation → **networks** → ppo, pathwise, export.

    window (L, N, F) --encoder--> code ┐
    portfolio, beliefs ----------------┴--head--> mean of the action (or logits), value

The code depends on the bars alone and not on what is held: portfolios at one market time share it, and it
is computed once for all of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, ClassVar, cast

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent
from torch.nn import functional

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


class Policy(nn.Module):
    """Encoder, actor and critic.

    A continuous action is normal around ``mean`` with one learned deviation per number; a discrete one has
    ``mean`` as its logits.

    Args:
        config: Shape of the network.
        shapes: Shape of what it reads and writes.

    Raises:
        ConfigError: If a window is too short for the convolutions.
    """

    def __init__(self, config: NetworkConfig, shapes: Shapes) -> None:
        super().__init__()
        self.config, self.shapes = config, shapes
        self.encoder: nn.Module | None = make_encoder(config, shapes) if shapes.lookback else None
        code = config.code if self.encoder is not None else 0
        self.dropout = nn.Dropout(config.dropout)
        widths = (code + shapes.vector, *config.hidden)
        self.actor = _layers(widths, shapes.actions, gain=0.01)
        self.critic = _layers(widths, 1, gain=1.0)
        self.feature_mean: Tensor
        self.feature_scale: Tensor
        self.register_buffer("feature_mean", torch.zeros(shapes.num_features))
        self.register_buffer("feature_scale", torch.ones(shapes.num_features))
        start = math.log(config.initial_std)
        self.log_std = nn.Parameter(torch.full((0 if shapes.discrete_dims else shapes.actions,), start))

    def set_feature_moments(self, mean: Floats, std: Floats) -> None:
        """Fix how features are scaled; part of the policy from then on.

        Args:
            mean: Of the training data, shape (F,).
            std: Likewise.

        Raises:
            ConfigError: If a feature is constant or not finite: a policy could learn nothing from it.
        """
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0.0).all()):
            bad = np.flatnonzero(~(np.isfinite(mean) & np.isfinite(std) & (std > 0.0))).tolist()
            raise ConfigError(
                f"features {bad} are constant or not finite in the training data; take them out"
            )
        self.feature_mean.copy_(torch.as_tensor(mean))
        self.feature_scale.copy_(torch.as_tensor(1.0 / std))

    def encode(self, window: Tensor) -> Tensor:
        """Code of windows, shape (B, L, N, F) to (B, code)."""
        if self.encoder is None:
            return window.new_zeros((len(window), 0))
        scaled = ((window - self.feature_mean) * self.feature_scale).clamp(-MAX_SCORE, MAX_SCORE)
        return cast("Tensor", self.dropout(self.encoder(scaled)))

    def forward(self, code: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Mean or logits, and value, of what is seen.

        Args:
            code: Of windows, shape (U, code).
            vector: What is seen beside them, shape (U · G, V): the first G share the first window, and so on.

        Returns:
            Shapes (U · G, A) and (U · G,).
        """
        if len(code) == len(vector):
            seen = torch.cat((code, vector), dim=1)
            return self.actor(seen), self.critic(seen).squeeze(-1)
        return _shared(self.actor, code, vector), _shared(self.critic, code, vector).squeeze(-1)


class Gaussian:
    """Independent normal numbers whose deviations are the same for every row.

    ``torch.distributions`` spreads the deviations over the rows first, which takes time at every step.

    Args:
        mean: Shape (B, A).
        log_std: Logarithm of the deviations, shape (A,).
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.mean, self.log_std = mean, log_std

    def sample(self) -> Tensor:
        """One draw of each row, shape (B, A)."""
        return self.mean + self.log_std.exp() * torch.randn_like(self.mean)

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density, shape (B,)."""
        scores = (value - self.mean) * (-self.log_std).exp()
        return -0.5 * (scores * scores).sum(dim=1) - (self.log_std + _HALF_LOG_2_PI).sum()

    def entropy(self) -> Tensor:
        """In nats, shape (B,)."""
        return (self.log_std + (0.5 + _HALF_LOG_2_PI)).sum().expand(len(self.mean))


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
            return nn.Sequential(nn.Flatten(), _linear(width, config.code), nn.Tanh())
        case PolicyKind.WINDOW_CNN:
            return WindowConvolution(config, shapes)
        case PolicyKind.WINDOW_LSTM:
            return WindowMemory(config, shapes)
        case PolicyKind.CAUSAL_CONV:
            return CausalConvolution(config, shapes)


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
        self.out = _linear(width * height * shapes.num_instruments, config.code)

    def forward(self, window: Tensor) -> Tensor:
        """See `make_encoder`."""
        image = self.convolutions(window.permute(0, 3, 1, 2))
        return functional.relu(self.out(image.flatten(1)))


class WindowMemory(nn.Module):
    """A long short-term memory over the rows; its last state is the code."""

    def __init__(self, config: NetworkConfig, shapes: Shapes) -> None:
        super().__init__()
        self.memory = nn.LSTM(shapes.num_instruments * shapes.num_features, config.channels, batch_first=True)
        self.out = _linear(config.channels, config.code)

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
        self.out = _linear(config.channels, config.code)

    def forward(self, window: Tensor) -> Tensor:
        """See `make_encoder`."""
        rows = window.flatten(2).transpose(1, 2)
        for layer in self.layers:
            convolution = cast("nn.Conv1d", layer)
            reach = 2 * convolution.dilation[0]
            ahead = functional.relu(convolution(functional.pad(rows, (reach, 0))))
            rows = rows + ahead if rows.shape == ahead.shape else ahead
        return torch.tanh(self.out(rows[:, :, -1]))


def _shared(layers: nn.Sequential, code: Tensor, vector: Tensor) -> Tensor:
    """Layers over codes that several vectors share: what the first layer makes of a code is computed once."""
    first, *others = layers
    weight, width = cast("Tensor", first.weight), code.shape[1]
    own = functional.linear(vector, weight[:, width:], cast("Tensor", first.bias))
    common = functional.linear(code, weight[:, :width])
    hidden = (own.view(len(code), -1, own.shape[1]) + common[:, None]).flatten(0, 1)
    for layer in others:
        hidden = layer(hidden)
    return hidden


def _layers(widths: Sequence[int], outputs: int, gain: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [_linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers, _linear(widths[-1], outputs, gain))


def _linear(inputs: int, outputs: int, gain: float = math.sqrt(2.0)) -> nn.Linear:
    """Orthogonal weights of a given gain, as PPO wants them (Engstrom et al. 2020)."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
