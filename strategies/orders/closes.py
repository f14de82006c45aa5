"""The orders that close everything, for an operator's flatten.

Flow: positions → **closes** → the door.
"""

from collections.abc import Callable, Sequence

from strategies.market import Instrument
from strategies.orders.identity import Identity, client_order_id, decision_id
from strategies.orders.intents import OrderIntent, OrderKind, OrderRole, OrderSide

MOST_ATTEMPTS = 20
"""Closes of one position that may come to nothing before the next bar or execution."""


def plan_closes(
    identity: Identity,
    instruments: Sequence[Instrument],
    positions: Sequence[float],
    ts_event: int,
    was_sent: Callable[[str], bool] = lambda _: False,
) -> tuple[OrderIntent, ...]:
    """Plan the market orders that close every position.

    They do not pass the guardrails: no limit may keep an operator from being flat.

    Args:
        identity: What their ids are derived from.
        instruments: In configuration order.
        positions: Signed base units, one per instrument.
        ts_event: Close time of the newest bar or execution, UTC nanoseconds.
        was_sent: Whether a decision was sent before. What is held then was not closed by it, so the close is
            planned under the name of the next attempt; after `MOST_ATTEMPTS` there is none.
    """
    closes: list[OrderIntent] = []
    for instrument, position in zip(instruments, positions, strict=True):
        if position == 0.0:
            continue
        names = (
            decision_id(identity, instrument.instrument_id, ts_event, OrderRole.FLATTEN, attempt)
            for attempt in range(MOST_ATTEMPTS)
        )
        own = next((name for name in names if not was_sent(name)), None)
        if own is None:
            continue
        closes.append(
            OrderIntent(
                decision_id=own,
                client_order_id=client_order_id(own),
                strategy=identity.strategy,
                instrument_id=instrument.instrument_id,
                ts_event=ts_event,
                side=OrderSide.SELL if position > 0.0 else OrderSide.BUY,
                quantity=abs(position),
                kind=OrderKind.MARKET,
                price=None,
                trigger_price=None,
                reduce_only=True,
                role=OrderRole.FLATTEN,
            )
        )
    return tuple(closes)
