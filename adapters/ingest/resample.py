"""Longer bars from shorter ones.

Flow: catalog → **resample** → catalog.
"""

import numpy as np

from adapters.bars import BarColumns
from adapters.errors import IngestError


def resample(bars: BarColumns, from_ns: int, to_ns: int) -> BarColumns:
    """Put bars together to longer ones, aligned to UTC midnight.

    A bar is made of those that are there; absent ones leave it shorter inside, never out of place. A bar
    whose end the data have not reached yet is left out: it would change later.

    Args:
        bars: Of one series, in time order.
        from_ns: Length of a bar, nanoseconds.
        to_ns: Wanted length, nanoseconds.

    Raises:
        IngestError: If the wanted length is no multiple of the present one, or does not divide a day.
    """
    day_ns = 86_400_000_000_000
    if to_ns % from_ns or day_ns % to_ns:
        raise IngestError(
            f"interval: expected a multiple of {from_ns // 1_000_000_000} s that divides a day, "
            f"found {to_ns // 1_000_000_000} s; ask for another"
        )
    # Stamped at its close, a bar that ends where a longer one ends belongs to it.
    closes = -(-bars.ts_event // to_ns) * to_ns
    stamps, first = np.unique(closes, return_index=True)
    last = np.append(first[1:], len(closes)) - 1
    longer = BarColumns(
        ts_event=stamps,
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[last],
        volume=np.add.reduceat(bars.volume, first),
        price_precision=bars.price_precision,
        size_precision=bars.size_precision,
    )
    is_open = len(stamps) > 0 and bars.ts_event[-1] < stamps[-1]
    return longer.select(slice(0, len(stamps) - 1)) if is_open else longer
