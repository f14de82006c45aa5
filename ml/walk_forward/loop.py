"""Runs the folds side by side, each in a process of its own, and keeps what is finished.

    directory/
      plan.json                 which folds, of what; another plan is refused
      fold-001/model/           what `fit` wrote; there as a whole or not at all
      fold-001/outcome.npz      what `evaluate` found; there when the fold is done
      fold-001/failure.txt      why it is not

An engine must not share its process with another, and a trainer keeps a core busy: so one process a fold.
"""

import fcntl
import json
import multiprocessing
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from ml.walk_forward.folds import Fold, FoldOutcome
from strategies.errors import ConfigError, DataError

type Fit = Callable[[Fold, Path], None]
"""Train on the fold's training span and write the model into an empty directory.

Called in another process, so it must be picklable; equal folds must give equal models."""

type Evaluate = Callable[[Fold, Path], FoldOutcome]
"""Judge the model in a directory on the fold's test span, likewise."""

_POLL_SECS = 0.5
_PLAN, _OUTCOME, _FAILURE = "plan.json", "outcome.npz", "failure.txt"


class FoldError(DataError):
    """A fold failed; those that are finished are kept."""


def walk_forward(
    folds: Sequence[Fold],
    directory: Path,
    *,
    fit: Fit,
    evaluate: Evaluate,
    pins: Mapping[str, Any],
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    check_wanted: Callable[[], None] = lambda: None,
) -> tuple[FoldOutcome, ...]:
    """Run every fold that is not finished, and return the outcomes of all.

    After an interruption the same call goes on: finished folds are read, a fold that is trained but not
    judged is judged.

    Args:
        folds: From `plan_folds`.
        directory: Where models and outcomes go; made where it is missing.
        fit: See `Fit`.
        evaluate: See `Evaluate`.
        pins: What else the outcomes depend on, such as hashes of configuration, data and code.
        workers: Folds at a time.
        progress: Told how many folds are done and how many there are.
        check_wanted: Raises what shall end the run; asked twice a second.

    Raises:
        ConfigError: If the directory holds another walk-forward, or one is running in it.
        FoldError: If a fold failed. No other was begun after it; those under way were finished.
        DataError: If a finished outcome is damaged.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _claimed(directory, {"folds": [asdict(fold) for fold in folds], "pins": dict(pins)}):
        pending = [fold for fold in folds if not (directory / fold.name / _OUTCOME).exists()]
        running: dict[int, tuple[Fold, SpawnProcess]] = {}
        failed: list[Fold] = []
        try:
            while running or (pending and not failed):
                while pending and not failed and len(running) < workers:
                    fold = pending.pop(0)
                    process = _started(fold, directory / fold.name, fit, evaluate)
                    running[process.sentinel] = (fold, process)
                for sentinel in wait(list(running), timeout=_POLL_SECS):
                    assert isinstance(sentinel, int)
                    fold, process = running.pop(sentinel)
                    process.join()
                    if not (directory / fold.name / _OUTCOME).exists():
                        failed.append(fold)
                if progress is not None:
                    progress(len(folds) - len(pending) - len(running) - len(failed), len(folds))
                check_wanted()
        finally:
            for _, process in running.values():
                process.terminate()
            for _, process in running.values():
                process.join()
        if failed:
            raise FoldError(_explained(failed, directory, len(folds) - len(pending) - len(failed)))
        return tuple(FoldOutcome.load(directory / fold.name / _OUTCOME) for fold in folds)


def _started(fold: Fold, home: Path, fit: Fit, evaluate: Evaluate) -> SpawnProcess:
    home.mkdir(exist_ok=True)
    (home / _FAILURE).unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run, args=(fold, home, fit, evaluate), name=fold.name)
    process.start()
    return process


def _run(fold: Fold, home: Path, fit: Fit, evaluate: Evaluate) -> None:
    try:
        model = home / "model"
        if not model.exists():
            draft = home / ".model.partial"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            fit(fold, draft)
            draft.rename(model)
        evaluate(fold, model).save(home / _OUTCOME)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to say it
        (home / _FAILURE).write_text(f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}")
        sys.exit(1)


def _explained(failed: Sequence[Fold], directory: Path, finished: int) -> str:
    lines = []
    for fold in failed:
        failure = directory / fold.name / _FAILURE
        reason = (
            failure.read_text().split("\n\n")[0]
            if failure.exists()
            else "its process died without a word; the usual reason is that memory ran out"
        )
        lines.append(f"{fold.name}: {reason}")
    lines.append(
        f"{finished} finished folds are kept in {directory}; mend what is wrong and run it again to go on"
    )
    return "\n".join(lines)


@contextmanager
def _claimed(directory: Path, plan: Mapping[str, Any]) -> Iterator[None]:
    """Keep others out, and see that the directory is of this plan."""
    text = json.dumps(plan, sort_keys=True, indent=2) + "\n"
    with (directory / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"{directory}: expected no other walk-forward to run in it, found one; wait for its end"
            ) from error
        path = directory / _PLAN
        if not path.exists():
            path.write_text(text)
        elif path.read_text() != text:
            raise ConfigError(
                f"{directory}: expected folds of this configuration, data and code, found those of another "
                "walk-forward; give another directory, or delete it"
            )
        yield
