"""What is left of the best of many: published values, brute force, hand cases."""

from itertools import combinations
from math import sqrt

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ml.evaluation.selection import (
    deflated_sharpe,
    is_promising,
    largest_of_luck,
    overfitting_probability,
    probability_above,
)
from strategies.errors import DataError


@pytest.mark.parametrize(("trials", "luck", "prob"), [(100, 0.1132, 0.9004), (46, None, 0.9505)])
def test_deflated_sharpe_reproduces_the_example_of_its_paper(
    trials: int, luck: float | None, prob: float
) -> None:
    # Bailey & López de Prado (2014), section "a numerical example": five years of daily returns, an annual
    # Sharpe ratio of 2.5, variance of the tries 1/2, skewness -3, kurtosis 10.
    found = largest_of_luck(sqrt(0.5 / 250), trials)

    assert luck is None or found == pytest.approx(luck, abs=5e-5)
    assert probability_above(2.5 / sqrt(250), found, 1250, -3.0, 10.0) == pytest.approx(prob, abs=5e-5)


def test_moments_of_returns_are_those_of_an_independent_library() -> None:
    returns = np.random.default_rng(5).standard_t(5, 400) * 0.01 + 0.001
    sharpe = returns.mean() / returns.std(ddof=1)
    skewness, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)

    found = deflated_sharpe(returns, [0.01, -0.02, 0.05])

    assert found is not None
    expected = probability_above(
        sharpe, largest_of_luck(np.std([0.01, -0.02, 0.05], ddof=1), 3), 400, skewness, kurtosis
    )
    assert found.prob == pytest.approx(expected, rel=1e-12)


def test_one_try_is_compared_with_nil() -> None:
    # Two values in turn: mean 0.5, deviation ddof 1 of 4 values sqrt(3), skewness 0, kurtosis 1.
    found = deflated_sharpe(np.array([2.0, -1.0, 2.0, -1.0]))

    assert found is not None
    assert (found.luck, found.trials) == (0.0, 1)
    assert found.prob == pytest.approx(stats.norm.cdf(0.5 / sqrt(3) * sqrt(3)))


@pytest.mark.parametrize("returns", [[0.01, 0.01, 0.01], [0.01, 0.02], []])
def test_sharpe_without_spread_is_not_judged(returns: list[float]) -> None:
    found = deflated_sharpe(np.array(returns))

    assert found is None
    assert not is_promising(found)


def brute_force(returns: np.ndarray, num_blocks: int) -> float:
    """As the paper describes it, with pandas and no shortcut."""
    frame = pd.DataFrame(returns)
    length = len(frame) // num_blocks
    blocks = [frame.iloc[at * length : (at + 1) * length] for at in range(num_blocks)]
    logits = []
    for chosen in combinations(range(num_blocks), num_blocks // 2):
        inside = pd.concat([blocks[at] for at in chosen])
        outside = pd.concat([blocks[at] for at in range(num_blocks) if at not in chosen])
        best = int((inside.mean() / inside.std()).to_numpy().argmax())
        rank = (outside.mean() / outside.std()).rank().to_numpy()[best]
        omega = rank / (frame.shape[1] + 1)
        logits.append(np.log(omega / (1 - omega)))
    return float(np.mean(np.array(logits) <= 0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_overfitting_probability_is_that_of_brute_force(seed: int) -> None:
    returns = np.random.default_rng(seed).normal(0.0005, 0.01, (120, 7))

    found = overfitting_probability(returns, num_blocks=8)

    assert found.splits == 70
    assert found.probability == pytest.approx(brute_force(returns, 8), abs=1e-12)


def test_strategy_that_is_always_best_is_not_overfitted() -> None:
    noise = np.random.default_rng(4).normal(0.0, 0.01, (160, 5))
    noise[:, 2] += 0.02

    found = overfitting_probability(noise, num_blocks=8)

    assert (found.probability, found.loss_probability) == (0.0, 0.0)


def test_strategies_that_take_turns_are_always_overfitted() -> None:
    # Each earns in one half of the time what it loses in the other: one's best is the other's worst.
    gains = np.tile([0.02, 0.01], 10)
    returns = np.stack([np.concatenate([gains, -gains]), np.concatenate([-gains, gains])], axis=1)

    found = overfitting_probability(returns, num_blocks=2)

    assert (found.probability, found.loss_probability, found.splits) == (1.0, 1.0, 2)


@pytest.mark.parametrize(("shape", "num_blocks"), [((100, 1), 16), ((20, 4), 16), ((100, 4), 7)])
def test_too_little_to_split_is_refused(shape: tuple[int, int], num_blocks: int) -> None:
    with pytest.raises(DataError, match="expected returns of shape"):
        overfitting_probability(np.ones(shape), num_blocks=num_blocks)


def test_returns_of_a_ruined_run_are_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        overfitting_probability(np.full((64, 3), np.nan))
