"""What PPO and pathwise gradients reach where the best answer is known, and beside stable-baselines3.

Means over seeds; each run is told on standard error as it ends. ``python -m benchmarks known_answers``
puts the figures into the table of `benchmarks/README.md`; `docs/LEARNING.md` shows them side by side.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

from benchmarks.competitors.throwaway import beside_ours, run_beside_ours
from benchmarks.figures import QUICK, Figure, report
from tests.support.known_answers.lessons import (
    CONTROLS,
    LESSONS,
    Control,
    Lesson,
    control_learned_by_ppo,
    learned_by_gradients,
    learned_by_ppo,
)

SEEDS = range(1 if QUICK else 5)
STUDENT_T = 2.776
"""97.5 % quantile with four degrees of freedom."""


def measure() -> list[Figure]:
    """All tasks, by all trainers."""
    lessons = LESSONS[1:2] if QUICK else LESSONS
    figures = [figure for lesson in lessons for figure in _shares(lesson)]
    if QUICK:
        return figures
    with tempfile.TemporaryDirectory() as directory:
        theirs: Path | None = None
        try:
            theirs = beside_ours(Path(directory), ("stable-baselines3",))
        except subprocess.CalledProcessError as error:
            print(f"stable-baselines3 could not be installed: {error.stderr}", file=sys.stderr)
        return [*figures, *(_returns(control, theirs) for control in CONTROLS)]


def _shares(lesson: Lesson) -> list[Figure]:
    """What each trainer reaches, % of the optimum; the better one must reach the target."""
    trainers: list[tuple[str, Callable[[Lesson, int], float]]] = [
        ("pathwise", learned_by_gradients),
        ("PPO", learned_by_ppo),
    ]
    reached = {
        label: [
            _timed(f"{lesson.task.name}, {label}, seed {seed}", lambda s=seed, f=learn: f(lesson, s))  # type: ignore[misc]
            for seed in SEEDS
        ]
        for label, learn in trainers
    }
    best = max(reached, key=lambda label: mean(share for share, _ in reached[label]))
    samples = {"PPO": lesson.ppo.total_timesteps, "pathwise": lesson.pathwise.total_timesteps}
    return [
        Figure(
            f"{lesson.task.name}, {label}",
            100.0 * mean(share for share, _ in runs),
            "% of the optimum",
            f"{samples[label]:,} samples, {_spread([100.0 * share for share, _ in runs])}; "
            f"{mean(secs for _, secs in runs):.0f} s of processor time a run",
            100.0 * lesson.target if label == best else None,
            is_at_least=True,
        )
        for label, runs in reached.items()
    ]


def _returns(control: Control, theirs: Path | None) -> Figure:
    """Our mean return beside theirs; ours must not lie below their 95 % interval."""
    ours, others = [], []
    for seed in SEEDS:
        name = f"{control.name}, PPO, seed {seed}"
        ours.append(_timed(name, lambda s=seed: control_learned_by_ppo(control, s))[0])  # type: ignore[misc]
        if theirs is not None:
            answer = run_beside_ours(theirs, "stable_baselines_control.py", control.name, str(seed))
            others.append(answer["return"])
            print(f"{control.name}, stable-baselines3: {answer}", file=sys.stderr, flush=True)
    how = f"{control.ppo.total_timesteps:,} steps, {_spread(ours)}"
    if not others:
        return Figure(f"{control.name}, PPO", mean(ours), "mean return", how, is_at_least=True)
    least = mean(others) - STUDENT_T * stdev(others) / len(others) ** 0.5
    how += f"; stable-baselines3 {_spread(others)}, its 95 % interval begins at the target"
    return Figure(
        f"{control.name}, PPO",
        mean(ours),
        "mean return",
        how,
        least,
        mean(others),
        "stable-baselines3",
        is_at_least=True,
        is_absolute=True,
    )


def _timed(name: str, run: Callable[[], float]) -> tuple[float, float]:
    """What a run reaches, and its processor time, seconds."""
    begun = time.process_time()
    reached = run()
    spent = time.process_time() - begun
    print(f"{name}: {reached:.4f} in {spent:.0f} s", file=sys.stderr, flush=True)
    return reached, spent


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return "one seed"
    return f"{len(values)} seeds: deviation {stdev(values):.2g}, worst {min(values):.4g}"


if __name__ == "__main__":
    report(measure)
