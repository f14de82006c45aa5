"""Adam over all weights of a policy as one vector.

Flow: networks → **optimizer** → ppo, pathwise.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

_BETAS, _EPSILON = (0.9, 0.999), 1e-5
_STATE = ("learning_rate", "steps", "first_moment", "second_moment")


class FlatAdam:
    """Moves the weights of a policy against their gradient.

    The weights become views of one vector: networks as small as these are moved in less time than it takes
    to go through their tensors one by one.

    Args:
        policy: On the device where it stays.
        learning_rate: To begin with.

    Source:
        Kingma and Ba (2015), Adam: a method for stochastic optimization, algorithm 1.
    """

    def __init__(self, policy: nn.Module, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self._names = [name for name, _ in policy.named_parameters()]
        self._weights = list(policy.parameters())
        self._vector = torch.cat([one.detach().flatten() for one in self._weights])
        self._gradient = torch.zeros_like(self._vector)
        self._first, self._second = torch.zeros_like(self._vector), torch.zeros_like(self._vector)
        self._norm = 0.0
        self._steps = torch.zeros((), device=self._vector.device)
        for one, part in zip(self._weights, self._parts(self._vector), strict=True):
            one.data = part.view_as(one)

    def differentiate(self, loss: Tensor) -> float:
        """Take the gradient of a loss, nil for weights that it does not depend on.

        Returns:
            Its norm; not finite if the gradient is not.
        """
        parts = torch.autograd.grad(loss, self._weights, materialize_grads=True)
        torch.cat([part.flatten() for part in parts], out=self._gradient)
        self._norm = float(torch.linalg.vector_norm(self._gradient))
        return self._norm

    def step(self, max_norm: float) -> None:
        """Shorten the gradient to a norm, and move the weights."""
        if self._norm > max_norm:
            self._gradient.mul_(max_norm / (self._norm + 1e-6))
        adam(
            [self._vector],
            [self._gradient],
            [self._first],
            [self._second],
            [],
            [self._steps],
            fused=True,
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=_EPSILON,
            maximize=False,
        )

    def grad_norms(self) -> dict[str, float]:
        """Norm of the gradient by tensor of weights; after a step, of the shortened one."""
        parts = self._parts(self._gradient)
        return {name: float(part.norm()) for name, part in zip(self._names, parts, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """What the next steps depend on, beside the weights."""
        return dict(zip(_STATE, (self.learning_rate, self._steps, self._first, self._second), strict=True))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            KeyError, ValueError: If it is of something else.
        """
        learning_rate, steps, first, second = (state[name] for name in _STATE)
        expected, found = self._vector.numel(), first.numel()
        if not expected == found == second.numel():
            raise ValueError(f"expected the state of {expected} weights, found that of {found}")
        self.learning_rate = float(learning_rate)
        self._steps.copy_(steps)
        self._first.copy_(first)
        self._second.copy_(second)

    def _parts(self, vector: Tensor) -> tuple[Tensor, ...]:
        return torch.split(vector, [one.numel() for one in self._weights])
