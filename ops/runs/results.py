"""What backtests have left, for whoever looks: which there are, one of them, its curves, its trades.

    runs/<run>/                                 of `argonaut backtest`, and of runs that a daemon carried out
    walk-forwards/<id>/fold-<n>/runs/<run>/     of a walk-forward

A run that is not whole, or whose bytes are not those that its manifest names, is told of with what is wrong
with it. What is asked for again is read once as long as its file stays what it was. For a process beside the
daemon: it reads Parquet.
"""

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from os.path import normpath
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from ml.evaluation import RoundTrip
from ops.artifacts import BASELINES, EQUITY, MANIFEST, METRICS
from ops.refusals import RefusedError
from ops.report.charts import equity_lines
from ops.run_records import read_curves
from ops.runs.folder import FOLDER, RunFolder
from strategies.tape import HaltRecord

MOST_RUNS = 1_000
"""Of a list; the newest."""
MOST_POINTS = 1_500
MOST_FILE_BYTES = 2**30
"""A larger file is not read here."""

TRADES, VERDICTS, HALTS, DAILY, CONFIG, PINS = (
    "trades.csv",
    "verdicts.parquet",
    "halts.csv",
    "equity_daily.csv",
    "config.toml",
    "pins.json",
)
_LISTED = (
    "total_return_frac",
    "sharpe",
    "max_drawdown_frac",
    "profit_factor",
    "hit_rate",
    "average_trade_bps",
    "trade_count",
    "initial_equity_quote",
    "final_equity_quote",
    "costs",
)
_SHOWN = [name for name in RoundTrip._fields if name != "exit_order_id"]
"""Columns of the round trips; nobody looks at the order's id in a table, and the file has it."""
_SPARK_POINTS = 60
_MOST_HELD = 10_000
_MOST_HALTS = 200
_MOST_CONFIG_BYTES = 256 * 1024
_FAULTS = (OSError, KeyError, TypeError, ValueError, pa.ArrowException)


class _Place(NamedTuple):
    """Where a run lies, and what it is called here."""

    key: str
    path: Path
    kind: str


class _Stamp(NamedTuple):
    """Another where a file is another."""

    path: Path
    size_bytes: int
    mtime_ns: int


class Results:
    """The recorded backtests of one state directory.

    Args:
        state_dir: Where they lie.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._hashes: dict[_Stamp, str] = {}
        self._rows: dict[tuple[object, ...], dict[str, Any]] = {}
        self._trades: tuple[_Stamp, pa.Table] | None = None

    def newest(self, limit: int) -> dict[str, Any]:
        """A row for each run, newest first."""
        asked = self._asked_for()
        places = sorted(self._places(), key=lambda one: (-_finished_ns(one.path), one.key))
        rows = [{**self._row(one), "asked_as": asked.get(one.path)} for one in places[:limit]]
        return {"rows": rows, "total": len(places)}

    def show(self, key: str) -> dict[str, Any]:
        """All of one run but its curves and trades.

        Raises:
            RefusedError: If there is none of that name.
        """
        place = self._find(key)
        files = self._files(place.path)
        row = {**self._row(place), "asked_as": self._asked_for().get(place.path)}
        wrong = [f"{one['name']} {one['state']}" for one in files if one["state"] != "whole"]
        if row["state"] == "whole" and wrong:
            row |= {"state": "damaged", "problem": ", ".join(wrong)}
        return row | {
            "files": files,
            "all_metrics": _read_or_none(lambda: _document(place.path / METRICS)),
            "pins": _read_or_none(lambda: _document(place.path / PINS)),
            "config": _read_or_none(lambda: _text(place.path / CONFIG)),
            "verdicts": _read_or_none(lambda: _verdicts(place.path / VERDICTS)),
            "halts": _read_or_none(lambda: _halts(place.path / HALTS)),
        }

    def curves(self, key: str) -> dict[str, Any]:
        """Equity, drawdown and exposure of a run, with its baselines: as `ops.report` draws them.

        Raises:
            RefusedError: If there is none of that name, or its curves cannot be read.
        """
        place = self._find(key)
        try:
            for name in (EQUITY, BASELINES):
                _bounded(place.path / name)
            found = read_curves(place.path, _document(place.path / METRICS))
            return equity_lines(*found, MOST_POINTS)
        except _FAULTS as error:
            raise RefusedError(f"{key}: its curves cannot be read: {_words(error)}") from error

    def trades(self, key: str, offset: int, limit: int) -> dict[str, Any]:
        """A page of the round trips of a run, column by column, in the order of their exits.

        Raises:
            RefusedError: If there is none of that name, or its trades cannot be read.
        """
        path = self._find(key).path / TRADES
        try:
            stamp = _stamp(path)
            if self._trades is None or self._trades[0] != stamp:
                self._trades = stamp, _csv(path).select(_SHOWN)
            table = self._trades[1]
            page = table.slice(offset, limit)
            columns = {name: _packed(page.column(name)) for name in page.column_names}
        except _FAULTS as error:
            raise RefusedError(f"{key}: its trades cannot be read: {_words(error)}") from error
        return {"total": table.num_rows, "offset": offset, "rows": page.num_rows, "columns": columns}

    # -- where they are ----------------------------------------------------------------------------

    def _places(self) -> Iterator[_Place]:
        for path in _folders(self._state_dir / "runs"):
            yield _Place(path.name, path, "backtest")
        for walk in _folders(self._state_dir / "walk-forwards"):
            for fold in _folders(walk):
                for path in _folders(fold / "runs"):
                    yield _Place(f"{walk.name}.{fold.name}.{path.name}", path, "walk-forward")

    def _find(self, key: str) -> _Place:
        found = next((one for one in self._places() if one.key == key), None)
        if found is None:
            raise RefusedError(f"no recorded run is called {key[:200]!r}", is_unknown=True)
        return found

    def _asked_for(self) -> dict[Path, int]:
        """Number of the run of `/v1/runs` that left a directory, where one did."""
        found = {}
        for folder in _folders(self._state_dir / FOLDER):
            if folder.name.isdecimal():
                for path in RunFolder(folder).outputs(self._state_dir).values():
                    found[path] = int(folder.name)
        return found

    # -- one run -----------------------------------------------------------------------------------

    def _row(self, place: _Place) -> dict[str, Any]:
        """What a list says of a run; read again only where a file is another."""
        path = place.path
        stamps = (
            place.key,
            _stamp_or_none(path),
            *(_stamp_or_none(path / name) for name in (MANIFEST, METRICS, PINS, CONFIG, DAILY)),
        )
        held = self._rows.get(stamps)
        if held is None:
            if len(self._rows) > _MOST_HELD:
                self._rows.clear()
            held = self._rows[stamps] = _row(place)
        return held

    def _files(self, path: Path) -> list[dict[str, Any]]:
        """Every file that belongs to a run, and whether its bytes are those that were written."""
        manifest = _read_or_none(lambda: _document(path / MANIFEST))
        if not isinstance(manifest, dict):
            there = _read_or_none(lambda: sorted(one.name for one in path.iterdir() if one.is_file())) or []
            return [{"name": name, "state": "not in a manifest", "size_bytes": None} for name in there]
        below = [name for name in sorted(manifest) if normpath(path / name).startswith(f"{normpath(path)}/")]
        return [self._file(path, name, manifest[name]) for name in below]

    def _file(self, folder: Path, name: str, digest: object) -> dict[str, Any]:
        path = folder / name
        try:
            stamp = _stamp(path)
            if stamp.size_bytes > MOST_FILE_BYTES:
                return {"name": name, "state": "too large to be checked", "size_bytes": stamp.size_bytes}
            if stamp not in self._hashes:
                if len(self._hashes) > _MOST_HELD:
                    self._hashes.clear()
                with path.open("rb") as file:
                    self._hashes[stamp] = hashlib.file_digest(file, "sha256").hexdigest()
            state = "whole" if self._hashes[stamp] == digest else "changed"
            return {"name": name, "state": state, "size_bytes": stamp.size_bytes}
        except OSError:
            return {"name": name, "state": "missing", "size_bytes": None}


def _row(place: _Place) -> dict[str, Any]:
    path = place.path
    row: dict[str, Any] = {
        "key": place.key,
        "run_id": path.name,
        "kind": place.kind,
        "finished_ns": _finished_ns(path),
        "state": "whole",
        "problem": None,
        "strategies": [],
        "instruments": [],
        "currency": None,
        "start_ts": None,
        "end_ts": None,
        "metrics": None,
        "spark": [],
    }
    try:
        manifest = _document(path / MANIFEST)
        absent = [name for name in sorted(manifest) if not (path / name).is_file()]
        if absent:
            row |= {"state": "partial", "problem": f"missing: {', '.join(absent)}"}
    except _FAULTS as error:
        state = "damaged" if (path / MANIFEST).exists() else "partial"
        row |= {"state": state, "problem": f"{MANIFEST}: {_words(error)}"}
    try:
        row |= _figures(path)
    except _FAULTS as error:
        if row["state"] == "whole":
            row |= {"state": "damaged", "problem": f"{METRICS}: {_words(error)}"}
    for name, read in (("instruments", _instruments), ("currency", _currency), ("spark", _spark)):
        found = _read_or_none(lambda read=read: read(path))  # type: ignore[misc]
        row[name] = row[name] if found is None else found
    return row


def _figures(path: Path) -> dict[str, Any]:
    metrics = _document(path / METRICS)
    return {
        "strategies": sorted(metrics["strategies"]),
        "start_ts": int(metrics["start_ts"]),
        "end_ts": int(metrics["end_ts"]),
        "metrics": {name: metrics.get(name) for name in _LISTED},
    }


def _instruments(path: Path) -> list[str]:
    return sorted({str(name).partition("-")[0] for name in _document(path / PINS)["data"]})


def _currency(path: Path) -> str:
    """Of the account, out of the configuration as it was written down."""
    for line in _text(path / CONFIG).splitlines():
        if line.startswith("host.venue.currency"):
            return str(tomllib.loads(f"value = {line.partition('=')[2]}")["value"])
    raise ValueError("it names no currency")


def _spark(path: Path) -> list[float]:
    """The account at the end of each day, thinned."""
    table = _csv(path / DAILY)
    days: dict[int, dict[str, float]] = {}
    for ts, strategy, equity in zip(
        *(table.column(name).to_pylist() for name in ("ts_event", "strategy", "equity")), strict=True
    ):
        days.setdefault(ts, {})[strategy] = equity
    newest: dict[str, float] = {}
    sums = []
    for ts in sorted(days):
        newest |= days[ts]
        sums.append(sum(newest.values()))
    step = max(1, -(-len(sums) // _SPARK_POINTS))
    return sums[::-step][::-1]


def _verdicts(path: Path) -> list[dict[str, Any]]:
    """How often each strategy was told what, for which reason."""
    _bounded(path)
    names = ["strategy", "reason", "requested", "approved"]
    table = pyarrow.parquet.read_table(path, columns=names)
    approved, requested = pc.abs(table.column("approved")), pc.abs(table.column("requested"))
    outcome = pc.if_else(
        pc.equal(approved, 0.0), "refused", pc.if_else(pc.less(approved, requested), "cut", "approved")
    )
    counted = table.append_column("outcome", outcome)
    grouped = counted.group_by(["strategy", "reason", "outcome"]).aggregate([([], "count_all")])
    rows = grouped.rename_columns({"count_all": "count"}).to_pylist()
    return sorted(rows, key=lambda row: (row["strategy"], -row["count"], row["reason"]))


def _halts(path: Path) -> list[dict[str, Any]]:
    table = _csv(path).select(list(HaltRecord._fields))
    rows: list[dict[str, Any]] = table.slice(0, _MOST_HALTS).to_pylist()
    return rows


# -- files -----------------------------------------------------------------------------------------


def _folders(parent: Path) -> list[Path]:
    """Folders in a folder, by name; links and what is being written are none."""
    try:
        with os.scandir(parent) as entries:
            found = [one for one in entries if not one.name.startswith(".")]
    except OSError:
        return []
    return [parent / one.name for one in sorted(found, key=lambda one: one.name) if _is_folder(one)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)


def _finished_ns(path: Path) -> int:
    for one in (path / MANIFEST, path):
        stamp = _stamp_or_none(one)
        if stamp is not None:
            return stamp.mtime_ns
    return 0


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return _Stamp(path, status.st_size, status.st_mtime_ns)


def _stamp_or_none(path: Path) -> _Stamp | None:
    return _read_or_none(lambda: _stamp(path))


def _bounded(path: Path) -> None:
    if path.stat().st_size > MOST_FILE_BYTES:
        raise ValueError(f"{path.name}: expected at most {MOST_FILE_BYTES} bytes, found more")


def _document(path: Path) -> Any:
    _bounded(path)
    found = json.loads(path.read_bytes())
    if not isinstance(found, Mapping):
        raise TypeError("expected an object")
    return found


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_CONFIG_BYTES).decode(errors="replace")


def _csv(path: Path) -> pa.Table:
    _bounded(path)
    return pyarrow.csv.read_csv(path)


def _packed(column: pa.ChunkedArray) -> Any:
    """A column as JSON has it; of texts each once, and where it stands."""
    if not pa.types.is_string(column.type):
        return column.to_pylist()
    encoded = column.combine_chunks().dictionary_encode()
    return {"names": encoded.dictionary.to_pylist(), "at": encoded.indices.to_pylist()}


def _read_or_none[T](read: Callable[[], T]) -> T | None:
    try:
        return read()
    except _FAULTS:
        return None


def _words(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file is missing"
    if isinstance(error, KeyError):
        return f"it says nothing of {error}"
    return str(error).partition("\n")[0][:300]
