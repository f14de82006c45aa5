"""Each sizing rule by hand, its fail-safe, and the way from weights to lots."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.config import SizingConfig
from strategies.errors import ConfigError, DataError, SafetyError
from strategies.market import Floats, Instrument
from strategies.policies.protocol import Action
from strategies.regime import RegimeBelief
from strategies.sizing import Sizer, SizingContext, SizingReason
from strategies.sizing.moments import ReturnMoments, ReturnWindow

_BARS_PER_YEAR = 252.0


def _instrument(lot_size: str = "0.001") -> Instrument:
    return Instrument(
        instrument_id="BTCUSDT.SIM",
        base_currency="BTC",
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal(lot_size),
        min_quantity=Decimal(lot_size),
        min_notional=Decimal(0),
        maker_fee_bps=1.0,
        taker_fee_bps=1.0,
        shortable=True,
    )


def _sizer(num_instruments: int = 1, **config: Any) -> Sizer:
    return Sizer(SizingConfig.model_validate(config), [_instrument()] * num_instruments, _BARS_PER_YEAR)


def _context(
    *,
    equity: float = 10_000.0,
    closes: tuple[float, ...] = (100.0,),
    positions: tuple[float, ...] = (0.0,),
    stops: tuple[float, ...] | None = None,
    edge_bps: tuple[float, ...] | None = None,
    probs: tuple[float, ...] | None = None,
) -> SizingContext:
    action = Action(
        (0.0,) * len(closes),
        stops=stops,
        edge_bps=edge_bps,
    )
    belief = None if probs is None else RegimeBelief(probs=probs, state=0, entropy_bits=0.0)
    weights = [position * close / (equity or 1.0) for position, close in zip(positions, closes, strict=True)]
    return SizingContext(equity, closes, weights, action, belief)


def _feed(sizer: Sizer, *returns: tuple[float, ...], repeat: int = 1) -> None:
    closes: Floats = np.full(len(returns[0]), 100.0)
    sizer.observe(closes.tolist())
    for row in returns * repeat:
        closes *= 1.0 + np.array(row)
        sizer.observe(closes.tolist())


def _reasons(sizer: Sizer, weights: list[float], context: SizingContext) -> tuple[SizingReason, ...]:
    return sizer.size(weights, context).reasons


# -- weights to lots -------------------------------------------------------------------------------


def test_size_rounds_towards_zero_to_whole_lots() -> None:
    context = _context(equity=1_000.0, closes=(300.0, 300.0, 300.0), positions=(0.0,) * 3)

    target = _sizer(3).size([0.5, -0.5, 0.0], context)

    # 500 / 300 = 1.66666...
    assert target.quantities == (1.666, -1.666, 0.0)
    assert (target.scale, target.reasons) == (1.0, ())


def test_size_nan_leaves_the_instrument() -> None:
    target = _sizer(2).size([math.nan, 0.1], _context(closes=(100.0, 100.0), positions=(1.0, 0.0)))

    assert math.isnan(target.quantities[0])
    assert target.quantities[1] == 10.0


def test_size_hold_needs_no_prices() -> None:
    target = _sizer().size([math.nan], _context(closes=(math.nan,)))

    assert np.isnan(target.quantities).all()


@pytest.mark.parametrize("close", [math.nan, 0.0, -1.0, math.inf])
def test_size_without_a_price_skips_the_decision(close: float) -> None:
    with pytest.raises(DataError, match="instrument 0: expected a positive, finite close"):
        _sizer().size([0.1], _context(closes=(close,)))


@pytest.mark.parametrize("equity", [0.0, -5.0, math.nan])
def test_size_without_equity_only_lets_exits_through(equity: float) -> None:
    context = _context(equity=equity, closes=(100.0, 100.0), positions=(1.0, 1.0))

    quantities = _sizer(2).size([0.5, 0.0], context).quantities

    assert math.isnan(quantities[0])
    assert quantities[1] == 0.0


def test_size_carries_stops_and_targets_of_the_action() -> None:
    context = _context(stops=(95.0,))

    target = _sizer().size([0.1], context)

    assert target.stops is not None
    assert target.stops == (95.0,)
    assert target.targets is None


@given(weight=st.floats(-3.0, 3.0), equity=st.floats(1.0, 1e7), close=st.floats(1e-3, 1e6))
def test_size_never_asks_for_more_than_the_weight(weight: float, equity: float, close: float) -> None:
    quantity = _sizer().size([weight], _context(equity=equity, closes=(close,))).quantities[0]

    exact = weight * equity / close
    assert abs(quantity) <= abs(exact) + 1e-8
    assert abs(exact - quantity) < 0.001 + 1e-8
    assert quantity * weight >= 0.0


def test_size_refuses_weights_that_have_not_been_through_the_rules() -> None:
    sizer = _sizer(regime_exposure={"enabled": True, "multipliers": (1.0,)})
    context = _context(probs=(1.0,))

    sizer.scale([0.1], context)
    sizer.size([0.1], context)

    with pytest.raises(SafetyError, match=r"pass Sizer\.scale to allocate"):
        sizer.size([0.1], context)


def test_scale_without_rules_changes_nothing() -> None:
    assert _sizer(2).scale([0.3, -0.2], _context(closes=(1.0, 1.0), positions=(0.0, 0.0))) == [0.3, -0.2]


# -- Kelly -----------------------------------------------------------------------------------------


def test_kelly_scales_by_mean_over_variance_by_hand() -> None:
    # So small an alpha weighs all returns alike: +3 % and -1 % in turn have mean 1 % and variance 4e-4.
    # A weight of 0.4 makes that 4e-3 and 6.4e-5: full Kelly is 62.5, a hundredth of it 0.625.
    sizer = _sizer(kelly={"enabled": True, "fraction": 0.01, "ema_alpha": 1e-9})
    _feed(sizer, (0.03,), (-0.01,), repeat=20)
    context = _context()

    assert sizer.scale([0.4], context) == pytest.approx([0.25], rel=1e-6)
    target = sizer.size([0.25], context)
    assert target.scale == pytest.approx(0.625, rel=1e-6)
    assert target.reasons == (SizingReason.KELLY,)


def test_kelly_bets_the_same_however_large_the_wish() -> None:
    sizer = _sizer(kelly={"enabled": True, "fraction": 0.01, "ema_alpha": 1e-9, "f_max": 9.0})
    _feed(sizer, (0.03,), (-0.01,), repeat=20)

    # Halving w doubles mean / variance of w · r: a hundredth of 1 % / 4e-4 is bet either way.
    assert sizer.scale([0.5], _context()) == pytest.approx([0.25], rel=1e-6)
    assert sizer.scale([1.0], _context()) == pytest.approx([0.25], rel=1e-6)


def test_kelly_against_the_drift_bets_nothing_and_with_it_at_most_f_max() -> None:
    sizer = _sizer(kelly={"enabled": True, "fraction": 0.5, "f_max": 1.5})
    _feed(sizer, (0.03,), (-0.01,), repeat=20)

    assert sizer.scale([-0.4], _context()) == [0.0]
    assert sizer.scale([0.4], _context()) == pytest.approx([0.6])


def test_kelly_before_it_has_seen_enough_only_shrinks() -> None:
    sizer = _sizer(5, kelly={"enabled": True})
    context = _context(closes=(100.0,) * 5, positions=(20.0, 20.0, 20.0, -20.0, 0.0))

    # Weights held: 0.2, 0.2, 0.2, -0.2, 0.
    scaled = sizer.scale([0.3, 0.1, 0.0, 0.4, 0.4], context)

    assert np.isnan(scaled).tolist() == [True, False, False, False, True]
    assert scaled[1:4] == [0.1, 0.0, 0.0]
    assert _reasons(sizer, [0.1] * 5, context) == (SizingReason.WARMING_UP,)


# -- volatility target -----------------------------------------------------------------------------


def test_volatility_target_by_hand() -> None:
    # |return| is 1 % on every bar: annual volatility of weight 1 is sqrt(252) · 1 % = 15.8745 %.
    sizer = _sizer(volatility_target={"enabled": True, "annual_target": 0.1})
    _feed(sizer, (0.01,), (-0.01,), repeat=20)
    context = _context()

    assert sizer.scale([1.0], context) == pytest.approx([0.1 / 0.158745], rel=1e-5)
    assert _reasons(sizer, [0.5], context) == (SizingReason.VOLATILITY_TARGET,)


def test_volatility_target_sees_that_opposite_bets_cancel() -> None:
    config = {"enabled": True, "annual_target": 0.1, "min_volatility_annual": 0.05, "scale_max": 4.0}
    sizer = _sizer(2, volatility_target=config)
    _feed(sizer, (0.01, 0.01), (-0.01, -0.01), repeat=20)
    context = _context(closes=(100.0, 100.0), positions=(0.0, 0.0))

    hedged, doubled = sizer.scale([0.5, -0.5], context), sizer.scale([0.5, 0.5], context)

    # Hedged: the floor of 5 % asks for 0.1 / 0.05 = 2. Doubled up: as one instrument with weight 1.
    assert hedged == pytest.approx([1.0, -1.0])
    assert doubled == pytest.approx([0.5 * 0.1 / 0.158745] * 2, rel=1e-5)


def test_volatility_target_counts_what_is_held_and_left_alone() -> None:
    sizer = _sizer(2, volatility_target={"enabled": True, "annual_target": 0.1})
    _feed(sizer, (0.01, 0.01), (-0.01, -0.01), repeat=20)
    context = _context(closes=(100.0, 100.0), positions=(50.0, 0.0))

    held, new = sizer.scale([math.nan, 0.5], context)

    assert math.isnan(held)
    assert new == pytest.approx(0.5 * 0.1 / 0.158745, rel=1e-5)


def test_volatility_target_stays_within_its_clamp() -> None:
    config = {"enabled": True, "scale_min": 0.5, "scale_max": 1.25, "min_volatility_annual": 0.001}
    wild, calm = _sizer(volatility_target=config), _sizer(volatility_target=config)
    _feed(wild, (0.2,), (-0.2,), repeat=20)
    _feed(calm, (1e-6,), (-1e-6,), repeat=20)

    assert wild.scale([0.4], _context()) == pytest.approx([0.2])
    assert calm.scale([0.4], _context()) == pytest.approx([0.5])


# -- regime exposure -------------------------------------------------------------------------------


def test_regime_exposure_weighs_the_multipliers_with_the_belief() -> None:
    sizer = _sizer(regime_exposure={"enabled": True, "multipliers": (1.0, 0.5, 0.0)})

    # 0.2 + 0.25 + 0
    assert sizer.scale([1.0], _context(probs=(0.2, 0.5, 0.3))) == pytest.approx([0.45])


def test_decision_to_leave_all_as_it_is_tells_what_the_rules_said() -> None:
    sizer = _sizer(regime_exposure={"enabled": True, "multipliers": (1.0, 0.5)})
    context = _context(probs=(0.0, 1.0))
    sizer.scale([0.5], context)

    # What the allocation makes of a change too small to trade for.
    target = sizer.size([math.nan], context)

    assert math.isnan(target.quantities[0])
    assert (target.stops, target.targets, target.refusals) == (None, None, ())
    assert (target.scale, target.reasons) == (0.5, (SizingReason.REGIME_EXPOSURE,))


def test_regime_exposure_without_a_belief_only_shrinks() -> None:
    sizer = _sizer(regime_exposure={"enabled": True, "multipliers": (1.0,)})
    context = _context(positions=(20.0,))

    assert sizer.scale([0.1], context) == [0.1]
    assert _reasons(sizer, [0.1], context) == (SizingReason.NO_BELIEF,)
    assert math.isnan(sizer.scale([0.3], context)[0])


def test_regime_exposure_needs_one_multiplier_a_state() -> None:
    sizer = _sizer(regime_exposure={"enabled": True, "multipliers": (1.0, 0.5)})

    with pytest.raises(ConfigError, match="expected 3, one per regime state, found 2"):
        sizer.scale([1.0], _context(probs=(0.2, 0.5, 0.3)))
    with pytest.raises(ConfigError, match="found none"):
        _sizer(regime_exposure={"enabled": True})


def test_portfolio_rules_multiply() -> None:
    sizer = _sizer(
        volatility_target={"enabled": True, "annual_target": 0.1},
        regime_exposure={"enabled": True, "multipliers": (0.5,)},
    )
    _feed(sizer, (0.01,), (-0.01,), repeat=20)

    assert sizer.scale([1.0], _context(probs=(1.0,))) == pytest.approx([0.5 * 0.1 / 0.158745], rel=1e-5)


# -- edge over volatility --------------------------------------------------------------------------


def test_edge_sizes_by_edge_over_volatility_by_hand() -> None:
    # Sample standard deviation of (+10, -10, +10, -10) bp: sqrt(4 · 100 / 3) = 11.547 bp.
    sizer = _sizer(edge={"enabled": True, "k": 2.0, "window_bars": 4})
    _feed(sizer, (0.5,), (0.001,), (-0.001,), (0.001,), (-0.001,))
    context = _context(edge_bps=(-3.0,))

    assert sizer.scale([-0.4], context) == pytest.approx([-0.4 * 2.0 * 3.0 / 11.547005], rel=1e-6)
    assert _reasons(sizer, [-0.1], context) == (SizingReason.EDGE,)


def test_edge_never_asks_for_more_than_the_weight() -> None:
    sizer = _sizer(edge={"enabled": True, "window_bars": 4})
    _feed(sizer, (0.001,), (-0.001,), (0.001,), (-0.001,))

    assert sizer.scale([0.4], _context(edge_bps=(500.0,))) == [0.4]


@pytest.mark.parametrize(
    ("edge_bps", "num_returns", "reason"),
    [
        (None, 4, SizingReason.NO_EDGE),
        ((math.nan,), 4, SizingReason.NO_EDGE),
        ((5.0,), 3, SizingReason.WARMING_UP),
    ],
)
def test_edge_without_what_it_needs_only_shrinks(
    edge_bps: tuple[float, ...] | None, num_returns: int, reason: SizingReason
) -> None:
    sizer = _sizer(edge={"enabled": True, "window_bars": 4})
    _feed(sizer, *[(0.001,), (-0.001,), (0.001,), (-0.001,)][:num_returns])
    context = _context(positions=(20.0,), edge_bps=edge_bps)

    assert math.isnan(sizer.scale([0.4], context)[0])
    assert _reasons(sizer, [0.4], context) == (reason,)
    assert sizer.scale([0.1], context) == [0.1]
    assert sizer.scale([0.0], context) == [0.0]


# -- risk fraction ---------------------------------------------------------------------------------


def test_risk_fraction_loses_its_share_at_the_stop_by_hand() -> None:
    # 1 % of 10,000 over a distance of 4 is 25 units: 0.25 of equity at a price of 100.
    sizer = _sizer(risk_fraction={"enabled": True, "risk_frac": 0.01})
    context = _context(stops=(96.0,))

    weights = sizer.scale([1.0], context)
    target = sizer.size(weights, context)

    assert weights == [0.25]
    assert target.quantities == (25.0,)
    assert target.reasons == (SizingReason.RISK_FRACTION,)


def test_risk_fraction_short_has_its_stop_above() -> None:
    sizer = _sizer(risk_fraction={"enabled": True, "risk_frac": 0.01})

    assert sizer.scale([-1.0], _context(stops=(104.0,))) == [-0.25]


def test_risk_fraction_near_stop_is_no_leverage() -> None:
    # 1 % over 50 bp would be twice the equity.
    sizer = _sizer(risk_fraction={"enabled": True, "risk_frac": 0.01})

    assert sizer.scale([1.0], _context(stops=(99.5,))) == [1.0]


def test_risk_fraction_leaves_reductions_alone() -> None:
    sizer = _sizer(risk_fraction={"enabled": True, "risk_frac": 0.01})

    for stops in (None, (96.0,)):
        context = _context(positions=(50.0,), stops=stops)
        assert sizer.scale([0.4], context) == [0.4]
        assert _reasons(sizer, [0.4], context) == ()


@pytest.mark.parametrize("stops", [None, (math.nan,), (100.0,), (101.0,)])
def test_risk_fraction_opens_nothing_without_a_stop_on_the_losing_side(
    stops: tuple[float, ...] | None,
) -> None:
    sizer = _sizer(risk_fraction={"enabled": True})
    context = _context(stops=stops, positions=(20.0,))

    assert math.isnan(sizer.scale([0.5], context)[0])
    assert _reasons(sizer, [0.5], context) == (SizingReason.NO_STOP,)
    assert sizer.scale([0.1], context) == [0.1]
    assert sizer.scale([0.0], context) == [0.0]


@given(
    weight=st.floats(-2.0, 2.0),
    stop=st.floats(50.0, 150.0) | st.just(math.nan),
    edge=st.floats(-100.0, 100.0),
    position=st.floats(-50.0, 50.0),
)
def test_rules_of_a_name_never_add_risk(weight: float, stop: float, edge: float, position: float) -> None:
    sizer = _sizer(edge={"enabled": True, "window_bars": 4}, risk_fraction={"enabled": True})
    _feed(sizer, (0.001,), (-0.001,), (0.001,), (-0.001,))

    scaled = sizer.scale([weight], _context(stops=(stop,), edge_bps=(edge,), positions=(position,)))[0]

    assert math.isnan(scaled) or (abs(scaled) <= abs(weight) and scaled * weight >= 0.0)


# -- estimates -------------------------------------------------------------------------------------


def test_observe_missing_close_counts_as_unchanged_and_its_return_comes_later() -> None:
    gappy = _sizer(kelly={"enabled": True, "fraction": 0.01, "ema_alpha": 1e-9, "f_max": 99.0})
    plain = _sizer(kelly={"enabled": True, "fraction": 0.01, "ema_alpha": 1e-9, "f_max": 99.0})
    _feed(gappy, (0.03,), (-0.01,), repeat=15)
    _feed(plain, (0.03,), (-0.01,), repeat=15)
    last = 100.0 * (1.03 * 0.99) ** 15

    for close in (math.nan, last * 1.1):
        gappy.observe([close])
    for close in (last, last * 1.1):
        plain.observe([close])

    assert gappy.scale([1.0], _context()) == pytest.approx(plain.scale([1.0], _context()), rel=1e-12)


def test_observe_does_not_keep_the_callers_list() -> None:
    sizer = _sizer(volatility_target={"enabled": True, "annual_target": 0.1})
    closes = [100.0]

    for n in range(41):
        closes[0] = 101.0 if n % 2 else 100.0
        sizer.observe(closes)

    assert sizer.scale([1.0], _context()) == pytest.approx([0.1 / (0.00995 * math.sqrt(252))], rel=1e-3)


def test_reset_forgets_the_returns() -> None:
    sizer = _sizer(volatility_target={"enabled": True})
    _feed(sizer, (0.01,), (-0.01,), repeat=20)

    sizer.reset()

    assert math.isnan(sizer.scale([1.0], _context())[0])


@given(
    returns=st.integers(1, 5).flatmap(
        lambda count: st.lists(st.tuples(*[st.floats(-0.2, 0.2)] * count), min_size=1, max_size=40)
    ),
    alpha=st.floats(0.01, 0.99),
)
def test_return_moments_are_the_weighted_averages(returns: list[tuple[float, ...]], alpha: float) -> None:
    count = len(returns[0])
    moments = ReturnMoments(count, alpha)
    weights = np.array([0.7, -0.4, 0.3, -0.2, 0.5])[:count]

    for row in returns:
        moments.update(row)

    # The definition: weights (1 - alpha)^k, newest first, over the whole history at once.
    decay = (1.0 - alpha) ** np.arange(len(returns))[::-1]
    portfolio = np.array(returns) @ weights
    expected = (np.average(portfolio, weights=decay), np.average(portfolio**2, weights=decay))
    assert moments.portfolio(weights.tolist()) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_return_window_is_the_sample_deviation_of_the_last_returns() -> None:
    window = ReturnWindow(1, 3)

    for value in (9.0, 1.0, 2.0, 3.0):
        window.update([value])

    assert window.volatility(0) == pytest.approx(1.0)
