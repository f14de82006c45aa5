"""The ledger against hand calculations, and its identity under any sequence of fills."""

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.errors import SafetyError
from strategies.market import Instrument
from strategies.portfolio import Ledger


def _instrument(lot: str = "0.001") -> Instrument:
    return Instrument(
        instrument_id="BTCUSDT.BINANCE",
        base_currency="BTC",
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal(lot),
        min_quantity=Decimal(lot),
        min_notional=Decimal(10),
        maker_fee_bps=10.0,
        taker_fee_bps=10.0,
        shortable=True,
    )


def test_ledger_round_trip_books_profit_and_fees_by_hand() -> None:
    ledger = Ledger([_instrument()], 1000.0)

    ledger.apply_fill(0, 2.0, 100.0, 0.2)
    ledger.mark([110.0])
    ledger.apply_fill(0, -2.0, 120.0, 0.24)

    assert ledger.realised == pytest.approx(40.0)
    assert ledger.fees == pytest.approx(0.44)
    assert ledger.cash == pytest.approx(1039.56)
    assert ledger.equity == pytest.approx(1039.56)
    assert ledger.positions == [0.0]


def test_ledger_flip_through_zero_starts_a_new_average() -> None:
    ledger = Ledger([_instrument()], 1000.0)

    ledger.apply_fill(0, 1.0, 100.0, 0.0)
    ledger.apply_fill(0, -3.0, 90.0, 0.0)
    ledger.mark([80.0])

    assert ledger.realised == pytest.approx(-10.0)
    assert ledger.average_prices == [90.0]
    assert ledger.unrealised == pytest.approx(20.0)
    assert ledger.equity == pytest.approx(1010.0)


def test_ledger_small_lots_leave_no_dust() -> None:
    ledger = Ledger([_instrument("0.1")], 1000.0)

    ledger.apply_fill(0, 0.1, 10.0, 0.0)
    ledger.apply_fill(0, 0.2, 10.0, 0.0)
    ledger.apply_fill(0, -0.3, 10.0, 0.0)

    assert ledger.positions == [0.0]


def test_ledger_weights_follow_fills_closes_and_charges() -> None:
    ledger = Ledger([_instrument()], 1000.0)

    seen = [ledger.weights()]
    ledger.apply_fill(0, 5.0, 100.0, 0.0)
    seen.append(ledger.weights())
    ledger.mark([200.0])
    seen.append(ledger.weights())
    ledger.charge(500.0)
    seen.append(ledger.weights())
    ledger.mark([0.0])

    # 500 of 1,000; 1,000 of 1,500; 1,000 of 1,000; and nothing once equity is gone.
    assert seen == [(0.0,), (0.5,), (pytest.approx(2 / 3),), (1.0,)]
    assert ledger.weights() == (0.0,)


def test_ledger_drawdown_counts_from_the_peak() -> None:
    ledger = Ledger([_instrument()], 1000.0)
    ledger.apply_fill(0, 10.0, 100.0, 0.0)

    ledger.mark([120.0])
    ledger.mark([90.0])

    assert ledger.peak_equity == pytest.approx(1200.0)
    assert ledger.drawdown == pytest.approx(0.25)


def test_ledger_bars_held_counts_marks_since_opening() -> None:
    ledger = Ledger([_instrument()], 1000.0)

    ledger.mark([100.0])
    ledger.apply_fill(0, 1.0, 100.0, 0.0)
    ledger.mark([100.0])
    ledger.mark([100.0])
    held_open = list(ledger.bars_held)
    ledger.apply_fill(0, -1.0, 100.0, 0.0)

    assert held_open == [2]
    assert ledger.bars_held == [0]


@pytest.mark.parametrize(
    ("quantity", "price", "fee"),
    [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, -1.0, 0.0), (1.0, 1.0, float("nan"))],
)
def test_ledger_impossible_fill_is_refused_and_changes_nothing(
    quantity: float, price: float, fee: float
) -> None:
    ledger = Ledger([_instrument()], 1000.0)

    with pytest.raises(ValueError, match="a fill needs"):
        ledger.apply_fill(0, quantity, price, fee)

    assert ledger.cash == 1000.0
    assert ledger.positions == [0.0]


@given(
    fills=st.lists(
        st.tuples(
            st.integers(-5000, 5000).filter(bool),
            st.floats(1.0, 1000.0),
            st.floats(-0.1, 1.0),
        ),
        max_size=30,
    ),
    close=st.floats(1.0, 1000.0),
)
def test_ledger_equity_is_capital_plus_profit_minus_fees(
    fills: list[tuple[int, float, float]], close: float
) -> None:
    ledger = Ledger([_instrument()], 100_000.0)

    for lots, price, fee in fills:
        ledger.apply_fill(0, lots / 1000.0, price, fee)
    ledger.mark([close])

    assert ledger.equity == pytest.approx(
        ledger.capital + ledger.realised + ledger.unrealised - ledger.fees, abs=1e-6
    )
    assert ledger.positions[0] == round(sum(lots for lots, _, _ in fills) / 1000.0, 3)


def _traded() -> Ledger:
    ledger = Ledger([_instrument(), _instrument()], 1000.0)
    ledger.apply_fill(0, 0.3, 100.1, 0.2)
    ledger.mark([110.7, 50.0])
    ledger.apply_fill(0, -0.1, 111.3, 0.1)
    return ledger


def test_ledger_snapshot_is_the_same_ledger_after_json_and_back_to_the_bit() -> None:
    ledger, other = _traded(), Ledger([_instrument(), _instrument()], 5.0)
    assert other.weights() == (0.0, 0.0)

    other.restore(json.loads(json.dumps(ledger.snapshot())))

    assert {name: getattr(other, name) for name in Ledger.__slots__ if name != "_weights"} == {
        name: getattr(ledger, name) for name in Ledger.__slots__ if name != "_weights"
    }
    assert other.weights() == ledger.weights()


@pytest.mark.parametrize("name", sorted(_traded().snapshot()))
@pytest.mark.parametrize(
    "damage", [KeyError, None, math.nan, math.inf, "x", [1.0], [None, None], [1.0, math.nan]]
)
def test_ledger_damaged_snapshot_is_refused_and_changes_nothing(name: str, damage: Any) -> None:
    ledger = _traded()
    before = ledger.snapshot()
    snapshot = Ledger([_instrument(), _instrument()], 5.0).snapshot()
    if damage is KeyError:
        del snapshot[name]
    else:
        snapshot[name] = damage

    with pytest.raises(SafetyError, match="what is held is unknown"):
        ledger.restore(snapshot)

    assert ledger.snapshot() == before


def test_ledger_snapshot_of_fewer_instruments_is_refused() -> None:
    ledger = _traded()

    with pytest.raises(SafetyError, match="a book of 2 instruments"):
        ledger.restore(Ledger([_instrument()], 1000.0).snapshot())
