"""Exits of which a bar cannot say which came first: both stop and target lay within it.

The engine walks a bar from its open to the high, then to the low, so of a long position the target fills, and
of a short one the stop. Whoever reads a result should know how often that was a guess.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from ops.report import BarSeries
from strategies.orders import OrderRole
from strategies.tape import OrderRecord

_EXITS = frozenset({OrderRole.STOP.value, OrderRole.TARGET.value})


def exits_in_doubt(orders: Iterable[OrderRecord], bars: Mapping[str, BarSeries]) -> dict[str, int]:
    """Count the exits within a bar that reached both, by the role that filled.

    Args:
        orders: Of one run, in order.
        bars: By instrument, those against which orders were matched.
    """
    levels: dict[tuple[str, str, int], dict[str, float]] = {}
    brackets: dict[str, tuple[str, str, int]] = {}
    counts = dict.fromkeys(sorted(_EXITS), 0)
    for one in orders:
        if one.role not in _EXITS:
            continue
        if one.status == "SUBMITTED":
            bracket = (one.strategy, one.instrument_id, one.ts_event)
            price = one.trigger_price if one.role == OrderRole.STOP else one.price
            levels.setdefault(bracket, {})[one.role] = price
            brackets[one.client_order_id] = bracket
        elif one.status == "FILLED" and one.client_order_id in brackets:
            both = levels[brackets[one.client_order_id]]
            if len(both) == len(_EXITS) and _is_in_doubt(one, both.values(), bars[one.instrument_id]):
                counts[one.role] += 1
    return counts


def _is_in_doubt(order: OrderRecord, levels: Iterable[float], bars: BarSeries) -> bool:
    # What fills at an open met the market there; only what fills within a bar carries its close time.
    at = int(np.searchsorted(bars.ts_event, order.ts_event))
    if at == len(bars.ts_event) or bars.ts_event[at] != order.ts_event:
        return False
    low, high = float(bars.low[at]), float(bars.high[at])
    return all(low <= level <= high for level in levels)
