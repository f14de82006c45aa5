"""Markov-switching models against published results, enumeration, and on bad input."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ml.hmm import HmmSettings, fit_hmm
from ml.switching import SwitchingModel, fit_switching
from strategies.errors import DataError
from strategies.market import Floats
from tests.support.data import shared_data

HAMILTON = SwitchingModel(
    transition_matrix=np.array([[0.754673, 0.245327], [0.095915, 0.904085]]),
    means=np.array([-0.358811, 1.163516]),
    variances=np.full(2, np.exp(-0.262658) ** 2),
    autoregression=np.array([0.013486, -0.057521, -0.246983, -0.212923]),
)
"""Hamilton (1989), estimated again by EViews; its log-likelihood is -181.26339."""

HARDY = SwitchingModel(
    transition_matrix=np.array([[1.0 - 0.380, 0.380], [0.0398, 1.0 - 0.0398]]),
    means=np.array([-0.0185, 0.0126]),
    variances=np.array([0.0748, 0.0350]) ** 2,
    autoregression=np.zeros(0),
)
"""Hardy (2001), monthly log total returns of the S&P 500, 1956 to 1999."""


def _growth() -> Floats:
    table = pq.read_table(shared_data("index", "US_RGNP_quarterly_growth_Hamilton.parquet"))
    return np.asarray(table["growth_pct"].to_numpy(), dtype=np.float64)


def _log_returns() -> Floats:
    table = pq.read_table(shared_data("index", "SPX_monthly_total_return_1956_2007_derived.parquet"))
    return np.log1p(np.asarray(table["total_return"].to_numpy()[:528], dtype=np.float64))


def _fed_funds() -> Floats:
    path = Path(__file__).parent / "published" / "fedfunds.json"
    return np.array(json.loads(path.read_text())["values"])


def test_filter_equals_enumeration_of_all_paths() -> None:
    model = SwitchingModel(
        np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.0, 2.0]), np.array([1.0, 4.0]), np.array([0.5, -0.2])
    )
    series = np.array([0.3, 1.2, -0.4, 2.0, 0.7])
    totals = np.zeros(2)
    for path in itertools.product(range(2), repeat=5):
        weight = [0.75, 0.25][path[0]]
        for left, right in itertools.pairwise(path):
            weight *= model.transition_matrix[left, right]
        gaps = series - model.means[list(path)]
        for t in range(2, 5):
            variance = model.variances[path[t]]
            error = gaps[t] - 0.5 * gaps[t - 1] + 0.2 * gaps[t - 2]
            weight *= np.exp(-0.5 * error**2 / variance) / np.sqrt(2 * np.pi * variance)
        totals[path[-1]] += weight

    filtered_probs, log_likelihood = model.filtered(series)

    assert log_likelihood == pytest.approx(np.log(totals.sum()), rel=1e-12)
    assert filtered_probs[-1] == pytest.approx(totals / totals.sum(), rel=1e-12)


def test_filter_never_looks_ahead() -> None:
    series = np.random.default_rng(0).normal(size=40)

    assert HAMILTON.filtered(series)[0][:20] == pytest.approx(HAMILTON.filtered(series[:24])[0], rel=1e-12)


def test_published_gnp_model_has_its_published_likelihood_and_probabilities() -> None:
    filtered_probs, log_likelihood = HAMILTON.filtered(_growth())

    assert log_likelihood == pytest.approx(-181.26339, abs=5e-6)
    # EViews, 1952Q2 to 1952Q4 and 1984Q4, probability of growth.
    assert filtered_probs[:3, 1] == pytest.approx([0.776712, 0.949192, 0.996320], abs=1e-5)
    assert filtered_probs[-1, 1] == pytest.approx(0.927714, abs=1e-5)


def test_fit_finds_the_published_gnp_model() -> None:
    model, log_likelihood = fit_switching(_growth(), num_lags=4, num_restarts=0)

    assert log_likelihood == pytest.approx(-181.26339, abs=5e-6)
    assert model.means == pytest.approx(HAMILTON.means, abs=2e-5)
    assert model.transition_matrix == pytest.approx(HAMILTON.transition_matrix, abs=2e-5)
    assert model.autoregression == pytest.approx(HAMILTON.autoregression, abs=2e-5)
    assert model.variances == pytest.approx(HAMILTON.variances, abs=2e-5)


def test_fit_finds_the_published_federal_funds_model() -> None:
    model, log_likelihood = fit_switching(_fed_funds(), num_restarts=0)

    # Stata, manual of mswitch: p11, p21, means, sigma.
    assert log_likelihood == pytest.approx(-508.63592, abs=5e-6)
    assert model.transition_matrix[:, 0] == pytest.approx([0.9820939, 0.0503587], abs=2e-5)
    assert model.means == pytest.approx([3.70877, 9.556793], abs=1e-4)
    assert np.sqrt(model.variances) == pytest.approx([2.107562] * 2, abs=2e-5)


def test_fit_of_monthly_total_returns_is_hardys_model() -> None:
    # Our returns are derived from other sources than hers: equal up to a fraction of her standard errors.
    returns = _log_returns()

    model, log_likelihood = fit_switching(returns, has_switching_variance=True, num_restarts=0)

    assert 0.0 <= log_likelihood - HARDY.filtered(returns)[1] < 0.1
    assert model.means == pytest.approx(HARDY.means, abs=0.004)
    assert np.sqrt(model.variances) == pytest.approx(np.sqrt(HARDY.variances), rel=0.03)
    assert model.transition_matrix[1, 0] == pytest.approx(0.0398, abs=0.005)
    assert model.transition_matrix[0, 1] == pytest.approx(0.380, abs=0.02)


def test_hidden_markov_fit_reaches_the_likelihood_of_the_switching_model() -> None:
    returns = _log_returns()

    fit = fit_hmm(returns[:, None], HmmSettings(num_states=2, stay_bars=0.0, tolerance_nats_per_bar=1e-9))
    order = [1, 0]  # ours are ordered by volatility, Hardy's by mean
    model = SwitchingModel(
        fit.params.transition_matrix[np.ix_(order, order)],
        fit.params.means[order, 0],
        fit.params.covariances[order, 0],
        np.zeros(0),
    )

    assert fit.log_likelihood == pytest.approx(model.filtered(returns)[1], rel=1e-10)
    assert fit.log_likelihood >= HARDY.filtered(returns)[1]


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.arange(59.0), "at least 60 values for 0 lags"),
        (np.ones(100), "a series that varies"),
        (np.array([np.nan, *range(100)]), "found nan at 0"),
        (np.ones((100, 2)), r"found shape \(100, 2\)"),
    ],
)
def test_fit_of_a_bad_series_says_what_is_wrong(series: Floats, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_switching(series)
