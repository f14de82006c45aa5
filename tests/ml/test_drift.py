"""Drift: statistics by hand, thresholds by an independent library, false alarms and delays on markets."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy, genextreme

from ml.drift import (
    REGIME_COLUMNS,
    DriftMonitor,
    DriftReference,
    DriftSettings,
    Statistic,
    calibrate_drift,
    regime_rows,
)
from ml.drift.calibration import return_levels
from ml.drift.monitor import DriftStatistics
from strategies.errors import ConfigError, DataError
from strategies.market import Floats
from strategies.regime_params import RegimeParams

COLUMNS = ("garch", "persistent", "independent")
SETTINGS = DriftSettings(window_bars=200, period_bars=2_000)
TRAINING_BARS = 40_000
"""One-minute bars of four weeks."""


def _market(length: int, seed: int) -> Floats:
    """Returns with clusters of volatility, a persistent feature and an independent one; all stationary."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal((length, 3))
    rows = np.empty((length, 3))
    variance, level = 1.0, 0.0
    for t, (garch, persistent, independent) in enumerate(shocks.tolist()):
        value = math.sqrt(variance) * garch
        variance = 0.02 + 0.08 * value * value + 0.90 * variance
        level = 0.9 * level + math.sqrt(1.0 - 0.81) * persistent
        rows[t] = value, level, independent
    return rows


@pytest.fixture(scope="module")
def reference() -> DriftReference:
    return calibrate_drift(_market(TRAINING_BARS, seed=1), COLUMNS, SETTINGS)


def _by_hand(**changes: Any) -> DriftReference:
    """One column with two bins, cut at 0."""
    values: dict[str, Any] = {
        "columns": ("x",),
        "window_bars": 4,
        "period_bars": 100,
        "false_alarm_prob": 0.1,
        "edges": np.array([[0.0]]),
        "expected_probs": np.array([[0.5, 0.5]]),
        "centre": np.array([1.0]),
        "scale": np.array([2.0]),
        "mean_distance": np.array([0.8]),
        "thresholds": np.array([[1.0, 1.0, 5.0, 5.0, 3.0]]),
    }
    return DriftReference(**(values | changes))


def _feed(monitor: DriftMonitor, rows: Floats) -> list[tuple[int, str, str]]:
    return [
        (bar, alarm.column, alarm.kind)
        for bar, row in enumerate(rows, start=1)
        for alarm in monitor.update(row)
    ]


def test_psi_and_kl_of_a_window_equal_their_formulas_by_hand() -> None:
    statistics = DriftStatistics(_by_hand())
    for value in (-1.0, 2.0, 2.0):
        before = statistics.update(np.array([[value]])).copy()

    first = statistics.update(np.array([[2.0]])).copy()
    second = statistics.update(np.array([[2.0]])).copy()  # the window drops -1

    # Counts (1, 3), then (0, 4), each with half a count more, of 5.
    assert before[0, 0, : Statistic.LEVEL].tolist() == [0.0, 0.0]
    p, q = np.array([0.3, 0.7]), np.array([0.5, 0.5])
    assert first[0, 0, Statistic.KL] == pytest.approx(entropy(p, q))
    assert first[0, 0, Statistic.PSI] == pytest.approx(entropy(p, q) + entropy(q, p))
    assert second[0, 0, Statistic.KL] == pytest.approx(0.1 * math.log(0.2) + 0.9 * math.log(1.8))


def test_cumulative_sums_equal_their_recursion_by_hand() -> None:
    statistics = DriftStatistics(_by_hand())

    # Distances from 1 in units of 2: 2, 1, -3; the excess over 0.8 is 1.5, 0.25, 2.75.
    values = [statistics.update(np.array([[value]])).copy()[0, 0] for value in (5.0, 3.0, -5.0)]

    # Level: up 1.5, 2.0, 0 (2.0 - 3.5 < 0); down 0, 0, 2.5. Spread: 1.0, 0.75, 3.0.
    assert [value[Statistic.LEVEL] for value in values] == pytest.approx([1.5, 2.0, 2.5])
    assert [value[Statistic.SPREAD] for value in values] == pytest.approx([1.0, 0.75, 3.0])


def test_one_wild_value_counts_no_more_than_the_clip() -> None:
    statistics = DriftStatistics(_by_hand(thresholds=np.full((1, 5), 1e9)))

    value = statistics.update(np.array([[1e12]]))

    assert value[0, 0, Statistic.LEVEL] == pytest.approx(7.5)


def test_frozen_counts_bars_that_repeat_the_value() -> None:
    statistics = DriftStatistics(_by_hand())

    runs = [
        float(statistics.update(np.array([[value]]))[0, 0, Statistic.FROZEN])
        for value in (1.0, 1.0, 1.0, 2.0, 2.0)
    ]

    assert runs == [0.0, 1.0, 2.0, 0.0, 1.0]


def test_value_that_is_not_finite_alarms_at_once_and_changes_nothing_else() -> None:
    rows = np.random.default_rng(0).normal(1.0, 1.0, size=(30, 1))
    clean, spoiled = DriftMonitor(_by_hand()), DriftMonitor(_by_hand())
    _feed(clean, rows)
    _feed(spoiled, rows[:20])

    alarms = spoiled.update(np.array([np.nan]))
    again = spoiled.update(np.array([np.inf]))
    assert ("x", "not_finite") in spoiled.active
    _feed(spoiled, rows[20:])

    assert [(alarm.column, alarm.kind, alarm.bar) for alarm in alarms] == [("x", "not_finite", 21)]
    assert again == ()
    assert ("x", "not_finite") not in spoiled.active
    # The ring has turned by two more bars, but holds the same values in it but two.
    assert spoiled.score == pytest.approx(clean.score, abs=0.5)


def test_alarm_begins_once_and_ends_below_half_of_its_threshold() -> None:
    monitor = DriftMonitor(_by_hand())

    # Distance 1.5 adds 1 to the level a bar: beyond 5 at bar 6, at its cap of 10 from bar 10 on.
    begun = [bar for bar in range(1, 21) if any(a.kind == "level" for a in monitor.update(np.array([4.0])))]
    assert ("x", "level") in monitor.active
    ended = 0
    while ("x", "level") in monitor.active:
        monitor.update(np.array([1.0]))
        ended += 1

    assert begun == [6]
    assert ended == 15  # from 10, less 0.5 a bar: 2.5 is half


def test_score_is_the_largest_divergence_of_any_column() -> None:
    monitor = DriftMonitor(_by_hand())
    _feed(monitor, np.full((4, 1), 2.0))

    assert monitor.score == pytest.approx(0.1 * math.log(0.2) + 0.9 * math.log(1.8))


def test_statistics_of_a_stream_do_not_depend_on_the_streams_beside_it(reference: DriftReference) -> None:
    rows = np.stack([_market(300, seed) for seed in (5, 6)], axis=1)
    together, alone = DriftStatistics(reference, 2), DriftStatistics(reference)

    for pair in rows:
        values, single = together.update(pair), alone.update(pair[1:])
        assert values[1].tolist() == single[0].tolist()


def test_return_level_equals_the_quantile_of_the_distribution_it_is_drawn_from() -> None:
    # scipy's shape is minus ξ: -0.1 is ξ = 0.1.
    maxima = genextreme.rvs(-0.1, loc=3.0, scale=2.0, size=200_000, random_state=1)

    level = return_levels(maxima[:, None], rate=0.001)

    assert level == pytest.approx([genextreme.ppf(math.exp(-0.001), -0.1, 3.0, 2.0)], rel=0.03)


def test_return_level_of_a_bounded_tail_is_a_gumbels() -> None:
    maxima = genextreme.rvs(0.4, loc=3.0, scale=2.0, size=50_000, random_state=1)

    level = return_levels(maxima[:, None], rate=0.001)[0]

    assert level > 3.0 + 2.0 / 0.4  # beyond the bound: the fit errs to the side of silence


def test_monitor_is_silent_on_markets_like_the_training_data(reference: DriftReference) -> None:
    # Promised: at most one alarm a period of 2,000 bars; aimed at: one in ten periods.
    alarms = 0
    for seed in range(10):
        monitor = DriftMonitor(reference)
        alarms += len({bar for bar, _, _ in _feed(monitor, _market(2_200, seed=100 + seed))})

    assert alarms <= 4


@pytest.mark.parametrize(
    ("name", "spoil", "bars"),
    [
        ("volatility x3", lambda rows: 3.0 * rows, 250),
        ("unit x100", lambda rows: 100.0 * rows, 50),
        ("not a number", lambda rows: np.nan * rows, 1),
        ("frozen feed", lambda rows: np.broadcast_to(rows[0], rows.shape), 12),
    ],
)
def test_injected_fault_is_alarmed_within_the_stated_delay(
    reference: DriftReference, name: str, spoil: Any, bars: int
) -> None:
    for seed in range(3):
        rows = _market(1_000, seed=200 + seed)
        rows[500:] = spoil(rows[500:])
        monitor = DriftMonitor(reference)
        before = _feed(monitor, rows[:500])
        found = {column: bar for bar, column, _ in reversed(_feed(monitor, rows[500:]))}

        assert before == []
        assert max(found.get(column, 9_999) for column in COLUMNS) <= bars, (name, found)


def test_fixed_threshold_of_folklore_would_alarm_without_cause() -> None:
    # Why thresholds are calibrated: PSI above 0.25 on a stationary persistent feature, window 250.
    rng = np.random.default_rng(3)
    values = np.zeros(20_000)
    for t in range(1, len(values)):
        values[t] = 0.95 * values[t - 1] + rng.standard_normal()
    settings = DriftSettings(window_bars=250, period_bars=2_000)

    reference = calibrate_drift(values[:, None], ("ar",), settings)

    assert reference.thresholds[0, Statistic.PSI] > 0.5


def test_calibration_is_the_same_twice_and_survives_json(reference: DriftReference) -> None:
    rows = _market(5_000, seed=1)
    settings = replace(SETTINGS, num_stretches=50)
    first, second = (calibrate_drift(rows, COLUMNS, settings) for _ in range(2))

    read = DriftReference.from_json(json.loads(json.dumps(first.as_json(), allow_nan=False)))

    assert first.as_json() == second.as_json() == read.as_json()


def test_column_of_few_values_gets_a_bin_for_each() -> None:
    rng = np.random.default_rng(0)
    states = np.repeat(rng.integers(0, 3, size=500), 10).astype(np.float64)
    settings = DriftSettings(window_bars=50, period_bars=500, num_stretches=50)

    reference = calibrate_drift(states[:, None], ("state",), settings)
    read = DriftReference.from_json(json.loads(json.dumps(reference.as_json())))

    assert reference.edges[0, :3].tolist() == [0.5, 1.5, np.inf]
    counts = np.bincount(states.astype(np.int64))
    assert reference.expected_probs[0, :3] == pytest.approx((counts + 0.5) / (5_000 + 5.0))
    assert read.edges.tolist() == reference.edges.tolist()
    # It may stand still for twice as long as it did.
    longest = max(len(run) for run in np.split(states, np.flatnonzero(np.diff(states)) + 1)) - 1
    assert reference.thresholds[0, Statistic.FROZEN] == 2.0 * longest


def test_regime_columns_are_the_state_and_the_surprise_of_each_bar() -> None:
    params = RegimeParams(
        initial_probs=np.array([0.5, 0.5]),
        transition_matrix=np.full((2, 2), 0.5),
        means=np.array([[0.0], [10.0]]),
        covariances=np.ones((2, 1)),
    )

    rows = regime_rows(params, np.array([[0.0], [10.0], [5.0]]))

    # Each bar is drawn from an even mixture of two normals.
    peak = -0.5 * math.log(2.0 * math.pi)
    assert rows[:, REGIME_COLUMNS.index("regime_state")].tolist() == [0.0, 1.0, 0.0]
    assert rows[:, 1] == pytest.approx([peak + math.log(0.5), peak + math.log(0.5), peak - 12.5], abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((5_000, 2)), "expected rows of shape"),
        (
            np.random.default_rng(0).normal(size=(3_999, 1)),
            "at least 4000 rows for windows of 200 bars, found 3999",
        ),
        (np.full((4_000, 1), np.nan), "found nan in x at row 0"),
        (np.ones((4_000, 1)), r"constant \['x'\]"),
    ],
)
def test_calibration_of_bad_rows_says_what_is_wrong(rows: Floats, message: str) -> None:
    with pytest.raises(DataError, match=message):
        calibrate_drift(rows, ("x",), SETTINGS)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.update(format=2),
        lambda document: document.pop("scale"),
        lambda document: document.update(scale=[0.0]),
        lambda document: document.update(thresholds=[[1.0]]),
        lambda document: document.update(expected_probs=[]),
        lambda document: document.update(centre=["a"]),
        lambda document: document.update(window_bars=1),
    ],
)
def test_damaged_reference_is_refused(spoil: Any) -> None:
    document = _by_hand().as_json()
    spoil(document)

    with pytest.raises(ConfigError, match="calibrate again"):
        DriftReference.from_json(document)


def test_settings_and_rows_of_the_wrong_size_are_refused() -> None:
    with pytest.raises(ConfigError, match="window_bars >= 20"):
        DriftSettings(window_bars=5)
    with pytest.raises(ValueError, match="expected a row of 1 columns"):
        DriftMonitor(_by_hand()).update(np.zeros(2))
