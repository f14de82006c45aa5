"""Quantities as whole lots: integers, so that differences of quantities are exact.

Flow: **lots** → sizer, trades.
"""

from decimal import Decimal
from functools import cache

_ON_GRID = 1e-6
"""A quantity this close to a whole lot, in lots, is that lot: 0.7 - 0.4 is three tenths."""


def whole_lots(quantity: float, lot_size: Decimal) -> int:
    """Count the whole lots in a quantity, towards zero.

    Args:
        quantity: Base units, finite, any sign.
        lot_size: Base units of one lot.
    """
    lots = quantity / decimal_float(lot_size)
    nearest = round(lots)
    return nearest if abs(lots - nearest) <= _ON_GRID else int(lots)


def lots_quantity(lots: int, lot_size: Decimal) -> float:
    """The float nearest to a number of lots, base units: 3 lots of 0.1 are 0.3.

    Args:
        lots: Any sign.
        lot_size: Base units of one lot.
    """
    numerator, denominator = _ratio(lot_size)
    # Division of integers rounds once and correctly.
    return lots * numerator / denominator


@cache
def fewest_lots(quantity: Decimal, lot_size: Decimal) -> int:
    """The least number of whole lots that are at least a quantity.

    Args:
        quantity: Base units, not negative.
        lot_size: Base units of one lot.
    """
    numerator, denominator = _ratio(lot_size)
    wanted, parts = _ratio(quantity)
    return -(-wanted * denominator // (parts * numerator))


# Rules of an instrument never change, and converting a decimal costs more than all else here.
decimal_float = cache(float)
"""The float nearest to a decimal, remembered."""

_ratio = cache(Decimal.as_integer_ratio)
