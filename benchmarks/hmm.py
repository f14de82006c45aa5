"""Time of one iteration of expectation maximisation on a long history, beside hmmlearn's two ways."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from hmmlearn.hmm import GaussianHMM
from threadpoolctl import threadpool_limits

from benchmarks.figures import QUICK, Figure, report
from ml.hmm import Covariance
from ml.hmm.expectation import ExpectationStep
from ml.hmm.gaussians import coefficients, estimates, statistics
from ml.hmm.starts import Start
from ml.hmm.transitions import StickyTransitions
from strategies.market import Floats

BARS = 100_000 if QUICK else 1_000_000
STATES, FEATURES = 3, 3
ITERATIONS = 2 if QUICK else 8
REPEATS = 4
POSSIBLE_NS = 117.0
"""What a compiled kernel of the same recursion took when the method was chosen, where hmmlearn's took 382."""


def measure() -> list[Figure]:
    """Time both on the same rows from the same start, one thread of BLAS each."""
    rows, start = history(BARS)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # hmmlearn 0.3.3 on NumPy 2.5.
        warnings.simplefilter("ignore", DeprecationWarning)
        (ours, reached), (default, expected), (scaling, _) = best_ns(
            lambda: climb(rows, start),
            lambda: climb_hmmlearn(rows, start, "log"),
            lambda: climb_hmmlearn(rows, start, "scaling"),
        )
    if not math.isclose(reached, expected, rel_tol=1e-9):
        raise ArithmeticError(f"expected the log-likelihood of hmmlearn, {expected}, found {reached}")
    what = f"EM iteration, {BARS:,} bars, {FEATURES} features, {STATES} states, diagonal"
    how = (
        f"{ITERATIONS} iterations from one start, best of {REPEATS} in turns, one BLAS thread; "
        "log-likelihood equal to 9 digits"
    )
    return [
        Figure(what, ours, "ns a bar", how, POSSIBLE_NS, default, "hmmlearn, default", is_absolute=True),
        Figure(
            "the same, beside the faster way of hmmlearn",
            ours,
            "ns a bar",
            how,
            None,
            scaling,
            "hmmlearn, scaling",
        ),
    ]


def history(length: int) -> tuple[Floats, Start]:
    """Rows of three overlapping regimes, shape (T, 3), and parameters some way from theirs."""
    rng = np.random.default_rng(1)
    changes = rng.random(length) < 0.02
    states = rng.integers(0, STATES, size=length)[
        np.maximum.accumulate(np.where(changes, np.arange(length), 0))
    ]
    rows = (0.5 + states)[:, None] * rng.standard_normal((length, FEATURES)) + 0.3 * states[:, None]
    start = Start(
        name="benchmark",
        initial_probs=np.full(STATES, 1.0 / STATES),
        transition_matrix=np.full((STATES, STATES), 0.05) + 0.85 * np.eye(STATES),
        means=np.linspace(-0.2, 0.8, STATES)[:, None].repeat(FEATURES, axis=1),
        covariances=np.linspace(0.4, 5.0, STATES)[:, None].repeat(FEATURES, axis=1),
    )
    return rows, start


def best_ns(*ways: Callable[[], float]) -> list[tuple[float, float]]:
    """Of each way, in turns: nanoseconds a bar and iteration, the best of several runs; what it returned."""
    best = [(math.inf, math.nan)] * len(ways)
    for _ in range(REPEATS):
        for at, run in enumerate(ways):
            begun = time.perf_counter_ns()
            reached = run()
            best[at] = min(best[at], ((time.perf_counter_ns() - begun) / (BARS * ITERATIONS), reached))
    return best


def climb(rows: Floats, at: Start) -> float:
    """Our iterations, with what a fit sets up once; the log-likelihood before the last."""
    family, log_likelihood = StickyTransitions(STATES, 0.0), math.nan
    step = ExpectationStep(statistics(rows, Covariance.DIAGONAL), STATES)
    for _ in range(ITERATIONS):
        found = step.run(coefficients(at.means, at.covariances), at.initial_probs, at.transition_matrix)
        log_likelihood = found.log_likelihood
        means, covariances = estimates(found.sums, FEATURES, Covariance.DIAGONAL, 1e-6)
        at = replace(
            at,
            initial_probs=found.initial_probs,
            transition_matrix=family.estimate(found.transitions),
            means=means,
            covariances=covariances,
        )
    return log_likelihood


def climb_hmmlearn(rows: Floats, at: Start, implementation: str) -> float:
    """The same iterations by hmmlearn."""
    model = GaussianHMM(
        STATES,
        "diag",
        n_iter=ITERATIONS,
        tol=-math.inf,
        init_params="",
        min_covar=0.0,
        covars_prior=0.0,
        covars_weight=0.0,
        implementation=implementation,
    )
    model.startprob_, model.transmat_ = at.initial_probs, at.transition_matrix
    model.means_, model.covars_ = at.means, at.covariances
    model.fit(rows)
    return float(model.monitor_.history[-1])


if __name__ == "__main__":
    report(measure)
