"""Adam over one vector against Adam over tensors, and the normal actions against the library's."""

import math
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
        optimizer.differentiate(loss(module, step))
        optimizer.step(0.5)


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

    with pytest.raises(ValueError, match="expected the state of 58 weights, found that of 9"):
        FlatAdam(network(), 1e-2).load_state_dict(optimizer.state_dict())


def test_norms_of_the_gradient_are_those_of_its_tensors_and_shrink_with_it() -> None:
    ours, theirs = network(), network()
    optimizer = FlatAdam(ours, 1e-2)

    norm = optimizer.differentiate(loss(ours, 0))
    taken = optimizer.grad_norms()
    optimizer.step(0.5 * norm)
    shortened = optimizer.grad_norms()

    loss(theirs, 0).backward()  # type: ignore[no-untyped-call]
    grads = {
        name: float(weight.grad.norm())
        for name, weight in theirs.named_parameters()
        if weight.grad is not None
    }
    assert taken == pytest.approx(grads)
    assert norm == pytest.approx(math.hypot(*grads.values()))
    assert shortened == pytest.approx({name: 0.5 * value for name, value in grads.items()}, rel=1e-5)


def test_weights_that_a_loss_does_not_depend_on_stay() -> None:
    module = network()
    optimizer = FlatAdam(module, 1e-2)
    before = [weight.detach().clone() for weight in module.parameters()]

    for _ in range(2):
        optimizer.differentiate(module[0].weight.square().sum())  # type: ignore[operator]
        optimizer.step(0.5)

    moved = [not torch.equal(one, other) for one, other in zip(before, module.parameters(), strict=True)]
    assert moved == [True, False, False, False]


def test_loss_that_is_not_finite_has_a_norm_that_is_not() -> None:
    module = network()

    assert not math.isfinite(FlatAdam(module, 1e-2).differentiate(loss(module, 0) * math.nan))


def test_normal_actions_have_the_density_and_the_entropy_of_the_librarys() -> None:
    mean, log_std = torch.randn(50, 3), torch.tensor([-1.0, 0.0, 0.7])
    ours = Gaussian(mean, log_std)
    theirs: Any = Independent(Normal(mean, log_std.exp()), 1)
    action = ours.sample()

    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.entropy().expand(50), theirs.entropy())
    many = Gaussian(torch.ones(100_000, 3), log_std).sample()
    torch.testing.assert_close(many.mean(dim=0), torch.ones(3), rtol=0.03, atol=0.0)
    torch.testing.assert_close(many.std(dim=0), log_std.exp(), rtol=0.03, atol=0.0)
