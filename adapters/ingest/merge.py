"""How new bars meet those that a catalog already holds.

Flow: checks → **merge** → importer → catalog.

Bars that are the same are left alone; bars that differ are refused with the time concerned, or take the
place of the old ones where that was asked for.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adapters.bars import BarColumns
from adapters.catalog import Catalog, file_span, format_time, read_bar_file
from adapters.errors import IngestError, OverlapError


@dataclass(frozen=True, slots=True)
class Change:
    """What has to happen to the files of a series."""

    added: tuple[BarColumns, ...]
    """Runs of bars, each to be written as a file; no two of them or of the files that stay overlap."""
    removed: tuple[Path, ...]
    """Files that go."""
    new_rows: int
    """Bars of the source that the catalog does not hold; with replacing, all of them."""


class HeldSeries:
    """What a catalog holds of one series.

    Args:
        catalog: Where it lies.
        bar_type: The series; it may not be there yet.

    Raises:
        CatalogError: If it is damaged.
    """

    def __init__(self, catalog: Catalog, bar_type: str) -> None:
        self.bar_type = bar_type
        self.files = tuple(catalog.bar_files(bar_type)) if bar_type in catalog.bar_types() else ()
        self.notes = catalog.provenance(bar_type)
        self._spans = [file_span(file) for file in self.files]

    def plan_replacing(self, bars: BarColumns) -> Change:
        """Put bars in the place of whatever lies between the first and the last of them.

        Raises:
            IngestError: If bars that stay have another precision.
        """
        touched = self._touched(bars)
        if not touched:
            return Change((bars,), (), len(bars))
        held = BarColumns.concat([read_bar_file(file) for file in touched])
        before = held.select(held.ts_event < bars.ts_event[0])
        after = held.select(held.ts_event > bars.ts_event[-1])
        outside = [part for part in (before, after) if len(part)]
        if any(part.precisions != bars.precisions for part in outside):
            raise self._other_precision()
        merged = BarColumns.concat([part for part in (before, bars, after) if len(part)])
        if merged.equals(held):
            return Change((), (), 0)
        return Change((merged,), touched, len(bars))

    def plan_adding(self, bars: BarColumns) -> Change:
        """Add those bars that no file covers.

        Raises:
            OverlapError: If the others are not what the files hold.
            IngestError: If they have another precision.
        """
        touched = self._touched(bars)
        gap = np.searchsorted([first for first, _ in self._spans], bars.ts_event, side="right")
        covered = np.zeros(len(bars), dtype=np.bool_)
        for first, last in self._spans:
            covered |= (bars.ts_event >= first) & (bars.ts_event <= last)
        if touched:
            held = BarColumns.concat([read_bar_file(file) for file in touched])
            inside = (held.ts_event >= bars.ts_event[0]) & (held.ts_event <= bars.ts_event[-1])
            self._refuse_difference(held.select(inside), bars.select(covered))
        # One file for each run between files, so that no two files overlap.
        runs = [bars.select(~covered & (gap == number)) for number in np.unique(gap[~covered])]
        return Change(tuple(runs), (), int((~covered).sum()))

    def _touched(self, bars: BarColumns) -> tuple[Path, ...]:
        first, last = bars.ts_event[0], bars.ts_event[-1]
        return tuple(
            file
            for file, span in zip(self.files, self._spans, strict=True)
            if span[0] <= last and span[1] >= first
        )

    def _refuse_difference(self, held: BarColumns, offered: BarColumns) -> None:
        if held.equals(offered):
            return
        if held.precisions != offered.precisions:
            raise self._other_precision()
        shared, ours, theirs = np.intersect1d(
            held.ts_event, offered.ts_event, assume_unique=True, return_indices=True
        )
        changed = shared[held.select(ours).differs(offered.select(theirs))]
        only_one = np.setxor1d(held.ts_event, offered.ts_event, assume_unique=True)
        differing = np.concatenate((changed, only_one))
        first, last = int(differing.min()), int(differing.max())
        raise OverlapError(
            f"{self.bar_type}: expected the bars that the catalog already holds, found {len(differing):,} "
            f"that differ, closing from {format_time(first)} to {format_time(last)}; "
            "import with --replace to put the new ones in their place",
            first_ns=first,
            last_ns=last,
        )

    def _other_precision(self) -> IngestError:
        return IngestError(
            f"{self.bar_type}: expected the tick and lot of the bars that the catalog already holds, found "
            "others; import the whole series again with --replace, or into another catalog"
        )
