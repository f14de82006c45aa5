"""Says which bars a catalog holds, in a form that pins them.

Two catalogs with the same bars have the same hash, whatever files the bars lie in and whenever they were
written; another interval or adjustment is another hash.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nautilus_trader.model import BarType

from adapters.bars import ContentHash
from adapters.catalog import Catalog, interval_ns_of, interval_of
from adapters.errors import CatalogError


@dataclass(frozen=True, slots=True)
class SeriesManifest:
    """One series of bars."""

    bar_type: str
    symbol: str
    venue: str
    interval: str
    adjustment: str
    """Of prices for corporate actions; ``unknown`` where something else wrote the series."""
    vendor: str
    rows: int
    first_open_ns: int
    """Open of the first bar, UTC nanoseconds."""
    last_open_ns: int
    """Open of the last bar, UTC nanoseconds."""
    files: tuple[dict[str, Any], ...]
    """What was imported: name, rows and SHA-256 of each file; not part of the content hash."""
    content_sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The series of a catalog, sorted by bar type."""

    series: tuple[SeriesManifest, ...]
    content_sha256: str
    """Over the names and content hashes of all series."""


def build_manifest(catalog: Catalog, bar_types: Sequence[str] | None = None) -> Manifest:
    """Read a catalog and hash its bars.

    Args:
        catalog: Where the bars are.
        bar_types: The series wanted; None for all.

    Raises:
        CatalogError: If the catalog is empty, lacks a series or is damaged.
    """
    names = sorted(catalog.bar_types() if bar_types is None else bar_types)
    if not names:
        raise CatalogError(
            f"{catalog.path}: expected bars, found an empty catalog; import some with `argonaut data import`"
        )
    series = tuple(_describe(catalog, name) for name in names)
    lines = "".join(f"{one.bar_type} {one.content_sha256}\n" for one in series)
    return Manifest(series, hashlib.sha256(lines.encode()).hexdigest())


def _describe(catalog: Catalog, bar_type: str) -> SeriesManifest:
    note = catalog.provenance(bar_type) or {}
    adjustment = str(note.get("adjustment", "unknown"))
    interval, interval_ns = interval_of(bar_type), interval_ns_of(bar_type)
    content = ContentHash(interval, adjustment)
    rows, first, last = 0, 0, 0
    for bars in catalog.iter_columns(bar_type):
        first = first if rows else int(bars.ts_event[0])
        last = int(bars.ts_event[-1])
        rows += len(bars)
        content.update(bars)
    instrument_id = BarType.from_str(bar_type).instrument_id
    return SeriesManifest(
        bar_type=bar_type,
        symbol=instrument_id.symbol.value,
        venue=instrument_id.venue.value,
        interval=interval,
        adjustment=adjustment,
        vendor=str(note.get("vendor", "")),
        rows=rows,
        first_open_ns=first - interval_ns,
        last_open_ns=last - interval_ns,
        files=tuple(note.get("files", ())),
        content_sha256=content.hexdigest(),
    )
