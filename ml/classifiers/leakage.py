"""Refuses a split that would let a model see what it is judged on.

A split that was made properly passes; this is the check of it, at the last place where it can be made.
"""

import numpy as np
import numpy.typing as npt

from strategies.errors import DataError

type Ints = npt.NDArray[np.int64]
type Bools = npt.NDArray[np.bool_]


def check_split(ends: Ints, train: Ints, test: Ints, *, embargo_bars: int = 0) -> None:
    """Refuse training rows that share a bar, a label or the time right after with test rows.

    With the label of row *t* known at row ``ends[t]``, a run of test rows from *a* to *b* forbids training
    rows whose label ends at *a* or later, up to the row ``max(ends[a..b]) + embargo_bars``.

    Args:
        ends: Last row that the label of each row depends on, shape (T,).
        train: Rows that were or are to be trained on, ascending.
        test: Rows that are judged on, ascending.
        embargo_bars: Rows after a test label that may not be trained on.

    Raises:
        DataError: If rows are out of range, not ascending, or leak; it names the first that does.
    """
    for name, rows in (("train", train), ("test", test)):
        ascending = len(rows) > 0 and bool((np.diff(rows) > 0).all())
        if not ascending or rows[0] < 0 or rows[-1] >= len(ends):
            raise DataError(
                f"classifier: expected {name} rows, ascending, from 0 to {len(ends) - 1}, "
                f"found {len(rows)} rows"
            )
    if embargo_bars < 0 or (ends < np.arange(len(ends))).any():
        raise DataError(
            "classifier: expected embargo_bars >= 0 and labels that end no earlier than their row, found "
            f"embargo_bars = {embargo_bars}"
        )
    shared = np.intersect1d(train, test)
    if len(shared):
        raise DataError(
            f"classifier: {len(shared)} rows are in both train and test, the first is row {shared[0]}; "
            "split by time"
        )
    for run in np.split(test, np.flatnonzero(np.diff(test) > 1) + 1):
        first, last = int(run[0]), int(ends[run].max())
        _refuse(train[(train < first) & (ends[train] >= first)], first, "purge them")
        _refuse(train[(train > first) & (train <= last)], first, "purge them")
        after = train[(train > last) & (train <= last + embargo_bars)]
        _refuse(after, first, f"leave {embargo_bars} rows between")


def _refuse(leaking: Ints, first: int, advice: str) -> None:
    if len(leaking):
        raise DataError(
            f"classifier: {len(leaking)} training rows leak into the test rows from {first} on, "
            f"the first is row {leaking[0]}; {advice}"
        )
