"""What a bar and an instrument are to the decision plane: plain values, no engine types.

Flow: **market** → features → regime → observation → policies → allocation → sizing → guardrails → orders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

type Floats = npt.NDArray[np.float64]
"""Array of float64; the shape is said where it is used."""

type Float32s = npt.NDArray[np.float32]
"""Array of float32, as a neural network reads it."""

type Vector = Sequence[float]
"""One number per instrument, in configuration order: a list or tuple, read faster than a small array."""


class BarRow(NamedTuple):
    """One closed bar of one instrument."""

    ts_event: int
    """Close time, UTC nanoseconds."""
    open: float
    high: float
    low: float
    close: float
    volume: float
    """Traded volume in base units."""


class Panel(NamedTuple):
    """The bars of all instruments of a strategy that close at one time."""

    ts_event: int
    """Close time that the bars share, UTC nanoseconds."""
    bars: tuple[BarRow | None, ...]
    """One entry per instrument, in configuration order; None where no bar came in time."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """The trading rules of one instrument, as the stages need them."""

    instrument_id: str
    """Symbol and venue, for example ``BTCUSDT.BINANCE``."""
    base_currency: str
    quote_currency: str
    tick_size: Decimal
    """Smallest price step, in quote currency."""
    lot_size: Decimal
    """Smallest quantity step, in base units."""
    min_quantity: Decimal
    """Smallest order, in base units."""
    min_notional: Decimal
    """Smallest order, in quote currency."""
    maker_fee_bps: float
    taker_fee_bps: float
    shortable: bool
    """False where only what is held can be sold."""
    sector: str = ""
    """Group for the sector cap; empty where none applies."""

    @property
    def price_decimals(self) -> int:
        """Decimal places of a price."""
        return _decimals(self.tick_size)

    @property
    def quantity_decimals(self) -> int:
        """Decimal places of a quantity."""
        return _decimals(self.lot_size)

    def floor_quantity(self, quantity: float) -> float:
        """Round a quantity towards zero to whole lots.

        Args:
            quantity: Base units, any sign.
        """
        lots = (Decimal(repr(quantity)) / self.lot_size).to_integral_value(ROUND_DOWN)
        return float(lots * self.lot_size)

    def round_price(self, price: float) -> float:
        """Round a price to the nearest tick (half to even).

        Args:
            price: Quote currency per base unit.
        """
        ticks = (Decimal(repr(price)) / self.tick_size).to_integral_value(ROUND_HALF_EVEN)
        return float(ticks * self.tick_size)


@cache
def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -int(exponent))
