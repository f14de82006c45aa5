"""The bars that a run can read: a Nautilus catalog, opened for reading.

Flow: **catalog** → bars → strategies.

Bars are close-stamped. A span is therefore open at its start and closed at its end: from midnight to
midnight means the bars that *opened* from the first midnight on, and closed by the second.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model import Bar, BarType
from nautilus_trader.persistence import ParquetDataCatalog

from adapters.bars import BarArrays, BarColumns
from adapters.errors import CatalogError
from adapters.instruments import NautilusInstrument
from adapters.staging import recover

_BARS = Path("data", "bars")
_PROVENANCE = Path("provenance")
# Large enough to read fast, small enough that a daemon on years of bars holds little of them.
_CHUNK_ROWS = 16_384
_NO_TIMES = np.empty(0, np.int64)
_EARLIEST, _LATEST = -(2**63), 2**63 - 1


class Span(NamedTuple):
    """The time that a series covers."""

    first_ns: int
    """Close of the first bar, UTC nanoseconds."""
    last_ns: int
    """Close of the last bar, UTC nanoseconds."""
    rows: int
    """Number of bars."""


class Catalog:
    """A catalog of bars and instruments on disk.

    Opening one finishes an import that was cut off after it was committed; see `adapters.staging`.

    Args:
        path: The catalog's directory.

    Raises:
        CatalogError: If there is no such directory.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise CatalogError(
                f"{self.path}: expected the directory of a catalog, found none; make one with "
                "`argonaut data import` or `argonaut data generate`"
            )
        recover(self.path)

    @cached_property
    def _engine(self) -> ParquetDataCatalog:
        return ParquetDataCatalog(str(self.path))

    def bar_types(self) -> tuple[str, ...]:
        """Names of the series that the catalog holds, sorted."""
        root = self.path / _BARS
        if not root.is_dir():
            return ()
        return tuple(sorted(entry.name for entry in root.iterdir() if any(entry.glob("*.parquet"))))

    def instrument_ids(self) -> tuple[str, ...]:
        """Instruments that have bars, sorted."""
        return tuple(sorted({str(BarType.from_str(name).instrument_id) for name in self.bar_types()}))

    def instrument(self, instrument_id: str) -> NautilusInstrument:
        """Load the definition of an instrument.

        Raises:
            CatalogError: If the catalog does not hold it, or it cannot be read.
        """
        try:
            found = self._engine.instruments([instrument_id])
        except (OSError, ValueError, RuntimeError) as error:
            raise CatalogError(
                f"{self.path}: expected instruments that can be read, found damage: {error}; "
                f"import the bars of {instrument_id} again with --replace"
            ) from error
        if not found:
            raise CatalogError(
                f"{self.path}: expected instrument {instrument_id}, found {_listed(self.instrument_ids())}; "
                "import its bars with `argonaut data import` or name another catalog (`[data] catalog` "
                "of the host file, or `--catalog DIR` where the command takes it)"
            )
        instrument: NautilusInstrument = found[-1]
        return instrument

    def span(self, bar_type: str) -> Span:
        """Tell from when to when there are bars, and how many.

        Raises:
            CatalogError: If there are none, or a file is damaged.
        """
        files = self.bar_files(bar_type)
        first, last = file_span(files[0])[0], file_span(files[-1])[1]
        return Span(first, last, sum(_open_parquet(file).metadata.num_rows for file in files))

    def read_bars(self, bar_type: str, start_ns: int | None = None, end_ns: int | None = None) -> list[Bar]:
        """Read bars with ``start_ns < ts_event <= end_ns``, in time order.

        Args:
            bar_type: For example ``BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL``.
            start_ns: UTC nanoseconds; None for the first bar.
            end_ns: UTC nanoseconds; None for the last bar.

        Raises:
            CatalogError: If there is no such bar, or a file is damaged.
        """
        bars: list[Bar] = []
        for chunk in self.iter_chunks(
            bar_type, start_ns, end_ns
        ):  # small batches stay in the processor's cache
            bars.extend(chunk)
        return bars

    def read_arrays(self, bar_type: str, start_ns: int | None = None, end_ns: int | None = None) -> BarArrays:
        """Read bars as `read_bars` does, as arrays of floats, many times faster."""
        return self.read_columns(bar_type, start_ns, end_ns).to_arrays()

    def read_columns(
        self, bar_type: str, start_ns: int | None = None, end_ns: int | None = None
    ) -> BarColumns:
        """Read bars as `read_bars` does, as exact integers."""
        span = self.span_within(bar_type, start_ns, end_ns)
        parts = list(self._iter_within(bar_type, span))
        if not parts:
            raise self._no_bars(bar_type, start_ns, end_ns)
        return BarColumns.concat(parts)

    def iter_chunks(
        self,
        bar_type: str,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        chunk_rows: int = 100_000,
    ) -> Iterator[list[Bar]]:
        """Yield the bars of `read_bars` in runs of at most ``chunk_rows``, so that memory stays flat.

        Raises:
            CatalogError: If there is no such bar, or a file is damaged.
        """
        span = self.span_within(bar_type, start_ns, end_ns)
        seen = False
        for columns in self._iter_within(bar_type, span):
            for at in range(0, len(columns), chunk_rows):
                seen = True
                yield columns.select(slice(at, at + chunk_rows)).to_bars(bar_type)
        if not seen:
            raise self._no_bars(bar_type, start_ns, end_ns)

    def iter_columns(self, bar_type: str) -> Iterator[BarColumns]:
        """Yield a whole series in runs of bars, file by file, in time order.

        Raises:
            CatalogError: If there are no bars, or a file is damaged.
        """
        for file in self.bar_files(bar_type):
            yield from iter_bar_file(file)

    def bar_files(self, bar_type: str) -> list[Path]:
        """Files of a series, in time order.

        Raises:
            CatalogError: If there are none.
        """
        files = sorted((self.path / _BARS / bar_type).glob("*.parquet"), key=lambda file: file.name)
        if not files:
            raise CatalogError(
                f"{self.path}: expected bars of {bar_type}, found {_listed(self.bar_types())}; "
                "import them with `argonaut data import` or name another catalog (`[data] catalog` "
                "of the host file, or `--catalog DIR` where the command takes it)"
            )
        return files

    def provenance(self, bar_type: str) -> dict[str, Any] | None:
        """What was noted when the series was imported; None where something else wrote it.

        Raises:
            CatalogError: If the note is damaged.
        """
        path = self.path / provenance_path(bar_type)
        try:
            note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CatalogError(
                f"{path}: expected a JSON object, found damage: {error}; import the bars again with --replace"
            ) from error
        return note

    def span_within(self, bar_type: str, start_ns: int | None, end_ns: int | None) -> Span:
        """Tell which part of a series lies in ``start_ns < ts_event <= end_ns``; ``rows`` are the series'.

        Raises:
            CatalogError: If there is none.
        """
        span = self.span(bar_type)
        first = span.first_ns if start_ns is None else max(span.first_ns, start_ns + 1)
        last = span.last_ns if end_ns is None else min(span.last_ns, end_ns)
        if first > last:
            raise self._no_bars(bar_type, start_ns, end_ns)
        return Span(first, last, span.rows)

    def close_back(self, bar_type: str, bars: int, at_ns: int) -> int:
        """Tell when the first of the last bars up to a time closed, however long the market was silent.

        Args:
            bar_type: The series.
            bars: How many bars, at least 1; where there are fewer, all of them.
            at_ns: Bars that close by this count, UTC nanoseconds.

        Returns:
            UTC nanoseconds.

        Raises:
            CatalogError: If there are no bars, or a file is damaged.
        """
        files = self.bar_files(bar_type)
        first_ns = file_span(files[0])[0]
        missing = bars
        for file in reversed(files):
            runs = [columns.ts_event for columns in iter_bar_file(file, last_ns=at_ns)]
            closes = np.concatenate([*runs, _NO_TIMES])
            seen = int(np.searchsorted(closes, at_ns, side="right"))
            if seen >= missing:
                return int(closes[seen - missing])
            missing -= seen
        return first_ns

    def _iter_within(self, bar_type: str, span: Span) -> Iterator[BarColumns]:
        for file in self.bar_files(bar_type):
            first, last = file_span(file)
            if first > span.last_ns or last < span.first_ns:
                continue
            for columns in iter_bar_file(file, span.first_ns, span.last_ns):
                # Bars of a file are in order, so a search finds the ends and the run stays a view.
                start = int(np.searchsorted(columns.ts_event, span.first_ns, side="left"))
                end = int(np.searchsorted(columns.ts_event, span.last_ns, side="right"))
                if start < end:
                    yield columns.select(slice(start, end))

    def _no_bars(self, bar_type: str, start_ns: int | None, end_ns: int | None) -> CatalogError:
        span = self.span(bar_type)
        asked = f"after {_shown(start_ns)} and up to {_shown(end_ns)}"
        return CatalogError(
            f"{self.path}: expected bars of {bar_type} {asked}, found none; "
            f"it holds {format_time(span.first_ns)} to {format_time(span.last_ns)}: ask for a time in there"
        )


def bar_file_path(bar_type: str, first_ns: int, last_ns: int) -> Path:
    """Path, below the catalog, of a file of bars, named as the engine names it."""
    return _BARS / bar_type / f"{_file_stamp(first_ns)}_{_file_stamp(last_ns)}.parquet"


def provenance_path(bar_type: str) -> Path:
    """Path, below the catalog, of what is noted about a series when it is imported."""
    return _PROVENANCE / f"{bar_type}.json"


def file_span(path: Path) -> tuple[int, int]:
    """First and last close in a file of bars, UTC nanoseconds, from its name.

    Raises:
        CatalogError: If the name is not of the engine's form.
    """
    try:
        first, last = (_parse_file_stamp(part) for part in path.stem.split("_"))
    except ValueError as error:
        raise CatalogError(
            f"{path}: expected a name like 2023-01-01T00-01-00-000000000Z_….parquet, found another; "
            "move the file out of the catalog"
        ) from error
    return first, last


def read_bar_file(path: Path) -> BarColumns:
    """Read a whole file of bars.

    Raises:
        CatalogError: If it is damaged.
    """
    return BarColumns.concat(list(iter_bar_file(path)))


def iter_bar_file(path: Path, first_ns: int = _EARLIEST, last_ns: int = _LATEST) -> Iterator[BarColumns]:
    """Read a file of bars in runs, leaving out runs that lie wholly outside a span of closes.

    Raises:
        CatalogError: If it is damaged or holds no bars.
    """
    parquet = _open_parquet(path)
    try:
        groups = [
            number
            for number in range(parquet.metadata.num_row_groups)
            if _may_hold(parquet.metadata.row_group(number), first_ns, last_ns)
        ]
        for batch in parquet.iter_batches(batch_size=_CHUNK_ROWS, row_groups=groups) if groups else ():
            yield BarColumns.from_table(pa.Table.from_batches([batch], schema=parquet.schema_arrow))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def format_time(ns: int) -> str:
    """Write a time for people: ``2023-03-24 12:40``, with seconds where there are any."""
    instant = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return instant.strftime("%Y-%m-%d %H:%M" if instant.second == 0 else "%Y-%m-%d %H:%M:%S")


def interval_of(bar_type: str) -> str:
    """Interval of a series, for example ``1-MINUTE``."""
    return str(BarType.from_str(bar_type).spec).rsplit("-", 1)[0]


def interval_ns_of(bar_type: str) -> int:
    """Length of a bar of a series, nanoseconds."""
    length = BarType.from_str(bar_type).spec.timedelta
    return length // timedelta(microseconds=1) * 1_000


def _may_hold(group: pq.RowGroupMetaData, first_ns: int, last_ns: int) -> bool:
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == "ts_event" and column.is_stats_set and column.statistics.has_min_max:
            return bool(column.statistics.min_raw <= last_ns and column.statistics.max_raw >= first_ns)
    return True


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        parquet = pq.ParquetFile(path)
        rows = parquet.metadata.num_rows
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    if rows == 0:
        raise _damaged(path, "it has no rows")
    return parquet


def _damaged(path: Path, reason: object) -> CatalogError:
    return CatalogError(
        f"{path}: expected a Parquet file of bars, found damage: {reason}; "
        "remove the file and import its span again"
    )


def _file_stamp(ns: int) -> str:
    seconds, fraction = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H-%M-%S}-{fraction:09d}Z"


def _parse_file_stamp(stamp: str) -> int:
    whole, fraction = stamp.removesuffix("Z").rsplit("-", 1)
    instant = datetime.strptime(whole, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    return int(instant.timestamp()) * 1_000_000_000 + int(fraction)


def _shown(ns: int | None) -> str:
    return "its edge" if ns is None else format_time(int(np.int64(ns)))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "an empty catalog"
