"""Strategies that know nothing are called significant no oftener than the intervals admit."""

import numpy as np
import pytest

from ml.evaluation import Bootstrap, Calendar
from ml.evaluation.book import book_metrics
from ml.evaluation.curve import cut
from ml.evaluation.selection import deflated_sharpe
from tests.support.noise import DAY_NS, driftless_returns, ignorant_curve

STRATEGIES, DAYS = 200, 125
DAILY = Calendar.crypto(DAY_NS)


def test_markets_of_the_noise_test_have_no_drift_but_clusters_and_tails() -> None:
    returns = np.concatenate([driftless_returns(1_000, np.random.default_rng(seed)) for seed in range(100)])
    squares = np.square(returns)

    assert abs(returns.mean()) < 3.0 * returns.std() / np.sqrt(len(returns))
    assert np.corrcoef(squares[:-1], squares[1:])[0, 1] > 0.02
    assert ((returns / returns.std()) ** 4).mean() > 6.0


def test_at_most_one_in_twenty_of_two_hundred_is_called_significant() -> None:
    settings = Bootstrap(resamples=200)
    found = [
        book_metrics(ignorant_curve(seed, DAYS), None, DAILY, settings).net for seed in range(STRATEGIES)
    ]

    profitable = sum(one.sharpe.ci_low is not None and one.sharpe.ci_low > 0.0 for one in found)
    returned = sum(
        one.total_return_frac.ci_low is not None and one.total_return_frac.ci_low > 0.0 for one in found
    )

    assert profitable <= 0.05 * STRATEGIES
    assert returned <= 0.05 * STRATEGIES


def test_best_of_two_hundred_is_no_more_than_luck_once_all_are_counted() -> None:
    returns = [np.expm1(cut(ignorant_curve(seed, DAYS), DAILY).log_return) for seed in range(STRATEGIES)]
    ratios = [float(one.mean() / one.std(ddof=1)) if one.any() else 0.0 for one in returns]
    best = returns[int(np.argmax(ratios))]

    alone, among_all = deflated_sharpe(best), deflated_sharpe(best, ratios)

    assert alone is not None
    assert among_all is not None
    # Alone it would pass any gate.
    assert alone.prob > 0.99
    assert among_all.prob == pytest.approx(0.5, abs=0.4)
