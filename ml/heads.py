"""Actor and critic: two networks of equal widths, whose layers are computed side by side.

Flow: observation → networks → **heads** → ppo, pathwise, export.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTOR, CRITIC = 0, 1
_WORTH_IT = 32_768
"""Numbers from which on the calls cost less than the tangent saves."""


class _LogisticTanh(torch.autograd.Function):
    """tanh(x) = 2 / (1 + exp(-2x)) - 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = (x + x).sigmoid_().mul_(2.0).sub_(1.0)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return cast("Tensor", torch.ops.aten.tanh_backward(grads[0], ctx.saved_tensors[0]))


def quick_tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent; of much that wants gradients by way of the logistic function, within 2e-7.

    That takes torch half of the time on the batches of learning; on the few rows of acting, and on a GPU, it
    does not pay.
    """
    if not x.requires_grad or x.numel() < _WORTH_IT or x.device.type != "cpu":
        return torch.tanh(x)
    return cast("Tensor", _LogisticTanh.apply(x))


def linear(inputs: int, outputs: int, gain: float = math.sqrt(2.0)) -> nn.Linear:
    """Orthogonal weights of a given gain, as PPO wants them (Engstrom et al. 2020)."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class Layer(NamedTuple):
    """``x · weightᵀ + bias``."""

    weight: Tensor
    """Shape (outputs, inputs)."""
    bias: Tensor
    """Shape (outputs,)."""


class Column(tuple[Layer, ...]):
    """One of the two alone: hidden layers, each with a hyperbolic tangent after it, and the last one."""

    __slots__ = ()

    def __call__(self, seen: Tensor) -> Tensor:
        """Answer of the last layer, shape (..., inputs) to (..., outputs)."""
        *hidden, last = self
        for layer in hidden:
            seen = quick_tanh(functional.linear(seen, *layer))
        return functional.linear(seen, *last)

    def detached(self) -> Self:
        """The same, whose weights get no gradient."""
        return type(self)(Layer(weight.detach(), bias.detach()) for weight, bias in self)


class TwinHead(nn.Module):
    """The two, on a code that several vectors may share.

    Networks as small as these spend much of their time on the calls of their layers: both hidden layers of a
    depth are one product of stacked matrices, and what the first makes of a code is computed once for all
    vectors that share it.

    Args:
        code: Width of the code; may be 0.
        vector: Width of what is seen beside it.
        hidden: Widths of the hidden layers.
        actions: Numbers that the actor answers with; the critic answers with one.
    """

    def __init__(self, code: int, vector: int, hidden: Sequence[int], actions: int) -> None:
        super().__init__()
        self._code = code
        widths = (code + vector, *hidden)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in pairwise(widths):
            both = [linear(inputs, outputs).weight.detach().T for _ in (ACTOR, CRITIC)]
            self.weights.append(nn.Parameter(torch.stack(both)))
            self.biases.append(nn.Parameter(torch.zeros(2, 1, outputs)))
        self.actor_out = linear(widths[-1], actions, gain=0.01)
        self.critic_out = linear(widths[-1], 1, gain=1.0)

    def forward(self, code: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Answers of both.

        Args:
            code: Shape (U, code).
            vector: Shape (U · G, V): the first G share the first code, and so on.

        Returns:
            Shapes (U · G, actions) and (U · G,).
        """
        if not len(self.weights):
            seen = torch.cat((code.repeat_interleave(len(vector) // len(code), dim=0), vector), dim=1)
            return self.actor_out(seen), self.critic_out(seen).squeeze(-1)
        first, *weights = self.weights
        bias, *biases = self.biases
        of_code, of_vector = first.tensor_split((self._code,), dim=1)
        own = torch.baddbmm(bias, vector.expand(2, *vector.shape), of_vector)
        shared = torch.bmm(code.expand(2, *code.shape), of_code)
        hidden = own.view(2, len(code), -1, own.shape[2]) + shared[:, :, None]
        hidden = quick_tanh(hidden.view_as(own))
        for weight, bias in zip(weights, biases, strict=True):
            hidden = quick_tanh(torch.baddbmm(bias, hidden, weight))
        of_actor, of_critic = hidden.unbind()
        return self.actor_out(of_actor), self.critic_out(of_critic).squeeze(-1)

    def column(self, which: int) -> Column:
        """`ACTOR` or `CRITIC` alone, on code and vector in one row."""
        last = (self.actor_out, self.critic_out)[which]
        hidden = zip(self.weights, self.biases, strict=True)
        layers = [Layer(weight[which].T, bias[which, 0]) for weight, bias in hidden]
        return Column([*layers, Layer(last.weight, last.bias)])
