"""The paper venue's answers to `adapters.queries`: read off its state, at any time."""

from decimal import Decimal

from adapters.errors import StateError
from adapters.paper.orders import Fill, Order, OrderRequest, OrderState, VenueInstrument, venue_order_id
from adapters.paper.venue import PaperVenue
from adapters.queries import BalanceView, FillView, OrderStatus, OrderView, PositionView

_STATUSES = {
    OrderState.HELD: OrderStatus.SUBMITTED,
    OrderState.ACCEPTED: OrderStatus.ACCEPTED,
    OrderState.PARTIALLY_FILLED: OrderStatus.PARTIALLY_FILLED,
    OrderState.FILLED: OrderStatus.FILLED,
    OrderState.CANCELED: OrderStatus.CANCELED,
    OrderState.REJECTED: OrderStatus.REJECTED,
}


class PaperQueries:
    """Answers about the one account of a paper venue; see `adapters.queries.VenueQueries`.

    Args:
        venue: The venue; asking changes nothing in it.
    """

    def __init__(self, venue: PaperVenue) -> None:
        self._venue = venue

    def order(self, client_order_id: str) -> OrderView | None:
        """Find an order by its client id, open or closed; None if the venue never had it.

        Raises:
            StateError: If the order is of an instrument that the venue does not trade any more.
        """
        order = self._venue.order(client_order_id)
        if order is not None:
            return self._view(order)
        sent = (one for one in self._venue.travelling() if one.client_order_id == client_order_id)
        return next(map(self._sent_view, sent), None)

    def open_orders(self) -> list[OrderView]:
        """List the orders that something can still happen to, oldest first, then those under way."""
        living = (order for order in self._venue.state.orders.values() if not order.state.is_closed)
        return [self._view(order) for order in living] + [*map(self._sent_view, self._venue.travelling())]

    def fills(self, since_ns: int) -> list[FillView]:
        """List executions at or after a venue time, UTC nanoseconds, oldest first."""
        return [_fill_view(fill) for fill in self._venue.fills_since(since_ns)]

    def balances(self) -> list[BalanceView]:
        """List the currencies of the account."""
        return [BalanceView(name, *amounts) for name, amounts in self._venue.balances().items()]

    def positions(self) -> list[PositionView]:
        """List what is held, by instrument, then by owner."""
        return [
            PositionView(
                name, owner, self._venue.instruments[name].quantity(position.quantity), position.average
            )
            for name, owners in self._venue.state.ledger.positions.items()
            for owner, position in owners.items()
            if position.quantity
        ]

    def held_by(self, owner: str) -> dict[str, float]:
        """What an owner holds, signed base units by instrument."""
        return {one.instrument_id: float(one.quantity) for one in self.positions() if one.owner == owner}

    def _view(self, order: Order) -> OrderView:
        rules = self._rules(order.instrument_id, order.client_order_id)
        average = (
            rules.notional(1, order.filled_value) / rules.quantity(order.filled) if order.filled else None
        )
        return OrderView(
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            instrument_id=order.instrument_id,
            owner=order.owner,
            side=str(order.side),
            kind=str(order.kind),
            status=_STATUSES[order.state],
            quantity=rules.quantity(order.quantity),
            filled=rules.quantity(order.filled),
            average_price=average,
            price=None if order.price is None else rules.price(order.price),
            trigger_price=None if order.trigger_price is None else rules.price(order.trigger_price),
            reduce_only=order.reduce_only,
            parent_id=order.parent_id,
            linked_ids=order.linked_ids,
            reason=order.reason,
            ts_last=order.ts_last,
        )

    def _sent_view(self, request: OrderRequest) -> OrderView:
        return OrderView(
            client_order_id=request.client_order_id,
            venue_order_id=venue_order_id(self._venue.config.venue, request.client_order_id),
            instrument_id=request.instrument_id,
            owner=request.owner,
            side=str(request.side),
            kind=str(request.kind),
            status=OrderStatus.SUBMITTED,
            quantity=request.quantity,
            filled=Decimal(0),
            average_price=None,
            price=request.price,
            trigger_price=request.trigger_price,
            reduce_only=request.reduce_only,
            parent_id=request.parent_id,
            linked_ids=request.linked_ids,
            reason="",
            ts_last=self._venue.state.ts,
        )

    def _rules(self, instrument_id: str, client_order_id: str) -> VenueInstrument:
        rules = self._venue.instruments.get(instrument_id)
        if rules is None:
            raise StateError(
                f"{client_order_id}: expected an order in what the venue trades, found {instrument_id}; "
                "add it to the instruments again"
            )
        return rules


def _fill_view(fill: Fill) -> FillView:
    return FillView(
        fill.trade_id,
        fill.client_order_id,
        fill.instrument_id,
        fill.owner,
        str(fill.side),
        fill.quantity,
        fill.price,
        fill.commission,
        fill.is_maker,
        fill.ts_event,
    )
