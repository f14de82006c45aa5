"""Between the trading node's types and the paper venue's."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    ClientOrderId,
    ContingencyType,
    Currency,
    FillReport,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderListId,
    OrderSide,
    OrderStatus,
    OrderStatusReport,
    OrderType,
    PositionSide,
    PositionStatusReport,
    Price,
    Quantity,
    TimeInForce,
    TradeId,
    TriggerType,
    VenueOrderId,
)

from adapters.paper import orders as paper
from adapters.paper.venue import PaperVenue

_KINDS: Mapping[str, paper.Kind] = {
    "MARKET": paper.Kind.MARKET,
    "LIMIT": paper.Kind.LIMIT,
    "STOP_MARKET": paper.Kind.STOP_MARKET,
}
_SIDES = {paper.Side.BUY: OrderSide.BUY, paper.Side.SELL: OrderSide.SELL}
_STATUSES = {
    paper.OrderState.HELD: OrderStatus.SUBMITTED,
    paper.OrderState.ACCEPTED: OrderStatus.ACCEPTED,
    paper.OrderState.PARTIALLY_FILLED: OrderStatus.PARTIALLY_FILLED,
    paper.OrderState.FILLED: OrderStatus.FILLED,
    paper.OrderState.CANCELED: OrderStatus.CANCELED,
    paper.OrderState.REJECTED: OrderStatus.REJECTED,
}

_AVERAGE_DECIMALS = 12


def venue_instrument(instrument: Any) -> paper.VenueInstrument:
    """Read the venue's rules off one of the node's instruments."""
    base = getattr(instrument, "base_currency", None)
    margin = instrument.margin_init
    return paper.VenueInstrument(
        instrument_id=str(instrument.id),
        base_currency=None if base is None else str(base),
        quote_currency=str(instrument.quote_currency),
        price_precision=instrument.price_precision,
        size_precision=instrument.size_precision,
        tick_size=Decimal(str(instrument.price_increment)),
        lot_size=Decimal(str(instrument.size_increment)),
        min_quantity=Decimal(str(instrument.min_quantity or 0)),
        min_notional=instrument.min_notional.as_decimal() if instrument.min_notional else Decimal(0),
        margin_init_frac=margin if margin > 0 else Decimal(1),
        quote_precision=instrument.quote_currency.precision,
    )


def order_request(order: Any) -> paper.OrderRequest:
    """Turn one of the node's orders into what the venue is asked.

    Raises:
        RefusalError: If the venue does not know this type of order or time in force.
    """
    kind = _KINDS.get(order.order_type.name)
    force = order.time_in_force.name
    if kind is None or force not in paper.TimeInForce:
        raise paper.RefusalError(
            f"UNSUPPORTED_ORDER: expected {', '.join(_KINDS)} with {', '.join(paper.TimeInForce)},"
            f" found {order.order_type.name} {force}"
        )
    contingency = order.contingency_type
    parent = order.parent_order_id
    return paper.OrderRequest(
        client_order_id=str(order.client_order_id),
        instrument_id=str(order.instrument_id),
        side=paper.Side(order.side.name),
        kind=kind,
        quantity=Decimal(str(order.quantity)),
        price=Decimal(str(order.price)) if kind is paper.Kind.LIMIT else None,
        trigger_price=Decimal(str(order.trigger_price)) if kind is paper.Kind.STOP_MARKET else None,
        time_in_force=paper.TimeInForce(force),
        reduce_only=order.is_reduce_only,
        post_only=kind is paper.Kind.LIMIT and order.is_post_only,
        owner=str(order.strategy_id),
        parent_id=None if parent is None else str(parent),
        linked_ids=tuple(str(other) for other in order.linked_order_ids or ()),
        contingency=paper.Contingency.NONE if contingency is None else paper.Contingency(contingency.name),
        order_list_id=None if order.order_list_id is None else str(order.order_list_id),
    )


def price(value: Decimal, instrument: paper.VenueInstrument) -> Price:
    """Turn a venue price into the node's."""
    return Price.from_decimal_dp(value, instrument.price_precision)


def quantity(value: Decimal, instrument: paper.VenueInstrument) -> Quantity:
    """Turn a venue quantity into the node's."""
    return Quantity.from_decimal_dp(value, instrument.size_precision)


def commission(fill: paper.Fill, instrument: paper.VenueInstrument) -> Money:
    """Give a fill's commission as money."""
    return Money.from_decimal(fill.commission, Currency.from_str(instrument.quote_currency))


def liquidity(fill: paper.Fill) -> LiquiditySide:
    """Tell whether a fill made or took liquidity."""
    return LiquiditySide.MAKER if fill.is_maker else LiquiditySide.TAKER


def account_balances(venue: PaperVenue) -> list[AccountBalance]:
    """List the venue's balances as the node wants them."""
    balances = []
    for name, (total, locked) in venue.balances().items():
        currency = Currency.from_str(name)
        parts = (Money.from_decimal(amount, currency) for amount in (total, locked, total - locked))
        balances.append(AccountBalance(*parts))
    return balances


def status_report(
    order: paper.Order, venue: PaperVenue, account_id: AccountId, ts_init: int
) -> OrderStatusReport:
    """Report where an order stands at the venue."""
    instrument = venue.instruments[order.instrument_id]
    is_stop = order.trigger_price is not None
    average = (
        instrument.notional(1, order.filled_value) / instrument.quantity(order.filled)
        if order.filled
        else None
    )
    linked = [ClientOrderId(other) for other in order.linked_ids]
    return OrderStatusReport(
        account_id,
        InstrumentId.from_str(order.instrument_id),
        VenueOrderId(order.venue_order_id),
        _SIDES[order.side],
        OrderType.from_str(order.kind),
        TimeInForce.from_str(order.time_in_force),
        _STATUSES[order.state],
        quantity(instrument.quantity(order.quantity), instrument),
        quantity(instrument.quantity(order.filled), instrument),
        order.ts_accepted,
        order.ts_last,
        ts_init,
        client_order_id=ClientOrderId(order.client_order_id),
        order_list_id=None if order.order_list_id is None else OrderListId(order.order_list_id),
        linked_order_ids=linked or None,
        parent_order_id=None if order.parent_id is None else ClientOrderId(order.parent_id),
        contingency_type=(
            None
            if order.contingency is paper.Contingency.NONE
            else ContingencyType.from_str(order.contingency)
        ),
        price=None if order.price is None else price(instrument.price(order.price), instrument),
        trigger_price=(
            price(instrument.price(order.trigger_price), instrument)
            if order.trigger_price is not None
            else None
        ),
        trigger_type=TriggerType.DEFAULT if is_stop else None,
        avg_px=average,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        cancel_reason=order.reason or None,
    )


def travelling_report(
    order: Any, venue: PaperVenue, account_id: AccountId, ts_init: int
) -> OrderStatusReport:
    """Report an order that is on its way to the venue; the node takes it for accepted."""
    return _sent_report(order, OrderStatus.SUBMITTED, venue, account_id, ts_init)


def missing_report(order: Any, venue: PaperVenue, account_id: AccountId, ts_init: int) -> OrderStatusReport:
    """Report an order that the venue has never seen, and never will."""
    return _sent_report(order, OrderStatus.REJECTED, venue, account_id, ts_init, "NOT_FOUND: never arrived")


def _sent_report(
    order: Any,
    status: OrderStatus,
    venue: PaperVenue,
    account_id: AccountId,
    ts_init: int,
    reason: str | None = None,
) -> OrderStatusReport:
    return OrderStatusReport(
        account_id,
        order.instrument_id,
        VenueOrderId(paper.venue_order_id(venue.config.venue, str(order.client_order_id))),
        order.side,
        order.order_type,
        order.time_in_force,
        status,
        order.quantity,
        order.filled_qty,
        order.ts_init,
        order.ts_init,
        ts_init,
        client_order_id=order.client_order_id,
        cancel_reason=reason,
    )


def fill_report(fill: paper.Fill, venue: PaperVenue, account_id: AccountId, ts_init: int) -> FillReport:
    """Report one execution."""
    instrument = venue.instruments[fill.instrument_id]
    return FillReport(
        account_id,
        InstrumentId.from_str(fill.instrument_id),
        VenueOrderId(fill.venue_order_id),
        TradeId(fill.trade_id),
        _SIDES[fill.side],
        quantity(fill.quantity, instrument),
        price(fill.price, instrument),
        commission(fill, instrument),
        liquidity(fill),
        fill.ts_event,
        ts_init,
        client_order_id=ClientOrderId(fill.client_order_id),
    )


def opening_reports(
    instrument: paper.VenueInstrument,
    side: paper.Side,
    size: Decimal,
    average: Decimal,
    ts_event: int,
    name: str,
    account_id: AccountId,
    ts_init: int,
) -> tuple[OrderStatusReport, FillReport]:
    """Report a position as one order that was filled at its average price, free of charge."""
    instrument_id, number = InstrumentId.from_str(instrument.instrument_id), VenueOrderId(name)
    filled = quantity(size, instrument)
    order = OrderStatusReport(
        account_id,
        instrument_id,
        number,
        _SIDES[side],
        OrderType.MARKET,
        TimeInForce.GTC,
        OrderStatus.FILLED,
        filled,
        filled,
        ts_event,
        ts_event,
        ts_init,
        client_order_id=ClientOrderId(name),
        avg_px=average,
    )
    fill = FillReport(
        account_id,
        instrument_id,
        number,
        TradeId(name),
        _SIDES[side],
        filled,
        # An average has more decimals than the instrument's prices.
        Price.from_decimal_dp(average, _AVERAGE_DECIMALS),
        Money.from_decimal(Decimal(0), Currency.from_str(instrument.quote_currency)),
        LiquiditySide.NO_LIQUIDITY_SIDE,
        ts_event,
        ts_init,
        client_order_id=ClientOrderId(name),
    )
    return order, fill


def position_report(
    instrument_id: str, venue: PaperVenue, account_id: AccountId, ts_init: int
) -> PositionStatusReport:
    """Report what the account holds of an instrument, over all owners."""
    instrument = venue.instruments[instrument_id]
    owners = venue.state.ledger.positions.get(instrument_id, {}).values()
    net = sum(position.quantity for position in owners)
    held = sum((abs(p.quantity) * p.average for p in owners), start=Decimal(0))
    size = sum(abs(p.quantity) for p in owners)
    side = PositionSide.FLAT if net == 0 else PositionSide.LONG if net > 0 else PositionSide.SHORT
    return PositionStatusReport(
        account_id,
        InstrumentId.from_str(instrument_id),
        side,
        quantity(instrument.quantity(abs(net)), instrument),
        max((p.ts_last for p in owners), default=venue.state.ts),
        ts_init,
        avg_px_open=held / size if net and size else None,
    )
