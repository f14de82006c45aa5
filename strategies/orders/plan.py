"""The rules by which an approved trade becomes an order, or a bracket of three.

Flow: guardrails → **plan** → decision → the door.
"""

import math
from enum import StrEnum

from strategies.config import OrdersConfig, OrderStyle
from strategies.errors import SafetyError
from strategies.guardrails.verdict import Verdict
from strategies.market import Instrument
from strategies.orders.identity import Identity, client_order_id, decision_id
from strategies.orders.intents import Bracket, OrderIntent, OrderKind, OrderRole, OrderSide
from strategies.sizing import Trade


class OrderSkip(StrEnum):
    """Why a trade became no order."""

    VETOED = "vetoed"
    """The guardrails refused it."""
    NO_QUOTE = "no_quote"
    """A limit order that opens needs the side of the book that it takes, and there is none."""
    STOP_REQUIRED = "stop_required"
    """It opens a position without a protective stop, which the strategy forbids itself."""
    STOP_PRICE = "stop_price"
    """The stop is not positive or not on the losing side of the last close."""
    TARGET_PRICE = "target_price"
    """The target is not positive or not on the winning side of the last close."""


def plan_orders(
    trade: Trade,
    verdict: Verdict,
    *,
    config: OrdersConfig,
    instrument: Instrument,
    identity: Identity,
    decision: str,
    ts_event: int,
    bid: float | None,
    ask: float | None,
) -> OrderIntent | Bracket | None:
    """Turn one trade and its verdict into what is to be sent.

    A trade that opens and carries a stop or a target becomes a bracket; every other one a single order.
    A limit IOC is priced off the side that it takes: a purchase at ask · (1 + offset), a sale at
    bid · (1 - offset). A close goes to the market in any style, and so does any reduction without a quote,
    where an opening waits: staying in the risk is worse than a bad price.

    Args:
        trade: What sizing wants.
        verdict: What the guardrails left of it.
        config: Order style and offset.
        instrument: Rules of the traded instrument.
        identity: What the ids of protective orders are derived from.
        decision: Id of the decision, the one that the guardrails were asked about; the entry carries it.
        ts_event: Close time of the bar that was decided on, UTC nanoseconds.
        bid: Best bid, quote currency; None or NaN where there is none.
        ask: Best ask, quote currency; None or NaN where there is none.

    Returns:
        None when there is nothing to send; `skip_reason` says why.

    Raises:
        SafetyError: If the verdict approves more than was asked, the other side, or no number at all.
    """
    if skip_reason(trade, verdict, config=config, instrument=instrument, bid=bid, ask=ask) is not None:
        return None
    side = OrderSide.BUY if verdict.approved > 0.0 else OrderSide.SELL
    kind, price = _entry_kind(side, config, instrument, ask if side is OrderSide.BUY else bid)
    if trade.closes:
        # What protected the position is cancelled for this order, so it must not come back unfilled.
        kind, price = OrderKind.MARKET, None

    def intent(
        own: str,
        role: OrderRole,
        kind: OrderKind,
        side: OrderSide,
        price: float | None,
        trigger_price: float | None,
    ) -> OrderIntent:
        return OrderIntent(
            decision_id=own,
            client_order_id=client_order_id(own),
            strategy=identity.strategy,
            instrument_id=trade.instrument_id,
            ts_event=ts_event,
            side=side,
            quantity=abs(verdict.approved),
            kind=kind,
            price=price,
            trigger_price=trigger_price,
            reduce_only=role is not OrderRole.OPEN,
            role=role,
        )

    entry = intent(decision, _role(trade, verdict), kind, side, price, None)
    stop, target = _protection(trade, instrument)
    if stop is None and target is None:
        return entry

    def protective(
        role: OrderRole, kind: OrderKind, price: float | None, trigger_price: float | None
    ) -> OrderIntent:
        own = decision_id(identity, trade.instrument_id, ts_event, role)
        return intent(own, role, kind, side.opposite, price, trigger_price)

    return Bracket(
        entry=entry,
        stop=None if stop is None else protective(OrderRole.STOP, OrderKind.STOP_MARKET, None, stop),
        target=None if target is None else protective(OrderRole.TARGET, OrderKind.LIMIT, target, None),
    )


def skip_reason(
    trade: Trade,
    verdict: Verdict,
    *,
    config: OrdersConfig,
    instrument: Instrument,
    bid: float | None,
    ask: float | None,
) -> OrderSkip | None:
    """Say why a trade becomes no order; None when it becomes one. Arguments as for `plan_orders`.

    Raises:
        SafetyError: If the verdict approves more than was asked, the other side, or no number at all.
    """
    if not abs(verdict.approved) <= abs(trade.quantity) or verdict.approved * trade.quantity < 0.0:
        raise SafetyError(
            f"{trade.instrument_id}: expected a verdict between 0 and the {trade.quantity} asked for, "
            f"found {verdict.approved}; the guardrail {verdict.reason.value!r} is at fault, nothing was sent"
        )
    if verdict.vetoed:
        return OrderSkip.VETOED
    if trade.reduces:
        return None
    if config.style is OrderStyle.LIMIT_IOC and not _is_quoted(ask if trade.quantity > 0.0 else bid):
        return OrderSkip.NO_QUOTE
    return _protection_fault(trade, config, instrument)


def _protection_fault(trade: Trade, config: OrdersConfig, instrument: Instrument) -> OrderSkip | None:
    stop, target = _protection(trade, instrument)
    if stop is None and config.require_stop:
        return OrderSkip.STOP_REQUIRED
    direction = math.copysign(1.0, trade.quantity)
    if stop is not None and not (stop > 0.0 and (trade.price - stop) * direction > 0.0):
        return OrderSkip.STOP_PRICE
    if target is not None and not (target > 0.0 and (target - trade.price) * direction > 0.0):
        return OrderSkip.TARGET_PRICE
    return None


def _protection(trade: Trade, instrument: Instrument) -> tuple[float | None, float | None]:
    if trade.reduces or (trade.stop is None and trade.target is None):
        return None, None
    return (
        None if trade.stop is None else instrument.round_price(trade.stop),
        None if trade.target is None else instrument.round_price(trade.target),
    )


def _role(trade: Trade, verdict: Verdict) -> OrderRole:
    if not trade.reduces:
        return OrderRole.OPEN
    # A close that the guardrails cut leaves something of the position.
    return OrderRole.CLOSE if trade.closes and verdict.approved == trade.quantity else OrderRole.REDUCE


def _entry_kind(
    side: OrderSide, config: OrdersConfig, instrument: Instrument, quote: float | None
) -> tuple[OrderKind, float | None]:
    if config.style is OrderStyle.MARKET or quote is None or not _is_quoted(quote):
        return OrderKind.MARKET, None
    offset = config.limit_offset_frac if side is OrderSide.BUY else -config.limit_offset_frac
    price = instrument.round_price(quote * (1.0 + offset))
    return OrderKind.LIMIT_IOC, max(price, float(instrument.tick_size))


def _is_quoted(quote: float | None) -> bool:
    return quote is not None and 0.0 < quote < math.inf
