"""Climbs from every start, gives up those that lag, and says which optimum to keep."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

from ml.hmm.gaussians import coefficients, estimates
from ml.hmm.memory import Step
from ml.hmm.settings import HmmSettings
from ml.hmm.starts import PREVIOUS, Start
from ml.hmm.transitions import Transitions
from strategies.errors import DataError
from strategies.market import Floats

_FALL_TOLERANCE_NATS_PER_BAR = 1e-8
"""How far the objective may fall by rounding and by the floor under probabilities."""
_POLISHED = 2
"""Starts, beside the previous model, that are followed to the end."""


class ConvergenceError(DataError):
    """No start led to a model; nothing was written."""


@dataclass(frozen=True, slots=True, eq=False)
class Climb:
    """One start, as far as it was followed."""

    at: Start
    """Parameters reached, under the name of the start."""
    objective: float
    """Log-likelihood plus log prior at the parameters of one iteration before, in nats."""
    iterations: int
    is_converged: bool
    fault: str = ""
    """Why it cannot go on; empty where it can."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The optimum to keep, and what all starts came to."""

    best: Climb
    climbs: tuple[Climb, ...]


def search(
    step: Step,
    starts: Sequence[Start],
    family: Transitions,
    settings: HmmSettings,
    num_rows: int,
    num_features: int,
) -> Found:
    """Follow the starts and choose.

    Raises:
        ConvergenceError: If no start converged.
    """

    def go_on(climb: Climb, most: int) -> Climb:
        return _climb(step, climb, family, settings, most, num_rows, num_features)

    climbs = [
        go_on(Climb(start, -inf, 0, is_converged=False), settings.screening_iterations) for start in starts
    ]
    ranked = sorted(climbs, key=lambda climb: -climb.objective)
    promising = {climb.at.name for climb in ranked[:_POLISHED]} | {PREVIOUS}
    climbs = [
        go_on(climb, settings.max_iterations) if climb.at.name in promising else climb for climb in climbs
    ]
    converged = [climb for climb in climbs if climb.is_converged]
    if not converged:
        reasons = "; ".join(f"{climb.at.name}: {climb.fault or _unfinished(climb)}" for climb in climbs)
        raise ConvergenceError(
            f"hmm: expected one of {len(climbs)} starts to converge within {settings.max_iterations} "
            f"iterations, found none ({reasons}); ask for fewer states, give more rows, or raise "
            "max_iterations"
        )
    return Found(kept(converged, settings.keep_nats), tuple(climbs))


def kept(converged: Sequence[Climb], keep_nats: float) -> Climb:
    """The best optimum, or the previous model's where the best gains no more than ``keep_nats`` on it.

    A slightly better optimum that means something else would confuse whoever relied on the old one.
    """
    best = max(converged, key=lambda climb: climb.objective)
    for climb in converged:
        if climb.at.name == PREVIOUS and climb.objective >= best.objective - keep_nats:
            return climb
    return best


def _climb(
    step: Step,
    climb: Climb,
    family: Transitions,
    settings: HmmSettings,
    most: int,
    num_rows: int,
    num_features: int,
) -> Climb:
    at, objective, iterations = climb.at, climb.objective, climb.iterations
    if climb.is_converged or climb.fault:
        return climb
    least_bars = float(num_features + 1)
    while iterations < most:
        expected = step.run(coefficients(at.means, at.covariances), at.initial_probs, at.transition_matrix)
        reached = expected.log_likelihood + family.log_prior(at.transition_matrix)
        gain = reached - objective
        if not isfinite(reached) or gain < -_FALL_TOLERANCE_NATS_PER_BAR * num_rows:
            return Climb(
                at, -inf, iterations, is_converged=False, fault=f"the likelihood fell by {-gain:.3g} nats"
            )
        objective = reached
        iterations += 1
        if gain < settings.tolerance_nats_per_bar * num_rows:
            return Climb(at, objective, iterations, is_converged=True)
        bars: Floats = expected.sums[:, 0]
        if bars.min() < least_bars:
            return Climb(
                at, -inf, iterations, is_converged=False, fault=f"a state is left with {bars.min():.1f} bars"
            )
        floor = settings.min_std_frac**2
        means, covariances = estimates(expected.sums, num_features, settings.covariance, floor)
        at = replace(
            at,
            initial_probs=expected.initial_probs,
            transition_matrix=family.estimate(expected.transitions),
            means=means,
            covariances=covariances,
        )
    return Climb(at, objective, iterations, is_converged=False)


def _unfinished(climb: Climb) -> str:
    return f"still climbing after {climb.iterations} iterations"
