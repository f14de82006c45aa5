"""Runs beside each other: over the time that they share, paired, and how much of the best is luck."""

import numpy as np
import pytest

from ml.evaluation import Bootstrap, Calendar, EquityCurve
from ml.evaluation.contest import hold_contest, over_shared_time
from ml.evaluation.selection import overfitting_probability
from strategies.errors import DataError

HOUR_NS = 3_600 * 10**9
HOURLY = Calendar.crypto(HOUR_NS)
QUICK = Bootstrap(resamples=200)


def curve_of(first: int, equity: list[float], initial: float = 100.0) -> EquityCurve:
    values = np.array(equity)
    times = HOUR_NS * np.arange(first, first + len(values))
    fees = np.arange(1.0, len(values) + 1.0)
    return EquityCurve(initial, times, values, fees, 0.0 * fees)


def noise(seed: int, drift: float = 0.0, count: int = 400) -> EquityCurve:
    steps = np.random.default_rng(seed).normal(drift, 0.01, count)
    return curve_of(1, (100.0 * np.exp(np.cumsum(steps))).tolist())


def test_runs_are_cut_to_the_time_that_they_share() -> None:
    early = curve_of(1, [100.0, 110.0, 121.0, 133.1])
    late = curve_of(3, [200.0, 220.0, 230.0], initial=190.0)

    found = over_shared_time({"early": early, "late": late})

    # Bars 3 and 4. The early one begins with what it had at bar 2, and has paid 2 by then.
    assert found["early"].initial == 110.0
    assert found["early"].equity.tolist() == [121.0, 133.1]
    assert found["early"].fees.tolist() == [1.0, 2.0]
    assert (found["late"].initial, found["late"].equity.tolist()) == (190.0, [200.0, 220.0])


def test_runs_that_share_no_time_are_refused() -> None:
    with pytest.raises(DataError, match="share some time"):
        over_shared_time({"a": curve_of(1, [1.0, 2.0]), "b": curve_of(5, [1.0])})


def test_one_run_alone_is_refused() -> None:
    with pytest.raises(DataError, match="two runs or more, found 1"):
        hold_contest({"a": noise(1)}, HOURLY, QUICK)


def test_two_runs_have_a_difference_and_no_probability_of_overfitting() -> None:
    found = hold_contest({"plain": noise(1), "better": noise(1, drift=0.002)}, HOURLY, QUICK)

    # The same noise, so the difference is the drift alone: beyond chance.
    difference = found.versus["better"].sharpe_difference
    assert difference.ci_low is not None
    assert difference.ci_low > 0
    assert (found.reference, found.best, found.overfitting) == ("plain", "better", None)
    assert found.deflated is not None
    assert found.deflated.trials == 2


def test_overfitting_of_many_runs_is_that_of_their_period_returns() -> None:
    runs = {f"run {seed}": noise(seed) for seed in range(6)}

    found = hold_contest(runs, HOURLY, QUICK)

    # 400 hours are less than 60 days, so a period is an hour.
    path = np.stack([np.concatenate([[100.0], run.equity]) for run in runs.values()], axis=1)
    returns = path[1:] / path[:-1] - 1.0
    assert found.overfitting is not None
    expected = overfitting_probability(returns, num_blocks=16)
    assert found.overfitting.probability == pytest.approx(expected.probability, abs=1e-9)
    assert found.overfitting.trials == 6


def test_best_of_twenty_that_know_nothing_is_explained_by_luck() -> None:
    found = hold_contest({f"run {seed}": noise(seed) for seed in range(20)}, HOURLY, QUICK)

    assert found.deflated is not None
    assert found.deflated.prob < 0.95


def test_ruined_run_is_shown_and_left_out_of_the_choice() -> None:
    ruined = curve_of(1, [50.0] * 200 + [-1.0] * 200)

    found = hold_contest({"a": noise(1), "b": noise(2), "ruined": ruined}, HOURLY, QUICK)

    assert found.entrants["ruined"].net.total_return_frac.value == -1.0
    assert found.best in {"a", "b"}
    assert found.overfitting is None
