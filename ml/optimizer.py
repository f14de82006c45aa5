"""Adam over all weights of a policy as one vector.

Flow: networks → **optimizer** → ppo, pathwise.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class FlatAdam:
    """Moves the weights of a policy against their gradients.

    The weights become views of one vector, and so do the gradients: networks as small as these are moved in
    less time than it takes to go through their tensors one by one.

    Args:
        policy: On the device where it stays.
        learning_rate: To begin with.

    Source:
        Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """

    def __init__(self, policy: nn.Module, learning_rate: float) -> None:
        weights = list(policy.parameters())
        self._vector = nn.Parameter(torch.cat([one.detach().flatten() for one in weights]))
        self._gradient = self._vector.grad = torch.zeros_like(self._vector)
        at = 0
        for one in weights:
            place = slice(at, at + one.numel())
            one.data = self._vector.data[place].view_as(one)
            one.grad = self._gradient[place].view_as(one)
            at += one.numel()
        self._adam = torch.optim.Adam([self._vector], learning_rate, eps=1e-5, fused=True)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._adam.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._adam.param_groups[0]["lr"] = value

    def zero_grad(self) -> None:
        """Forget all gradients, as before each backward pass."""
        self._gradient.zero_()

    def clip(self, max_norm: float) -> Tensor:
        """Shorten the gradient to a norm; the norm that it had."""
        return nn.utils.clip_grad_norm_([self._vector], max_norm)

    def step(self) -> None:
        """Move the weights."""
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """What the next steps depend on, beside the weights."""
        return self._adam.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            KeyError, ValueError: If it is of something else.
        """
        for moments in state["state"].values():
            if moments["exp_avg"].numel() != self._vector.numel():
                expected, found = self._vector.numel(), moments["exp_avg"].numel()
                raise ValueError(f"expected the state of {expected} weights, found that of {found}")
        self._adam.load_state_dict(dict(state))
