"""The cost meter against hand calculations."""

from decimal import Decimal

import pytest

from bot.engine_costs import CostMeter
from strategies.config import CostConfig
from strategies.market import BarRow, Instrument

_PERP = "BTCUSDT-PERP.BINANCE"


def _meter() -> CostMeter:
    instrument = Instrument(
        instrument_id=_PERP,
        base_currency="BTC",
        quote_currency="USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(5),
        maker_fee_bps=2.0,
        taker_fee_bps=5.0,
        shortable=True,
    )
    config = CostConfig(half_spread_bps=0.5, impact_k=8.0, borrow_annual_frac=0.1)
    return CostMeter(config, {_PERP: instrument})


def test_meter_charges_the_volume_of_the_newest_bar_of_an_instrument_with_hyphens() -> None:
    meter = _meter()
    meter.note_bar(f"{_PERP}-1-MINUTE-LAST-EXTERNAL", BarRow(1, 100.0, 100.0, 100.0, 100.0, 400.0))

    cost = meter.charge("s", _PERP, 4.0, 100.0, is_maker=False)

    # 400 quote: fee 5 bp = 0.2, half spread 0.5 bp = 0.02, impact 8 · sqrt(4 / 400) = 0.8 bp = 0.032.
    assert cost.fee == pytest.approx(0.2)
    assert cost.half_spread == pytest.approx(0.02)
    assert cost.impact == pytest.approx(0.032)
    assert sum(meter.totals["s"].values()) == pytest.approx(0.252)


def test_meter_charges_a_resting_order_the_maker_fee_only() -> None:
    meter = _meter()

    cost = meter.charge("s", _PERP, 4.0, 100.0, is_maker=True, bar_volume=400.0)

    assert cost.total == pytest.approx(0.08)


def test_meter_borrow_fee_is_the_annual_fraction_of_the_time() -> None:
    year_ns = 365 * 86_400 * 1_000_000_000

    assert _meter().borrow_cost(1000.0, year_ns) == pytest.approx(100.0, rel=1e-2)


def test_meter_asked_what_a_fill_would_cost_charges_nothing() -> None:
    meter = _meter()
    meter.note_bar(f"{_PERP}-1-MINUTE-LAST-EXTERNAL", BarRow(1, 100.0, 100.0, 100.0, 100.0, 400.0))

    asked = meter.cost_of(_PERP, 4.0, 100.0, is_maker=False)

    assert meter.totals == {}
    assert asked == meter.charge("s", _PERP, 4.0, 100.0, is_maker=False)
