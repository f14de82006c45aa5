"""The regime filter against enumeration of every path, against hmmlearn, and against bad input."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.config import RegimeConfig
from strategies.errors import ConfigError
from strategies.market import Floats
from strategies.regime import RegimeFilter, fold
from strategies.regime_params import RegimeParams, load_regime_params


def _params(num_states: int, num_features: int, *, full: bool, seed: int) -> RegimeParams:
    rng = np.random.default_rng(seed)
    if full:
        roots = rng.normal(size=(num_states, num_features, num_features))
        covariances = roots @ roots.transpose(0, 2, 1) + 0.3 * np.eye(num_features)
    else:
        covariances = rng.uniform(0.2, 2.0, size=(num_states, num_features))
    return RegimeParams(
        initial_probs=rng.dirichlet(np.ones(num_states)),
        transition_matrix=rng.dirichlet(np.ones(num_states), size=num_states),
        means=rng.normal(size=(num_states, num_features)),
        covariances=covariances,
    )


def _rows(length: int, num_features: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(scale=1.5, size=(length, num_features))


def _density(params: RegimeParams, state: int, x: Floats) -> float:
    covariance = params.covariances[state]
    matrix = np.diag(covariance) if covariance.ndim == 1 else covariance
    centred = x - params.means[state]
    exponent = -0.5 * centred @ np.linalg.solve(matrix, centred)
    return float(np.exp(exponent) / np.sqrt((2.0 * np.pi) ** len(x) * np.linalg.det(matrix)))


def _enumerate_paths(params: RegimeParams, rows: Floats) -> tuple[Floats, float]:
    """Filtered probabilities of the last row and the log-likelihood, as sums over all paths of states."""
    totals = np.zeros(params.num_states)
    for path in itertools.product(range(params.num_states), repeat=len(rows)):
        joint = params.initial_probs[path[0]]
        for previous, state in itertools.pairwise(path):
            joint *= params.transition_matrix[previous, state]
        for state, x in zip(path, rows, strict=True):
            joint *= _density(params, state, x)
        totals[path[-1]] += joint
    return totals / totals.sum(), math.log(totals.sum())


def _hmmlearn(params: RegimeParams, *, full: bool) -> GaussianHMM:
    model = GaussianHMM(n_components=params.num_states, covariance_type="full" if full else "diag")
    model.n_features = params.num_features
    model.startprob_ = params.initial_probs.copy()
    model.transmat_ = params.transition_matrix.copy()
    model.means_ = params.means.copy()
    model.covars_ = params.covariances.copy()
    return model


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("num_states", "num_features"), [(1, 1), (2, 1), (2, 3), (3, 2)])
def test_filter_tiny_model_equals_enumeration_of_all_paths(
    num_states: int, num_features: int, full: bool
) -> None:
    params = _params(num_states, num_features, full=full, seed=num_states * 10 + num_features)
    rows = _rows(6, num_features, seed=1)
    regime = RegimeFilter(params)

    for length, row in enumerate(rows, start=1):
        belief = regime.update(row.tolist())
        filtered_probs, log_likelihood = _enumerate_paths(params, rows[:length])

        assert belief.probs == pytest.approx(tuple(filtered_probs), rel=1e-11, abs=1e-14)
        assert regime.log_likelihood == pytest.approx(log_likelihood, rel=1e-11)
        assert belief.state == int(np.argmax(filtered_probs))
        assert belief.entropy_bits == pytest.approx(
            -sum(p * math.log2(p) for p in filtered_probs if p > 0.0), rel=1e-9, abs=1e-9
        )


@pytest.mark.parametrize("full", [False, True])
def test_filter_long_series_equals_last_row_and_score_of_hmmlearn(full: bool) -> None:
    params = _params(3, 3, full=full, seed=4)
    rows = _rows(400, 3, seed=5)
    model = _hmmlearn(params, full=full)
    regime = RegimeFilter(params)

    for length, row in enumerate(rows, start=1):
        belief = regime.update(row.tolist())
        if length % 40 == 0:
            smoothed_last_row = model.predict_proba(rows[:length])[-1]
            assert belief.probs == pytest.approx(tuple(smoothed_last_row), abs=1e-10)

    assert regime.log_likelihood == pytest.approx(model.score(rows), rel=1e-11)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    full=st.booleans(),
    rows=st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * 2), min_size=1, max_size=12),
    data=st.data(),
)
def test_filter_any_series_never_looks_ahead_and_stays_a_distribution(
    seed: int, full: bool, rows: list[tuple[float, float]], data: st.DataObject
) -> None:
    params = _params(3, 2, full=full, seed=seed)
    length = data.draw(st.integers(0, len(rows)))

    whole = fold(params, np.array(rows))
    part = fold(params, np.array(rows[:length]).reshape(length, 2))

    assert np.array_equal(whole[:length], part)
    assert np.isfinite(whole).all()
    assert (whole >= 0.0).all()
    assert whole.sum(axis=1) == pytest.approx(np.ones(len(rows)))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("outlier", [1e6, -1e6, 1e100])
def test_filter_outlier_leaves_a_usable_belief(outlier: float, full: bool) -> None:
    params = _params(3, 2, full=full, seed=7)
    regime = RegimeFilter(params)
    regime.update([0.1, 0.2])

    belief = regime.update([outlier, outlier])
    after = [regime.update([0.1, 0.2]) for _ in range(50)][-1]
    undisturbed = RegimeFilter(params)
    expected = [undisturbed.update([0.1, 0.2]) for _ in range(80)][-1]

    assert all(math.isfinite(prob) for prob in belief.probs)
    assert sum(belief.probs) == pytest.approx(1.0)
    assert math.isfinite(belief.entropy_bits)
    assert after.probs == pytest.approx(expected.probs, abs=1e-6)


def test_filter_state_beyond_underflow_comes_back_as_evidence_demands() -> None:
    # Two states that never change into each other: only the summed evidence counts. The first bar speaks
    # for state 0 by exp(-2000), which no float holds; 21 bars then speak for state 1 by exp(100) each.
    params = RegimeParams(
        initial_probs=np.array([0.5, 0.5]),
        transition_matrix=np.eye(2),
        means=np.array([[0.0], [10.0]]),
        covariances=np.array([[1.0], [1.0]]),
    )
    regime = RegimeFilter(params)

    first = regime.update([-195.0])  # (205² - 195²) / 2 = 2,000 nats for state 0
    beliefs = [regime.update([15.0]) for _ in range(21)]  # (15² - 5²) / 2 = 100 nats for state 1, each

    assert first.probs == (1.0, 0.0)
    assert beliefs[18].probs == pytest.approx((1.0, 0.0), abs=1e-12)
    assert beliefs[19].probs == pytest.approx((0.5, 0.5), abs=1e-9)
    assert beliefs[20].probs == pytest.approx((0.0, 1.0), abs=1e-12)
    assert beliefs[19].entropy_bits == pytest.approx(1.0)


def test_filter_state_that_is_ruled_out_stays_ruled_out() -> None:
    params = RegimeParams(
        initial_probs=np.array([1.0, 0.0]),
        transition_matrix=np.array([[1.0, 0.0], [0.5, 0.5]]),
        means=np.array([[0.0], [1.0]]),
        covariances=np.array([[1.0], [1.0]]),
    )
    regime = RegimeFilter(params)

    beliefs = [regime.update([1.0]) for _ in range(3)]

    assert [belief.probs for belief in beliefs] == [(1.0, 0.0)] * 3
    assert beliefs[-1].entropy_bits == 0.0


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "bad",
    [
        [math.nan, 0.0],
        [0.0, math.inf],
        [math.inf, -math.inf],
        [1.0],
        [1.0, 2.0, 3.0],
        np.zeros((2, 1)),
        [1e200, 0.0],
    ],
)
def test_filter_bad_features_are_refused_and_leave_the_state_unchanged(bad: list[float], full: bool) -> None:
    params = _params(3, 2, full=full, seed=8)
    disturbed, undisturbed = RegimeFilter(params), RegimeFilter(params)
    for regime in (disturbed, undisturbed):
        regime.update([0.3, -0.4])

    with pytest.raises(ValueError, match="expected"):
        disturbed.update(bad)

    assert disturbed.belief == undisturbed.belief
    assert disturbed.log_likelihood == undisturbed.log_likelihood
    assert disturbed.update([1.0, 1.0]) == undisturbed.update([1.0, 1.0])


def test_filter_accepts_an_array_as_a_list() -> None:
    params = _params(2, 3, full=False, seed=9)

    from_array = RegimeFilter(params).update(np.array([0.1, 0.2, 0.3]))  # type: ignore[arg-type]

    assert from_array == RegimeFilter(params).update([0.1, 0.2, 0.3])


def test_filter_reset_forgets_all_bars() -> None:
    regime = RegimeFilter(_params(3, 2, full=False, seed=10))
    prior = regime.belief
    first = [regime.update(row) for row in _rows(5, 2, seed=11).tolist()]

    regime.reset()

    assert prior.probs == tuple(regime.params.initial_probs)
    assert regime.belief == prior
    assert regime.log_likelihood == 0.0
    assert [regime.update(row) for row in _rows(5, 2, seed=11).tolist()] == first


@pytest.mark.parametrize("full", [False, True])
def test_params_saved_and_loaded_are_the_same_to_the_byte(tmp_path: Path, full: bool) -> None:
    params = _params(3, 2, full=full, seed=12)
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"

    params.save(first)
    loaded = load_regime_params(first)
    loaded.save(second)

    assert first.read_bytes() == second.read_bytes()
    assert loaded.sha256 == params.sha256
    assert np.array_equal(loaded.covariances, params.covariances)


def test_params_hash_changes_with_any_number() -> None:
    params = _params(2, 2, full=False, seed=13)
    means = params.means.copy()
    means[1, 1] = np.nextafter(means[1, 1], 2.0)

    changed = RegimeParams(params.initial_probs, params.transition_matrix, means, params.covariances)

    assert changed.sha256 != params.sha256


def test_params_cannot_be_changed_from_outside() -> None:
    means = np.array([[0.0], [1.0]])
    params = RegimeParams(np.array([0.5, 0.5]), np.eye(2), means, np.ones((2, 1)))

    means[0, 0] = 99.0

    assert params.means[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        params.means[0, 0] = 1.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("initial_probs", [0.5, 0.4]),
        ("initial_probs", [1.5, -0.5]),
        ("initial_probs", [1.0]),
        ("transition_matrix", [[0.9, 0.2], [0.5, 0.5]]),
        ("transition_matrix", [[1.0, 0.0]]),
        ("means", [[0.0, math.nan], [0.0, 0.0]]),
        ("means", [0.0, 1.0]),
        ("covariances", [[1.0, 0.0], [1.0, 1.0]]),
        ("covariances", [[1.0, -1.0], [1.0, 1.0]]),
        ("covariances", [[1.0], [1.0]]),
        ("covariances", [[[1.0, 0.9], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]),
        ("covariances", [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]),
    ],
)
def test_params_that_describe_no_model_are_refused_by_name(name: str, value: list[float]) -> None:
    arrays = {
        "initial_probs": np.array([0.5, 0.5]),
        "transition_matrix": np.eye(2),
        "means": np.zeros((2, 2)),
        "covariances": np.ones((2, 2)),
    }
    arrays[name] = np.array(value)

    with pytest.raises(ConfigError, match=name):
        RegimeParams(**arrays)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 not really a zip", b"\x93NUMPY", b"just text"])
def test_params_file_missing_or_corrupt_is_refused_with_its_name(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "regime.npz"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"regime\.npz: expected regime parameters"):
        load_regime_params(path)


def test_params_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "regime.npz"
    _params(2, 2, full=False, seed=14).save(path)
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(ConfigError, match=r"regime\.npz"):
        load_regime_params(path)


def test_params_file_with_a_flipped_bit_in_an_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "regime.npz"
    params = _params(2, 2, full=False, seed=14)
    params.save(path)
    content = bytearray(path.read_bytes())
    content[content.index(params.means.tobytes())] ^= 1
    path.write_bytes(bytes(content))

    with pytest.raises(ConfigError, match="cannot be read"):
        load_regime_params(path)


def test_params_file_with_other_arrays_or_pickles_is_refused(tmp_path: Path) -> None:
    other, pickled = tmp_path / "other.npz", tmp_path / "pickled.npz"
    np.savez(other, means=np.zeros((2, 2)))
    np.savez(pickled, means=np.array([{"a": 1}], dtype=object))

    with pytest.raises(ConfigError, match="expected the arrays"):
        load_regime_params(other)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_regime_params(pickled)


def test_params_from_config_inline_and_from_file_are_the_same(tmp_path: Path) -> None:
    inline = RegimeConfig(
        columns=("log_return_1",),
        initial_probs=(0.6, 0.4),
        transition_matrix=((0.9, 0.1), (0.2, 0.8)),
        means=((0.001,), (-0.001,)),
        variances=((1e-6,), (4e-6,)),
    )
    params = RegimeParams.from_config(inline, tmp_path)
    params.save(tmp_path / "hmm.npz")

    from_file = RegimeParams.from_config(
        RegimeConfig(columns=("log_return_1",), params_path="hmm.npz"), tmp_path
    )

    assert from_file.sha256 == params.sha256
    assert params.covariances.tolist() == [[1e-6], [4e-6]]
    with pytest.raises(ConfigError, match="names 2 features"):
        RegimeParams.from_config(RegimeConfig(columns=("a", "b"), params_path="hmm.npz"), tmp_path)


def test_params_from_config_with_ragged_rows_is_refused(tmp_path: Path) -> None:
    ragged = RegimeConfig(
        columns=("a",),
        initial_probs=(0.6, 0.4),
        transition_matrix=((0.9, 0.1), (1.0,)),
        means=((0.0,), (1.0,)),
        variances=((1.0,), (1.0,)),
    )

    with pytest.raises(ConfigError, match=r"regime\.transition_matrix: expected rows of equal length"):
        RegimeParams.from_config(ragged, tmp_path)
