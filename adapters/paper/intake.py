"""From what is asked to what the venue keeps: requests are checked against the instrument's rules."""

from collections.abc import Callable, Mapping, Sequence

from adapters.paper.orders import (
    Kind,
    Order,
    OrderRequest,
    RefusalError,
    VenueInstrument,
    venue_order_id,
)
from adapters.paper.state import VenueState


def read_orders(
    requests: Sequence[OrderRequest],
    instruments: Mapping[str, VenueInstrument],
    state: VenueState,
    venue: str,
    find: Callable[[str], Order | None],
) -> list[Order]:
    """Check requests and turn them into orders, all or none.

    Args:
        requests: What was asked.
        instruments: What the venue trades.
        state: What the venue remembers.
        venue: Name.
        find: Finds an order by its client id, whenever it was.

    Raises:
        RefusalError: If one of them breaks a rule; no order and no id has been used up.
    """
    ids = [request.client_order_id for request in requests]
    known = [name for name in ids if find(name) is not None or ids.count(name) > 1]
    if known:
        raise RefusalError(f"DUPLICATE_CLIENT_ORDER_ID: {known[0]}")
    barred = [name for name in ids if name in state.barred]
    if barred:
        raise RefusalError(f"TOO_LATE: {barred[0]} was reported as never seen")
    for request in requests:
        _check(request, instruments, state)
    return [
        new_order(
            request, instruments[request.instrument_id], venue, state.ts, state.counters.next_sequence()
        )
        for request in requests
    ]


def _check(request: OrderRequest, instruments: Mapping[str, VenueInstrument], state: VenueState) -> None:
    instrument = instruments.get(request.instrument_id)
    if instrument is None:
        raise RefusalError(f"UNKNOWN_INSTRUMENT: {request.instrument_id}")
    quantity = instrument.size_units(request.quantity)
    levels = (request.price, request.trigger_price)
    wanted = (request.kind is Kind.LIMIT, request.kind is Kind.STOP_MARKET)
    if tuple(level is not None for level in levels) != wanted:
        raise RefusalError(f"INVALID_PRICE: {request.kind} with price {levels[0]} and trigger {levels[1]}")
    given = [instrument.price_units(level) for level in levels if level is not None]
    level = given[0] if given else state.books[request.instrument_id].price(request.side)
    if request.reduce_only:
        return
    if request.quantity < instrument.min_quantity:
        raise RefusalError(
            f"MIN_QUANTITY: expected at least {instrument.min_quantity}, found {request.quantity}"
        )
    if level is not None and instrument.notional(quantity, level) < instrument.min_notional:
        found = instrument.notional(quantity, level)
        raise RefusalError(f"MIN_NOTIONAL: expected at least {instrument.min_notional}, found {found}")


def new_order(
    request: OrderRequest, instrument: VenueInstrument, venue: str, ts_event: int, sequence: int
) -> Order:
    """Turn a request into an order that waits to be placed.

    Raises:
        RefusalError: If its numbers break the instrument's rules.
    """
    return Order(
        client_order_id=request.client_order_id,
        venue_order_id=venue_order_id(venue, request.client_order_id),
        instrument_id=request.instrument_id,
        side=request.side,
        kind=request.kind,
        quantity=instrument.size_units(request.quantity),
        price=None if request.price is None else instrument.price_units(request.price),
        trigger_price=(
            None if request.trigger_price is None else instrument.price_units(request.trigger_price)
        ),
        time_in_force=request.time_in_force,
        reduce_only=request.reduce_only,
        post_only=request.post_only,
        owner=request.owner,
        parent_id=request.parent_id,
        linked_ids=request.linked_ids,
        contingency=request.contingency,
        order_list_id=request.order_list_id,
        ts_accepted=ts_event,
        ts_last=ts_event,
        sequence=sequence,
    )
