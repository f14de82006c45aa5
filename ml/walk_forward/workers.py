"""Who works on the folds: processes of this machine, or a Ray cluster.

A worker is told a fold and a directory that it shares with whoever asked; what it leaves there is all that
it answers. An engine must not share its process with another, and a trainer keeps a core busy: a fold has a
process of its own, here and there.
"""

import multiprocessing
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import ConfigDict

from ml.walk_forward.folds import Fold, FoldOutcome
from strategies.config import Bars, Section

type Fit = Callable[[Fold, Path], None]
"""Train on the fold's training span and write the model into an empty directory.

Called in another process, so it must be picklable; equal folds must give equal models."""

type Evaluate = Callable[[Fold, Path], FoldOutcome]
"""Judge the model in a directory on the fold's test span, likewise."""

OUTCOME, FAILURE = "outcome.npz", "failure.txt"


class WorkersKind(StrEnum):
    """Where folds are worked on."""

    PROCESSES = "processes"
    """On this machine."""
    RAY = "ray"
    """On a Ray cluster (`make learn` installs it) whose machines share this one's files and have Argonaut."""


@dataclass(frozen=True, slots=True)
class WorkersConfig:
    """Who works on the folds of a walk-forward; the result does not depend on it."""

    __pydantic_config__: ClassVar[ConfigDict] = Section.model_config

    kind: WorkersKind = WorkersKind.PROCESSES
    count: Bars = 2
    """Folds at a time."""
    address: str | None = None
    """Of the Ray cluster, ``host:port``, or ``auto`` for the one of this machine; None starts one here."""


class Workers(Protocol):
    """Works on some folds at a time."""

    count: int
    """How many."""

    def start(self, fold: Fold, home: Path, fit: Fit, evaluate: Evaluate) -> None:
        """Begin with a fold; it leaves `OUTCOME` in its home, or `FAILURE`, or nothing if it died."""

    def ended(self, timeout_secs: float) -> list[Fold]:
        """Folds whose worker is gone since last asked; waits a while for the first."""

    def close(self) -> None:
        """End those that are still at it."""


class Processes:
    """A process of this machine for each fold.

    Args:
        count: Folds at a time.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._running: dict[int, tuple[Fold, SpawnProcess]] = {}

    def start(self, fold: Fold, home: Path, fit: Fit, evaluate: Evaluate) -> None:
        """See `Workers`."""
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_run_and_exit, args=(fold, home, fit, evaluate), name=fold.name)
        process.start()
        self._running[process.sentinel] = (fold, process)

    def ended(self, timeout_secs: float) -> list[Fold]:
        """See `Workers`."""
        found = []
        for sentinel in wait(list(self._running), timeout=timeout_secs):
            assert isinstance(sentinel, int)
            fold, process = self._running.pop(sentinel)
            process.join()
            found.append(fold)
        return found

    def close(self) -> None:
        """See `Workers`."""
        for _, process in self._running.values():
            process.terminate()
        for _, process in self._running.values():
            process.join()
        self._running.clear()


def make_workers(config: WorkersConfig) -> Workers:
    """The workers that a configuration asks for.

    Raises:
        ConfigError: If Ray is asked for and not installed, or the cluster does not answer.
    """
    if config.kind is WorkersKind.PROCESSES:
        return Processes(config.count)
    from ml.walk_forward.ray_workers import RayTasks

    return RayTasks(config.count, config.address)


def run_fold(fold: Fold, home: Path, fit: Fit, evaluate: Evaluate) -> bool:
    """Train and judge a fold, whatever of it is not done yet.

    Returns:
        Whether it came to its end; what went wrong stands in `FAILURE` otherwise.
    """
    try:
        model = home / "model"
        if not model.exists():
            draft = home / ".model.partial"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            fit(fold, draft)
            draft.rename(model)
        evaluate(fold, model).save(home / OUTCOME)
    except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked has to say it
        (home / FAILURE).write_text(f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}")
        return False
    return True


def _run_and_exit(fold: Fold, home: Path, fit: Fit, evaluate: Evaluate) -> None:
    try:
        is_done = run_fold(fold, home, fit, evaluate)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(not is_done)
