"""Exits that a bar leaves in doubt, by hand."""

import math

import numpy as np
import pytest

from bot.runs.exits import exits_in_doubt
from ops.report import BarSeries
from strategies.tape import OrderRecord

MINUTE = 60_000_000_000
NAME = "A.X"


def series(low: float, high: float) -> dict[str, BarSeries]:
    """Two bars; the second has these extremes."""
    closes = np.array([MINUTE, 2 * MINUTE])
    middle = np.array([100.0, 100.0])
    return {
        NAME: BarSeries(
            closes, middle, np.array([101.0, high]), np.array([99.0, low]), middle, np.array([1.0, 1.0])
        )
    }


def record(role: str, level: float, status: str, ts_event: int) -> OrderRecord:
    is_stop = role == "STOP"
    return OrderRecord(
        ts_event=ts_event,
        strategy="one",
        instrument_id=NAME,
        decision_id=role,
        client_order_id=role,
        side="SELL",
        quantity=1.0,
        kind="STOP_MARKET" if is_stop else "LIMIT",
        role=role,
        price=math.nan if is_stop else level,
        trigger_price=level if is_stop else math.nan,
        status=status,
        reason="",
    )


@pytest.mark.parametrize(
    ("low", "high", "filled_at", "expected"),
    [
        (97.0, 106.0, 2 * MINUTE, {"STOP": 0, "TARGET": 1}),
        (98.5, 106.0, 2 * MINUTE, {"STOP": 0, "TARGET": 0}),  # the stop at 98 was not reached
        (97.0, 106.0, MINUTE + 1, {"STOP": 0, "TARGET": 0}),  # at the open, before either extreme
    ],
)
def test_exit_is_in_doubt_where_its_bar_reached_both(
    low: float, high: float, filled_at: int, expected: dict[str, int]
) -> None:
    orders = [
        record("STOP", 98.0, "SUBMITTED", MINUTE),
        record("TARGET", 105.0, "SUBMITTED", MINUTE),
        record("TARGET", 105.0, "FILLED", filled_at),
        record("STOP", 98.0, "CANCELED", filled_at),
    ]

    assert exits_in_doubt(orders, series(low, high)) == expected


def test_lone_stop_is_never_in_doubt() -> None:
    orders = [
        record("STOP", 98.0, "SUBMITTED", MINUTE),
        record("STOP", 98.0, "FILLED", 2 * MINUTE),
    ]

    assert exits_in_doubt(orders, series(97.0, 106.0)) == {"STOP": 0, "TARGET": 0}
