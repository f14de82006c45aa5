"""How sure a number is: confidence intervals by resampling blocks of what happened.

Returns and trades cluster, so single ones must not be drawn as if they were independent. Blocks of
consecutive ones are drawn instead, on a circle so that the first and last count as often as the others.

Few blocks know little of the spread between blocks, so quantiles of the resamples are too narrow by as much
as a normal quantile is below Student's; they are taken farther out (`expanded_tail`). On returns that know
nothing the plain ones missed nil in 8.5 % of runs of 60 days where 5 % were said.

Source:
    Politis & Romano (1992), "A circular block-resampling procedure for stationary data";
    block length of order n^(1/3), Hall, Horowitz & Jing (1995); expanded percentile interval,
    Hesterberg (2015), "What teachers should know about the bootstrap", section 4.3.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import cbrt, ceil, isfinite, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from strategies.market import Floats

_NORMAL = NormalDist()

MIN_OBSERVATIONS = 10
"""Below this no interval is given: it would only look like knowledge."""

MAX_UNDEFINED_FRAC = 0.05
"""Share of resamples in which a statistic may be undefined before its interval is withheld."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Settings of the resampling; equal settings give equal bytes."""

    resamples: int = 1000
    level: float = 0.95
    """Coverage that is aimed at."""
    seed: int = 7

    def __post_init__(self) -> None:
        if self.resamples < 100 or not 0.5 <= self.level < 1.0:
            raise ValueError(
                "bootstrap: expected at least 100 resamples and a level from 0.5 to 1, "
                f"found {self.resamples} and {self.level}"
            )

    def as_json(self) -> dict[str, object]:
        """Settings and method, for the run's record."""
        return {"method": "circular block bootstrap, expanded percentile interval", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Statistic:
    """An estimate with its confidence interval; None where it is undefined or unknowable."""

    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None


def block_length(num_observations: int) -> int:
    """Length of the blocks drawn from so many observations."""
    return ceil(cbrt(num_observations) - 1e-9)


def block_starts(num_observations: int, bootstrap: Bootstrap) -> npt.NDArray[np.int64]:
    """Where the blocks of each resample begin, shape (resamples, blocks)."""
    blocks = ceil(num_observations / block_length(num_observations))
    generator = np.random.Generator(np.random.PCG64(bootstrap.seed))
    return generator.integers(0, num_observations, size=(bootstrap.resamples, blocks))


def resample_indices(num_observations: int, bootstrap: Bootstrap) -> npt.NDArray[np.int64]:
    """Indices of the observations that make up each resample, shape (resamples, num_observations)."""
    offsets = np.arange(block_length(num_observations))
    starts = block_starts(num_observations, bootstrap)
    indices = (starts[:, :, None] + offsets).reshape(bootstrap.resamples, -1) % num_observations
    return indices[:, :num_observations]


def expanded_tail(num_blocks: int, level: float) -> float:
    """Share of the resamples that is left out on either side.

    With n blocks, Φ(-√(n / (n - 1)) · t) for Student's t at the wanted tail with n - 1 degrees of freedom: as
    far out as the interval of a mean would be if the spread were estimated from the blocks.

    Args:
        num_blocks: Blocks that the observations make, at least 2.
        level: Coverage that is aimed at.

    Source:
        Hesterberg (2015), eq. 5; the quantile by Fisher & Cornish (1960), off by less than 1 % from 3 degrees
        of freedom on.
    """
    z, degrees = _NORMAL.inv_cdf(0.5 + level / 2.0), num_blocks - 1.0
    quantile = (
        z
        + (z**3 + z) / (4.0 * degrees)
        + (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / (96.0 * degrees**2)
        + (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / (384.0 * degrees**3)
    )
    return _NORMAL.cdf(-sqrt(num_blocks / degrees) * quantile)


def estimate(value: float, samples: Floats | None, bootstrap: Bootstrap, num_observations: int) -> Statistic:
    """Join a value with the expanded percentile interval of its resamples.

    Args:
        value: The estimate; NaN or infinite is undefined.
        samples: The statistic of each resample, shape (resamples,); None where there were too few
            observations to resample.
        bootstrap: For the level.
        num_observations: That the resamples were drawn from.
    """
    if not isfinite(value):
        return Statistic(None)
    if samples is None:
        return Statistic(value)
    defined = samples[np.isfinite(samples)]
    if len(defined) < (1.0 - MAX_UNDEFINED_FRAC) * len(samples):
        return Statistic(value)
    tail = expanded_tail(ceil(num_observations / block_length(num_observations)), bootstrap.level)
    low, high = np.quantile(defined, (tail, 1.0 - tail))
    return Statistic(value, float(low), float(high))


def estimate_of_sums(
    columns: Floats, statistic: Callable[[Floats], Floats], bootstrap: Bootstrap
) -> Statistic:
    """Estimate a statistic that depends on the observations only through their column means.

    Block sums come from running totals, so a hundred thousand observations cost little more than ten.

    Args:
        columns: One row per observation, in time order, shape (n, c).
        statistic: From means of shape (..., c) to values of shape (...).
        bootstrap: Settings.
    """
    count = len(columns)
    if count == 0:
        return Statistic(None)
    value = float(statistic(columns.mean(axis=0)))
    if count < MIN_OBSERVATIONS:
        return estimate(value, None, bootstrap, count)
    length = block_length(count)
    around = np.concatenate([columns, columns[: length - 1]])
    totals = np.concatenate([np.zeros((1, columns.shape[1])), np.cumsum(around, axis=0)])
    block_means = (totals[length:] - totals[:-length]) / length
    means = block_means[block_starts(count, bootstrap)].mean(axis=1)
    return estimate(value, statistic(means), bootstrap, count)
