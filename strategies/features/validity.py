"""Which bars the features may see: a malformed one is refused before any kernel moves."""

import math

from strategies.errors import DataError
from strategies.market import BarRow, Panel

MIN_PRICE = 1e-12
"""Smallest price that is one, quote currency; ratios within the bounds cannot overflow."""
MAX_PRICE = 1e15
"""Largest price that is one, quote currency."""
MAX_VOLUME = 1e20
"""Largest volume of a bar, base units."""


def check_panel(panel: Panel, num_instruments: int, previous_ts: int | None) -> None:
    """Refuse a panel that is late, repeated, of another width, or holds a malformed bar.

    Args:
        panel: The panel.
        num_instruments: Width expected.
        previous_ts: Bar time of the panel before, UTC nanoseconds; None before the first.

    Raises:
        DataError: Names the instrument's position, the field, its value, and what was expected.
    """
    ts_event = panel.ts_event
    if previous_ts is not None and ts_event <= previous_ts:
        raise DataError(
            f"panel.ts_event = {ts_event}: expected a time after {previous_ts}; "
            "bars must arrive in order of time, once each"
        )
    if len(panel.bars) != num_instruments:
        raise DataError(f"panel.bars has {len(panel.bars)} entries: expected {num_instruments}")
    for bar in panel.bars:
        if bar is None:
            continue
        bar_ts, open_, high, low, close, volume = bar
        # One chain for the good case: NaN makes any comparison false.
        if not (
            bar_ts == ts_event
            and MIN_PRICE <= low <= open_ <= high <= MAX_PRICE
            and low <= close <= high
            and 0.0 <= volume <= MAX_VOLUME
        ):
            raise DataError(f"instrument {panel.bars.index(bar)}: {_complaint(bar, ts_event)}")


def _complaint(bar: BarRow, ts_event: int) -> str:
    if bar.ts_event != ts_event:
        return f"bar.ts_event = {bar.ts_event}: expected {ts_event}, the bar time of the panel"
    for field in ("open", "high", "low", "close"):
        price = getattr(bar, field)
        if not (math.isfinite(price) and MIN_PRICE <= price <= MAX_PRICE):
            return f"bar.{field} = {price}: expected a price from {MIN_PRICE:g} to {MAX_PRICE:g}"
    if not 0.0 <= bar.volume <= MAX_VOLUME:
        return f"bar.volume = {bar.volume}: expected a volume from 0 to {MAX_VOLUME:g}"
    if bar.high < bar.low:
        return f"bar.high = {bar.high}: expected at least the low, {bar.low}"
    field = "close" if bar.low <= bar.open <= bar.high else "open"
    return f"bar.{field} = {getattr(bar, field)}: expected from the low {bar.low} to the high {bar.high}"
