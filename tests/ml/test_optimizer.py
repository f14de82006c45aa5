"""Adam over one vector against Adam over tensors, and the normal actions against the library's."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from ml.networks import Gaussian
from ml.optimizer import FlatAdam


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def loss(module: nn.Module, step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    value: torch.Tensor = (module(torch.randn(16, 4, generator=generator)) ** 2).sum()
    return value


def steps(module: nn.Module, optimizer: FlatAdam, numbers: range) -> None:
    for step in numbers:
        optimizer.zero_grad()
        loss(module, step).backward()  # type: ignore[no-untyped-call]
        optimizer.clip(0.5)
        optimizer.step()


def test_weights_move_as_those_of_the_librarys_adam() -> None:
    ours, theirs = network(), network()
    optimizer = FlatAdam(ours, 1e-2)
    adam = torch.optim.Adam(theirs.parameters(), 1e-2, eps=1e-5)

    steps(ours, optimizer, range(20))
    for step in range(20):
        adam.zero_grad()
        loss(theirs, step).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        adam.step()

    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_state_that_is_taken_over_goes_on_bit_for_bit() -> None:
    whole, first, second = network(), network(), network()
    steps(whole, FlatAdam(whole, 1e-2), range(10))
    begun = FlatAdam(first, 1e-2)
    steps(first, begun, range(5))
    resumed = FlatAdam(second, 3.0)

    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(begun.state_dict())
    steps(second, resumed, range(5, 10))

    assert resumed.learning_rate == 1e-2
    for one, other in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_state_of_other_weights_is_refused() -> None:
    other = nn.Linear(2, 3)
    optimizer = FlatAdam(other, 1e-2)
    optimizer.step()

    with pytest.raises(ValueError, match="expected the state of 58 weights, found that of 9"):
        FlatAdam(network(), 1e-2).load_state_dict(optimizer.state_dict())


def test_normal_actions_have_the_density_and_the_entropy_of_the_librarys() -> None:
    mean, log_std = torch.randn(50, 3), torch.tensor([-1.0, 0.0, 0.7])
    ours = Gaussian(mean, log_std)
    theirs: Any = Independent(Normal(mean, log_std.exp()), 1)
    action = ours.sample()

    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    many = Gaussian(torch.ones(100_000, 3), log_std).sample()
    torch.testing.assert_close(many.mean(dim=0), torch.ones(3), rtol=0.03, atol=0.0)
    torch.testing.assert_close(many.std(dim=0), log_std.exp(), rtol=0.03, atol=0.0)
