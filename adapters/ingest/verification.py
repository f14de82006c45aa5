"""Looks for what is wrong with bars, in a catalog or in files that are yet to be imported.

A finding is a fact, not always a fault: an exchange that was down leaves a gap that is as it should be.
All times in a report are of the bars' *open*, as the market's own records give them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from nautilus_trader.model import BarType

from adapters.bars import VALUE_FIELDS, BarColumns, Floats, Ints, content_sha256
from adapters.catalog import Catalog, file_span, interval_ns_of, interval_of, read_bar_file
from adapters.errors import AdapterError, CatalogError
from adapters.ingest.sources import SourceBars
from adapters.instruments import Calendar, spec_of

type Mask = npt.NDArray[np.bool_]

_DAY_NS = 86_400_000_000_000


class FindingKind(StrEnum):
    """What can be wrong."""

    GAP = "gap"
    """Bars are absent, more in a row than is normal for the instrument."""
    ZERO_VOLUME = "zero_volume"
    """Several bars in a row without a trade."""
    DUPLICATE = "duplicate"
    """A bar has the time of the one before."""
    OUT_OF_ORDER = "out_of_order"
    """A bar is earlier than the one before."""
    HIGH_LOW = "high_low"
    """A high below, or a low above, another price of its bar."""
    BAD_PRICE = "bad_price"
    """A price is not a number above 0."""
    BAD_VOLUME = "bad_volume"
    """A volume is not a number of 0 or more."""
    OFF_GRID = "off_grid"
    """A bar does not open at a multiple of the interval."""
    PRECISION = "precision"
    """Bars and instrument differ in decimals; the engine would never trade on them."""
    OVERLAP = "overlap"
    """Two files cover the same time."""
    CHANGED = "changed"
    """The bars are not those that were imported."""
    DAMAGED = "damaged"
    """A file cannot be read, or the instrument is not there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One stretch of bars that something is to be said about."""

    kind: FindingKind
    first_open_ns: int
    """Open of the first bar concerned, UTC nanoseconds; absent bars are counted as if they were there."""
    last_open_ns: int
    """Open of the last bar concerned, UTC nanoseconds."""
    bars: int
    """How many bars are concerned."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """What was found in one series."""

    series: str
    """Bar type, or name of a file."""
    rows: int
    first_open_ns: int
    last_open_ns: int
    absent_bars: int
    """Bars that are not there, in gaps of any length."""
    zero_volume_bars: int
    findings: tuple[Finding, ...]
    """In time order."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class VerificationLimits:
    """What is still normal."""

    max_gap_bars: int = 0
    """Longest run of absent bars that is no finding."""
    min_zero_volume_bars: int = 3
    """Shortest run of bars without a trade that is a finding."""
    calendar: Calendar = Calendar.CONTINUOUS


def verify_catalog(
    catalog: Catalog, bar_types: Sequence[str] | None = None, *, min_zero_volume_bars: int = 3
) -> Iterator[SeriesReport]:
    """Verify series of a catalog, one after the other.

    Args:
        catalog: Where the bars are.
        bar_types: The series wanted; None for all.
        min_zero_volume_bars: Shortest run of bars without a trade that is a finding.

    Raises:
        CatalogError: If the catalog is empty or lacks a series; damage is a finding.
    """
    names = catalog.bar_types() if bar_types is None else tuple(bar_types)
    if not names:
        raise CatalogError(
            f"{catalog.path}: expected bars, found an empty catalog; import some with `argonaut data import`"
        )
    for name in names:
        yield _verify_series(catalog, name, min_zero_volume_bars)


def verify_source(bars: SourceBars, interval_ns: int, limits: VerificationLimits) -> SeriesReport:
    """Verify the bars of a file, as they are in it."""
    return _report(
        bars.file.name,
        ts_open=bars.ts_open,
        values=dict(bars.values),
        interval_ns=interval_ns,
        limits=limits,
        faults=(),
    )


def _verify_series(catalog: Catalog, bar_type: str, min_zero_volume_bars: int) -> SeriesReport:
    parts, faults = _read_parts(catalog, bar_type)
    limits, instrument_faults = _limits_of(catalog, bar_type, parts, min_zero_volume_bars)
    faults += _overlaps(catalog, bar_type) + instrument_faults
    if not parts:
        return SeriesReport(bar_type, 0, 0, 0, 0, 0, tuple(faults))
    interval_ns = interval_ns_of(bar_type)
    faults += _changes(catalog, bar_type, parts)
    values = {name: np.concatenate([getattr(part, name) for part in parts]) for name in VALUE_FIELDS}
    ts_open = np.concatenate([part.ts_event for part in parts]) - interval_ns
    return _report(
        bar_type, ts_open=ts_open, values=values, interval_ns=interval_ns, limits=limits, faults=faults
    )


def _read_parts(catalog: Catalog, bar_type: str) -> tuple[list[BarColumns], list[Finding]]:
    parts: list[BarColumns] = []
    faults: list[Finding] = []
    interval_ns = interval_ns_of(bar_type)
    for file in catalog.bar_files(bar_type):
        try:
            parts.append(read_bar_file(file))
        except CatalogError as error:
            first, last = file_span(file)
            faults.append(
                Finding(FindingKind.DAMAGED, first - interval_ns, last - interval_ns, 0, str(error))
            )
    return parts, faults


def _limits_of(
    catalog: Catalog, bar_type: str, parts: Sequence[BarColumns], min_zero_volume_bars: int
) -> tuple[VerificationLimits, list[Finding]]:
    try:
        spec = spec_of(catalog.instrument(str(BarType.from_str(bar_type).instrument_id)))
    except AdapterError as error:
        found = Finding(FindingKind.DAMAGED, 0, 0, 0, str(error))
        return VerificationLimits(min_zero_volume_bars=min_zero_volume_bars), [found]
    limits = VerificationLimits(spec.max_gap_bars, min_zero_volume_bars, spec.calendar)
    expected = (spec.price_precision, spec.size_precision)
    return limits, [
        Finding(
            FindingKind.PRECISION,
            int(part.ts_event[0]) - interval_ns_of(bar_type),
            int(part.ts_event[-1]) - interval_ns_of(bar_type),
            len(part),
            f"decimals of price and volume: expected {expected} as of the instrument, "
            f"found {part.precisions}",
        )
        for part in parts
        if part.precisions != expected
    ]


def _overlaps(catalog: Catalog, bar_type: str) -> list[Finding]:
    interval_ns = interval_ns_of(bar_type)
    found: list[Finding] = []
    for one, other in pairwise(catalog.bar_files(bar_type)):
        start, end = file_span(other)[0], min(file_span(one)[1], file_span(other)[1])
        if start <= end:
            bars = (end - start) // interval_ns + 1
            detail = f"{one.name} and {other.name}"
            found.append(Finding(FindingKind.OVERLAP, start - interval_ns, end - interval_ns, bars, detail))
    return found


def _changes(catalog: Catalog, bar_type: str, parts: Sequence[BarColumns]) -> list[Finding]:
    note = catalog.provenance(bar_type)
    if note is None:
        return []
    actual = content_sha256(parts, interval=interval_of(bar_type), adjustment=str(note["adjustment"]))
    if actual == note["content_sha256"]:
        return []
    interval_ns = interval_ns_of(bar_type)
    first, last = int(parts[0].ts_event[0]), int(parts[-1].ts_event[-1])
    detail = f"content hash: expected {note['content_sha256'][:12]}… as imported, found {actual[:12]}…"
    count = sum(len(part) for part in parts)
    return [Finding(FindingKind.CHANGED, first - interval_ns, last - interval_ns, count, detail)]


def _report(
    series: str,
    *,
    ts_open: Ints,
    values: dict[str, Floats],
    interval_ns: int,
    limits: VerificationLimits,
    faults: Sequence[Finding],
) -> SeriesReport:
    absent = _absent_between(ts_open, interval_ns, limits.calendar)
    no_trade = values["volume"] == 0
    found = list(faults)
    found += _gaps(ts_open, absent, interval_ns, limits.max_gap_bars)
    found += _runs(FindingKind.ZERO_VOLUME, no_trade, ts_open, limits.min_zero_volume_bars)
    steps = np.diff(ts_open)
    first = np.zeros(1, dtype=np.bool_)
    found += _runs(FindingKind.DUPLICATE, np.concatenate((first, steps == 0)), ts_open)
    found += _runs(FindingKind.OUT_OF_ORDER, np.concatenate((first, steps < 0)), ts_open)
    found += _runs(FindingKind.OFF_GRID, ts_open % interval_ns != 0, ts_open)
    opened, high, low, close = (values[name] for name in VALUE_FIELDS[:4])
    crossed = (high < np.maximum(np.maximum(opened, close), low)) | (low > np.minimum(opened, close))
    found += _runs(FindingKind.HIGH_LOW, crossed, ts_open)
    # Written so that NaN, which compares false with everything, counts as bad.
    good = [(price > 0) & (price < np.inf) for price in (opened, high, low, close)]
    found += _runs(FindingKind.BAD_PRICE, ~np.logical_and.reduce(good), ts_open)
    volume = values["volume"]
    found += _runs(FindingKind.BAD_VOLUME, ~((volume >= 0) & (volume < np.inf)), ts_open)
    return SeriesReport(
        series=series,
        rows=len(ts_open),
        first_open_ns=int(ts_open.min()),
        last_open_ns=int(ts_open.max()),
        absent_bars=int(absent.sum()),
        zero_volume_bars=int(no_trade.sum()),
        findings=tuple(sorted(found, key=lambda finding: (finding.first_open_ns, finding.kind))),
    )


def _absent_between(ts_open: Ints, interval_ns: int, calendar: Calendar) -> Ints:
    """Count the bars that are due and absent between each bar and the next, shape (T - 1,)."""
    absent: Ints = np.maximum(np.diff(ts_open) // interval_ns - 1, 0)
    if calendar is Calendar.CONTINUOUS:
        return absent
    # Between two days only whole weekdays are due: sessions differ, and nights have no bars.
    days = ts_open // _DAY_NS
    after, until = (days[:-1] + 1).astype("datetime64[D]"), days[1:].astype("datetime64[D]")
    return np.where(until >= after, np.busday_count(after, np.maximum(until, after)), absent)


def _gaps(ts_open: Ints, absent: Ints, interval_ns: int, max_gap_bars: int) -> list[Finding]:
    return [
        Finding(
            FindingKind.GAP,
            int(ts_open[at]) + interval_ns,
            int(ts_open[at + 1]) - interval_ns,
            int(absent[at]),
        )
        for at in np.flatnonzero(absent > max_gap_bars)
    ]


def _runs(kind: FindingKind, marked: Mask, ts_open: Ints, shortest: int = 1) -> list[Finding]:
    """Make a finding of each run of marked bars."""
    edges = np.diff(np.concatenate(([False], marked, [False])).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [
        Finding(kind, int(ts_open[start]), int(ts_open[end - 1]), int(end - start))
        for start, end in zip(starts, ends, strict=True)
        if end - start >= shortest
    ]
