"""Reads what `ops.artifacts` wrote: a run's figures and curves, as they were.

A run whose files are not what its manifest says is refused: a comparison must not rest on bytes that somebody
has changed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ml.evaluation import Calendar, EquityCurve, total_curve
from ops.artifacts import BASELINES, EQUITY, FILLS, MANIFEST, METRICS
from strategies.errors import DataError
from strategies.tape import FillRecord

_NEEDED = (METRICS, EQUITY, BASELINES, FILLS)


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A finished run, read back."""

    run_id: str
    path: Path
    metrics: Mapping[str, Any]
    """The content of ``metrics.json``."""
    account: EquityCurve
    strategies: Mapping[str, EquityCurve]
    baselines: Mapping[str, EquityCurve]
    fills: tuple[FillRecord, ...]

    @property
    def calendar(self) -> Calendar:
        """What the run was annualised by."""
        found = self.metrics["method"]["calendar"]
        return Calendar(found["bar_interval_ns"], found["days_per_year"], found["session_hours"])


def find_run(name: str, runs_dir: Path) -> Path:
    """Directory of a run that a person names by its path, its id, or the beginning of its id.

    Raises:
        DataError: If there is no such run, or more than one.
    """
    given = Path(name)
    if (given / MANIFEST).is_file():
        return given
    found = [path for path in sorted(runs_dir.glob("[!.]*")) if (path / MANIFEST).is_file()]
    matching = [path for path in found if path.name == name] or [
        path for path in found if path.name.startswith(name)
    ]
    if len(matching) != 1:
        known = ", ".join(path.name for path in (matching or found)[-5:]) or "none at all"
        raise DataError(
            f"{name}: expected the path of one run, its id or the beginning of it, found "
            f"{len(matching)} in {runs_dir} (there: {known})"
        )
    return matching[0]


def read_run(path: Path) -> RecordedRun:
    """Read a run's directory.

    Raises:
        DataError: If a file is missing, is not what the manifest says, or was written by an older version.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        absent = [name for name in _NEEDED if name not in manifest]
        if absent:
            raise DataError(
                f"{path}: expected {', '.join(absent)}, found a run without; run the backtest again"
            )
        for name in _NEEDED:
            if hashlib.sha256((path / name).read_bytes()).hexdigest() != manifest[name]:
                raise DataError(f"{path / name}: its bytes are not those of the run; run the backtest again")
        metrics = json.loads((path / METRICS).read_bytes())
        account, strategies, baselines = read_curves(path, metrics)
        return RecordedRun(path.name, path, metrics, account, strategies, baselines, _fills(path / FILLS))
    except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path}: expected a run, but it cannot be read: {error}; run the backtest again"
        ) from error


def read_curves(
    path: Path, metrics: Mapping[str, Any]
) -> tuple[EquityCurve, dict[str, EquityCurve], dict[str, EquityCurve]]:
    """The curves of a run's directory: the account's, each strategy's, each baseline's.

    Args:
        path: The directory.
        metrics: The content of its ``metrics.json``.

    Raises:
        OSError, KeyError, ValueError, pa.ArrowInvalid: If they cannot be read.
    """
    capital = {name: book["initial_equity_quote"] for name, book in metrics["strategies"].items()}
    strategies = _curves(pyarrow.parquet.read_table(path / EQUITY), capital)
    started = {name: book["initial_equity_quote"] for name, book in metrics["baselines"].items()}
    baselines = _curves(pyarrow.parquet.read_table(path / BASELINES), started)
    unallocated = metrics["initial_equity_quote"] - sum(capital.values())
    return total_curve(list(strategies.values()), unallocated), strategies, baselines


def _curves(table: pa.Table, initial: Mapping[str, float]) -> dict[str, EquityCurve]:
    owners = table.column("strategy").to_numpy()
    columns = [table.column(name).to_numpy() for name in ("ts_event", "equity", "fees", "gross_exposure")]
    return {
        name: EquityCurve(capital, *(column[owners == name] for column in columns))
        for name, capital in initial.items()
    }


def _fills(path: Path) -> tuple[FillRecord, ...]:
    types = FillRecord.__annotations__
    kinds = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    options = pyarrow.csv.ConvertOptions(
        column_types={name: kinds[kind] for name, kind in types.items()}, strings_can_be_null=False
    )
    table = pyarrow.csv.read_csv(path, convert_options=options)
    columns = [table.column(name).to_pylist() for name in types]
    nan = float(np.nan)
    rows = ([nan if value is None else value for value in row] for row in zip(*columns, strict=True))
    return tuple(FillRecord._make(row) for row in rows)
