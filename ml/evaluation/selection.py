"""What is left of the best of many tries once one counts how many there were.

The best of a hundred strategies that know nothing looks good. `deflated_sharpe` asks how likely the Sharpe
ratio is to be more than that; `overfitting_probability`, how often what was best in one half of the time is
below the median in the other. The second is near one half for pure noise and says little alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import e, isfinite, sqrt
from statistics import NormalDist

import numpy as np

from ml.evaluation.statistics import RESOLUTION
from strategies.errors import DataError
from strategies.market import Floats

_EULER_MASCHERONI = float(np.euler_gamma)
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """A Sharpe ratio beside what the best of so many tries reaches by luck; all per period, not annual."""

    sharpe: float
    luck: float
    """Expected largest Sharpe ratio of the tries if none of them knew anything."""
    prob: float
    """Probability that the true Sharpe ratio is above ``luck``; with one try, above nil."""
    trials: int


def deflated_sharpe(returns: Floats, trial_sharpes: Sequence[float] | Floats = ()) -> DeflatedSharpe | None:
    """Judge the Sharpe ratio of what was chosen among several tries.

    With γ₃ the skewness and γ₄ the kurtosis of T returns:

        prob = Φ((SR - SR₀) √(T - 1) / √(1 - γ₃ SR + (γ₄ - 1)/4 SR²))

    Args:
        returns: Simple returns per period of the chosen one, shape (T,).
        trial_sharpes: Sharpe ratios per period of all tries, the chosen one included; with fewer than two the
            ratio is compared with nil, which is the probabilistic Sharpe ratio.

    Returns:
        None where returns do not vary, or there are fewer than three.

    Source:
        Bailey & López de Prado (2014), "The deflated Sharpe ratio", eqs. 1-2.
    """
    count = len(returns)
    spread = float(returns.std(ddof=1)) if count > 2 else 0.0
    if spread <= RESOLUTION * float(np.abs(returns).max(initial=0.0)):
        return None
    sharpe = float(returns.mean()) / spread
    centred = (returns - returns.mean()) / returns.std()
    skewness, kurtosis = float((centred**3).mean()), float((centred**4).mean())
    known = np.asarray(trial_sharpes, dtype=np.float64)
    luck = largest_of_luck(float(known.std(ddof=1)), len(known)) if len(known) > 1 else 0.0
    prob = probability_above(sharpe, luck, count, skewness, kurtosis)
    return DeflatedSharpe(sharpe, luck, prob, max(1, len(known)))


def largest_of_luck(deviation: float, trials: int) -> float:
    """Expected largest Sharpe ratio of independent tries around nil.

        SR₀ = σ ((1 - γ) Φ⁻¹(1 - 1/N) + γ Φ⁻¹(1 - 1/(N e))),  γ = 0.5772…

    Args:
        deviation: Standard deviation σ of the Sharpe ratios of the tries.
        trials: N, at least 2.
    """
    first, second = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * e))
    return deviation * ((1.0 - _EULER_MASCHERONI) * first + _EULER_MASCHERONI * second)


def probability_above(sharpe: float, benchmark: float, count: int, skewness: float, kurtosis: float) -> float:
    """Probability that the true Sharpe ratio is above a benchmark; all ratios per period.

    Args:
        sharpe: As measured.
        benchmark: What it has to beat.
        count: Returns that it was measured on.
        skewness: Of the returns.
        kurtosis: Of the returns; 3 where they are normal.

    Source:
        Bailey & López de Prado (2012), "The Sharpe ratio efficient frontier", eq. 11.
    """
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    return _NORMAL.cdf((sharpe - benchmark) * sqrt(count - 1.0) / sqrt(max(variance, 1e-12)))


@dataclass(frozen=True, slots=True)
class Overfitting:
    """How choosing the best of several did on data that the choice had not seen."""

    probability: float
    """Share of the splits in which the best of one half is at or below the median of the other."""
    loss_probability: float
    """Share of the splits in which the best of one half loses in the other."""
    splits: int
    trials: int


def overfitting_probability(returns: Floats, *, num_blocks: int = 16) -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation.

    The periods are cut into S blocks. For every choice of half of them the strategy with the highest Sharpe
    ratio there is ranked among all N in the other half; with rank r of N (1 the worst) its relative rank is
    ω = r / (N + 1), and the probability is the share of splits with logit log(ω / (1 - ω)) ≤ 0.

    Args:
        returns: Simple returns per period of N strategies over the same time, shape (T, N).
        num_blocks: S, even; the first T mod S periods are left out.

    Raises:
        DataError: If there are fewer than two strategies, fewer than two periods a block, or numbers that are
            not finite.

    Source:
        Bailey, Borwein, López de Prado & Zhu (2017), "The probability of backtest overfitting", section 2.
    """
    blocks_are_even = num_blocks >= 2 and num_blocks % 2 == 0
    if returns.ndim != 2 or returns.shape[1] < 2 or not blocks_are_even or len(returns) < 2 * num_blocks:
        raise DataError(
            f"overfitting: expected returns of shape (T, N) with N >= 2, an even number of blocks and T >= "
            f"{2 * num_blocks}, found {returns.shape} and {num_blocks} blocks; take longer runs, or "
            "fewer blocks"
        )
    if not np.isfinite(returns).all():
        raise DataError("overfitting: expected finite returns; leave out runs that were ruined")
    length = len(returns) // num_blocks
    blocks = returns[len(returns) - length * num_blocks :].reshape(num_blocks, length, -1)
    sums, squares = blocks.sum(axis=1), np.square(blocks).sum(axis=1)
    halves = np.array(list(combinations(range(num_blocks), num_blocks // 2)))
    inside = np.zeros((len(halves), num_blocks))
    np.put_along_axis(inside, halves, 1.0, axis=1)
    periods = length * num_blocks // 2
    trained = _sharpes(inside @ sums, inside @ squares, periods)
    tested = _sharpes((1.0 - inside) @ sums, (1.0 - inside) @ squares, periods)
    best = trained.argmax(axis=1)
    rows = np.arange(len(halves))
    reached = tested[rows, best][:, None]
    # Ties count half: of equal strategies each is the median.
    rank = (tested < reached).sum(axis=1) + 0.5 * ((tested == reached).sum(axis=1) - 1) + 1.0
    relative = rank / (returns.shape[1] + 1.0)
    return Overfitting(
        probability=float((relative <= 0.5).mean()),
        loss_probability=float((reached[:, 0] < 0.0).mean()),
        splits=len(halves),
        trials=returns.shape[1],
    )


def _sharpes(sums: Floats, squares: Floats, count: int) -> Floats:
    means = sums / count
    variances = np.maximum(squares / count - np.square(means), 0.0)
    spread = np.sqrt(variances)
    # What never moved has a ratio of nil: it is neither good nor bad.
    moved = spread > 1e-9 * np.maximum(np.abs(means), 1e-300)
    ratios: Floats = np.where(moved, means / np.where(moved, spread, 1.0), 0.0)
    return ratios


def is_promising(found: DeflatedSharpe | None, level: float = 0.95) -> bool:
    """Whether luck and the number of tries do not explain a Sharpe ratio."""
    return found is not None and isfinite(found.prob) and found.prob > level
