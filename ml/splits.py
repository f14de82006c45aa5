"""Which rows are learned from and which are judged on, so that nothing of the second is in the first.

Flow: datasets, labels → **splits** → trainers, evaluation.

Two leaks are closed. *Purging* takes a training row away if its label shares a bar with the label of a
test row. *Embargo* takes away training rows right after a test span, whose features still remember it; in
a walk-forward, where nothing is trained on after the test, it is a gap before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

import numpy as np

from ml.datasets import Bools, Ints
from strategies.errors import DataError

_DAY_NS = 86_400 * 10**9
_YEAR_NS = 365 * _DAY_NS


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to train on and rows to test on, disjoint and in order."""

    name: str
    train: Ints
    test: Ints


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A named stretch of time, for example a stress window."""

    name: str
    start: str
    """ISO date or time, UTC; the first close that belongs to it."""
    end: str
    """ISO date or time, UTC; the first close that does not."""

    def rows(self, ts_event: Ints) -> Ints:
        """Rows whose close time lies in it.

        Args:
            ts_event: Close times, UTC nanoseconds, shape (T,).

        Raises:
            DataError: If it ends before it begins, or no row lies in it.
        """
        start, end = _ns(self.start), _ns(self.end)
        if start >= end:
            raise DataError(f"{self.name}: expected an end after {self.start}, found {self.end}")
        rows = np.flatnonzero((ts_event >= start) & (ts_event < end))
        if not len(rows):
            raise DataError(
                f"{self.name}: no data from {self.start} to {self.end}; check the span of the data"
            )
        return rows


def purged_walk_forward(
    ends: Ints, *, num_folds: int = 6, embargo_bars: int = 5, train_bars: int | None = None
) -> list[Split]:
    """Train on the past, test on what follows, move on; mission SB-095.

    Rows are cut into ``num_folds + 1`` blocks of nearly equal length; fold *k* tests on block *k + 1*.

    Args:
        ends: Last row that the label of each row depends on, shape (T,).
        num_folds: Test spans.
        embargo_bars: Rows left out before each test span, beyond the purged ones.
        train_bars: Rows to train on at the most, the newest ones; None takes all of the past.

    Raises:
        DataError: If a fold would have nothing to train on.
    """
    blocks = _blocks(len(ends), num_folds + 1)
    return [
        _walk(f"fold {number}", ends, block, embargo_bars, train_bars)
        for number, block in enumerate(blocks[1:], start=1)
    ]


def rolling_walk_forward(
    ends: Ints, *, train_bars: int, test_bars: int, embargo_bars: int = 0
) -> list[Split]:
    """Windows of fixed length that move on by one test span, for example 252 and 63 days.

    Args:
        ends: Last row that the label of each row depends on, shape (T,).
        train_bars: Rows before each test span that may be trained on.
        test_bars: Rows of a test span; a shorter rest is left out.
        embargo_bars: Rows left out before each test span, beyond the purged ones.

    Raises:
        DataError: If not one window fits.
    """
    starts = range(train_bars, len(ends) - test_bars + 1, test_bars)
    if train_bars < 1 or test_bars < 1 or not starts:
        raise DataError(
            f"expected at least train_bars + test_bars = {train_bars + test_bars} rows, found {len(ends)}"
        )
    return [
        _walk(f"fold {number}", ends, np.arange(start, start + test_bars), embargo_bars, train_bars)
        for number, start in enumerate(starts, start=1)
    ]


def rolling_days(
    ts_event: Ints, ends: Ints, *, train_days: int, test_days: int, embargo_bars: int = 0
) -> list[Split]:
    """Windows of so many trading days, whatever the bars of a day; a day is a UTC date with bars.

    Args:
        ts_event: Close times, UTC nanoseconds, shape (T,); midnight belongs to the day that ends.
        ends: Last row that the label of each row depends on, shape (T,).
        train_days: Days before each test span that may be trained on, for example 252.
        test_days: Days of a test span, for example 63; a shorter rest is left out.
        embargo_bars: Rows left out before each test span, beyond the purged ones.

    Raises:
        DataError: If not one window fits.
    """
    first_rows = np.flatnonzero(np.diff((ts_event - 1) // _DAY_NS, prepend=-1))
    edges = np.append(first_rows, len(ts_event))
    starts = range(train_days, len(first_rows) - test_days + 1, test_days)
    if train_days < 1 or test_days < 1 or not starts:
        raise DataError(
            f"expected at least train_days + test_days = {train_days + test_days} days with bars, found "
            f"{len(first_rows)}"
        )
    return [
        _walk(
            f"fold {number}",
            ends,
            np.arange(edges[day], edges[day + test_days]),
            embargo_bars,
            int(edges[day] - edges[day - train_days]),
        )
        for number, day in enumerate(starts, start=1)
    ]


def combinatorial_purged(
    ends: Ints, *, num_folds: int = 10, num_test_folds: int = 2, embargo_bars: int = 5
) -> Iterator[Split]:
    """Every choice of test blocks among all, each with the rest purged and embargoed.

    Args:
        ends: Last row that the label of each row depends on, shape (T,).
        num_folds: Blocks.
        num_test_folds: Blocks that are tested on at a time.
        embargo_bars: Rows left out after each run of test blocks, beyond the purged ones.

    Raises:
        DataError: If a split would have nothing to train on.

    Source:
        López de Prado (2018), Advances in Financial Machine Learning, section 12.3.
    """
    if not 0 < num_test_folds < num_folds:
        raise DataError(f"num_test_folds = {num_test_folds}: expected 1 to {num_folds - 1}")
    blocks = _blocks(len(ends), num_folds)
    for chosen in combinations(range(num_folds), num_test_folds):
        test = np.concatenate([blocks[block] for block in chosen])
        name = "test " + "+".join(str(block + 1) for block in chosen)
        yield _split(name, _kept(ends, test, embargo_bars), test)


def last_year(ts_event: Ints, ends: Ints, *, embargo_bars: int = 5) -> Split:
    """Test on the last 365 days, train on what was before.

    Raises:
        DataError: If there is not more than a year.
    """
    cut = int(np.searchsorted(ts_event, ts_event[-1] - _YEAR_NS, side="right"))
    return _walk("last_year", ends, np.arange(cut, len(ends)), embargo_bars, None)


def eighty_twenty(ends: Ints, *, embargo_bars: int = 5) -> Split:
    """Train on the first four fifths, test on the last.

    Raises:
        DataError: If there are too few rows.
    """
    cut = len(ends) * 4 // 5
    return _walk("80_20", ends, np.arange(cut, len(ends)), embargo_bars, None)


def custom_ranges(
    ts_event: Ints, ends: Ints, train: TimeRange, test: TimeRange, *, embargo_bars: int = 5
) -> Split:
    """Train and test on named stretches of time.

    Raises:
        DataError: If they overlap, or one has no rows.
    """
    train_rows, test_rows = train.rows(ts_event), test.rows(ts_event)
    if len(np.intersect1d(train_rows, test_rows)):
        raise DataError(
            f"expected train ({train.start} to {train.end}) and test ({test.start} to {test.end}) not to "
            "overlap; move one of them"
        )
    kept = np.zeros(len(ends), dtype=np.bool_)
    kept[train_rows] = True
    return _split(f"{train.name}/{test.name}", kept & _kept(ends, test_rows, embargo_bars), test_rows)


def stress_windows(
    ts_event: Ints, ends: Ints, windows: Sequence[TimeRange], *, embargo_bars: int = 5
) -> list[Split]:
    """Test on each window alone, train on everything else; mission SB-096.

    Raises:
        DataError: If a window has no rows, or all of them.
    """
    tests = [(window.name, window.rows(ts_event)) for window in windows]
    return [_split(name, _kept(ends, test, embargo_bars), test) for name, test in tests]


def _walk(name: str, ends: Ints, test: Ints, embargo_bars: int, train_bars: int | None) -> Split:
    if not len(test):
        raise DataError(f"{name}: expected rows to test on, found none; take a longer span")
    start = int(test[0])
    kept = _kept(ends, test, embargo_bars)
    kept[start:] = False
    kept[max(0, start - embargo_bars) :] = False
    # The gap that purging leaves is part of it, so that every fold trains on bars that are equally old.
    if train_bars is not None:
        kept[: max(0, start - train_bars)] = False
    return _split(name, kept, test)


def _kept(ends: Ints, test: Ints, embargo_bars: int) -> Bools:
    """Rows whose label shares no bar with that of a test row, and that come not right after one."""
    count = len(ends)
    if embargo_bars < 0 or (ends < np.arange(count)).any():
        raise DataError("expected embargo_bars of at least 0, and labels that end no earlier than their row")
    kept = np.ones(count, dtype=np.bool_)
    for run in np.split(test, np.flatnonzero(np.diff(test) > 1) + 1):
        first, last = int(run[0]), int(ends[run].max())
        kept[first : last + 1 + embargo_bars] = False
        kept[:first] &= ends[:first] < first
    return kept


def _split(name: str, kept: Bools, test: Ints) -> Split:
    train = np.flatnonzero(kept)
    if not len(train):
        raise DataError(
            f"{name}: nothing is left to train on after purging and embargo; take a longer span, fewer folds "
            "or a shorter horizon"
        )
    return Split(name, train, test)


def _blocks(count: int, num_blocks: int) -> list[Ints]:
    if not 2 <= num_blocks <= count:
        raise DataError(f"expected 2 to {count} blocks, one row each at least, found {num_blocks}")
    return np.array_split(np.arange(count), num_blocks)


def _ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{text!r}: expected an ISO date or time, for example 2023-01-31") from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9
