"""Purchases are cut to the cash that is there."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from strategies.market import Instrument
from strategies.sizing import Trade, fit_to_cash


def _instrument(*, shortable: bool = False) -> Instrument:
    return Instrument(
        instrument_id="BTCUSDT.BINANCE",
        base_currency="BTC",
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(10),
        maker_fee_bps=10.0,
        taker_fee_bps=10.0,
        shortable=shortable,
    )


def _trade(quantity: float, price: float = 100.0, *, reduces: bool = False) -> Trade:
    return Trade(0, "BTCUSDT.BINANCE", quantity, price, reduces, False, None, None)


def test_purchase_within_cash_is_left_alone() -> None:
    trades = fit_to_cash([_trade(2.0)], 200.0, [_instrument()])

    assert [trade.quantity for trade in trades] == [2.0]


def test_purchase_beyond_cash_is_cut_to_whole_lots() -> None:
    trades = fit_to_cash([_trade(2.0)], 123.4567, [_instrument()])

    assert [trade.quantity for trade in trades] == [1.234]


def test_second_purchase_gets_what_the_first_left() -> None:
    trades = fit_to_cash([_trade(1.0), _trade(1.0)], 150.0, [_instrument()])

    assert [trade.quantity for trade in trades] == [1.0, 0.5]


def test_purchase_that_becomes_too_small_for_the_venue_is_left_out() -> None:
    assert fit_to_cash([_trade(2.0)], 9.99, [_instrument()]) == ()


def test_sales_and_margin_purchases_are_not_limited() -> None:
    trades = fit_to_cash([_trade(-2.0, reduces=True)], 0.0, [_instrument()])
    on_margin = fit_to_cash([_trade(2.0)], 0.0, [_instrument(shortable=True)])

    assert len(trades) == 1
    assert len(on_margin) == 1


@given(
    lots=st.lists(st.integers(1, 100_000), max_size=6),
    price=st.floats(0.5, 50_000.0),
    spendable=st.floats(-1000.0, 1_000_000.0),
)
def test_purchases_never_cost_more_than_there_is(lots: list[int], price: float, spendable: float) -> None:
    wanted = [_trade(count / 1000.0, price) for count in lots]

    fitted = fit_to_cash(wanted, spendable, [_instrument()])

    assert sum(trade.quantity * trade.price for trade in fitted) <= max(spendable, 0.0) * (1.0 + 1e-9)
