"""Columns of layers and their gradients, the tangent, and codes that are made ahead."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from ml.environment import EpisodeConfig, MarketEnvironment
from ml.heads import Column, Layer, quick_tanh
from ml.networks import NetworkConfig, Policy, PolicyKind
from ml.views import CodesAhead, MarketView
from strategies.config import AllocationConfig, CostConfig
from tests.support.market_data import random_dataset, rules_for


def column(code: int, vector: int, hidden: tuple[int, ...], outputs: int) -> Column:
    torch.manual_seed(0)
    made = Column(code, vector, hidden, outputs, gain=1.0)
    for weight in made.parameters():
        weight.data.add_(0.3 * torch.randn_like(weight))
    return made


def written_out(layers: Sequence[Layer], code: Tensor, vector: Tensor) -> Tensor:
    """The answer in double precision, every code beside every vector that shares it."""
    seen = torch.cat((code.repeat_interleave(len(vector) // len(code), dim=0), vector), dim=1).double()
    *hidden, last = layers
    for weight, bias in hidden:
        seen = torch.tanh(seen @ weight.double().T + bias.double())
    return seen @ last.weight.double().T + last.bias.double()


@pytest.mark.parametrize("hidden", [(), (8,), (8, 5)])
@pytest.mark.parametrize(("clocks", "group", "code"), [(6, 1, 4), (2, 3, 4), (6, 1, 0)])
def test_a_column_is_layers_one_after_the_other(
    hidden: tuple[int, ...], clocks: int, group: int, code: int
) -> None:
    made = column(code, 3, hidden, 2)
    codes, vectors = torch.randn(clocks, code), torch.randn(clocks * group, 3)

    answer = made(codes, vectors)

    torch.testing.assert_close(answer.double(), written_out(made.layers, codes, vectors), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(made.detached()(codes, vectors), answer)
    assert answer.requires_grad
    assert not made.detached()(codes, vectors).requires_grad


@pytest.mark.parametrize("hidden", [(40,), (40, 24), (40, 24, 8)])
@pytest.mark.parametrize(("group", "code"), [(1, 6), (16, 6), (16, 0)])
def test_gradients_of_many_rows_are_those_of_the_formula(
    hidden: tuple[int, ...], group: int, code: int
) -> None:
    made, clocks = column(code, 3, hidden, 2), 1_600 // group
    codes = torch.randn(clocks, code, requires_grad=True)
    vectors = torch.randn(clocks * group, 3, requires_grad=True)
    # Every answer counts, each with a weight of its own.
    counts = torch.randn(len(vectors), 2)
    sources = [codes, vectors, *made.parameters()] if code else [vectors, *made.parameters()]

    answer, exact = made(codes, vectors), written_out(made.layers, codes, vectors)
    found = torch.autograd.grad((answer * counts).sum(), sources)
    expected = torch.autograd.grad((exact * counts.double()).sum(), sources)

    assert "ByHand" in type(answer.grad_fn).__name__
    torch.testing.assert_close(answer.double(), exact, atol=3e-6, rtol=0.0)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6 * float(other.abs().max()), rtol=1e-4)


def test_weights_that_stand_still_let_the_gradient_through_to_what_was_seen() -> None:
    made = column(2, 3, (40,), 1)
    codes, vectors = torch.randn(1_600, 2), torch.randn(1_600, 3, requires_grad=True)

    (found,) = torch.autograd.grad(made.detached()(codes, vectors).sum(), vectors)

    (expected,) = torch.autograd.grad(written_out(made.layers, codes, vectors).sum(), vectors)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_columns_begin_with_orthogonal_weights() -> None:
    for gain in (0.01, 1.0):
        first, last = Column(4, 4, (8,), 8, gain).layers

        torch.testing.assert_close(first.weight.T @ first.weight, 2.0 * torch.eye(8), atol=1e-5, rtol=0.0)
        torch.testing.assert_close(last.weight @ last.weight.T, gain**2 * torch.eye(8), atol=1e-5, rtol=0.0)
        assert not first.bias.any()
        assert not last.bias.any()


def test_quick_tangent_and_its_slope_are_the_tangents() -> None:
    x = torch.linspace(-30.0, 30.0, 100_001, requires_grad=True)

    y = quick_tanh(x)
    (slope,) = torch.autograd.grad(y.sum(), x)

    exact = x.detach().double().tanh()
    assert float((y.detach().double() - exact).abs().max()) < 2e-7
    assert float((slope.double() - (1.0 - exact**2)).abs().max()) < 1e-6
    assert quick_tanh(torch.full_like(x, torch.nan, requires_grad=True)).isnan().all()


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_codes_made_ahead_are_those_of_the_windows(kind: PolicyKind) -> None:
    data = random_dataset(2, 200, lookback=16)
    environment = MarketEnvironment(
        data,
        rules_for(2),
        allocation=AllocationConfig(),
        costs=CostConfig(),
        episode=EpisodeConfig(horizon_bars=20),
        num_envs=3,
        num_clocks=3,
        observe_rows=True,
    )
    view = MarketView(environment, torch.device("cpu"))
    policy = Policy(NetworkConfig(kind=kind, code=6, channels=4), view.shapes, view.scaling).eval()
    codes = CodesAhead(policy, view, 3)
    # One clock goes on and on, one begins anew now and then, one comes to the end of the data.
    walks = [(50 + step, 30 + step % 7 * (step % 3), 140 + step) for step in range(60)]

    with torch.no_grad():
        for rows in map(torch.tensor, walks):
            torch.testing.assert_close(
                codes.at(rows), policy.encode(view.windows(rows)), rtol=1e-5, atol=1e-6
            )
