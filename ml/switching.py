"""Markov-switching autoregressions: the models of the econometric literature, to check ours against it.

    y_t - μ(s_t) = Σ_{i=1..p} φ_i (y_{t-i} - μ(s_{t-i})) + σ(s_t) ε_t,        s_t a Markov chain

With p = 0 and a switching σ this is the hidden Markov model of `ml.hmm` over one feature. With p > 0 the
density of a bar depends on the states of p + 1 bars; the filter then runs on all K^(p+1) of them at once.

Parameters are found by quasi-Newton ascent of the exact likelihood from the long-run start, as published
results were; `ml.hmm` climbs by EM, which is what long histories need.

Source:
    Hamilton (1989), "A new approach to the economic analysis of nonstationary time series and the business
    cycle", eqs. 4.1-4.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, pi

import numpy as np
from scipy.optimize import minimize

from ml.hmm.search import ConvergenceError
from ml.hmm.transitions import stationary_probs
from strategies.errors import DataError
from strategies.market import Floats

_WORST = 1e10
"""What the search is told where the likelihood is nil."""


@dataclass(frozen=True, slots=True, eq=False)
class SwitchingModel:
    """A Markov-switching autoregression with K states and p lags."""

    transition_matrix: Floats
    """Probability of going from state (row) to state (column), shape (K, K)."""
    means: Floats
    """μ of each state, shape (K,)."""
    variances: Floats
    """σ² of each state, shape (K,)."""
    autoregression: Floats
    """φ of each lag, shape (p,)."""

    def filtered(self, series: Floats) -> tuple[Floats, float]:
        """Filter a series from its first p values on.

        Args:
            series: Shape (T,).

        Returns:
            Filtered probabilities of the states, shape (T - p, K), each row from values up to its own only,
            and the log-likelihood given the first p values, in nats; -inf where it is nil.
        """
        num_lags = len(self.autoregression)
        densities = self._densities(series)
        axes = densities.ndim - 2  # bars before the newest whose states are kept apart
        arriving = self.transition_matrix.T.reshape(*self.transition_matrix.shape, *[1] * (axes - 1))
        # Axis i of a table is the state i bars ago.
        probs = stationary_probs(self.transition_matrix)
        while probs.ndim < axes:
            probs = arriving.reshape(*self.transition_matrix.shape, *[1] * (probs.ndim - 1)) * probs
        filtered_probs = np.empty((len(series) - num_lags, len(self.means)))
        log_likelihood = 0.0
        for t, density in enumerate(densities):
            joint = arriving * probs * density
            evidence = float(joint.sum())
            if not evidence > 0.0:
                return filtered_probs, -inf
            log_likelihood += log(evidence)
            probs = joint.sum(axis=-1) / evidence
            filtered_probs[t] = probs.sum(axis=tuple(range(1, axes)))
        return filtered_probs, log_likelihood

    def _densities(self, series: Floats) -> Floats:
        """p(y_t | states of the newest bar and those before it, oldest last); at least one bar before it."""
        num_states, num_lags = len(self.means), len(self.autoregression)
        weights = np.concatenate([[1.0], -self.autoregression])
        lagged = np.stack([series[num_lags - i : len(series) - i] for i in range(num_lags + 1)], axis=1)
        paths = np.indices((num_states,) * (num_lags + 1))
        expected = np.tensordot(weights, self.means[paths], axes=1)
        errors = (lagged @ weights).reshape(-1, *[1] * (num_lags + 1)) - expected
        variances = self.variances[paths[0]]
        densities: Floats = np.exp(-0.5 * errors * errors / variances) / np.sqrt(2.0 * pi * variances)
        return densities if num_lags else densities[..., None]


def fit_switching(
    series: Floats,
    *,
    num_lags: int = 0,
    has_switching_variance: bool = False,
    num_restarts: int = 2,
    seed: int = 7,
) -> tuple[SwitchingModel, float]:
    """Fit two states to a series by maximum likelihood.

    Args:
        series: Shape (T,), finite.
        num_lags: p; the likelihood is of all values but the first p, given these.
        has_switching_variance: Whether each state has a variance of its own.
        num_restarts: Random starts beside the one that splits the series at its median.
        seed: Of the random starts.

    Returns:
        The model, the state with the lower mean first, and its log-likelihood in nats.

    Raises:
        DataError: If the series is not finite, does not vary, or is too short.
        ConvergenceError: If no start converged.
    """
    _check(series, num_lags)
    scale = float(series.std())
    centred = (series - series.mean()) / scale
    generator = np.random.Generator(np.random.PCG64(seed))
    width = 4 + (2 if has_switching_variance else 1) + num_lags
    first = np.zeros(width)
    first[:4] = [2.0, -2.0, -0.5, 0.5]

    def loss(vector: Floats) -> float:
        _, log_likelihood = _unpack(vector, num_lags, 0.0, 1.0).filtered(centred)
        return -log_likelihood if np.isfinite(log_likelihood) else _WORST

    starts = [first] + [first + generator.normal(scale=0.7, size=width) for _ in range(num_restarts)]
    found = [
        minimize(loss, start, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-7}) for start in starts
    ]
    usable = [result for result in found if result.fun < _WORST and np.abs(result.jac).max() < 1e-2]
    if not usable:
        raise ConvergenceError(
            f"switching: expected one of {len(starts)} starts to converge, found none: {found[0].message}; "
            "take fewer lags or more data"
        )
    best = min(usable, key=lambda result: float(result.fun))
    model = _unpack(best.x, num_lags, float(series.mean()), scale)
    order = np.argsort(model.means)
    model = SwitchingModel(
        model.transition_matrix[np.ix_(order, order)],
        model.means[order],
        model.variances[order],
        model.autoregression,
    )
    return model, model.filtered(series)[1]


def _unpack(vector: Sequence[float] | Floats, num_lags: int, location: float, scale: float) -> SwitchingModel:
    """The model of an unbounded vector: two logits, two means, log deviations, autoregression."""
    stay, leave = 1.0 / (1.0 + np.exp(-np.clip(vector[:2], -30.0, 30.0)))
    deviations = np.exp(np.clip(vector[4 : len(vector) - num_lags], -10.0, 10.0))
    return SwitchingModel(
        transition_matrix=np.array([[stay, 1.0 - stay], [leave, 1.0 - leave]]),
        means=np.array(vector[2:4]) * scale + location,
        variances=np.broadcast_to(deviations * deviations, 2) * scale * scale,
        autoregression=np.array(vector[len(vector) - num_lags :]),
    )


def _check(series: Floats, num_lags: int) -> None:
    fewest = 10 * (num_lags + 6)
    if series.ndim != 1 or len(series) < fewest:
        raise DataError(
            f"switching: expected a series of at least {fewest} values for {num_lags} lags, "
            f"found shape {series.shape}; give more history or take fewer lags"
        )
    if not np.isfinite(series).all():
        at = int(np.flatnonzero(~np.isfinite(series))[0])
        raise DataError(f"switching: expected finite values, found {series[at]} at {at}; repair the data")
    if series.std() <= 1e-12 * np.abs(series).max():
        raise DataError("switching: expected a series that varies, found a constant one")
