"""Baseline models: known signals, leaks, metrics against independent formulas, ONNX against scikit-learn."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from ml.classifiers import (
    ClassifierSettings,
    Signal,
    check_split,
    classifier_onnx,
    evaluate_classifier,
    fit_classifier,
)
from ml.classifiers.export import rounded_down
from ml.classifiers.fitting import as_seen
from strategies.config import ActionMap
from strategies.errors import ConfigError, DataError
from strategies.market import Floats
from strategies.policies.onnx import OnnxPolicy
from tests.support.observations import make_observation

KINDS = ("logistic", "forest", "boosting")
SCHEMA = "5c" * 32
ROWS, INSTRUMENTS, FEATURES, HORIZON = 3_000, 2, 3, 5
TRAIN, TEST = np.arange(0, 1_995), np.arange(2_000, 2_990)
ENDS = np.arange(ROWS) + HORIZON
EVALUATE = {"embargo_bars": 0, "horizon_bars": HORIZON, "bars_per_year": 252.0}


def _market(strength: float = 1.0, seed: int = 0) -> tuple[Floats, Floats]:
    """Features, and forward returns that depend on the first of them alone."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((ROWS, INSTRUMENTS, FEATURES))
    noise = rng.standard_normal((ROWS, INSTRUMENTS))
    return values, 0.01 * (strength * values[:, :, 0] + noise)


def _settings(kind: str, **changes: object) -> ClassifierSettings:
    return ClassifierSettings(kind=kind, num_trees=25, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_classifier_finds_a_planted_signal_and_where_it_is(kind: str) -> None:
    values, returns = _market()
    fit = fit_classifier(values, returns > 0.0, TRAIN, _settings(kind), columns=("signal", "b", "c"))

    metrics = evaluate_classifier(fit, values, returns, ENDS, TRAIN, TEST, **EVALUATE)  # type: ignore[arg-type]

    # With signal and noise of one size, the best AUC is 0.8386 and the best accuracy is 3/4.
    assert metrics.auc is not None
    assert 0.80 < metrics.auc < 0.87
    assert 0.71 < metrics.accuracy_frac < 0.79
    assert metrics.information_coefficient is not None
    assert metrics.information_coefficient > 0.6
    assert metrics.signal_sharpe_annual is not None
    assert metrics.signal_sharpe_annual > 4.0
    assert metrics.importance["signal"] > 0.25
    assert max(abs(metrics.importance[name]) for name in "bc") < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_classifier_of_noise_knows_nothing(kind: str) -> None:
    values, returns = _market(strength=0.0, seed=3)
    fit = fit_classifier(values, returns > 0.0, TRAIN, _settings(kind))

    metrics = evaluate_classifier(fit, values, returns, ENDS, TRAIN, TEST, **EVALUATE)  # type: ignore[arg-type]

    # Three standard errors of an AUC of 1,980 rows.
    assert metrics.auc == pytest.approx(0.5, abs=3.0 * sqrt(1.0 / (12 * 495)))


def test_metrics_equal_independent_formulas() -> None:
    values, returns = _market(seed=5)
    settings = replace(_settings("logistic"), signal=Signal(gain=2.0, dead_zone=0.1, allow_short=True))
    fit = fit_classifier(values, returns > 0.0, TRAIN, settings)
    probs, held = fit.probs(values[TEST]), returns[TEST]

    metrics = evaluate_classifier(fit, values, returns, ENDS, TRAIN, TEST, **EVALUATE)  # type: ignore[arg-type]

    rises, falls = probs[held > 0.0], probs[held <= 0.0]
    assert metrics.auc == pytest.approx(mannwhitneyu(rises, falls).statistic / (len(rises) * len(falls)))
    ranks = [np.argsort(np.argsort(part.reshape(-1))) for part in (probs, held)]
    assert metrics.information_coefficient == pytest.approx(np.corrcoef(ranks[0], ranks[1])[0, 1])
    edge = 2.0 * probs - 1.0
    weights = np.clip(2.0 * np.where(np.abs(edge) < 0.1, 0.0, edge), -1.0, 1.0) / 2.0
    pnl = [float(row @ gain) for row, gain in zip(weights[::5], held[::5], strict=True)]
    assert metrics.signal_sharpe_annual == pytest.approx(
        np.mean(pnl) / np.std(pnl, ddof=1) * sqrt(252.0 / 5.0), rel=1e-9
    )
    assert metrics.base_rate_frac == pytest.approx((held > 0.0).mean())
    assert metrics.rows == 2 * len(TEST)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("allow_short", [False, True])
def test_exported_policy_answers_as_the_model_does(tmp_path: Path, kind: str, allow_short: bool) -> None:
    values, returns = _market()
    signal = Signal(gain=1.5, dead_zone=0.2, allow_short=allow_short)
    fit = fit_classifier(values, returns > 0.0, TRAIN, replace(_settings(kind), signal=signal))
    path = tmp_path / "policy.onnx"
    path.write_bytes(classifier_onnx(fit, lookback=4, num_instruments=INSTRUMENTS, schema_sha256=SCHEMA))
    policy = OnnxPolicy(
        path,
        num_instruments=INSTRUMENTS,
        num_features=FEATURES,
        num_beliefs=0,
        schema_sha256=SCHEMA,
        action_map=ActionMap.WEIGHTS,
        deadline_ms=50.0,
        monotonic=None,
    )
    shown = np.random.default_rng(9).standard_normal((300, 4, INSTRUMENTS, FEATURES)).astype(np.float32)
    expected = signal.weights(fit.probs(shown[:, -1].astype(np.float64)))

    for window, weights in zip(shown, expected, strict=True):
        observation = make_observation([[0.0] * FEATURES] * INSTRUMENTS, [1.0, 1.0])
        observation.window = window
        # Beside the dead zone a rounding of the probability may tip the answer; none of these lies there.
        assert policy.act(observation).values == pytest.approx(weights.tolist(), abs=2e-6)

    assert np.abs(expected).max() <= 0.5
    assert (expected == 0.0).any()
    assert (expected < 0.0).any() == allow_short


def test_exported_trees_split_as_scikit_learn_does_at_the_very_threshold(tmp_path: Path) -> None:
    values, returns = _market()
    fit = fit_classifier(
        values, returns > 0.0, TRAIN, replace(_settings("forest"), signal=Signal(1.0, 0.0, True))
    )
    path = tmp_path / "policy.onnx"
    path.write_bytes(classifier_onnx(fit, lookback=1, num_instruments=1, schema_sha256=SCHEMA))
    policy = OnnxPolicy(
        path, num_instruments=1, num_features=FEATURES, num_beliefs=0, schema_sha256=SCHEMA,
        action_map=ActionMap.WEIGHTS, deadline_ms=50.0, monotonic=None,
    )  # fmt: skip

    for tree in fit.pipeline[-1].estimators_[:10]:
        for threshold in tree.tree_.threshold[tree.tree_.feature == 0]:
            below = rounded_down(np.array([threshold]))[0]
            for value in (below, np.nextafter(below, np.float32(np.inf))):
                row = np.zeros((1, FEATURES), dtype=np.float32)
                row[0, 0] = value
                observation = make_observation([[0.0] * FEATURES], [1.0], lookback=1)
                observation.window = row[None]
                assert policy.act(observation).values == pytest.approx(
                    (2.0 * fit.probs(row.astype(np.float64)) - 1.0).tolist(), abs=1e-6
                )


def test_threshold_is_rounded_down_to_single_precision() -> None:
    third = 1.0 / 3.0  # in single precision 0.33333334..., which is more

    found = rounded_down(np.array([third, 0.25, -third]))

    assert found.tolist() == [np.nextafter(np.float32(third), np.float32(0)), 0.25, np.float32(-third)]
    assert (found.astype(np.float64) <= [third, 0.25, -third]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_export_and_fit_are_the_same_twice(kind: str) -> None:
    values, returns = _market()

    files = {
        classifier_onnx(
            fit_classifier(values, returns > 0.0, TRAIN, _settings(kind)),
            lookback=4,
            num_instruments=INSTRUMENTS,
            schema_sha256=SCHEMA,
        )
        for _ in range(2)
    }

    assert len(files) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_fit_does_not_depend_on_rows_that_are_not_trained_on(kind: str) -> None:
    values, returns = _market()
    other_values, other_returns = values.copy(), returns.copy()
    other_values[len(TRAIN) :] = 1e6
    other_returns[len(TRAIN) :] = -1.0

    fit = fit_classifier(values, returns > 0.0, TRAIN, _settings(kind))
    other = fit_classifier(other_values, other_returns > 0.0, TRAIN, _settings(kind))

    assert other.probs(values[TEST]).tolist() == fit.probs(values[TEST]).tolist()


def test_probabilities_of_a_row_do_not_depend_on_the_rows_beside_it() -> None:
    values, returns = _market()
    fit = fit_classifier(values, returns > 0.0, TRAIN, _settings("boosting"))

    assert fit.probs(values[TEST])[7].tolist() == fit.probs(values[TEST[7]]).tolist()


@pytest.mark.parametrize(
    ("train", "test", "embargo", "message"),
    [
        ([0, 1, 2, 3], [3, 4], 0, "1 rows are in both train and test, the first is row 3"),
        (
            [0, 1, 2],
            [4, 5],
            0,
            "1 training rows leak into the test rows from 4 on, the first is row 2; purge",
        ),
        ([0, 8], [4, 5, 6], 0, "the first is row 8; purge"),
        ([0, 9, 10], [4, 5, 6], 2, "2 training rows leak .* the first is row 9; leave 2 rows"),
        ([0, 6, 7, 20], [4, 5, 12], 0, "from 4 on, the first is row 6"),
        ([0], [4, 4], 0, "test rows, ascending, from 0 to 29"),
        ([], [4], 0, "train rows, ascending"),
        ([0], [30], 0, "test rows, ascending, from 0 to 29"),
        ([0], [4], -1, "embargo_bars >= 0"),
    ],
)
def test_leaking_split_is_refused(train: list[int], test: list[int], embargo: int, message: str) -> None:
    ends = np.arange(30) + 2

    with pytest.raises(DataError, match=message):
        check_split(
            ends, np.array(train, dtype=np.int64), np.array(test, dtype=np.int64), embargo_bars=embargo
        )


def test_purged_split_with_embargo_is_accepted() -> None:
    # Labels reach two rows on: row 1 is known at 3, before the test; rows 4 to 6 are known at 8.
    check_split(np.arange(30) + 2, np.array([0, 1, 11, 12]), np.array([4, 5, 6]), embargo_bars=2)


def test_metrics_of_a_model_that_saw_the_test_rows_are_refused() -> None:
    values, returns = _market()
    fit = fit_classifier(values, returns > 0.0, np.arange(2_000), _settings("logistic"))

    with pytest.raises(DataError, match="5 training rows leak into the test rows from 2000 on"):
        evaluate_classifier(fit, values, returns, ENDS, np.arange(2_000), TEST, **EVALUATE)  # type: ignore[arg-type]


def test_metrics_without_any_fall_have_no_auc() -> None:
    values, returns = _market()
    fit = fit_classifier(values, returns > 0.0, TRAIN, _settings("logistic"))

    metrics = evaluate_classifier(fit, values, np.abs(returns), ENDS, TRAIN, TEST, **EVALUATE)  # type: ignore[arg-type]

    assert metrics.auc is None
    assert metrics.importance == {}
    assert metrics.base_rate_frac == 1.0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v, y: v.__setitem__((5, 0, 1), np.nan), "found nan in b"),
        (lambda v, y: v.__setitem__((slice(None), slice(None), 2), 1.0), r"constant \['c'\]"),
        (lambda v, y: y.__setitem__(slice(None), 1.0), "labels 0 and 1, both among the training rows"),
        (lambda v, y: y.__setitem__((0, 0), -1.0), r"found \[-1.0, 0.0, 1.0\]"),
    ],
)
def test_fit_of_bad_rows_says_what_is_wrong(spoil: object, message: str) -> None:
    values, returns = _market()
    rises = (returns > 0.0).astype(np.float64)
    spoil(values, rises)  # type: ignore[operator]

    with pytest.raises(DataError, match=message):
        fit_classifier(values, rises, TRAIN, _settings("logistic"), columns=("a", "b", "c"))


def test_fit_of_too_few_rows_or_other_shapes_is_refused() -> None:
    values, returns = _market()

    with pytest.raises(DataError, match="at least 100 training rows"):
        fit_classifier(values, returns > 0.0, TRAIN[:49], _settings("logistic"))
    with pytest.raises(DataError, match=r"found \(3000, 2, 3\) and \(3000,\)"):
        fit_classifier(values, returns[:, 0] > 0.0, TRAIN, _settings("logistic"))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected kind logistic, forest or boosting"):
        ClassifierSettings(kind="svm")  # type: ignore[arg-type]


def test_features_are_learned_in_the_precision_that_a_policy_sees() -> None:
    assert as_seen(np.array([1.0 / 3.0])).dtype == np.float32
