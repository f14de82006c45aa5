"""Fits of hidden Markov models against hmmlearn, enumeration, known truths, and on bad input."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM

from ml.hmm import ConvergenceError, Covariance, HmmSettings, agreement, fit_hierarchical_hmm, fit_hmm
from ml.hmm.expectation import ExpectationStep
from ml.hmm.gaussians import coefficients, estimates, statistics
from ml.hmm.labels import match_states, permuted, volatility_order
from ml.hmm.lanes import stitch
from ml.hmm.search import Climb, kept
from ml.hmm.starts import Start, random_states, volatility_states
from ml.hmm.transitions import HierarchicalTransitions, StickyTransitions, stationary_probs
from strategies.errors import ConfigError, DataError
from strategies.market import Floats
from strategies.regime import RegimeFilter, fold
from strategies.regime_params import RegimeParams, load_regime_params

# hmmlearn 0.3.3 on NumPy 2.5.
pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")

COVARIANCES = list(Covariance)
FLAT = [[0], [1], [2]]


def _params(
    covariance: Covariance = Covariance.DIAGONAL, num_features: int = 3, seed: int = 1
) -> RegimeParams:
    rng = np.random.default_rng(seed)
    if covariance is Covariance.FULL:
        roots = rng.normal(size=(3, num_features, num_features))
        covariances = roots @ roots.transpose(0, 2, 1) + 0.3 * np.eye(num_features)
    else:
        covariances = rng.uniform(0.2, 2.0, size=(3, num_features))
    return RegimeParams(
        initial_probs=np.array([0.2, 0.5, 0.3]),
        transition_matrix=np.array([[0.95, 0.03, 0.02], [0.02, 0.97, 0.01], [0.05, 0.05, 0.9]]),
        means=rng.normal(size=(3, num_features)),
        covariances=covariances,
    )


TRUTH = RegimeParams(
    initial_probs=np.array([0.4, 0.4, 0.2]),
    transition_matrix=np.array([[0.98, 0.015, 0.005], [0.02, 0.97, 0.01], [0.02, 0.03, 0.95]]),
    means=np.array([[0.0005, 1.0], [0.0, 2.0], [-0.002, 3.5]]),
    covariances=np.array([[0.006**2, 0.09], [0.012**2, 0.16], [0.03**2, 0.25]]),
)
"""Three regimes of a daily return and a volatility measure, calm to stressed."""


def _draw(params: RegimeParams, length: int, seed: int) -> tuple[Floats, np.ndarray]:
    """Rows of a model and the states behind them."""
    rng = np.random.default_rng(seed)
    states = np.empty(length, dtype=np.int64)
    uniform = rng.uniform(size=length)
    cumulative = params.transition_matrix.cumsum(axis=1)
    state = int(rng.choice(params.num_states, p=params.initial_probs))
    for t in range(length):
        if t:
            state = min(int(np.searchsorted(cumulative[state], uniform[t])), params.num_states - 1)
        states[t] = state
    if params.covariances.ndim == 2:
        roots = np.stack([np.diag(np.sqrt(variances)) for variances in params.covariances])
    else:
        roots = np.linalg.cholesky(params.covariances)
    noise = rng.standard_normal((length, params.num_features))
    return params.means[states] + np.einsum("tij,tj->ti", roots[states], noise), states


def _hmmlearn(params: RegimeParams, iterations: int = 1) -> GaussianHMM:
    model = GaussianHMM(
        n_components=params.num_states,
        covariance_type="diag" if params.covariances.ndim == 2 else "full",
        init_params="",
        n_iter=iterations,
        tol=-np.inf,
        covars_prior=0.0,
        covars_weight=1.0,
        min_covar=0.0,
    )
    model.n_features = params.num_features
    model.startprob_ = params.initial_probs.copy()
    model.transmat_ = params.transition_matrix.copy()
    model.means_ = params.means.copy()
    model.covars_ = params.covariances.copy()
    return model


def _step(rows: Floats, params: RegimeParams, covariance: Covariance) -> ExpectationStep:
    return ExpectationStep(statistics(rows, covariance), params.num_states)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("length", [2, 3, 5])
def test_expectation_step_of_few_bars_equals_enumeration_of_all_paths(
    length: int, covariance: Covariance
) -> None:
    params = _params(covariance, num_features=2)
    rows = np.random.default_rng(length).normal(size=(length, 2))
    log_density = _scores(params, covariance, rows)
    weights = {}
    for path in itertools.product(range(3), repeat=length):
        moves = [np.log(params.transition_matrix[a, b]) for a, b in itertools.pairwise(path)]
        bars = sum(log_density[t, state] for t, state in enumerate(path))
        weights[path] = np.exp(np.log(params.initial_probs[path[0]]) + sum(moves) + bars)
    total = sum(weights.values())
    occupancy, transitions, first = np.zeros(3), np.zeros((3, 3)), np.zeros(3)
    for path, weight in weights.items():
        first[path[0]] += weight / total
        for state in path:
            occupancy[state] += weight / total
        for left, right in itertools.pairwise(path):
            transitions[left, right] += weight / total

    found = _step(rows, params, covariance).run(
        coefficients(params.means, params.covariances), params.initial_probs, params.transition_matrix
    )

    assert found.log_likelihood == pytest.approx(np.log(total), rel=1e-12)
    assert found.sums[:, 0] == pytest.approx(occupancy, rel=1e-11)
    assert found.transitions == pytest.approx(transitions, rel=1e-11)
    assert found.initial_probs == pytest.approx(first, rel=1e-11)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_coefficients_score_a_bar_as_the_density_of_scipy(covariance: Covariance) -> None:
    from scipy.stats import multivariate_normal

    params = _params(covariance)
    rows = np.random.default_rng(3).normal(size=(4, 3))
    full = params.covariances if params.covariances.ndim == 3 else [np.diag(v) for v in params.covariances]

    scores = statistics(rows, covariance) @ coefficients(params.means, params.covariances).T

    expected = [
        multivariate_normal(mean, matrix).logpdf(rows)
        for mean, matrix in zip(params.means, full, strict=True)
    ]
    assert pytest.approx(np.array(expected), rel=1e-11) == scores.T


def _scores(params: RegimeParams, covariance: Covariance, rows: Floats) -> Floats:
    """Log density of each bar in each state, shape (T, K)."""
    return statistics(rows, covariance) @ coefficients(params.means, params.covariances).T


def _assert_one_iteration_is_hmmlearns(params: RegimeParams, covariance: Covariance, rows: Floats) -> None:
    model = _hmmlearn(params)
    log_likelihood = model.score(rows)
    model.fit(rows)

    found = _step(rows, params, covariance).run(
        coefficients(params.means, params.covariances), params.initial_probs, params.transition_matrix
    )
    means, covariances = estimates(found.sums, params.num_features, covariance, 1e-12)

    assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-11)
    assert found.initial_probs == pytest.approx(model.startprob_, abs=1e-10)
    transition_matrix = StickyTransitions(params.num_states).estimate(found.transitions)
    assert transition_matrix == pytest.approx(model.transmat_, rel=1e-8)
    assert means == pytest.approx(model.means_, rel=1e-8)
    expected = model._covars_ if covariance is Covariance.DIAGONAL else model.covars_
    assert covariances == pytest.approx(expected, rel=1e-7)


# 4,097 bars are 128 lanes whose last one is short; 2,500 are 100 lanes of equal length.
@pytest.mark.parametrize("length", [2_500, 4_097])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_one_iteration_equals_one_of_hmmlearn(covariance: Covariance, length: int) -> None:
    params = _params(covariance)
    rows, _ = _draw(params, length, seed=2)

    _assert_one_iteration_is_hmmlearns(params, covariance, rows)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_one_iteration_on_bars_far_out_of_every_state_equals_one_of_hmmlearn(covariance: Covariance) -> None:
    params = _params(covariance)
    rows, _ = _draw(params, 2_500, seed=2)
    rows[::40] *= 60.0
    rows[7], rows[1_203] = [200.0, 0.0, 0.0], [0.0, 0.0, -300.0]
    scores = _scores(params, covariance, rows)
    # Whichever state is the reference, another is e^1,000 times as likely somewhere.
    assert (scores.max(axis=1, keepdims=True) - scores).max(axis=0).min() > 1_000.0

    _assert_one_iteration_is_hmmlearns(params, covariance, rows)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("state", [0, 1])
def test_one_iteration_from_a_first_bar_hardly_possible_equals_one_of_hmmlearn(
    covariance: Covariance, state: int
) -> None:
    params = RegimeParams(
        initial_probs=np.eye(2)[state],
        transition_matrix=np.array([[0.99, 0.01], [0.01, 0.99]]),
        means=np.array([[-10.0], [10.0]]),
        covariances=np.ones((2, 1) if covariance is Covariance.DIAGONAL else (2, 1, 1)),
    )
    rng = np.random.default_rng(6)
    sides = rng.choice([-1.0, 1.0], size=2_500)
    sides[:10] = (-1.0) ** (np.arange(10) + state)  # the other state from bar to bar: each is improbable, too
    rows = (10.0 * sides + rng.normal(size=2_500))[:, None]
    rows[0] = (
        35.3 * sides[0]
    )  # e^706 times likelier in the state that it cannot have: all that a double holds

    _assert_one_iteration_is_hmmlearns(params, covariance, rows)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_lanes_are_stitched_as_one_after_the_other(count: int) -> None:
    rng = np.random.default_rng(count)
    products = rng.uniform(1e-3, 1.0, size=(count, 3, 3))
    products *= 10.0 ** rng.integers(-300, 300, size=(count, 1, 1))
    initial_probs = np.array([0.2, 0.5, 0.3])

    starts, ends = stitch(products, initial_probs)

    forward, backward = initial_probs, np.full(3, 1.0 / 3.0)
    for lane in range(count):
        assert starts[:, lane] == pytest.approx(forward, rel=1e-12)
        forward = products[lane] @ forward
        forward /= forward.sum()
    for lane in reversed(range(count)):
        assert ends[:, lane] == pytest.approx(backward, rel=1e-12)
        backward = backward @ products[lane]
        backward /= backward.sum()


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_fit_is_no_worse_than_hmmlearn_from_its_own_best_of_four_starts(covariance: Covariance) -> None:
    rows, _ = _draw(TRUTH, 800, seed=5)
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    scores = []
    for seed in range(4):
        model = GaussianHMM(
            3, covariance.value.replace("diagonal", "diag"), n_iter=300, tol=1e-3, random_state=seed,
            covars_prior=1e-9, min_covar=1e-9, implementation="scaling",
        )  # fmt: skip
        scores.append(model.fit(scaled).score(scaled))

    fit = fit_hmm(rows, HmmSettings(covariance=covariance, stay_bars=0.0))

    # hmmlearn gives the first bar to one state for certain; ours starts at the long-run shares.
    assert fit.log_likelihood + len(rows) * np.log(rows.std(axis=0)).sum() >= max(scores) - np.log(20.0)


def test_fit_recovers_the_truth() -> None:
    rows, states = _draw(TRUTH, 6_000, seed=11)

    fit = fit_hmm(rows)

    spread = np.sqrt(TRUTH.covariances)
    assert np.abs((fit.params.means - TRUTH.means) / spread).max() < 0.1
    assert np.sqrt(fit.params.covariances) == pytest.approx(spread, rel=0.1)
    assert fit.params.transition_matrix == pytest.approx(TRUTH.transition_matrix, abs=0.015)
    assert (fold(fit.params, rows).argmax(axis=1) == states).mean() > 0.95


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_saved_model_is_filtered_as_hmmlearn_filters_its_last_row(
    covariance: Covariance, tmp_path: Path
) -> None:
    rows, _ = _draw(TRUTH, 1_200, seed=3)
    fit = fit_hmm(rows, HmmSettings(covariance=covariance, num_restarts=1))
    fit.params.save(tmp_path / "regime.npz")

    params = load_regime_params(tmp_path / "regime.npz")
    regime = RegimeFilter(params)
    for row in rows.tolist():
        belief = regime.update(row)

    model = _hmmlearn(params)
    assert params.sha256 == fit.params.sha256
    assert belief.probs == pytest.approx(tuple(model.predict_proba(rows)[-1]), abs=1e-9)
    assert regime.log_likelihood == pytest.approx(model.score(rows), rel=1e-10)
    assert fit.log_likelihood == pytest.approx(regime.log_likelihood, rel=1e-9)


def test_fit_is_the_same_twice_and_does_not_depend_on_units() -> None:
    rows, _ = _draw(TRUTH, 1_000, seed=4)
    units = np.array([1e4, 1e-3])
    settings = HmmSettings(num_restarts=1)

    first, again, scaled = fit_hmm(rows, settings), fit_hmm(rows, settings), fit_hmm(rows * units, settings)

    assert first.params.sha256 == again.params.sha256
    assert scaled.params.means == pytest.approx(first.params.means * units, rel=1e-5)
    assert scaled.params.covariances == pytest.approx(first.params.covariances * units**2, rel=1e-5)


def test_bic_of_one_state_equals_the_closed_form() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 1))

    fit = fit_hmm(rows, HmmSettings(num_states=1))

    log_likelihood = -0.5 * 100 * (np.log(2 * np.pi * rows.var()) + 1.0)
    assert fit.log_likelihood == pytest.approx(log_likelihood)
    assert fit.bic == pytest.approx(-2.0 * log_likelihood + 2 * np.log(100))


def test_sticky_prior_adds_bars_to_the_diagonal() -> None:
    counts = np.array([[8.0, 2.0], [1.0, 3.0]])

    matrix = StickyTransitions(2, stay_bars=10.0).estimate(counts)

    assert matrix == pytest.approx(np.array([[18 / 20, 2 / 20], [1 / 14, 13 / 14]]), rel=1e-8)
    assert StickyTransitions(2, 10.0).log_prior(matrix) == pytest.approx(10 * np.log(0.9 * 13 / 14), rel=1e-8)


def test_sticky_prior_makes_states_last_longer() -> None:
    rows, _ = _draw(TRUTH, 600, seed=9)

    free, sticky = (fit_hmm(rows, HmmSettings(stay_bars=bars, num_restarts=0)) for bars in (0.0, 500.0))

    stay = [fit.params.transition_matrix.diagonal() for fit in (free, sticky)]
    assert (stay[1] > stay[0]).all()


def test_hierarchical_estimate_equals_its_factors_by_hand() -> None:
    # Two macro states of two micro states; moves counted between (0,0), (0,1), (1,0), (1,1).
    moves = np.array([[6.0, 2.0, 1.0, 1.0], [3.0, 5.0, 0.0, 2.0], [1.0, 0.0, 4.0, 4.0], [0.0, 1.0, 6.0, 2.0]])

    matrix = HierarchicalTransitions(2, 2).estimate(moves)

    # S = [[16, 4], [2, 16]] / rows; B_0 = [[6, 2], [3, 5]] / 8, B_1 = [[4, 4], [6, 2]] / 8;
    # e_1 = (1, 3) / 4 from macro 0, e_0 = (1, 1) / 2 from macro 1.
    assert matrix == pytest.approx(
        np.array(
            [
                [0.8 * 6 / 8, 0.8 * 2 / 8, 0.2 * 1 / 4, 0.2 * 3 / 4],
                [0.8 * 3 / 8, 0.8 * 5 / 8, 0.2 * 1 / 4, 0.2 * 3 / 4],
                [1 / 9 * 0.5, 1 / 9 * 0.5, 8 / 9 * 4 / 8, 8 / 9 * 4 / 8],
                [1 / 9 * 0.5, 1 / 9 * 0.5, 8 / 9 * 6 / 8, 8 / 9 * 2 / 8],
            ]
        ),
        abs=1e-8,
    )


def test_hierarchical_fit_recovers_macro_and_micro_states(tmp_path: Path) -> None:
    family = HierarchicalTransitions(2, 2)
    moves = np.array(
        [
            [0.894, 0.1, 0.003, 0.003],
            [0.1, 0.894, 0.003, 0.003],
            [0.002, 0.002, 0.796, 0.2],
            [0.002, 0.002, 0.3, 0.696],
        ]
    )
    truth = RegimeParams(
        initial_probs=np.full(4, 0.25),
        transition_matrix=family.estimate(moves),
        means=np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 6.0], [0.0, 9.0]]),
        covariances=np.array([[1.0, 0.5], [2.0, 0.5], [6.0, 0.5], [12.0, 0.5]]),
    )
    rows, states = _draw(truth, 8_000, seed=21)

    fit = fit_hierarchical_hmm(rows, 2, 2, HmmSettings(stay_bars=20.0))
    fit.params.save(tmp_path / "regime.npz")
    probs = fold(load_regime_params(tmp_path / "regime.npz"), rows)

    assert fit.params.means[:, 1] == pytest.approx(truth.means[:, 1], abs=0.1)
    assert fit.params.transition_matrix == pytest.approx(truth.transition_matrix, abs=0.03)
    macro = probs.reshape(-1, 2, 2).sum(axis=2).argmax(axis=1)
    assert (macro == states // 2).mean() > 0.98


def test_hierarchical_chain_of_one_macro_state_is_a_flat_chain() -> None:
    counts = np.random.default_rng(3).uniform(1.0, 9.0, size=(3, 3))

    assert HierarchicalTransitions(1, 3).estimate(counts) == pytest.approx(
        StickyTransitions(3).estimate(counts)
    )


def test_states_are_ordered_by_the_spread_of_returns() -> None:
    shuffled = permuted(TRUTH, [2, 0, 1])

    assert volatility_order(shuffled, FLAT, return_column=0) == [1, 2, 0]
    assert np.diff(fit_hmm(_draw(TRUTH, 1_000, 8)[0]).params.covariances[:, 0]).min() > 0.0


def test_macro_states_are_ordered_first_and_micro_states_within() -> None:
    variances = np.array([[9.0], [4.0], [1.0], [2.0]])
    params = replace(
        TRUTH,
        initial_probs=np.full(4, 0.25),
        transition_matrix=np.full((4, 4), 0.25),
        means=np.zeros((4, 1)),
        covariances=variances,
    )

    assert volatility_order(params, [[0, 1], [2, 3]], return_column=0) == [2, 3, 1, 0]


def test_matching_undoes_any_renumbering() -> None:
    rows, _ = _draw(TRUTH, 500, seed=6)

    for order in itertools.permutations(range(3)):
        renumbered = permuted(TRUTH, list(order))
        found = permuted(renumbered, match_states(TRUTH, renumbered, FLAT, rows))
        assert found.sha256 == TRUTH.sha256


def test_refit_keeps_the_numbers_of_the_previous_model_even_against_the_order() -> None:
    rows, _ = _draw(TRUTH, 1_500, seed=13)
    upside_down = permuted(TRUTH, [2, 1, 0])

    fit = fit_hmm(rows, HmmSettings(num_restarts=1), previous=upside_down)

    assert agreement(upside_down, fit.params, rows) > 0.97
    assert fit.params.covariances[0, 0] > fit.params.covariances[2, 0]


@pytest.mark.parametrize("covariance", [Covariance.DIAGONAL, Covariance.FULL])
@pytest.mark.parametrize("memory_frac", [0.0, 0.5, 2.0])
def test_refit_of_one_state_weighs_the_previous_model_as_so_many_bars(
    covariance: Covariance, memory_frac: float
) -> None:
    rows = np.random.default_rng(11).normal([1.0, -2.0], [1.0, 3.0], (400, 2))
    old = fit_hmm(rows[:200], HmmSettings(num_states=1, covariance=covariance)).params
    settings = HmmSettings(num_states=1, covariance=covariance, memory_frac=memory_frac)

    found = fit_hmm(rows[200:], settings, previous=old).params

    # 200 new bars and 200 times the share of imaginary ones: moments of both, weighed.
    share = memory_frac / (1.0 + memory_frac)
    new, old_mean = rows[200:], rows[:200].mean(axis=0)
    mean = (1.0 - share) * new.mean(axis=0) + share * old_mean
    second = (1.0 - share) * (new.T @ new) / 200 + share * (rows[:200].T @ rows[:200]) / 200
    expected = second - np.outer(mean, mean)
    # A start from an old model is lifted by a ten-thousandth of the variance.
    assert found.means[0] == pytest.approx(mean, abs=1e-9)
    assert found.covariances[0] == pytest.approx(
        expected.diagonal() if covariance is Covariance.DIAGONAL else expected, rel=3e-4, abs=3e-4
    )


def test_refit_with_a_long_memory_hardly_moves_where_maximum_likelihood_would() -> None:
    first, _ = _draw(TRUTH, 1_000, seed=21)
    second, _ = _draw(TRUTH, 300, seed=22)
    old = fit_hmm(first, HmmSettings(num_restarts=0)).params

    forgetful = fit_hmm(second, HmmSettings(num_restarts=0, memory_frac=0.0), previous=old).params
    faithful = fit_hmm(second, HmmSettings(num_restarts=0, memory_frac=100.0), previous=old).params

    moved = [float(np.abs(one.means - old.means).max()) for one in (forgetful, faithful)]
    assert moved[1] < 0.05 * moved[0]
    assert agreement(old, faithful, second) > agreement(old, forgetful, second)


@pytest.mark.parametrize(("gain", "expected"), [(-1.0, "previous"), (10.0, "previous"), (10.1, "random 0")])
def test_refit_leaves_the_previous_optimum_only_for_a_clear_gain(gain: float, expected: str) -> None:
    array = np.zeros(1)
    climbs = [
        Climb(Start(name, array, array, array, array), objective, 1, is_converged=True)
        for name, objective in {"volatility": -9.0, "previous": 0.0, "random 0": gain}.items()
    ]

    assert kept(climbs, keep_nats=10.0).at.name == expected


def test_stationary_probs_of_two_states_equal_the_formula() -> None:
    assert stationary_probs(np.array([[0.9, 0.1], [0.3, 0.7]])) == pytest.approx([0.75, 0.25])


def test_volatility_states_cut_a_history_where_its_volatility_changes() -> None:
    returns = np.random.default_rng(0).normal(size=900) * np.repeat([1.0, 5.0, 25.0], 300)

    states = volatility_states(returns, 3)

    assert np.bincount(states).tolist() == [300, 300, 300]
    assert (states == np.repeat([0, 1, 2], 300)).mean() > 0.96


def test_random_states_give_every_state_some_bars() -> None:
    generator = np.random.default_rng(0)

    for _ in range(50):
        assert np.bincount(random_states(60, 4, generator), minlength=4).min() > 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.__setitem__((7, 1), np.nan), "found nan in vol at row 7"),
        (lambda rows: rows.__setitem__((9, 0), np.inf), "found inf in ret at row 9"),
        (lambda rows: rows.__setitem__((slice(None), 1), 0.1), r"constant \['vol'\]"),
    ],
)
def test_fit_of_bad_rows_says_what_is_wrong(spoil: object, message: str) -> None:
    rows, _ = _draw(TRUTH, 400, seed=1)
    spoil(rows)  # type: ignore[operator]

    with pytest.raises(DataError, match=message):
        fit_hmm(rows, columns=("ret", "vol"))


def test_fit_of_too_few_rows_says_how_many_it_needs() -> None:
    # Three states: 6 transition probabilities, and 2 means and 2 variances each.
    with pytest.raises(DataError, match="expected at least 180 rows for 18 free parameters, found 179"):
        fit_hmm(_draw(TRUTH, 179, seed=1)[0])


def test_fit_that_does_not_converge_is_an_error() -> None:
    rows, _ = _draw(TRUTH, 400, seed=1)
    settings = HmmSettings(max_iterations=3, screening_iterations=2, num_restarts=1)

    with pytest.raises(ConvergenceError, match="expected one of 2 starts to converge within 3 iterations"):
        fit_hmm(rows, settings)


@pytest.mark.parametrize(
    "change",
    [{"num_states": 0}, {"stay_bars": -1.0}, {"screening_iterations": 3_000}, {"min_std_frac": 0.0}],
)
def test_settings_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="hmm: expected num_states"):
        HmmSettings(**change)  # type: ignore[arg-type]


def test_previous_model_of_another_shape_is_refused() -> None:
    rows, _ = _draw(TRUTH, 400, seed=1)

    with pytest.raises(ConfigError, match="expected a previous model with 2 states"):
        fit_hmm(rows, HmmSettings(num_states=2), previous=TRUTH)


def test_long_stretch_without_movement_does_not_swallow_the_fit() -> None:
    # Half a market that stands still: without the floor one state's variance would fall to nil.
    rows = np.random.default_rng(2).normal(size=(1_000, 1))
    rows[500:] = 0.0

    fit = fit_hmm(rows, HmmSettings(num_states=2, num_restarts=1))

    assert np.sqrt(fit.params.covariances.min()) == pytest.approx(0.01 * rows.std(), rel=1e-6)
    assert (fold(fit.params, rows)[501:].argmax(axis=1) == 0).all()
