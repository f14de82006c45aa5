"""Puts checked bars into a catalog, wholly or not at all.

Flow: sources → checks → **importer** → catalog.

A series may be imported in any number of pieces. Bars that the catalog already holds are left alone if
they are the same, and refused with the time concerned if they are not, unless they are to be replaced.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow.parquet as pq
from nautilus_trader.model import BarType
from nautilus_trader.persistence import ParquetDataCatalog

from adapters.bars import VALUE_FIELDS, BarColumns, ContentHash, bar_schema
from adapters.catalog import (
    Catalog,
    bar_file_path,
    file_span,
    interval_ns_of,
    interval_of,
    provenance_path,
    read_bar_file,
)
from adapters.errors import IngestError
from adapters.ingest.checks import check_bars
from adapters.ingest.merge import Change, HeldSeries
from adapters.ingest.sources import SourceFile, read_source, usual_interval
from adapters.instruments import InstrumentSpec, build_instrument, spec_of
from adapters.staging import Staging, stage

type Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_ROW_GROUP = 131_072
# Values change little from bar to bar, so bytes of one place compress best beside each other.
_ENCODING = dict.fromkeys(VALUE_FIELDS, "BYTE_STREAM_SPLIT") | {
    "ts_event": "DELTA_BINARY_PACKED",
    "ts_init": "DELTA_BINARY_PACKED",
}


class ImportStatus(StrEnum):
    """What an import did."""

    IMPORTED = "imported"
    """The series is new."""
    EXTENDED = "extended"
    """Bars were added to a series."""
    REPLACED = "replaced"
    """Bars of a series were exchanged for others."""
    ALREADY_THERE = "already_there"
    """The catalog held all of it; nothing was written."""


class Adjustment(StrEnum):
    """What was done to prices for the sake of corporate actions."""

    NONE = "none"
    """As they were traded."""
    SPLIT = "split"
    SPLIT_AND_DIVIDEND = "split_and_dividend"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did to one series."""

    bar_type: str
    status: ImportStatus
    rows_read: int
    rows_written: int
    """Rows of the source that the catalog did not hold; with replacing, all of them."""
    first_ns: int
    """Close of the first bar of the source, UTC nanoseconds."""
    last_ns: int
    """Close of the last bar of the source, UTC nanoseconds."""
    prices_rounded: int
    volumes_rounded: int
    content_sha256: str
    """Of the whole series as it now is."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where bars come from and what was done to them."""

    vendor: str = ""
    adjustment: Adjustment = Adjustment.NONE
    files: tuple[SourceFile, ...] = ()


def bar_type_of(instrument_id: str, interval: str) -> str:
    """Name the series of an instrument's bars at an interval.

    Args:
        instrument_id: For example ``BTCUSDT.BINANCE``.
        interval: For example ``1-MINUTE``.

    Raises:
        IngestError: If the engine has no such interval.
    """
    name = f"{instrument_id}-{interval}-LAST-EXTERNAL"
    try:
        return str(BarType.from_str(name))
    except ValueError as error:
        raise IngestError(
            f'interval "{interval}": expected a number and SECOND, MINUTE, HOUR or DAY, as in 1-MINUTE, that '
            f"divides the next larger unit, found {error}; write the interval so"
        ) from error


def import_files(
    paths: Sequence[Path],
    root: Path,
    spec: InstrumentSpec,
    *,
    interval: str | None = None,
    vendor: str = "",
    adjustment: Adjustment = Adjustment.NONE,
    replace: bool = False,
    round_prices: bool = False,
    on_progress: Progress | None = None,
) -> ImportResult:
    """Import the bars of one series from one or several files.

    Args:
        paths: Parquet or CSV; see `adapters.ingest.sources`.
        root: The catalog; made if it is not there.
        spec: Trading rules of the instrument.
        interval: For example ``1-MINUTE``; None takes the usual distance between bars.
        vendor: Whom the bars come from; noted in the manifest.
        adjustment: Of prices for corporate actions; noted, and part of the content hash.
        replace: Exchange bars that differ instead of refusing them.
        round_prices: Move prices between ticks to the nearest tick.
        on_progress: Told how far the import is.

    Raises:
        IngestError: If a file or its bars are refused; the catalog is as it was.
        CatalogError: If the catalog is damaged or cannot be written; it is as it was.
    """
    report = on_progress or _ignore_progress
    parts = []
    for done, path in enumerate(paths):
        report("reading", done, len(paths))
        parts.append(read_source(path))
    report("checking", 0, 1)
    bar_type = bar_type_of(spec.instrument_id, interval or usual_interval(parts[0]))
    checked = check_bars(parts, spec, interval_ns_of(bar_type), round_prices=round_prices)
    origin = Origin(vendor, adjustment, tuple(part.file for part in parts))
    return store_bars(
        root,
        spec,
        bar_type,
        checked.columns,
        origin,
        replace=replace,
        rounded=(checked.prices_rounded, checked.volumes_rounded),
        on_progress=report,
    )


def store_bars(
    root: Path,
    spec: InstrumentSpec,
    bar_type: str,
    bars: BarColumns,
    origin: Origin,
    *,
    replace: bool = False,
    rounded: tuple[int, int] = (0, 0),
    on_progress: Progress | None = None,
) -> ImportResult:
    """Store the bars of one series that have been checked.

    Args:
        root: The catalog; made if it is not there.
        spec: Trading rules of the instrument; they replace those in the catalog.
        bar_type: The series.
        bars: In time order, at least one.
        origin: Where they come from.
        replace: Exchange bars that differ instead of refusing them.
        rounded: How many prices and volumes were rounded on the way.
        on_progress: Told how far it is.

    Raises:
        OverlapError: If the catalog holds other bars for the same time.
        IngestError: If adjustment or precision differ from those of the bars in the catalog.
        CatalogError: If the catalog is damaged or cannot be written.
    """
    report = on_progress or _ignore_progress
    with stage(root) as staging:
        series = HeldSeries(Catalog(root), bar_type)
        change = series.plan_replacing(bars) if replace else series.plan_adding(bars)
        kept = [file for file in series.files if file not in change.removed]
        status = _status(series, change)
        is_known = _check_instrument(Catalog(root), spec, bar_type, keeps_bars=bool(kept))
        if kept:
            _check_adjustment(series, origin.adjustment)
        _write_runs(staging, bar_type, change.added, report)
        for file in change.removed:
            staging.remove(file.relative_to(root))
        digest = _content_sha256(kept, change.added, bar_type, origin.adjustment, report)
        if status is not ImportStatus.ALREADY_THERE:
            _write_provenance(staging, bar_type, origin, digest, series.notes if kept else None)
        if not is_known:
            ParquetDataCatalog(str(staging.directory)).write_instruments([build_instrument(spec)])
        if status is not ImportStatus.ALREADY_THERE or not is_known:
            staging.commit()
    return ImportResult(
        bar_type=bar_type,
        status=status,
        rows_read=len(bars),
        rows_written=0 if status is ImportStatus.ALREADY_THERE else change.new_rows,
        first_ns=int(bars.ts_event[0]),
        last_ns=int(bars.ts_event[-1]),
        prices_rounded=rounded[0],
        volumes_rounded=rounded[1],
        content_sha256=digest,
    )


def _status(series: HeldSeries, change: Change) -> ImportStatus:
    if not change.added:
        return ImportStatus.ALREADY_THERE
    if change.removed:
        return ImportStatus.REPLACED
    return ImportStatus.EXTENDED if series.files else ImportStatus.IMPORTED


def _check_instrument(catalog: Catalog, spec: InstrumentSpec, bar_type: str, *, keeps_bars: bool) -> bool:
    """Refuse a tick or lot that bars in the catalog do not have; tell whether the rules are there already."""
    held_ids = {name: str(BarType.from_str(name).instrument_id) for name in catalog.bar_types()}
    keeps_bars |= any(held == spec.instrument_id and name != bar_type for name, held in held_ids.items())
    if spec.instrument_id not in held_ids.values():
        return False
    held = spec_of(catalog.instrument(spec.instrument_id))
    if keeps_bars and (held.tick_size, held.lot_size) != (spec.tick_size, spec.lot_size):
        raise IngestError(
            f"{spec.instrument_id}: expected tick {held.tick_size} and lot {held.lot_size} as in the "
            f"catalog, found {spec.tick_size} and {spec.lot_size}; import into another catalog"
        )
    return held == spec


def _check_adjustment(series: HeldSeries, adjustment: str) -> None:
    noted = (series.notes or {}).get("adjustment", adjustment)
    if noted != adjustment:
        raise IngestError(
            f'{series.bar_type}: expected adjustment "{noted}" as in the catalog, found "{adjustment}"; '
            "a series of both cannot be traded: import into another catalog"
        )


def _write_runs(staging: Staging, bar_type: str, runs: Sequence[BarColumns], report: Progress) -> None:
    total = sum(len(run) for run in runs)
    done = 0
    for run in runs:
        path = staging.path_for(bar_file_path(bar_type, int(run.ts_event[0]), int(run.ts_event[-1])))
        schema = bar_schema(bar_type, run.price_precision, run.size_precision)
        options = {"compression": "zstd", "use_dictionary": False, "column_encoding": _ENCODING}
        with pq.ParquetWriter(path, schema, **options) as writer:
            for at in range(0, len(run), _ROW_GROUP):
                report("writing", done, total)
                group = run.select(slice(at, at + _ROW_GROUP))
                writer.write_table(group.to_table(bar_type))
                done += len(group)
    report("writing", total, total)


def _content_sha256(
    kept: Sequence[Path], added: Sequence[BarColumns], bar_type: str, adjustment: str, report: Progress
) -> str:
    runs: list[tuple[int, Path | BarColumns]] = [(file_span(file)[0], file) for file in kept]
    runs += [(int(run.ts_event[0]), run) for run in added]
    content = ContentHash(interval_of(bar_type), adjustment)
    for done, (_, run) in enumerate(sorted(runs, key=lambda item: item[0])):
        report("hashing", done, len(runs))
        content.update(read_bar_file(run) if isinstance(run, Path) else run)
    report("hashing", len(runs), len(runs))
    return content.hexdigest()


def _write_provenance(
    staging: Staging, bar_type: str, origin: Origin, digest: str, earlier: dict[str, object] | None
) -> None:
    files = {file.sha256: asdict(file) for file in origin.files}
    if earlier is not None and isinstance(earlier.get("files"), list):
        files = {file["sha256"]: file for file in earlier["files"]} | files  # type: ignore[attr-defined]
    note = {
        "format": 1,
        "bar_type": bar_type,
        "adjustment": origin.adjustment,
        "vendor": origin.vendor,
        "files": sorted(files.values(), key=lambda file: (file["name"], file["sha256"])),
        "content_sha256": digest,
    }
    text = json.dumps(note, indent=2, sort_keys=True) + "\n"
    staging.path_for(provenance_path(bar_type)).write_text(text, encoding="utf-8")


def _ignore_progress(what: str, done: int, total: int) -> None:
    del what, done, total
