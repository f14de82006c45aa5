"""From targets to trades: the way there, split at zero, and never more than can be sold."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.market import Instrument
from strategies.sizing import Target, Trade, plan_trades

_LOT = Decimal("0.1")
_LOTS = st.integers(-500, 500)


def _instrument(*, shortable: bool, min_notional: str = "0") -> Instrument:
    return Instrument(
        instrument_id="BTCUSDT.SIM",
        base_currency="BTC",
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=_LOT,
        min_quantity=_LOT,
        min_notional=Decimal(min_notional),
        maker_fee_bps=1.0,
        taker_fee_bps=1.0,
        shortable=shortable,
    )


_MARGIN, _SPOT = _instrument(shortable=True), _instrument(shortable=False)


def _plan(
    wanted: float,
    held: float,
    instrument: Instrument = _MARGIN,
    free: float | None = None,
    close: float = 100.0,
) -> list[Trade]:
    target = Target((wanted,), (90.0,), (math.nan,), 1.0, ())
    free_base = None if free is None else [free]
    return list(plan_trades(target, [held], [close], [instrument], free_base))


def _shape(trades: list[Trade]) -> list[tuple[float, bool, bool]]:
    return [(trade.quantity, trade.reduces, trade.closes) for trade in trades]


def test_plan_trades_hold_plans_nothing() -> None:
    assert _plan(math.nan, 0.3) == []


def test_plan_trades_differences_are_exact() -> None:
    assert _shape(_plan(0.7, 0.4)) == [(0.3, False, False)]
    assert _shape(_plan(0.1, 0.1 + 0.2)) == [(-0.2, True, False)]
    assert _plan(0.3, 0.1 + 0.2) == []


def test_plan_trades_flip_closes_then_opens() -> None:
    assert _shape(_plan(-0.2, 0.3)) == [(-0.3, True, True), (-0.2, False, False)]
    assert _shape(_plan(0.2, -0.3)) == [(0.3, True, True), (0.2, False, False)]


def test_plan_trades_only_what_opens_carries_a_stop() -> None:
    close, opening = _plan(0.2, -0.3)

    assert (close.stop, close.target) == (None, None)
    assert (opening.stop, opening.target) == (90.0, None)
    assert opening.price == 100.0


def test_plan_trades_on_spot_sells_the_lesser_of_position_and_free_balance() -> None:
    assert _shape(_plan(0.0, 1.0, _SPOT, free=0.65)) == [(-0.6, True, False)]
    assert _shape(_plan(0.0, 1.0, _SPOT, free=5.0)) == [(-1.0, True, True)]
    assert _shape(_plan(0.0, 1.0, _SPOT, free=math.nan)) == [(-1.0, True, True)]
    assert _plan(0.0, 1.0, _SPOT, free=-1.0) == []


def test_plan_trades_on_spot_never_opens_a_short() -> None:
    assert _shape(_plan(-2.0, 1.0, _SPOT)) == [(-1.0, True, True)]
    assert _plan(-2.0, 0.0, _SPOT) == []


def test_plan_trades_below_the_venues_minimum_is_not_planned() -> None:
    spot, margin = replace(_SPOT, min_notional=Decimal(50)), replace(_MARGIN, min_notional=Decimal(50))

    assert _plan(0.4, 0.0, spot) == []
    assert _shape(_plan(0.5, 0.0, spot)) == [(0.5, False, False)]
    assert _plan(0.0, 0.4, spot) == []
    # Where orders can be reduce-only, venues take a small reduction.
    assert _shape(_plan(0.0, 0.4, margin)) == [(-0.4, True, True)]


def test_plan_trades_below_the_smallest_quantity_is_not_planned() -> None:
    assert _plan(0.4, 0.0, replace(_SPOT, min_quantity=Decimal("0.5"))) == []


def test_plan_trades_reductions_come_first() -> None:
    instruments = [_MARGIN, replace(_MARGIN, instrument_id="ETHUSDT.SIM"), _MARGIN]
    target = Target((1.0, 0.0, -1.0), None, None, 1.0, ())

    trades = plan_trades(target, [0.0, 2.0, 1.0], [100.0] * 3, instruments)

    assert [(trade.index, trade.quantity) for trade in trades] == [(1, -2.0), (2, -1.0), (0, 1.0), (2, -1.0)]
    assert trades[0].instrument_id == "ETHUSDT.SIM"


@given(wanted=_LOTS, held=_LOTS, noise=st.floats(-0.999, 0.999))
def test_plan_trades_sum_to_the_delta_within_one_lot(wanted: int, held: int, noise: float) -> None:
    # A position may hold a fraction of a lot, where fees were taken in base units.
    position = (held + math.copysign(abs(noise), held)) / 10

    trades = _plan(wanted / 10, position)

    assert math.fsum(trade.quantity for trade in trades) == pytest.approx(wanted / 10 - position, abs=0.1)
    assert all(trade.quantity == round(trade.quantity, 1) for trade in trades)
    if wanted * held < 0:
        assert [trade.closes for trade in trades] == [True, False]
        assert trades[0].quantity * trades[1].quantity > 0.0
    at = held
    for trade in trades:
        after = at + round(trade.quantity * 10)
        assert trade.reduces == (abs(after) < abs(at))
        assert after * at >= 0
        at = after


@given(wanted=_LOTS, held=st.floats(0.0, 50.0), free=st.floats(-1.0, 60.0))
def test_plan_trades_on_spot_never_sells_more_than_it_can(wanted: int, held: float, free: float) -> None:
    trades = _plan(wanted / 10, held, _SPOT, free)

    sold = -math.fsum(trade.quantity for trade in trades if trade.quantity < 0.0)
    assert sold <= max(min(held, free), 0.0) + 1e-7
    assert all(trade.reduces for trade in trades if trade.quantity < 0.0)
