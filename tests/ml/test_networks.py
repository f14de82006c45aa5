"""Actor and critic side by side, their tangent, and codes that are made ahead."""

import pytest
import torch

from ml.environment import EpisodeConfig, MarketEnvironment
from ml.heads import ACTOR, CRITIC, TwinHead, quick_tanh
from ml.networks import NetworkConfig, Policy, PolicyKind
from ml.views import CodesAhead, MarketView
from strategies.config import AllocationConfig, CostConfig
from tests.support.market_data import random_dataset, rules_for


@pytest.mark.parametrize("hidden", [(), (8,), (8, 5)])
@pytest.mark.parametrize(("clocks", "group", "code"), [(6, 1, 4), (2, 3, 4), (6, 1, 0)])
def test_heads_side_by_side_answer_as_each_alone(
    hidden: tuple[int, ...], clocks: int, group: int, code: int
) -> None:
    torch.manual_seed(0)
    heads = TwinHead(code, 3, hidden, 2)
    for weight in heads.parameters():
        weight.data.add_(0.3 * torch.randn_like(weight))
    codes, vectors = torch.randn(clocks, code), torch.randn(clocks * group, 3)

    mean, value = heads(codes, vectors)

    rows = torch.cat((codes.repeat_interleave(group, dim=0), vectors), dim=1)
    torch.testing.assert_close(mean, heads.column(ACTOR)(rows))
    torch.testing.assert_close(value, heads.column(CRITIC)(rows).squeeze(-1))
    assert mean.shape == (6, 2)
    assert not torch.allclose(mean[:, 0], value, atol=1e-3)


def test_a_column_is_layers_of_its_own() -> None:
    heads = TwinHead(0, 3, (8,), 2)
    first, last = heads.column(ACTOR)
    seen = torch.randn(5, 3)

    answer = heads.column(ACTOR)(seen)

    torch.testing.assert_close(
        answer, torch.tanh(seen @ first.weight.T + first.bias) @ last.weight.T + last.bias
    )
    assert not heads.column(CRITIC).detached()(seen).requires_grad


def test_heads_begin_with_orthogonal_weights() -> None:
    heads = TwinHead(4, 4, (8,), 8)

    for which, gain in ((ACTOR, 0.01), (CRITIC, 1.0)):
        first, last = heads.column(which)
        torch.testing.assert_close(first.weight.T @ first.weight, 2.0 * torch.eye(8), atol=1e-5, rtol=0.0)
        torch.testing.assert_close(
            last.weight @ last.weight.T, gain**2 * torch.eye(len(last.weight)), atol=1e-5, rtol=0.0
        )
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
