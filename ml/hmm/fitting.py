"""Fits Gaussian hidden Markov models by expectation maximisation, from several starts.

Flow: feature rows → **fit** → `RegimeParams` (.npz) → strategies.regime.RegimeFilter.

Rows are standardised before and parameters scaled back after, so that units do not matter. The model that
leaves starts at the long-run share of its states, for the filter may be started on any bar.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from ml.hmm.expectation import ExpectationStep
from ml.hmm.gaussians import Covariance, coefficients, num_parameters, statistics
from ml.hmm.labels import Groups, match_states, permuted, volatility_order
from ml.hmm.memory import RememberingStep, Step
from ml.hmm.search import search
from ml.hmm.settings import HmmSettings
from ml.hmm.starts import (
    Start,
    States,
    hierarchical_states,
    random_states,
    start_from_params,
    start_from_states,
    volatility_states,
)
from ml.hmm.transitions import HierarchicalTransitions, StickyTransitions, Transitions, stationary_probs
from strategies.errors import ConfigError, DataError
from strategies.market import Floats
from strategies.regime_params import RegimeParams

ROWS_PER_PARAMETER = 10
"""Bars that each free parameter must have."""


@dataclass(frozen=True, slots=True)
class HmmFit:
    """A fitted model and how it was found."""

    params: RegimeParams
    """States ordered by volatility, or as the previous model numbered them; ready for `RegimeParams.save`."""
    log_likelihood: float
    """Of the rows under ``params``, in nats."""
    bic: float
    """Bayesian information criterion, -2 log L + p log T; smaller is better."""
    start: str
    """Where the search that won began."""
    iterations: int
    objectives: dict[str, float]
    """Log-likelihood and log prior that each start reached; those given up after screening, too."""


def fit_hmm(
    rows: Floats,
    settings: HmmSettings | None = None,
    *,
    previous: RegimeParams | None = None,
    columns: Sequence[str] = (),
) -> HmmFit:
    """Fit a Gaussian hidden Markov model.

    Args:
        rows: Feature rows in order of time, shape (T, D), finite.
        settings: See `HmmSettings`.
        previous: The model that is to be replaced: one more start, and the numbering of the states.
        columns: Names of the features, for messages.

    Raises:
        DataError: If rows are not finite, a column is constant, or there are too few.
        ConfigError: If ``previous`` has other states or features.
        ConvergenceError: If no start converged.
    """
    settings = settings or HmmSettings()
    family = StickyTransitions(settings.num_states, settings.stay_bars)

    def cut(returns: Floats) -> States:
        return volatility_states(returns, settings.num_states)

    return _fit(rows, settings, family, cut, [[k] for k in range(settings.num_states)], previous, columns)


def fit_hierarchical_hmm(
    rows: Floats,
    num_macro: int,
    num_micro: int,
    settings: HmmSettings | None = None,
    *,
    previous: RegimeParams | None = None,
    columns: Sequence[str] = (),
) -> HmmFit:
    """Fit macro states, each with micro states of its own; see `HierarchicalTransitions`.

    State m · num_micro + i is micro state i of macro state m; the belief in a macro state is the sum over its
    micro states. Macro states are ordered by volatility, and micro states within each.

    Args:
        rows: Feature rows in order of time, shape (T, D), finite.
        num_macro: Macro states.
        num_micro: Micro states of each.
        settings: ``num_states`` is ignored; ``stay_bars`` holds for macro states.
        previous: As for `fit_hmm`.
        columns: As for `fit_hmm`.

    Raises:
        DataError, ConfigError, ConvergenceError: As `fit_hmm`.
    """
    if num_macro < 1 or num_micro < 1:
        raise ConfigError(f"hmm: expected num_macro and num_micro >= 1, found {num_macro} and {num_micro}")
    settings = replace(settings or HmmSettings(), num_states=num_macro * num_micro)
    family = HierarchicalTransitions(num_macro, num_micro, settings.stay_bars)
    groups = np.arange(settings.num_states).reshape(num_macro, num_micro).tolist()

    def cut(returns: Floats) -> States:
        return hierarchical_states(returns, num_macro, num_micro)

    return _fit(rows, settings, family, cut, groups, previous, columns)


def _fit(
    rows: Floats,
    settings: HmmSettings,
    family: Transitions,
    cut: Callable[[Floats], States],
    groups: Groups,
    previous: RegimeParams | None,
    columns: Sequence[str],
) -> HmmFit:
    free = family.num_parameters + family.num_states * num_parameters(rows.shape[-1], settings.covariance)
    location, scale = _check_rows(rows, settings, free, columns)
    _check_previous(previous, rows.shape[1], settings)
    standardised = (rows - location) / scale
    starts = _starts(standardised, settings, family, cut)
    step = ExpectationStep(statistics(standardised, settings.covariance), family.num_states)
    remembering: Step = step
    if previous is not None:
        old = start_from_params(previous, location, scale, settings.min_std_frac**2)
        starts.insert(0, old)
        remembering = RememberingStep(step, old, settings.memory_frac * len(rows))
    found = search(remembering, starts, family, settings, *rows.shape)
    best = found.best.at
    initial_probs = stationary_probs(best.transition_matrix)
    last = step.run(coefficients(best.means, best.covariances), initial_probs, best.transition_matrix)
    # Standardising divides densities by the scale of every column.
    log_likelihood = last.log_likelihood - len(rows) * float(np.log(scale).sum())
    units = scale**2 if best.covariances.ndim == 2 else np.outer(scale, scale)
    params = RegimeParams(
        initial_probs=initial_probs,
        transition_matrix=best.transition_matrix,
        means=best.means * scale + location,
        covariances=best.covariances * units,
    )
    order = (
        volatility_order(params, groups, settings.return_column)
        if previous is None
        else match_states(previous, params, groups, rows)
    )
    return HmmFit(
        params=permuted(params, order),
        log_likelihood=log_likelihood,
        bic=-2.0 * log_likelihood + free * log(len(rows)),
        start=best.name,
        iterations=found.best.iterations,
        objectives={climb.at.name: climb.objective for climb in found.climbs},
    )


def _starts(
    standardised: Floats, settings: HmmSettings, family: Transitions, cut: Callable[[Floats], States]
) -> list[Start]:
    generator = np.random.Generator(np.random.PCG64(settings.seed))
    states = {"volatility": cut(standardised[:, settings.return_column])}
    if family.num_states > 1:  # one state leaves nothing to draw
        for number in range(settings.num_restarts):
            states[f"random {number}"] = random_states(len(standardised), family.num_states, generator)
    floor = settings.min_std_frac**2
    return [
        start_from_states(name, standardised, cut_at, family, settings.covariance, floor)
        for name, cut_at in states.items()
    ]


def _check_rows(
    rows: Floats, settings: HmmSettings, free: int, columns: Sequence[str]
) -> tuple[Floats, Floats]:
    """Location and scale of the columns."""
    if rows.ndim != 2 or rows.shape[1] <= settings.return_column:
        raise DataError(
            f"hmm: expected rows of shape (T, D) with D > return_column = {settings.return_column}, "
            f"found {rows.shape}"
        )
    names = columns or [f"column {at}" for at in range(rows.shape[1])]
    finite = np.isfinite(rows)
    if not finite.all():
        at, column = np.argwhere(~finite)[0].tolist()
        raise DataError(
            f"hmm: expected finite features, found {rows[at, column]} in {names[column]} at row {at} "
            f"({int((~finite).sum())} in all); leave out warm-up rows and repair the data"
        )
    needed = ROWS_PER_PARAMETER * free
    if len(rows) < needed:
        raise DataError(
            f"hmm: expected at least {needed} rows for {free} free parameters, found {len(rows)}; "
            "give more history, or ask for fewer states, fewer features or diagonal covariances"
        )
    location, scale = rows.mean(axis=0), rows.std(axis=0)
    constant = scale <= 1e-12 * np.abs(rows).max(axis=0)
    if constant.any():
        found = [names[at] for at in np.flatnonzero(constant).tolist()]
        raise DataError(f"hmm: expected features that vary, found constant {found}; leave them out")
    return location, scale


def _check_previous(previous: RegimeParams | None, num_features: int, settings: HmmSettings) -> None:
    if previous is None:
        return
    is_diagonal = settings.covariance is Covariance.DIAGONAL
    found = (previous.num_states, previous.num_features, previous.covariances.ndim == 2)
    if found != (settings.num_states, num_features, is_diagonal):
        raise ConfigError(
            f"hmm: expected a previous model with {settings.num_states} states, {num_features} features and "
            f"{settings.covariance} covariances, found means of shape {previous.means.shape} and covariances "
            f"of shape {previous.covariances.shape}; leave it out to number the states anew"
        )
