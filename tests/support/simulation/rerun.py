"""Runs seeds and puts a failure into words."""

from collections.abc import Callable, Iterable

from tests.support.simulation.process import Process
from tests.support.simulation.world import Outcome, World

_SHOWN = 60


def run_seed(
    seed: int,
    make_process: Callable[[World], Process] = Process,
    *,
    crash_at: int | None = None,
    keep: int = _SHOWN,
) -> Outcome:
    """One whole run."""
    return World(seed, make_process, crash_at=crash_at, keep=keep).run()


def first_failure(seeds: Iterable[int], make_process: Callable[[World], Process] = Process) -> Outcome | None:
    """The first run that breaks a promise; None where none does."""
    return next((one for seed in seeds if (one := run_seed(seed, make_process)).violations), None)


def in_words(outcome: Outcome) -> str:
    """What a person needs to find out why."""
    return "\n".join(
        [
            f"seed {outcome.seed} breaks a promise:",
            *(f"  - {what}" for what in outcome.violations),
            f"run it again: python -m benchmarks.simulation --seed {outcome.seed}",
            f"its last {len(outcome.trace)} events:",
            *outcome.trace,
        ]
    )
