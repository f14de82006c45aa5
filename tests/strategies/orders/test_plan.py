"""From approved trades to orders: kinds, prices, brackets, and what is not sent."""

import math
from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.config import OrdersConfig, OrderStyle
from strategies.errors import SafetyError
from strategies.guardrails.verdict import GuardrailReason, Verdict
from strategies.market import Instrument
from strategies.orders import (
    Bracket,
    Identity,
    OrderIntent,
    OrderKind,
    OrderRole,
    OrderSide,
    OrderSkip,
    decision_id,
    plan_orders,
    skip_reason,
)
from strategies.sizing import Trade

_INSTRUMENT = Instrument(
    instrument_id="BTCUSDT.SIM",
    base_currency="BTC",
    quote_currency="USDT",
    tick_size=Decimal("0.05"),
    lot_size=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    min_notional=Decimal(10),
    maker_fee_bps=1.0,
    taker_fee_bps=1.0,
    shortable=True,
)
_IDENTITY = Identity(strategy="donchian", policy_id="p", config_sha256="c")
_MARKET, _IOC = OrdersConfig(), OrdersConfig(style=OrderStyle.LIMIT_IOC)
_OPEN = Trade(0, "BTCUSDT.SIM", 2.0, 100.0)
_CLOSE = Trade(0, "BTCUSDT.SIM", -2.0, 100.0, reduces=True, closes=True)


def _verdict(approved: float) -> Verdict:
    return Verdict(GuardrailReason.OK, approved, math.nan, math.nan)


def _plan(
    trade: Trade,
    approved: float | None = None,
    config: OrdersConfig = _MARKET,
    bid: float | None = 99.9,
    ask: float | None = 100.1,
) -> OrderIntent | Bracket | None:
    return plan_orders(
        trade,
        _verdict(trade.quantity if approved is None else approved),
        config=config,
        instrument=_INSTRUMENT,
        identity=_IDENTITY,
        decision=decision_id(
            _IDENTITY, trade.instrument_id, 60, OrderRole.REDUCE if trade.reduces else OrderRole.OPEN
        ),
        ts_event=60,
        bid=bid,
        ask=ask,
    )


def _order(planned: OrderIntent | Bracket | None) -> OrderIntent:
    assert isinstance(planned, OrderIntent)
    return planned


def _bracket(planned: OrderIntent | Bracket | None) -> Bracket:
    assert isinstance(planned, Bracket)
    return planned


def _skip(
    trade: Trade, config: OrdersConfig = _MARKET, bid: float | None = 99.9, ask: float | None = 100.1
) -> OrderSkip | None:
    reason = skip_reason(
        trade, _verdict(trade.quantity), config=config, instrument=_INSTRUMENT, bid=bid, ask=ask
    )
    assert (_plan(trade, config=config, bid=bid, ask=ask) is None) == (reason is not None)
    return reason


def test_plan_orders_market_open() -> None:
    order = _order(_plan(_OPEN))

    assert (order.side, order.quantity, order.kind, order.role) == (
        OrderSide.BUY,
        2.0,
        OrderKind.MARKET,
        OrderRole.OPEN,
    )
    assert (order.price, order.trigger_price, order.reduce_only) == (None, None, False)
    assert (order.strategy, order.instrument_id, order.ts_event) == ("donchian", "BTCUSDT.SIM", 60)


def test_plan_orders_sends_what_was_approved() -> None:
    assert _order(_plan(_OPEN, approved=0.5)).quantity == 0.5


def test_plan_orders_reductions_are_reduce_only() -> None:
    close, reduce = _order(_plan(_CLOSE)), _order(_plan(replace(_CLOSE, closes=False)))

    assert (close.role, close.side, close.reduce_only) == (OrderRole.CLOSE, OrderSide.SELL, True)
    assert (reduce.role, reduce.reduce_only) == (OrderRole.REDUCE, True)


def test_plan_orders_close_that_was_cut_is_a_reduction() -> None:
    assert _order(_plan(_CLOSE, approved=-1.5)).role is OrderRole.REDUCE


def test_plan_orders_limit_ioc_is_priced_off_the_side_it_takes() -> None:
    bought = _order(_plan(_OPEN, config=_IOC))
    sold = _order(_plan(replace(_OPEN, quantity=-2.0), config=_IOC))

    # 100.1 · 1.001 = 100.2001 and 99.9 · 0.999 = 99.8001, on a tick of 0.05.
    assert (bought.kind, bought.price) == (OrderKind.LIMIT_IOC, 100.2)
    assert (sold.kind, sold.price) == (OrderKind.LIMIT_IOC, 99.8)


def test_plan_orders_closes_at_the_market_in_any_style() -> None:
    reduction = replace(_CLOSE, closes=False)

    assert _order(_plan(_CLOSE, config=_IOC)).kind is OrderKind.MARKET
    assert _order(_plan(reduction, config=_IOC)).kind is OrderKind.LIMIT_IOC


def test_plan_orders_limit_ioc_price_never_leaves_the_tick_grid_downwards() -> None:
    config = OrdersConfig(style=OrderStyle.LIMIT_IOC, limit_offset_frac=2.0)

    assert _order(_plan(replace(_OPEN, quantity=-2.0), config=config)).price == 0.05


@pytest.mark.parametrize("quote", [None, math.nan, 0.0, -1.0, math.inf])
def test_plan_orders_without_a_quote_opens_nothing_but_still_closes(quote: float | None) -> None:
    assert _skip(_OPEN, _IOC, ask=quote) is OrderSkip.NO_QUOTE
    assert _skip(replace(_OPEN, quantity=-1.0), _IOC, bid=quote) is OrderSkip.NO_QUOTE
    assert _skip(_OPEN, _IOC, bid=quote) is None
    assert _skip(_OPEN, _MARKET, ask=quote) is None
    assert _order(_plan(_CLOSE, config=_IOC, bid=quote)).kind is OrderKind.MARKET


def test_plan_orders_with_stop_and_target_is_a_bracket_of_opposite_exits() -> None:
    bracket = _bracket(_plan(replace(_OPEN, stop=95.02, target=112.49), approved=1.5))

    assert bracket.entry.role is OrderRole.OPEN
    assert bracket.stop is not None
    assert bracket.target is not None
    stop, target = bracket.stop, bracket.target
    assert (stop.kind, stop.role, stop.trigger_price, stop.price) == (
        OrderKind.STOP_MARKET,
        OrderRole.STOP,
        95.0,
        None,
    )
    assert (target.kind, target.role, target.price, target.trigger_price) == (
        OrderKind.LIMIT,
        OrderRole.TARGET,
        112.5,
        None,
    )
    for exit_order in (stop, target):
        assert (exit_order.side, exit_order.quantity, exit_order.reduce_only) == (OrderSide.SELL, 1.5, True)
    assert len({order.client_order_id for order in (bracket.entry, stop, target)}) == 3


def test_plan_orders_with_a_stop_alone_is_a_bracket_without_target() -> None:
    bracket = _bracket(_plan(replace(_OPEN, quantity=-2.0, stop=105.0)))

    assert bracket.target is None
    assert bracket.stop is not None
    assert bracket.stop.side is OrderSide.BUY


def test_plan_orders_flip_has_two_different_ids() -> None:
    close, opening = _order(_plan(_CLOSE)), _order(_plan(replace(_OPEN, quantity=-2.0)))

    assert close.decision_id != opening.decision_id
    assert close.client_order_id != opening.client_order_id


def test_plan_orders_entry_carries_the_id_that_was_checked() -> None:
    opening = decision_id(_IDENTITY, "BTCUSDT.SIM", 60, OrderRole.OPEN)
    bracket = _bracket(_plan(replace(_OPEN, stop=95.0)))

    assert bracket.entry.decision_id == opening
    assert bracket.stop is not None
    assert bracket.stop.decision_id == decision_id(_IDENTITY, "BTCUSDT.SIM", 60, OrderRole.STOP)
    assert _order(_plan(_CLOSE)).decision_id == decision_id(_IDENTITY, "BTCUSDT.SIM", 60, OrderRole.REDUCE)


def test_plan_orders_same_decision_is_the_same_order() -> None:
    assert _plan(replace(_OPEN, stop=95.0)) == _plan(replace(_OPEN, stop=95.0))


def test_plan_orders_required_stop_bars_openings_only() -> None:
    config = OrdersConfig(require_stop=True)

    assert _skip(_OPEN, config) is OrderSkip.STOP_REQUIRED
    assert _skip(replace(_OPEN, stop=95.0), config) is None
    assert _skip(_CLOSE, config) is None


@pytest.mark.parametrize(
    ("quantity", "stop", "target", "expected"),
    [
        (1.0, 100.0, None, OrderSkip.STOP_PRICE),
        (1.0, 99.99, None, OrderSkip.STOP_PRICE),
        (1.0, -3.0, None, OrderSkip.STOP_PRICE),
        (-1.0, 99.0, None, OrderSkip.STOP_PRICE),
        (1.0, 95.0, 99.0, OrderSkip.TARGET_PRICE),
        (-1.0, 105.0, 101.0, OrderSkip.TARGET_PRICE),
        (-1.0, 105.0, -1.0, OrderSkip.TARGET_PRICE),
        (1.0, 95.0, 105.0, None),
        (-1.0, 105.0, 95.0, None),
    ],
)
def test_plan_orders_protection_on_the_wrong_side_opens_nothing(
    quantity: float, stop: float, target: float | None, expected: OrderSkip | None
) -> None:
    assert _skip(replace(_OPEN, quantity=quantity, stop=stop, target=target)) is expected


def test_plan_orders_veto_sends_nothing() -> None:
    assert _plan(_OPEN, approved=0.0) is None
    reason = skip_reason(_OPEN, _verdict(0.0), config=_MARKET, instrument=_INSTRUMENT, bid=None, ask=None)
    assert reason is OrderSkip.VETOED


@pytest.mark.parametrize("approved", [2.1, -2.0, -0.1, math.nan, math.inf])
def test_plan_orders_verdict_beyond_the_request_halts(approved: float) -> None:
    with pytest.raises(SafetyError, match=r"expected a verdict between 0 and the 2\.0 asked for"):
        _plan(_OPEN, approved=approved)


@given(
    quantity=st.floats(-100.0, 100.0).filter(bool),
    share=st.floats(0.01, 1.0),
    stop=st.none() | st.floats(1.0, 200.0),
    style=st.sampled_from(OrderStyle),
    is_reduction=st.booleans(),
)
def test_plan_orders_never_exceeds_the_verdict_and_never_lacks_a_required_stop(
    quantity: float, share: float, stop: float | None, style: OrderStyle, is_reduction: bool
) -> None:
    trade = Trade(0, "BTCUSDT.SIM", quantity, 100.0, reduces=is_reduction, stop=stop)

    planned = _plan(trade, quantity * share, OrdersConfig(style=style, require_stop=True))

    if isinstance(planned, Bracket):
        assert planned.stop is not None
        assert planned.stop.quantity == planned.entry.quantity
    entry = planned.entry if isinstance(planned, Bracket) else planned
    if entry is not None:
        assert entry.quantity == abs(quantity * share)
        assert (entry.side is OrderSide.BUY) == (quantity > 0.0)
        assert isinstance(planned, Bracket) is not is_reduction
