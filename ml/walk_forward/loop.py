"""Runs the folds side by side, and keeps what is finished.

    directory/
      plan.json                 which folds, of what; another plan is refused
      fold-001/model/           what `fit` wrote; there as a whole or not at all
      fold-001/outcome.npz      what `evaluate` found; there when the fold is done
      fold-001/failure.txt      why it is not

Whoever works on them (`ml.walk_forward.workers`) shares this directory and nothing else.
"""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ml.walk_forward.folds import Fold, FoldOutcome
from ml.walk_forward.workers import FAILURE, OUTCOME, Evaluate, Fit, Processes, Workers
from strategies.errors import ConfigError, DataError

_POLL_SECS = 0.5
_PLAN = "plan.json"


class FoldError(DataError):
    """A fold failed; those that are finished are kept."""


def walk_forward(
    folds: Sequence[Fold],
    directory: Path,
    *,
    fit: Fit,
    evaluate: Evaluate,
    pins: Mapping[str, Any],
    workers: Workers | None = None,
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
        workers: Who works on them, and is closed at the end; None takes two processes of this machine.
        progress: Told how many folds are done and how many there are.
        check_wanted: Raises what shall end the run; asked twice a second.

    Raises:
        ConfigError: If the directory holds another walk-forward, or one is running in it.
        FoldError: If a fold failed. No other was begun after it; those under way were finished.
        DataError: If a finished outcome is damaged.
    """
    directory.mkdir(parents=True, exist_ok=True)
    workers = workers or Processes(2)
    try:
        with _claimed(directory, {"folds": [asdict(fold) for fold in folds], "pins": dict(pins)}):
            pending = [fold for fold in folds if not (directory / fold.name / OUTCOME).exists()]
            running, failed = set[Fold](), list[Fold]()
            while running or (pending and not failed):
                while pending and not failed and len(running) < workers.count:
                    fold = pending.pop(0)
                    workers.start(fold, _home(directory, fold), fit, evaluate)
                    running.add(fold)
                for fold in workers.ended(_POLL_SECS):
                    running.remove(fold)
                    if not (directory / fold.name / OUTCOME).exists():
                        failed.append(fold)
                if progress is not None:
                    progress(len(folds) - len(pending) - len(running) - len(failed), len(folds))
                check_wanted()
            if failed:
                raise FoldError(_explained(failed, directory, len(folds) - len(pending) - len(failed)))
            return tuple(FoldOutcome.load(directory / fold.name / OUTCOME) for fold in folds)
    finally:
        workers.close()


def _home(directory: Path, fold: Fold) -> Path:
    home = directory / fold.name
    home.mkdir(exist_ok=True)
    (home / FAILURE).unlink(missing_ok=True)
    return home


def _explained(failed: Sequence[Fold], directory: Path, finished: int) -> str:
    lines = []
    for fold in failed:
        failure = directory / fold.name / FAILURE
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
