"""Rows that nothing can be learnt from are refused, in one wording."""

from collections.abc import Sequence

import numpy as np

from strategies.errors import DataError
from strategies.market import Floats


def require_usable(what: str, rows: Floats, columns: Sequence[str]) -> None:
    """Check that every number is finite, and that every column varies.

    Args:
        what: Whose rows they are, for the message.
        rows: Shape (T, F).
        columns: Names of the F columns.

    Raises:
        DataError: If not; it names the first number or all constant columns.
    """
    finite = np.isfinite(rows)
    if not finite.all():
        at, column = np.argwhere(~finite)[0].tolist()
        raise DataError(
            f"{what}: expected finite features, found {rows[at, column]} in {columns[column]} at row {at} "
            f"({int((~finite).sum())} in all); leave out warm-up rows and repair the data"
        )
    constant = [name for name, column in zip(columns, rows.T, strict=True) if column.min() == column.max()]
    if constant:
        raise DataError(f"{what}: expected features that vary, found constant {constant}; leave them out")
