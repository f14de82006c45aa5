"""Gaussian emissions as an exponential family: densities and estimates are both linear in one row per bar.

With ``s(x) = (1, x, x²)`` for diagonal and ``(1, x, x_i x_j for i ≤ j)`` for full covariances,

    log p(x | state k) = θ_k · s(x)            and            estimates_k = f(Σ_t γ_t(k) s(x_t)),

so one matrix product scores all states, and one gathers all that the estimates need.
"""

from enum import StrEnum
from math import log, pi

import numpy as np

from strategies.market import Floats


class Covariance(StrEnum):
    """Shape of the covariance of one state."""

    DIAGONAL = "diagonal"
    FULL = "full"


def num_parameters(num_features: int, covariance: Covariance) -> int:
    """Free parameters of one state's Gaussian."""
    if covariance is Covariance.DIAGONAL:
        return 2 * num_features
    return num_features + num_features * (num_features + 1) // 2


def statistics(rows: Floats, covariance: Covariance) -> Floats:
    """The row s(x) of each bar, shape (T, P), from rows of shape (T, D)."""
    constant = np.ones((len(rows), 1))
    if covariance is Covariance.DIAGONAL:
        return np.concatenate([constant, rows, rows * rows], axis=1)
    left, right = np.triu_indices(rows.shape[1])
    return np.concatenate([constant, rows, rows[:, left] * rows[:, right]], axis=1)


def coefficients(means: Floats, covariances: Floats) -> Floats:
    """The vector θ of each state, shape (K, P).

    Args:
        means: Shape (K, D).
        covariances: Shape (K, D) for diagonal, (K, D, D) for full ones.
    """
    num_features = means.shape[1]
    if covariances.ndim == 2:
        precisions = 1.0 / covariances
        linear = precisions * means
        log_determinants = np.log(covariances).sum(axis=1)
        quadratic = -0.5 * precisions
    else:
        full = np.linalg.inv(covariances)
        linear = np.einsum("kij,kj->ki", full, means)
        log_determinants = np.linalg.slogdet(covariances).logabsdet
        left, right = np.triu_indices(num_features)
        quadratic = np.where(left == right, -0.5, -1.0) * full[:, left, right]
    constant = -0.5 * (num_features * log(2.0 * pi) + log_determinants + (linear * means).sum(axis=1))
    return np.concatenate([constant[:, None], linear, quadratic], axis=1)


def estimates(sums: Floats, num_features: int, covariance: Covariance, floor: float) -> tuple[Floats, Floats]:
    """Means and covariances that make the expected log-likelihood largest.

    Args:
        sums: Σ_t γ_t(k) s(x_t), shape (K, P); every state has weight.
        num_features: D.
        covariance: Shape of the covariances.
        floor: Smallest variance, in any direction; the estimate under this bound is the unbounded one with
            its eigenvalues lifted to it.

    Returns:
        Means (K, D) and covariances (K, D) or (K, D, D).
    """
    weights = sums[:, :1]
    means = sums[:, 1 : 1 + num_features] / weights
    second = sums[:, 1 + num_features :] / weights
    if covariance is Covariance.DIAGONAL:
        return means, np.maximum(second - means * means, floor)
    covariances = np.empty((len(sums), num_features, num_features))
    left, right = np.triu_indices(num_features)
    centred = second - means[:, left] * means[:, right]
    covariances[:, left, right] = centred
    covariances[:, right, left] = centred
    values, vectors = np.linalg.eigh(covariances)
    lifted = np.maximum(values, floor)
    if (lifted == values).all():
        return means, covariances
    covariances = np.einsum("kij,kj,klj->kil", vectors, lifted, vectors)
    return means, 0.5 * (covariances + covariances.transpose(0, 2, 1))
