"""Actor and critic: a column of layers each, on a code that several vectors may share.

Flow: observation → networks → **heads** → ppo, pathwise, export.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_WORTH_IT = 32_768
"""Numbers of a layer's answer from which on what is done by hand is faster than what torch does."""
_MINUS_ONE = torch.tensor(-1.0)


class Layer(NamedTuple):
    """``x · weightᵀ + bias``."""

    weight: Tensor
    """Shape (outputs, inputs)."""
    bias: Tensor
    """Shape (outputs,)."""


class Column(nn.ModuleList):
    """Hidden layers, each with a hyperbolic tangent after it, and a last one.

    What the first layer makes of a code is computed once for all vectors that share it.

    Args:
        code: Width of the code; may be 0.
        vector: Width of what is seen beside it.
        hidden: Widths of the hidden layers; may be none.
        outputs: Numbers to answer with.
        gain: Of the last layer's orthogonal weights.
    """

    def __init__(self, code: int, vector: int, hidden: Sequence[int], outputs: int, gain: float) -> None:
        widths = (code + vector, *hidden)
        inner = (linear(inputs, width) for inputs, width in pairwise(widths))
        super().__init__((*inner, linear(widths[-1], outputs, gain)))

    @property
    def layers(self) -> list[Layer]:
        """Its layers, the last one last."""
        return [Layer(one.weight, one.bias) for one in cast("Iterable[nn.Linear]", self)]

    def forward(self, code: Tensor, vector: Tensor) -> Tensor:
        """Answer to what is seen.

        Args:
            code: Shape (U, code).
            vector: Shape (U · G, V): the first G share the first code, and so on.

        Returns:
            Shape (U · G, outputs).
        """
        return _answer(self.layers, code, vector)

    def detached(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The same, its weights without a gradient."""
        return partial(_answer, [Layer(weight.detach(), bias.detach()) for weight, bias in self.layers])


def linear(inputs: int, outputs: int, gain: float = math.sqrt(2.0)) -> nn.Linear:
    """Orthogonal weights of a given gain, as PPO wants them (Engstrom et al. 2020)."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def quick_tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent; of much that wants gradients by way of the logistic function, within 2e-7.

    That takes torch half of the time on the batches of learning; on the few rows of acting, and on a GPU, it
    does not pay.
    """
    if not x.requires_grad or x.numel() < _WORTH_IT or x.device.type != "cpu":
        return torch.tanh(x)
    return cast("Tensor", _LogisticTanh.apply(x))


def _answer(layers: Sequence[Layer], code: Tensor, vector: Tensor) -> Tensor:
    first, *rest = layers
    if rest and len(vector) * len(first.bias) >= _WORTH_IT and vector.device.type == "cpu":
        return cast("Tensor", _ByHand.apply(code, vector, *chain.from_iterable(layers)))
    seen = _first_sums(code, vector, first)
    for layer in rest:
        seen = functional.linear(torch.tanh(seen), *layer)
    return seen


def _first_sums(code: Tensor, vector: Tensor, layer: Layer) -> Tensor:
    of_code, of_vector = layer.weight.tensor_split((code.shape[1],), dim=1)
    shared = functional.linear(code, of_code, layer.bias)
    own = functional.linear(vector, of_vector)
    return (own.view(len(code), -1, own.shape[1]) + shared[:, None]).view_as(own)


class _ByHand(torch.autograd.Function):
    """`_answer` for the batches of learning, and its gradients, most of them made in memory that is there.

    What the processor's cache does not hold costs more than what is computed of it.
    """

    @staticmethod
    def forward(ctx: Any, code: Tensor, vector: Tensor, *params: Tensor) -> Tensor:
        weights, biases = params[::2], params[1::2]
        of_code, of_vector = weights[0].tensor_split((code.shape[1],), dim=1)
        sums = vector @ of_vector.T
        sums.view(len(code), -1, sums.shape[1]).add_(functional.linear(code, of_code, biases[0])[:, None])
        hidden = [_tanh_of_half_(sums.mul_(2.0))]
        for weight, bias in zip(weights[1:-1], biases[1:-1], strict=True):
            doubled = torch.addmm(bias, hidden[-1], weight.T, beta=2.0, alpha=2.0)
            hidden.append(_tanh_of_half_(doubled))
        ctx.save_for_backward(code, vector, *weights, *hidden)
        # So few answers are faster made as columns than as rows.
        return torch.addmm(biases[-1][:, None], weights[-1], hidden[-1].T).T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        code, vector, *saved = ctx.saved_tensors
        hidden = saved[len(saved) // 2 + 1 :]
        first, *weights = saved[: len(hidden) + 1]
        wanted: list[Tensor] = []  # from the last bias to the first weight
        (grad,) = grads
        for weight, below in zip(reversed(weights), reversed(hidden), strict=True):
            wanted += grad.sum(dim=0), grad.T @ below
            grad = grad @ weight
            torch.ops.aten.tanh_backward.grad_input(grad, below, grad_input=grad)
        shared = grad.view(len(code), -1, grad.shape[1]).sum(dim=1)
        of_first = torch.empty_like(first)
        of_code, of_vector = of_first.tensor_split((code.shape[1],), dim=1)
        torch.mm(shared.T, code, out=of_code)
        torch.mm(grad.T, vector, out=of_vector)
        wanted += shared.sum(dim=0), of_first
        by_code, by_vector = first.tensor_split((code.shape[1],), dim=1)
        needs_code, needs_vector, *_ = ctx.needs_input_grad
        return (
            shared @ by_code if needs_code else None,
            grad @ by_vector if needs_vector else None,
            *reversed(wanted),
        )


class _LogisticTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = _tanh_of_half_(x + x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return cast("Tensor", torch.ops.aten.tanh_backward(grads[0], ctx.saved_tensors[0]))


def _tanh_of_half_(doubled: Tensor) -> Tensor:
    """tanh(x) = 2 / (1 + exp(-2x)) - 1 of 2x, in its place."""
    logistic = doubled.sigmoid_()
    return torch.add(_MINUS_ONE, logistic, alpha=2.0, out=logistic)
