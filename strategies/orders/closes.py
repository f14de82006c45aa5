"""The orders that close everything, for an operator's flatten.

Flow: positions → **closes** → the door.
"""

from collections.abc import Sequence

from strategies.market import Instrument
from strategies.orders.identity import Identity, client_order_id, decision_id
from strategies.orders.intents import OrderIntent, OrderKind, OrderRole, OrderSide


def plan_closes(
    identity: Identity, instruments: Sequence[Instrument], positions: Sequence[float], ts_event: int
) -> tuple[OrderIntent, ...]:
    """Plan the market orders that close every position.

    They do not pass the guardrails: no limit may keep an operator from being flat.

    Args:
        identity: What their ids are derived from.
        instruments: In configuration order.
        positions: Signed base units, one per instrument.
        ts_event: Close time of the newest bar, UTC nanoseconds; repeated calls on one bar give the same ids.
    """
    closes: list[OrderIntent] = []
    for instrument, position in zip(instruments, positions, strict=True):
        if position == 0.0:
            continue
        own = decision_id(identity, instrument.instrument_id, ts_event, OrderRole.FLATTEN)
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
