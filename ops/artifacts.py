"""Writes a run's directory: every record in an open format, the figures, the report.

    path = write_run(state_dir / "runs", RunContents(…))    # from bot/backtest.py

    config.toml pins.json metrics.json data_quality.json report.html
    decisions.parquet verdicts.parquet equity.parquet baselines.parquet
    orders.csv fills.csv trades.csv positions.csv regimes.csv equity_daily.csv halts.csv
    models/                                                  # what traded, where config.toml names it
    manifest.json                                            # SHA-256 of every other file

A directory is there as a whole or not at all: it is written beside its place, flushed, then renamed.
Equal contents give equal bytes: no time of writing, fixed writer settings, sorted keys.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ml.evaluation import EquityCurve, PositionRow, RoundTrip
from ops.report import RunContents, render_report
from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    OrderRecord,
    VerdictRecord,
)

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MANIFEST = "manifest.json"
METRICS = "metrics.json"
EQUITY = "equity.parquet"
BASELINES = "baselines.parquet"
FILLS = "fills.csv"
DECISIONS = "decisions.parquet"
DAY_NS = 86_400_000_000_000


class RegimeStay(NamedTuple):
    """An unbroken stay of a strategy in one regime state."""

    strategy: str
    state: int
    first_ts: int
    """First bar of the stay, UTC nanoseconds."""
    last_ts: int
    """Last bar of the stay, UTC nanoseconds."""
    bars: int
    mean_probability: float
    """Mean belief in the state during the stay."""


def write_run(parent: Path, run: RunContents, *, replace: bool = False) -> Path:
    """Write a run's directory, or find that it is already there.

    Args:
        parent: Directory that holds the runs; made where it is missing.
        run: What is written.
        replace: Whether a run of the same id but other contents gives way.

    Returns:
        The run's directory.

    Raises:
        ValueError: If the run id cannot be a directory name.
        FileExistsError: If another run has the id and ``replace`` is off; it is left as it is.
        OSError: If writing fails, for instance on a full disk; nothing is left behind.
    """
    if not RUN_ID.fullmatch(run.run_id):
        raise ValueError(
            f"run id {run.run_id!r}: expected up to 100 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    parent.mkdir(parents=True, exist_ok=True)
    place, draft = parent / run.run_id, parent / f".{run.run_id}.{os.getpid()}.partial"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        _write_files(draft, run)
        _publish(draft, place, replace=replace)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def _write_files(draft: Path, run: RunContents) -> None:
    tape, matched = run.tape, run.evaluation.matched
    _text(draft / "config.toml", run.config_text)
    _json(draft / "pins.json", run.pins)
    _json(draft / METRICS, run.evaluation.as_json())
    _json(draft / "data_quality.json", run.data_quality)
    _parquet(draft / DECISIONS, DecisionRecord, tape.decisions)
    _parquet(draft / "verdicts.parquet", VerdictRecord, tape.verdicts)
    _parquet(draft / EQUITY, EquityRecord, tape.equity)
    _write_table(draft / BASELINES, _curve_table(run.evaluation.baseline_curves))
    _csv(draft / "orders.csv", OrderRecord, tape.orders)
    _csv(draft / FILLS, FillRecord, tape.fills)
    _csv(draft / "trades.csv", RoundTrip, matched.trades)
    _csv(draft / "positions.csv", PositionRow, matched.positions)
    _csv(draft / "regimes.csv", RegimeStay, regime_stays(tape.decisions))
    _csv(draft / "equity_daily.csv", EquityRecord, last_of_each_day(tape.equity))
    _csv(draft / "halts.csv", HaltRecord, tape.halts)
    _text(draft / "report.html", render_report(run))
    for place, content in run.models.items():
        (draft / place).parent.mkdir(parents=True, exist_ok=True)
        (draft / place).write_bytes(content)
    _json(draft / MANIFEST, _hashes(draft))
    for path in (*draft.rglob("*"), draft):
        _flush(path)


def _hashes(place: Path) -> dict[str, str]:
    """SHA-256 of every file by its path in the directory."""
    files = (path for path in sorted(place.rglob("*")) if path.is_file())
    return {path.relative_to(place).as_posix(): _sha256(path) for path in files}


def _publish(draft: Path, place: Path, *, replace: bool) -> None:
    if place.exists():
        if _holds(place, (draft / MANIFEST).read_bytes()):
            return
        if not replace:
            raise FileExistsError(
                f"{place} holds another run of this id: expected equal contents or no such directory; "
                "move it away, or ask for it to be replaced"
            )
        # Two renames, so that a reader finds the old run or the new one, never a mixture.
        retired = draft.with_suffix(".retired")
        shutil.rmtree(retired, ignore_errors=True)
        place.rename(retired)
        draft.rename(place)
        shutil.rmtree(retired)
    else:
        draft.rename(place)
    _flush(place.parent)


def is_whole(run_dir: Path) -> bool:
    """Whether a run directory is what was written: every file, and no other.

    Raises:
        OSError: If it cannot be read.
    """
    return _holds(run_dir, (run_dir / MANIFEST).read_bytes())


def _holds(place: Path, manifest: bytes) -> bool:
    """Whether the directory holds exactly what the manifest says, unharmed."""
    expected = {MANIFEST: hashlib.sha256(manifest).hexdigest(), **json.loads(manifest)}
    return _hashes(place) == expected


def regime_stays(decisions: Iterable[DecisionRecord]) -> list[RegimeStay]:
    """The timeline of regimes: one row per unbroken stay, in order of its beginning."""
    stays: list[list[DecisionRecord]] = []
    current: dict[str, list[DecisionRecord]] = {}
    for decision in decisions:
        if decision.regime_state < 0:
            continue
        stay = current.get(decision.strategy)
        if stay is None or stay[0].regime_state != decision.regime_state:
            stay = current[decision.strategy] = []
            stays.append(stay)
        stay.append(decision)
    return [_stay(stay) for stay in stays]


def _stay(decisions: Sequence[DecisionRecord]) -> RegimeStay:
    first, last = decisions[0], decisions[-1]
    belief = sum(decision.regime_probs[first.regime_state] for decision in decisions) / len(decisions)
    return RegimeStay(
        first.strategy, first.regime_state, first.ts_event, last.ts_event, len(decisions), belief
    )


def last_of_each_day(records: Iterable[EquityRecord]) -> list[EquityRecord]:
    """Each strategy's last mark of every UTC day; a mark at midnight ends the day before."""
    last = {((record.ts_event - 1) // DAY_NS, record.strategy): record for record in records}
    return list(last.values())


def _parquet(path: Path, record_type: type, records: Sequence[tuple[Any, ...]]) -> None:
    _write_table(path, _table(record_type, records))


def _write_table(path: Path, table: pa.Table) -> None:
    pyarrow.parquet.write_table(table, path, compression="zstd", version="2.6", row_group_size=131_072)


def _curve_table(curves: Mapping[str, EquityCurve]) -> pa.Table:
    """Curves of which nothing but the marks is known, in the columns that `EquityRecord` has for them."""
    columns = {
        name: np.concatenate([getattr(curve, name) for curve in curves.values()] or [np.zeros(0)])
        for name in ("ts_event", "equity", "fees", "gross_exposure")
    }
    owners = np.repeat(np.array(list(curves), dtype=object), [len(curve.equity) for curve in curves.values()])
    arrays = {
        "ts_event": pa.array(columns.pop("ts_event").astype(np.int64)),
        "strategy": pa.array(owners.tolist(), type=pa.string()),
    }
    return pa.table(arrays | {name: pa.array(values) for name, values in columns.items()})


def _csv(path: Path, record_type: type, records: Sequence[tuple[Any, ...]]) -> None:
    table = _table(record_type, records)
    for at, column in enumerate(table.schema):
        if pa.types.is_floating(column.type):
            table = table.set_column(at, column.name, _blank_for_nan(table.column(at)))
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    pyarrow.csv.write_csv(table, path, options)


def _blank_for_nan(column: pa.ChunkedArray) -> pa.Array:
    values = column.to_numpy()
    return pa.array(values, mask=np.isnan(values))


def _table(record_type: type, records: Sequence[tuple[Any, ...]]) -> pa.Table:
    hints = get_type_hints(record_type)
    columns = {
        name: _column(hint, [*map(itemgetter(at), records)]) for at, (name, hint) in enumerate(hints.items())
    }
    return pa.table(columns)


def _column(hint: Any, values: list[Any]) -> pa.Array:
    if get_origin(hint) is tuple:
        offsets = np.zeros(len(values) + 1, dtype=np.int32)
        np.cumsum([len(value) for value in values], out=offsets[1:])
        flat = np.fromiter((x for value in values for x in value), np.float64, count=int(offsets[-1]))
        assert get_args(hint)[0] is float
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
    types = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    return pa.array(values, type=types[hint])


def _json(path: Path, document: Any) -> None:
    _text(path, json.dumps(document, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
