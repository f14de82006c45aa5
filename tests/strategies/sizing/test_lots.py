"""Whole lots: exact in decimals, towards zero, whatever binary floats make of them."""

from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.sizing.lots import lots_quantity, whole_lots

_LOT_SIZES = st.sampled_from(
    [Decimal(text) for text in ("1", "0.1", "0.01", "0.00001", "1e-8", "0.25", "5", "100")]
)


def test_lots_quantity_has_no_binary_tail() -> None:
    assert [lots_quantity(n, Decimal("0.1")) for n in (3, 7, -11)] == [0.3, 0.7, -1.1]


@pytest.mark.parametrize(
    ("quantity", "lot_size", "lots"),
    [
        (0.7 - 0.4, "0.1", 3),
        (0.1 + 0.2, "0.1", 3),
        (0.39, "0.1", 3),
        (-0.39, "0.1", -3),
        (0.09, "0.1", 0),
        (1e9 - 1e-7, "1", 1_000_000_000),
        (2.5, "1", 2),
    ],
)
def test_whole_lots_counts_towards_zero(quantity: float, lot_size: str, lots: int) -> None:
    assert whole_lots(quantity, Decimal(lot_size)) == lots


@given(lots=st.integers(-(10**8), 10**8), lot_size=_LOT_SIZES)
def test_lots_quantity_is_the_nearest_float_and_counts_back(lots: int, lot_size: Decimal) -> None:
    quantity = lots_quantity(lots, lot_size)

    assert quantity == float(lots * lot_size)
    assert whole_lots(quantity, lot_size) == lots


@given(quantity=st.floats(-1e5, 1e5), lot_size=_LOT_SIZES.filter(lambda lot: lot >= Decimal("0.00001")))
def test_whole_lots_agrees_with_decimal_arithmetic_off_the_grid(quantity: float, lot_size: Decimal) -> None:
    exact = Decimal(quantity) / lot_size

    lots = whole_lots(quantity, lot_size)

    if abs(exact - round(exact)) > Decimal("2e-6"):
        assert lots == int(exact.to_integral_value(ROUND_DOWN))
    assert abs(lots) <= abs(exact) + Decimal("2e-6")
