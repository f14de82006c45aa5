"""From target quantities to the trades that reach them.

Flow: sizer → **trades** → guardrails.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from strategies.market import Instrument, Vector
from strategies.sizing.lots import decimal_float, fewest_lots, lots_quantity, whole_lots
from strategies.sizing.sizer import Target


class Trade(NamedTuple):
    """One change of one position, in one direction."""

    index: int  # type: ignore[assignment]  # hides a method of tuples that nothing here needs
    """Position of the instrument in the configuration."""
    instrument_id: str
    quantity: float
    """Signed base units, whole lots: positive buys."""
    price: float
    """Reference price: the last close, quote currency."""
    reduces: bool = False
    """Whether it only takes exposure away."""
    closes: bool = False
    """Whether it takes all of it away."""
    stop: float | None = None
    """Protective stop of what it opens, quote currency."""
    target: float | None = None
    """Profit target of what it opens, quote currency."""


def plan_trades(
    target: Target,
    positions: Vector,
    closes: Vector,
    instruments: Sequence[Instrument],
    free_base: Sequence[float] | None = None,
) -> tuple[Trade, ...]:
    """Plan the trades from what is held to what is wanted, reductions first, so that they pay for the rest.

    A change of sign is two trades: one that closes, one that opens. Of an instrument that cannot be
    shorted no more is sold than the lesser of position and free balance. What the venue would refuse as
    too small is not planned; only where an instrument is shortable, and orders can be reduce-only, may a
    reduction be smaller than that.

    Args:
        target: What sizing wants.
        positions: N, signed base units.
        closes: N, quote currency.
        instruments: In configuration order.
        free_base: N balances of base currency that no order has locked, NaN where unknown; None where
            positions alone count.
    """
    reductions: list[Trade] = []
    openings: list[Trade] = []
    for index, wanted in enumerate(target.quantities):
        if math.isnan(wanted):
            continue
        instrument, price = instruments[index], closes[index]
        lot_size, instrument_id = instrument.lot_size, instrument.instrument_id
        held = whole_lots(positions[index], lot_size)
        reducing, opening = _legs(held, whole_lots(wanted, lot_size))
        if not instrument.shortable:
            # A reduction is no more than the position already; the free balance bounds it further.
            free = math.inf if free_base is None else free_base[index]
            reducing, opening = max(reducing, -_free_lots(free, held, lot_size)), max(opening, 0)
        if reducing:
            quantity = lots_quantity(reducing, lot_size)
            if instrument.shortable or _is_sendable(reducing, quantity, price, instrument):
                reductions.append(
                    Trade(index, instrument_id, quantity, price, reduces=True, closes=reducing == -held)
                )
        if opening:
            quantity = lots_quantity(opening, lot_size)
            if _is_sendable(opening, quantity, price, instrument):
                stop, profit = _level(target.stops, index), _level(target.targets, index)
                openings.append(Trade(index, instrument_id, quantity, price, stop=stop, target=profit))
    return (*reductions, *openings)


def _legs(held: int, goal: int) -> tuple[int, int]:
    """Split the way from ``held`` to ``goal`` into what reduces and what opens."""
    if held == 0 or (held * goal > 0 and abs(goal) >= abs(held)):
        return 0, goal - held
    if held * goal > 0:
        return goal - held, 0
    return -held, goal


def _free_lots(free: float, held: int, lot_size: Decimal) -> int:
    return max(whole_lots(free, lot_size), 0) if math.isfinite(free) else abs(held)


def _is_sendable(lots: int, quantity: float, price: float, instrument: Instrument) -> bool:
    if abs(lots) < fewest_lots(instrument.min_quantity, instrument.lot_size):
        return False
    return abs(quantity) * price >= decimal_float(instrument.min_notional)


def _level(levels: Vector | None, index: int) -> float | None:
    if levels is None or math.isnan(levels[index]):
        return None
    return levels[index]
