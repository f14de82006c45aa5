"""The summary of a belief, against what draws from the model do and against integrals."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.integrate import quad
from scipy.stats import norm

from strategies.belief_summary import SUMMARY_FIELDS, BeliefSummary, num_beliefs, summary_for
from strategies.config import RegimeConfig
from strategies.regime_params import RegimeParams
from tests.support.bundles import strategy_with_bundle


def _params(num_states: int, *, full: bool = False, seed: int = 0) -> RegimeParams:
    rng = np.random.default_rng(seed)
    covariances = rng.uniform(0.2, 2.0, size=(num_states, 2))
    if full:
        roots = rng.normal(size=(num_states, 2, 2))
        covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(2)
    return RegimeParams(
        initial_probs=rng.dirichlet(np.ones(num_states)),
        transition_matrix=rng.dirichlet(np.ones(num_states), size=num_states),
        means=rng.normal(size=(num_states, 2)),
        covariances=covariances,
    )


@settings(max_examples=30, deadline=None)
@given(num_states=st.integers(1, 5), full=st.booleans(), seed=st.integers(0, 1_000), place=st.integers(0, 1))
def test_summary_is_what_integrals_over_the_next_return_say(
    num_states: int, full: bool, seed: int, place: int
) -> None:
    params = _params(num_states, full=full, seed=seed)
    probs = np.random.default_rng(seed + 1).dirichlet(np.ones(num_states))
    ahead = probs @ params.transition_matrix
    means = params.means[:, place]
    spreads = np.sqrt(params.covariances[:, place, place] if full else params.covariances[:, place])

    def density(x: float) -> float:
        return float(ahead @ norm.pdf(x, means, spreads))

    mean = quad(lambda x: x * density(x), -30.0, 30.0, limit=200)[0]
    deviation = quad(lambda x: (x - mean) ** 2 * density(x), -30.0, 30.0, limit=200)[0] ** 0.5
    found = dict(zip(SUMMARY_FIELDS, BeliefSummary(params, place)(probs.tolist()), strict=True))

    assert found["p_bull"] == pytest.approx(ahead[means.argmax()])
    assert found["p_bear"] == pytest.approx(ahead[means.argmin()])
    assert found["p_up"] == pytest.approx(quad(density, 0.0, inf)[0], abs=1e-6)
    assert found["mu_over_sigma"] == pytest.approx(mean / deviation, abs=1e-6)


def test_deviation_is_told_beside_what_the_chain_shows_in_the_long_run() -> None:
    params = _params(3, seed=4)
    rng = np.random.default_rng(0)
    states, cumulated = [0], params.transition_matrix.cumsum(axis=1)
    for draw in rng.random(200_000):
        states.append(int(np.searchsorted(cumulated[states[-1]], draw)))
    returns = rng.normal(params.means[states, 0], np.sqrt(params.covariances[states, 0]))
    summary = BeliefSummary(params, 0)
    often = np.bincount(states, minlength=3) / len(states)

    assert summary(often.tolist())[4] == pytest.approx(1.0, abs=0.01)
    sure = summary([1.0, 0.0, 0.0])
    ahead = params.transition_matrix[0]
    variance = (
        ahead @ (params.covariances[:, 0] + params.means[:, 0] ** 2) - (ahead @ params.means[:, 0]) ** 2
    )
    assert sure[4] == pytest.approx(np.sqrt(variance) / returns.std(), rel=0.01)


def test_states_that_lie_far_off_and_close_together_have_a_deviation() -> None:
    params = RegimeParams(
        np.array([0.5, 0.5]), np.full((2, 2), 0.5), np.array([[1e6], [1e6 + 2e-3]]), np.full((2, 1), 1e-6)
    )

    found = dict(zip(SUMMARY_FIELDS, BeliefSummary(params, 0)([0.5, 0.5]), strict=True))

    assert found["mu_over_sigma"] == pytest.approx(1e6 / np.sqrt(2e-6), rel=1e-6)
    assert found["sigma"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "change",
    [{"summary_of": "rsi_14"}, {"summary_of": "log_return_1", "append_beliefs": False}],
    ids=["a column that the model does not read", "a policy that is shown nothing"],
)
def test_summary_that_cannot_be_made_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"summary_of: expected one of columns \['log_return_1'\]"):
        RegimeConfig.model_validate({"columns": ("log_return_1",)} | change)


@pytest.mark.parametrize(
    ("summary_of", "num_states", "expected"),
    [(None, 3, 3), (None, 0, 0), ("log_return_1", 3, 5), ("log_return_1", 0, 0)],
)
def test_policy_is_shown_so_many_figures(summary_of: str | None, num_states: int, expected: int) -> None:
    config = strategy_with_bundle(regime={"columns": ("log_return_1",), "summary_of": summary_of})

    assert num_beliefs(config, num_states) == expected
    assert (summary_for(config, _params(2)) is None) is (summary_of is None)
