"""Files of bars as data vendors publish them.

Flow: **sources** → checks → importer → catalog.

Parquet and CSV (plain, gzipped or zipped) with the columns ts, open, high, low, close, volume, where ts is
when the bar *opened*: an integer since 1970 in seconds, milli-, micro- or nanoseconds, or a timestamp.
CSV without a header (Binance Vision, Kraken) is read by position. Nothing is repaired here.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from adapters.bars import VALUE_FIELDS, Floats, Ints
from adapters.errors import IngestError

TIME_NAMES = ("ts", "open_time", "timestamp", "time", "date", "datetime")
"""Names under which the time of a bar's open is looked for, in this order."""

_UNIT_NAMES = {1: "SECOND", 60: "MINUTE", 3_600: "HOUR", 86_400: "DAY"}
# Integers of these sizes are times from 1973 to 5138 in the unit beside them.
_NS_PER_UNIT = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """Where bars came from."""

    name: str
    """File name without its directory."""
    sha256: str
    """Of the file's bytes."""
    rows: int


@dataclass(frozen=True, slots=True)
class SourceBars:
    """The bars of one file, as they are in it."""

    file: SourceFile
    ts_open: Ints
    """When each bar opened, UTC nanoseconds, shape (T,)."""
    values: dict[str, Floats]
    """open, high, low, close and volume, each of shape (T,)."""


def usual_interval(bars: SourceBars) -> str:
    """Tell the interval of bars from the commonest distance between two of them.

    Raises:
        IngestError: If there is a single bar.
    """
    steps = np.diff(bars.ts_open)
    lengths, counts = np.unique(steps[steps > 0], return_counts=True)
    if not len(lengths):
        raise IngestError(
            f"{bars.file.name}: expected an interval, found too few bars to tell it; give it with --interval"
        )
    seconds = int(lengths[counts.argmax()]) // 10**9
    unit = next((unit for unit in (86_400, 3_600, 60) if seconds % unit == 0), 1)
    return f"{seconds // unit}-{_UNIT_NAMES[unit]}"


def read_source(path: Path) -> SourceBars:
    """Read one file of bars.

    Raises:
        IngestError: If it is missing, damaged or empty, or lacks a column.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IngestError(
            f"{path}: expected a file of bars, found none that can be read ({error.strerror}); check the path"
        ) from error
    try:
        table = _read_table(path, content)
    except (pa.ArrowException, OSError, ValueError, zipfile.BadZipFile) as error:
        raise IngestError(
            f"{path.name}: expected Parquet or CSV, found damage: {error}; fetch the file again"
        ) from error
    if table.num_rows == 0:
        raise IngestError(f"{path.name}: expected bars, found no rows; leave the file out")
    file = SourceFile(path.name, hashlib.sha256(content).hexdigest(), table.num_rows)
    ts_open = _read_times(table, path.name)
    return SourceBars(file, ts_open, {name: _read_values(table, name, path.name) for name in VALUE_FIELDS})


def _read_table(path: Path, content: bytes) -> pa.Table:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".zip" in suffixes[-1:]:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if len(names) != 1:
                raise ValueError(f"an archive of {len(names)} CSV files where one was expected")
            return _read_csv(archive.read(names[0]))
    if suffixes[-2:] == [".csv", ".gz"]:
        return _read_csv(pa.CompressedInputStream(pa.BufferReader(content), "gzip").read())
    if ".csv" in suffixes[-1:]:
        return _read_csv(content)
    return pq.read_table(pa.BufferReader(content))


def _read_csv(content: bytes) -> pa.Table:
    first_line = content.split(b"\n", 1)[0].decode()
    has_header = not first_line.split(",")[0].strip(' "').removeprefix("-").replace(".", "").isdigit()
    convert = pa.csv.ConvertOptions(column_types=dict.fromkeys(VALUE_FIELDS, pa.float64()))
    read = pa.csv.ReadOptions()
    if not has_header:
        width = first_line.count(",") + 1
        named = ("ts", *VALUE_FIELDS)
        read.column_names = [*named, *(f"column {at}" for at in range(len(named) + 1, width + 1))]
    return pa.csv.read_csv(io.BytesIO(content), read_options=read, convert_options=convert)


def _read_times(table: pa.Table, name: str) -> Ints:
    found = next((column for column in TIME_NAMES if column in table.column_names), None)
    if found is None:
        raise _missing_column(table, "ts", name)
    column = table[found]
    if column.null_count:
        row = int(pc.index(column.is_null(), True).as_py()) + 1
        raise IngestError(f"{name}: row {row:,}: {found} is empty: expected a time; fill or drop the row")
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        nanoseconds: Ints = column.cast(pa.timestamp("ns", tz=column.type.tz)).cast(pa.int64()).to_numpy()
        return nanoseconds
    if not pa.types.is_integer(column.type):
        raise IngestError(
            f"{name}: {found} is {column.type}: expected integers since 1970, or timestamps; "
            "convert the column"
        )
    times: Ints = column.cast(pa.int64()).to_numpy()
    # The largest decides: the unit is the file's, not the row's.
    largest = int(np.abs(times).max())
    return times * next((factor for bound, factor in _NS_PER_UNIT if largest < bound), 1)


def _read_values(table: pa.Table, column_name: str, name: str) -> Floats:
    if column_name not in table.column_names:
        raise _missing_column(table, column_name, name)
    try:
        column = table[column_name].cast(pa.float64())
    except pa.ArrowException as error:
        raise IngestError(
            f"{name}: {column_name}: expected numbers, found {error}; convert the column"
        ) from error
    values: Floats = np.asarray(column.to_numpy(), dtype=np.float64)
    return values


def _missing_column(table: pa.Table, column_name: str, name: str) -> IngestError:
    columns: list[Any] = table.column_names
    return IngestError(
        f"{name}: expected a column {column_name}, found {', '.join(map(str, columns))}; "
        "rename the columns to ts, open, high, low, close, volume"
    )
