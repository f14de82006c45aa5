"""Export: the file answers as the network does, is the same bytes each time, and tells of nobody."""

import re

import numpy as np
import onnx
import pytest
import torch

from ml import export
from ml.environment import EpisodeConfig, MarketEnvironment
from ml.export import parity_error, policy_onnx
from ml.networks import NO_FEATURES, NetworkConfig, Policy, PolicyKind, Scaling, Shapes
from ml.views import MarketView
from strategies.config import ActionMap, AllocationConfig, CostConfig
from strategies.errors import DataError
from strategies.market import Float32s
from tests.support.market_data import random_dataset, rules_for

SCHEMA = "5" * 64


def network(
    kind: PolicyKind, action_map: ActionMap, discrete_dims: int = 0, lookback: int = 16, features: int = 1
) -> Policy:
    """A network with weights that are not small, for two instruments and three regime states."""
    actions = 3 * discrete_dims if discrete_dims else 2 + (action_map is ActionMap.SIMPLEX_CASH)
    torch.manual_seed(3)
    policy = Policy(
        NetworkConfig(kind=kind, hidden=(16, 8), code=12, channels=6),
        Shapes(lookback, 2, features, 7 + 2 + 3, actions, discrete_dims),
        Scaling.of(np.full(features, 1e-4), np.full(features, 0.002)),
    )
    for weight in policy.parameters():
        weight.data.add_(0.2 * torch.randn_like(weight))
    return policy.eval()


def real_observations(count: int, lookback: int = 16) -> tuple[Float32s, Float32s]:
    """Windows and vectors that portfolios see which live on a market, with beliefs of a regime model."""
    dataset = random_dataset(2, 2_000, lookback=lookback)
    beliefs = np.random.default_rng(1).dirichlet(np.ones(3), len(dataset))
    env = MarketEnvironment(
        dataset.with_beliefs(beliefs),
        rules_for(2),
        allocation=AllocationConfig(action_map=ActionMap.SIMPLEX_CASH),
        costs=CostConfig(),
        episode=EpisodeConfig(horizon_bars=200),
        num_envs=250,
        observe_rows=True,
    )
    view = MarketView(env, torch.device("cpu"))
    draws = np.random.default_rng(2)
    seen, rows, vectors = view.read(env.reset(seed=0)[0]), [], []
    for _ in range(count // 250):
        rows.append(seen.rows.numpy())
        vectors.append(seen.vector.numpy().copy())
        seen = view.read(env.step(draws.standard_normal((250, 3)))[0])
    return env.windows[np.concatenate(rows) - lookback + 1], np.concatenate(vectors)


@pytest.fixture(scope="module")
def observations() -> tuple[Float32s, Float32s]:
    return real_observations(10_000)


@pytest.mark.parametrize("kind", list(PolicyKind))
@pytest.mark.parametrize(
    ("action_map", "discrete_dims"),
    [
        (ActionMap.SIMPLEX_CASH, 0),
        (ActionMap.TANH_LEVERAGE, 0),
        (ActionMap.WEIGHTS, 0),
        (ActionMap.WEIGHTS, 2),
    ],
)
def test_file_answers_ten_thousand_real_observations_as_the_network_does(
    observations: tuple[Float32s, Float32s], kind: PolicyKind, action_map: ActionMap, discrete_dims: int
) -> None:
    policy = network(kind, action_map, discrete_dims)
    content = policy_onnx(policy, action_map=action_map, schema_sha256=SCHEMA)

    one_by_one = parity_error(content, policy, *observations, action_map, 1)
    in_batches = parity_error(content, policy, *observations, action_map, 64)

    assert one_by_one <= 1e-6
    assert in_batches <= 1e-6


def test_actions_are_not_all_alike(observations: tuple[Float32s, Float32s]) -> None:
    # Else the parity above would say nothing.
    for discrete_dims in (0, 2):
        policy = network(PolicyKind.WINDOW_CNN, ActionMap.WEIGHTS, discrete_dims)
        windows, vectors = (torch.tensor(part[:500]) for part in observations)

        answers = export.policy_actions(policy, windows, vectors, ActionMap.WEIGHTS).numpy()

        assert (answers.std(axis=0) > 0.01).all()


def test_same_weights_make_the_same_bytes_and_other_weights_make_others() -> None:
    policy = network(PolicyKind.WINDOW_LSTM, ActionMap.SIMPLEX_CASH)
    content = policy_onnx(policy, action_map=ActionMap.SIMPLEX_CASH, schema_sha256=SCHEMA)

    assert policy_onnx(policy, action_map=ActionMap.SIMPLEX_CASH, schema_sha256=SCHEMA) == content
    policy.actor.layers[-1].weight.data[0, 0] += 1e-3
    assert policy_onnx(policy, action_map=ActionMap.SIMPLEX_CASH, schema_sha256=SCHEMA) != content


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_file_holds_no_path_no_trace_and_no_critic(kind: PolicyKind) -> None:
    policy = network(kind, ActionMap.SIMPLEX_CASH)

    content = policy_onnx(policy, action_map=ActionMap.SIMPLEX_CASH, schema_sha256=SCHEMA)

    model = onnx.load_from_string(content)
    assert not re.search(rb"/[a-z]+/|\.py|torch|Traceback", content)
    assert not any(node.doc_string or node.name or node.metadata_props for node in model.graph.node)
    held = sum(np.prod(one.dims, dtype=int) for one in model.graph.initializer)
    critic = sum(part.numel() for layer in policy.critic.layers for part in layer)
    assert held < sum(weight.numel() for weight in policy.parameters()) - critic + 50


def test_gates_in_the_wrong_order_are_noticed(
    monkeypatch: pytest.MonkeyPatch, observations: tuple[Float32s, Float32s]
) -> None:
    monkeypatch.setattr(export, "_gates", lambda weight: weight.numpy(force=True))
    policy = network(PolicyKind.WINDOW_LSTM, ActionMap.SIMPLEX_CASH)
    content = policy_onnx(policy, action_map=ActionMap.SIMPLEX_CASH, schema_sha256=SCHEMA)

    with pytest.raises(DataError, match="answers otherwise"):
        parity_error(content, policy, *observations, ActionMap.SIMPLEX_CASH, 64)


def test_network_without_a_window_is_refused() -> None:
    policy = Policy(NetworkConfig(), Shapes(0, 0, 0, 4, 2), NO_FEATURES)

    with pytest.raises(DataError, match="reads a window"):
        policy_onnx(policy, action_map=ActionMap.WEIGHTS, schema_sha256=SCHEMA)


def test_weight_that_is_not_finite_is_refused() -> None:
    policy = network(PolicyKind.MLP, ActionMap.WEIGHTS)
    policy.actor.layers[-1].weight.data[0, 0] = float("nan")

    with pytest.raises(DataError, match=r"finite weights.*actor\.2\.weight"):
        policy_onnx(policy, action_map=ActionMap.WEIGHTS, schema_sha256=SCHEMA)
