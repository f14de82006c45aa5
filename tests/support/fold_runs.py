"""Fits and evaluations for walk-forward tests: they must be importable by another process."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.evaluation import EquityCurve
from ml.walk_forward import Fold, FoldOutcome

HOUR_NS = 3_600 * 10**9


def curve_of(start_ns: int, equity: list[float], initial: float = 100.0) -> EquityCurve:
    """Hourly marks from a time on."""
    values = np.array(equity)
    times = start_ns + HOUR_NS * np.arange(len(values))
    return EquityCurve(initial, times, values, np.zeros(len(values)), np.zeros(len(values)))


@dataclass(frozen=True)
class Trainer:
    """Writes a model that says which fold it is of; counts how often it was asked."""

    count_file: Path

    def __call__(self, fold: Fold, directory: Path) -> None:
        with self.count_file.open("a") as file:
            file.write(f"{fold.number}\n")
        (directory / "model.txt").write_text(str(fold.number))


@dataclass(frozen=True)
class Judge:
    """Earns the fold's number in percent; may fail, or die, on one fold while a file is absent."""

    failing: int = 0
    dying: int = 0
    mended: Path = Path("/nonexistent")

    def __call__(self, fold: Fold, directory: Path) -> FoldOutcome:
        if fold.number == self.failing and not self.mended.exists():
            raise ValueError("planted failure")
        if fold.number == self.dying and not self.mended.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        gain = float((directory / "model.txt").read_text())
        held = curve_of(fold.test_start_ns, [100.0, 100.0 + gain])
        return FoldOutcome(held, {"flat": curve_of(fold.test_start_ns, [100.0, 100.0])})
