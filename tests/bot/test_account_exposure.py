"""What working orders may make of the account, by hand."""

from types import SimpleNamespace
from typing import Any

import pytest

from bot.account_exposure import exposure_of


def strategy(position: float, close: float, *working: tuple[str, float, float]) -> Any:
    """One that holds one instrument; working orders are side, quantity and what of it is filled."""
    value = position * close
    ledger = SimpleNamespace(
        closes=[close], positions=[position], gross_exposure=abs(value), net_exposure=value
    )
    orders = tuple(
        SimpleNamespace(
            intent=SimpleNamespace(instrument_id="A.X", side=side, quantity=quantity), filled=filled
        )
        for side, quantity, filled in working
    )
    pipeline = SimpleNamespace(
        instruments=[SimpleNamespace(instrument_id="A.X")], stages=SimpleNamespace(ledger=ledger)
    )
    return SimpleNamespace(pipeline=pipeline, door=SimpleNamespace(working_entries=lambda: orders))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (strategy(2.0, 10.0), (20.0, 20.0, 0.0, 0.0)),
        (strategy(2.0, 10.0, ("BUY", 3.0, 1.0)), (40.0, 20.0, 20.0, 0.0)),
        # A sale of what is held makes it no larger, until it turns the position around.
        (strategy(2.0, 10.0, ("SELL", 2.0, 0.0)), (20.0, 20.0, 0.0, 20.0)),
        (strategy(2.0, 10.0, ("SELL", 5.0, 0.0)), (30.0, 20.0, 0.0, 50.0)),
        (strategy(-2.0, 10.0, ("SELL", 1.0, 0.0), ("BUY", 1.0, 0.0)), (30.0, -20.0, 10.0, 10.0)),
    ],
)
def test_exposure_of_a_strategy_takes_its_orders_at_their_worst(
    one: Any, expected: tuple[float, ...]
) -> None:
    assert exposure_of([one]) == pytest.approx(expected)


def test_exposures_of_strategies_add_up() -> None:
    both = [strategy(2.0, 10.0), strategy(-1.0, 10.0, ("BUY", 0.5, 0.0))]

    assert exposure_of(both) == pytest.approx((30.0, 10.0, 5.0, 0.0))
