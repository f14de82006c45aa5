"""Quantities as whole lots: integers, so that differences of quantities are exact.

Flow: **lots** → sizer, trades.
"""

from decimal import Decimal

_ON_GRID = 1e-6
"""A quantity this close to a whole lot, in lots, is that lot: 0.7 - 0.4 is three tenths."""


def whole_lots(quantity: float, lot_size: Decimal) -> int:
    """Count the whole lots in a quantity, towards zero.

    Args:
        quantity: Base units, finite, any sign.
        lot_size: Base units of one lot.
    """
    lots = quantity / float(lot_size)
    nearest = round(lots)
    return nearest if abs(lots - nearest) <= _ON_GRID else int(lots)


def lots_quantity(lots: int, lot_size: Decimal) -> float:
    """The float nearest to a number of lots, base units: 3 lots of 0.1 are 0.3.

    Args:
        lots: Any sign.
        lot_size: Base units of one lot.
    """
    numerator, denominator = lot_size.as_integer_ratio()
    # Division of integers rounds once and correctly.
    return lots * numerator / denominator
