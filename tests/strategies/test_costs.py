"""The cost model against hand calculations, and what must hold for any fill."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.config import CostConfig
from strategies.costs import CostModel
from strategies.market import Instrument

_DAY_NS = 86_400 * 10**9
_SIZES = st.floats(min_value=1e-6, max_value=1e6)
_PRICES = st.floats(min_value=1e-4, max_value=1e6)


def _instrument(*, maker_fee_bps: float = 2.0, taker_fee_bps: float = 5.0) -> Instrument:
    return Instrument(
        instrument_id="BTCUSDT.SIM",
        base_currency="BTC",
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(10),
        maker_fee_bps=maker_fee_bps,
        taker_fee_bps=taker_fee_bps,
        shortable=True,
    )


def _model(**config: float) -> CostModel:
    return CostModel(CostConfig.model_validate(config), [_instrument()])


def test_trade_cost_taker_matches_hand_calculation() -> None:
    model = _model(commission_per_unit=0.0005, taker_fee_bps=1.0, half_spread_bps=0.5, impact_k=8.0)

    cost = model.trade_cost(0, 100.0, 50.0, 10_000.0, is_maker=False)

    # Notional 5,000: 100 units at 0.0005; 1 bp; 0.5 bp; 8 bp times sqrt(1 %).
    assert cost.commission == pytest.approx(0.05)
    assert cost.fee == pytest.approx(0.5)
    assert cost.half_spread == pytest.approx(0.25)
    assert cost.impact == pytest.approx(0.4)
    assert cost.total == pytest.approx(1.2)
    assert cost.bps(5_000.0) == pytest.approx(2.4)


def test_trade_cost_maker_earns_the_rebate_and_pays_no_spread_or_impact() -> None:
    model = _model(maker_fee_bps=-0.2, half_spread_bps=0.5, impact_k=8.0)

    cost = model.trade_cost(0, -100.0, 50.0, 10_000.0, is_maker=True)

    assert cost.fee == pytest.approx(-0.1)
    assert (cost.commission, cost.half_spread, cost.impact) == (0.0, 0.0, 0.0)


def test_trade_cost_without_configured_fees_takes_the_instruments_own() -> None:
    cheap, dear = _instrument(), _instrument(maker_fee_bps=10.0, taker_fee_bps=20.0)
    model = CostModel(CostConfig(half_spread_bps=0.0, impact_k=0.0), [cheap, dear])

    fees = [
        model.trade_cost(index, 1.0, 10_000.0, 1.0, is_maker=is_maker).total
        for index in (0, 1)
        for is_maker in (True, False)
    ]

    assert fees == pytest.approx([2.0, 5.0, 10.0, 20.0])


def test_trade_cost_round_trip_of_takers_pays_the_whole_spread() -> None:
    model = _model(taker_fee_bps=0.0, half_spread_bps=0.5, impact_k=0.0)

    both = sum(model.trade_cost(0, q, 100.0, 1.0, is_maker=False).total for q in (10.0, -10.0))

    # 2 x 0.5 bp of 1,000.
    assert both == pytest.approx(0.1)


@pytest.mark.parametrize("bar_volume", [0.0, -1.0, math.nan])
def test_trade_cost_in_a_bar_without_volume_counts_as_participation_one(bar_volume: float) -> None:
    model = _model(impact_k=8.0)

    cost = model.trade_cost(0, 3.0, 1_000.0, bar_volume, is_maker=False)

    assert cost.impact == pytest.approx(2.4)


def test_trade_cost_of_nothing_is_nothing() -> None:
    cost = _model(commission_per_unit=1.0).trade_cost(0, 0.0, 100.0, 0.0, is_maker=False)

    assert cost.total == 0.0
    assert cost.bps(0.0) == 0.0


@pytest.mark.parametrize(
    ("quantity", "price"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, math.nan)]
)
def test_trade_cost_of_an_impossible_fill_is_refused(quantity: float, price: float) -> None:
    model = _model()

    with pytest.raises(ValueError, match="expected a finite quantity"):
        model.trade_cost(0, quantity, price, 1.0, is_maker=False)


@given(size=_SIZES, price=_PRICES, volume=st.floats(min_value=1e-3, max_value=1e9))
def test_trade_cost_is_symmetric_and_twice_the_size_costs_more_per_unit(
    size: float, price: float, volume: float
) -> None:
    model = _model(commission_per_unit=0.01)

    bought = model.trade_cost(0, size, price, volume, is_maker=False)
    sold = model.trade_cost(0, -size, price, volume, is_maker=False)
    doubled = model.trade_cost(0, 2.0 * size, price, volume, is_maker=False)

    assert bought == sold
    assert min(bought.commission, bought.fee, bought.half_spread, bought.impact) >= 0.0
    assert doubled.impact == pytest.approx(2.0**1.5 * bought.impact)


def test_borrow_cost_of_a_day_is_a_365th_of_the_year() -> None:
    model = _model(borrow_annual_frac=0.0365)

    assert model.borrow_cost(10_000.0, _DAY_NS) == pytest.approx(1.0)
    assert model.borrow_cost(0.0, _DAY_NS) == 0.0


@pytest.mark.parametrize(("short_value", "dt_ns"), [(-1.0, 1), (1.0, -1), (math.nan, 1)])
def test_borrow_cost_is_never_income(short_value: float, dt_ns: int) -> None:
    with pytest.raises(ValueError, match="expected short_value >= 0"):
        _model().borrow_cost(short_value, dt_ns)
