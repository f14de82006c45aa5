"""The process of one run: ``python -m bot.runs.process FOLDER STATE_DIR``.

Flow: request.json → backtest, training, walk-forward or fit → progress.json, place.json → result.json.

It is started by the daemon under a warden (`ops.jobs.warden`), ends with an exit code of `bot.exit_codes`,
and writes down why where it is not 0. SIGTERM ends it as Ctrl-C does, so that a training notes that it can go
on.
"""

import math
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from adapters.errors import AdapterError
from bot.config import HostConfig, load_host
from bot.exit_codes import ExitCode, ending_of
from bot.interrupts import Interrupts
from ops.runs.folder import PLACE, PROGRESS, REQUEST, RESULT, RunFolder
from strategies.errors import ArgonautError, ConfigError

_TELL_SECS = 0.5


class Run(NamedTuple):
    """One run, as its process sees it."""

    folder: RunFolder
    state_dir: Path
    options: Mapping[str, Any]
    files: Mapping[str, list[str]]
    """Absolute paths of what the options name."""
    check_wanted: Callable[[], None]
    """Raises if the run is to end."""

    @property
    def config(self) -> Path:
        """The configuration file."""
        return Path(self.files["config"][0])

    def place(self, **outputs: Path) -> None:
        """Say where output lies."""
        root = self.state_dir.resolve()
        self.folder.write(
            PLACE, {name: str(path.resolve().relative_to(root)) for name, path in outputs.items()}
        )

    def host(self, strategies: list[str]) -> HostConfig:
        """The host that is asked for, over the span that is."""
        given = {f"data.{name}": self.options[name] for name in ("start", "end") if self.options[name]}
        return load_host(self.config, given | ({"strategies": strategies} if strategies else {}))


class Progress:
    """Writes down how far a run is, but not too often.

    Args:
        folder: Where to.
        monotonic: Clock, seconds.
    """

    def __init__(self, folder: RunFolder, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._told_at = -math.inf

    def __call__(self, done: int, total: int) -> None:
        """Say how much is done of how much."""
        now = self._monotonic()
        if now - self._told_at < _TELL_SECS and done < total:
            return
        self._told_at = now
        frac = done / total if total else 0.0
        self._folder.write(PROGRESS, {"done": done, "total": total, "done_frac": frac})


def backtest(run: Run, progress: Progress) -> Mapping[str, Any]:
    """Carry a backtest out."""
    from bot.runs.backtests import backtest as run_backtest

    finished = run_backtest(
        run.host(run.files.get("strategies", [])),
        run.state_dir / "runs",
        workers=1 if run.options["baselines"] else 0,
        progress=progress,
        check_wanted=run.check_wanted,
    )
    run.place(output=finished.run_dir)
    return finished.as_json()


def train(run: Run, progress: Progress) -> Mapping[str, Any]:
    """Carry a training out, or go on with one."""
    _need_trainers()
    from bot.learning.training import load_training
    from bot.learning.training import train as run_training

    finished = run_training(
        load_training(run.config),
        run.state_dir,
        now_ns=time.time_ns,
        progress=progress,
        check_wanted=run.check_wanted,
        begun=lambda run_dir: run.place(output=run_dir),
        say=_say,
    )
    bundle = finished.bundle
    run.place(output=run.state_dir / finished.run.run_dir, model=bundle.path)
    return {
        "run_id": finished.run.run_id,
        "is_new": finished.is_new,
        "name": bundle.name,
        "bundle_id": bundle.bundle_id,
        "scorecard": finished.scorecard,
    }


def walk_forward(run: Run, progress: Progress) -> Mapping[str, Any]:
    """Carry a walk-forward out, or go on with one."""
    _need_trainers()
    from bot.runs.walk_forward import as_json, run_walk_forward
    from ml.walk_forward import Window

    options = run.options
    in_bars = options["train_bars"] is not None
    window = (
        Window(options["train_bars"], options["test_bars"], "bars")
        if in_bars
        else Window(options["train_days"], options["test_days"], "days")
    )
    finished = run_walk_forward(
        run.config,
        window,
        run.state_dir / "walk-forwards",
        baselines=options["baselines"],
        workers=1,
        progress=progress,
        check_wanted=run.check_wanted,
        begun=lambda directory: run.place(output=directory),
    )
    run.place(output=finished.directory)
    return as_json(finished)


def regime_fit(run: Run, progress: Progress) -> Mapping[str, Any]:
    """Fit a regime model on the bars of a span."""
    _need_trainers()
    from bot.learning.regimes import fit_regime

    directory = run.state_dir / "regimes" / run.folder.path.name
    document = fit_regime(run.host(run.files["strategy"]), directory, run.options)
    run.place(output=directory)
    progress(1, 1)
    return document


KINDS: Mapping[str, Callable[[Run, Progress], Mapping[str, Any]]] = {
    "backtest": backtest,
    "train": train,
    "walk-forward": walk_forward,
    "regime-fit": regime_fit,
}


def carry_out(folder: RunFolder, state_dir: Path) -> int:
    """Do what a folder's request says, and write down what came of it; the exit code."""
    request = folder.read(REQUEST)
    try:
        with Interrupts().remembered(signal.SIGTERM) as interrupts:
            run = Run(folder, state_dir, request["options"], request["files"], interrupts.check)
            result = KINDS[request["kind"]](run, Progress(folder))
        folder.write(RESULT, result)
        faults = result.get("faults")
        return (
            _end(folder, ExitCode.FINDINGS, f"strategies halted: {faults}", result) if faults else ExitCode.OK
        )
    except KeyboardInterrupt:
        return _end(folder, ExitCode.INTERRUPTED, "interrupted")
    except Exception as error:  # noqa: BLE001 - whatever it is, this is where it is looked for
        if not isinstance(error, ArgonautError | AdapterError):
            traceback.print_exc()
        return _end(folder, *ending_of(error))


def _end(folder: RunFolder, code: ExitCode, message: str, result: Mapping[str, Any] | None = None) -> int:
    _say(message)
    folder.write(RESULT, {**(result or {}), "error": {"message": message, "exit_code": int(code)}})
    return code


def _need_trainers() -> None:
    if find_spec("torch") is None:
        raise ConfigError("training needs more than trading does: run `make learn`, then ask again")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the warden keeps it


if __name__ == "__main__":
    sys.exit(carry_out(RunFolder(Path(sys.argv[1])), Path(sys.argv[2])))
