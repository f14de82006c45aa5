"""The folds of a walk-forward, and what each leaves behind."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from ml.datasets import Ints
from ml.evaluation import EquityCurve
from ml.evaluation.regimes import RegimeMetrics, StateMetrics
from ml.splits import Split, rolling_days, rolling_walk_forward
from strategies.errors import DataError
from strategies.tape import FillRecord

FORMAT = "argonaut fold 1"
_COLUMNS = ("ts_event", "equity", "fees", "gross_exposure")


@dataclass(frozen=True, slots=True)
class Window:
    """How much is trained on and how much is tested on, before both move on by the tested part."""

    train: int = 252
    test: int = 63
    unit: Literal["days", "bars"] = "days"
    """days: UTC dates that have bars."""
    horizon_bars: int = 1
    """How far a label or a reward looks ahead; so many bars before the test are not trained on."""
    embargo_bars: int = 0
    """Bars left out before the test, beyond those."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One pair of spans; all times are closes of bars, UTC nanoseconds, and belong to their span."""

    number: int
    """From 1."""
    train_start_ns: int
    train_end_ns: int
    test_start_ns: int
    test_end_ns: int

    @property
    def name(self) -> str:
        """Of the fold's directory."""
        return f"fold-{self.number:03d}"


def plan_folds(ts_event: Ints, window: Window) -> tuple[Fold, ...]:
    """Lay the windows over a history.

    Args:
        ts_event: Close times of the bars that are traded, UTC nanoseconds, shape (T,).
        window: What is laid.

    Raises:
        DataError: If not one fold fits, or nothing would be left to train on.
    """
    rows = np.arange(len(ts_event))
    ends = np.minimum(rows + window.horizon_bars, max(len(ts_event) - 1, 0))
    embargo = window.embargo_bars
    splits: list[Split] = (
        rolling_days(ts_event, ends, train_days=window.train, test_days=window.test, embargo_bars=embargo)
        if window.unit == "days"
        else rolling_walk_forward(ends, train_bars=window.train, test_bars=window.test, embargo_bars=embargo)
    )
    return tuple(
        Fold(
            number,
            int(ts_event[split.train[0]]),
            int(ts_event[split.train[-1]]),
            int(ts_event[split.test[0]]),
            int(ts_event[split.test[-1]]),
        )
        for number, split in enumerate(splits, start=1)
    )


@dataclass(frozen=True, slots=True, eq=False)
class FoldOutcome:
    """What the model of one fold did on its test span."""

    curve: EquityCurve
    """Of the test span alone."""
    baselines: Mapping[str, EquityCurve] = field(default_factory=dict)
    """Over the same span."""
    fills: Sequence[FillRecord] = ()
    regimes: RegimeMetrics | None = None

    def save(self, path: Path) -> None:
        """Write it as one file, wholly or not at all; equal outcomes give equal bytes."""
        curves = {"": self.curve, **self.baselines}
        header = {
            "format": FORMAT,
            "initials": {name: curve.initial for name, curve in curves.items()},
            "fills": [list(fill) for fill in self.fills],
            "regimes": None if self.regimes is None else asdict(self.regimes),
        }
        arrays: dict[str, np.ndarray] = {
            f"{at} {column}": getattr(curve, column)
            for at, curve in enumerate(curves.values())
            for column in _COLUMNS
        }
        content = io.BytesIO()
        text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        np.savez(content, header=text, **arrays)  # type: ignore[arg-type] # its stub takes the arrays for allow_pickle
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(content.getvalue())
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; nothing in the file is executed.

        Raises:
            DataError: If it is missing, damaged or of another format.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                header: dict[str, Any] = json.loads(archive["header"].tobytes())
                if header["format"] != FORMAT:
                    raise ValueError(f"its format is {header['format']!r}")
                curves = {
                    name: EquityCurve(initial, *(archive[f"{at} {column}"] for column in _COLUMNS))
                    for at, (name, initial) in enumerate(header["initials"].items())
                }
            fills = [FillRecord(*row) for row in header["fills"]]
            return cls(curves.pop(""), curves, fills, _regimes(header["regimes"]))
        except (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{path}: expected the outcome of a fold, but it cannot be read: {error}; delete it and run "
                "the walk-forward again"
            ) from error


def _regimes(document: Any) -> RegimeMetrics | None:
    if document is None:
        return None
    states = tuple(StateMetrics(**state) for state in document["states"])
    return RegimeMetrics(states, tuple(tuple(row) for row in document["transitions"]))
