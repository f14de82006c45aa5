"""Baselines: what each asks for, and that chance is the seed's alone."""

import random
from pathlib import Path

import numpy as np
import pytest

from strategies.config import ActionMap, BaselinePolicyConfig, PolicyConfig
from strategies.errors import ConfigError
from strategies.policies import Policy, make_policy
from tests.support.observations import make_observation

KINDS = ("flat", "equal", "first_long", "random", "buy_and_hold")


def _policy(
    kind: str, num_instruments: int = 4, seed: int = 0, action_map: ActionMap = ActionMap.WEIGHTS
) -> Policy:
    config: PolicyConfig = BaselinePolicyConfig.model_validate({"kind": kind, "seed": seed})
    return make_policy(
        config,
        columns=("rsi_14",),
        num_instruments=num_instruments,
        num_states=0,
        num_beliefs=0,
        schema_sha256="",
        base_dir=Path(),
        action_map=action_map,
    )


@pytest.mark.parametrize(
    ("kind", "weights"),
    [("flat", [0.0] * 4), ("equal", [0.25] * 4), ("first_long", [1.0, 0.0, 0.0, 0.0])],
)
def test_fixed_baseline_asks_for_the_same_weights_at_every_bar(kind: str, weights: list[float]) -> None:
    policy = _policy(kind)
    observation = make_observation([[1.0]] * 4, [10.0] * 4)

    actions = [policy.act(observation) for _ in range(2)]

    assert [action.values for action in actions] == [tuple(weights)] * 2
    assert policy.name == kind


def test_buy_and_hold_buys_equal_weights_once_and_then_leaves_them() -> None:
    policy = _policy("buy_and_hold")
    features, closes = [[1.0]] * 4, [10.0] * 4

    first = policy.act(make_observation(features, closes))
    partly = policy.act(make_observation(features, closes, positions=[1.0, 0.0, 1.0, 1.0]))
    later = policy.act(make_observation(features, closes, positions=[1.0, 1.0, 1.0, 1.0]))

    assert first.values == (0.25,) * 4
    assert np.isnan(partly.values).tolist() == [True, False, True, True]
    assert partly.values[1] == 0.25
    assert np.isnan(later.values).all()


def test_random_weights_are_a_long_only_portfolio_with_cash() -> None:
    policy = _policy("random", num_instruments=2)
    observation = make_observation([[1.0]] * 2, [10.0] * 2)

    weights = np.array([policy.act(observation).values for _ in range(4000)])

    assert (weights >= 0.0).all()
    assert (weights.sum(axis=1) <= 1.0).all()
    # Uniform on the simplex of two instruments and cash: every share has mean 1/3 and P(w < 1/2) = 3/4.
    assert weights.mean(axis=0) == pytest.approx([1 / 3, 1 / 3], abs=0.015)
    assert (weights < 0.5).mean(axis=0) == pytest.approx([0.75, 0.75], abs=0.03)


def test_random_draws_depend_on_the_seed_alone() -> None:
    observation = make_observation([[1.0]] * 4, [10.0] * 4)
    policy, twin, other = _policy("random", seed=7), _policy("random", seed=7), _policy("random", seed=8)

    first = [policy.act(observation).values for _ in range(5)]
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator must not matter
    same = [twin.act(observation).values for _ in range(5)]
    different = [other.act(observation).values for _ in range(5)]
    policy.reset()
    again = [policy.act(observation).values for _ in range(5)]

    assert first == same == again
    assert first != different
    assert len(set(first)) == 5


def test_baseline_ids_name_kind_seed_and_width() -> None:
    policies = [_policy(kind) for kind in KINDS] + [
        _policy("random", seed=1),
        _policy("equal", num_instruments=3),
    ]

    assert len({policy.policy_id for policy in policies}) == len(policies)
    assert all(len(policy.policy_id) == 64 for policy in policies)


@pytest.mark.parametrize("kind", KINDS)
def test_baseline_under_a_map_that_reads_logits_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"allocation\.action_map = 'simplex_cash': expected 'weights'"):
        _policy(kind, action_map=ActionMap.SIMPLEX_CASH)
