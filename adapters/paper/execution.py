"""What happens to an order at the paper venue: taken, placed, filled, changed, closed, and its linked orders.

Flow: `venue` (time and market data) → **execution** → `matching` (prices) → `ledger` (account).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from adapters.paper.book import Book
from adapters.paper.intake import read_orders
from adapters.paper.matching import Piece, in_turn, limit_pieces, market_pieces
from adapters.paper.orders import (
    Contingency,
    EventKind,
    Fill,
    Kind,
    Order,
    OrderRequest,
    OrderState,
    RefusalError,
    Side,
    TimeInForce,
    VenueEvent,
    VenueInstrument,
)
from adapters.paper.state import Archive, CancelAll, Commission, Modify, VenueConfig, VenueState


class Execution:
    """The order desk of one venue; `PaperVenue` says when, this says what.

    Args:
        config: How the venue behaves.
        instruments: What it trades, by id.
        commission: Cost of one fill.
        state: What the venue remembers; changed in place.
        archive: What it has retired.
    """

    def __init__(
        self,
        config: VenueConfig,
        instruments: Mapping[str, VenueInstrument],
        commission: Commission,
        state: VenueState,
        archive: Archive,
    ) -> None:
        self.events: list[VenueEvent] = []
        self._config = config
        self._instruments = instruments
        self._commission = commission
        self._state = state
        self._archive = archive
        self._ticks = {name: int(i.tick_size.scaleb(i.price_precision)) for name, i in instruments.items()}
        self._working: dict[str, dict[str, Order]] = {name: {} for name in instruments}
        for order in state.orders.values():
            if order.is_open:
                self._working[order.instrument_id][order.client_order_id] = order

    def working(self, instrument_id: str | None = None) -> list[Order]:
        """List the orders that work in the market, by instrument, then oldest first."""
        names = self._instruments if instrument_id is None else (instrument_id,)
        return [order for name in names for order in self._working.get(name, {}).values()]

    def find(self, client_order_id: str) -> Order | None:
        """Find an order by its client id, living or over."""
        return self._state.orders.get(client_order_id) or self._archive.order(client_order_id)

    def match(self, instrument_id: str) -> None:
        """Fill what trades against the instrument's book as it stands: purchases first, then sales."""
        working = self._working[instrument_id]
        if not working:
            return
        book = self._state.books[instrument_id]
        for side in Side:
            for order in in_turn(working.values(), side, book):
                # An order before it in turn may have closed it.
                if order.is_open and order.kind is Kind.LIMIT:
                    self._fill_limit(order, book)
                elif order.is_open:
                    self._fill_market(order, book)

    # ---- commands

    def take(self, requests: Sequence[OrderRequest]) -> None:
        """Take new orders, all or none."""
        state, venue = self._state, self._config.venue
        try:
            orders = read_orders(requests, self._instruments, state, venue, self.find)
        except RefusalError as refusal:
            for request in requests:
                self._emit(EventKind.REJECTED, request.client_order_id, None, reason=str(refusal))
            return
        for order in orders:
            self._state.orders[order.client_order_id] = order
        for order in orders:
            self._place(order)

    def cancel(self, client_order_id: str) -> None:
        """Take one order out of the market, and those linked to it."""
        order = self.find(client_order_id)
        if order is None or order.state.is_closed:
            reason = "UNKNOWN_ORDER" if order is None else f"ORDER_IS_{order.state}"
            number = None if order is None else order.venue_order_id
            self._emit(EventKind.CANCEL_REJECTED, client_order_id, number, reason=reason)
            return
        self._cancel(order)

    def cancel_all(self, command: CancelAll) -> None:
        """Take an instrument's orders out of the market."""
        for order in self.working(command.instrument_id):
            if command.side not in (None, order.side) or command.owner not in (None, order.owner):
                continue
            if order.is_open:
                self._cancel(order)

    def modify(self, command: Modify) -> None:
        """Change an order that works; a change costs it its place in the queue."""
        order = self.find(command.client_order_id)
        try:
            if order is None or not order.is_open:
                raise RefusalError("UNKNOWN_ORDER" if order is None else f"ORDER_IS_{order.state}")
            self._change(order, command)
        except RefusalError as refusal:
            number = None if order is None else order.venue_order_id
            self._emit(EventKind.MODIFY_REJECTED, command.client_order_id, number, reason=str(refusal))

    # ---- from request to working order

    def _place(self, order: Order) -> None:
        if order.state is not OrderState.HELD:
            return  # its parent's fill has placed it already
        parent = self.find(order.parent_id) if order.parent_id else None
        if parent is not None and not parent.filled:
            if parent.state.is_closed:
                self._reject(order, f"PARENT_IS_{parent.state}")
            return
        if any(other.state.is_closed for other in self._siblings(order)):
            self._reject(order, "LINKED_ORDER_CLOSED")
        elif order.reduce_only and not self._state.ledger.reducible(order):
            self._reject(order, "REDUCE_ONLY: nothing to reduce")
        elif order.kind is Kind.MARKET:
            self._fill_market(order, self._state.books[order.instrument_id])
        elif order.kind is Kind.LIMIT:
            self._place_limit(order)
        else:
            self._place_stop(order)

    def _place_limit(self, order: Order) -> None:
        book = self._state.books[order.instrument_id]
        crosses = order.price is not None and book.crosses(order.side, order.price)
        if crosses and order.post_only:
            self._reject(order, "POST_ONLY: would have taken")
            return
        if not self._accept(order):
            return
        if crosses:
            self._fill_limit(order, book)
        elif order.time_in_force is not TimeInForce.GTC:
            self._cancel(order)
        order.is_maker = True

    def _place_stop(self, order: Order) -> None:
        book = self._state.books[order.instrument_id]
        if order.trigger_price is None or not book.triggers(order.side, order.trigger_price):
            self._accept(order)
        elif self._config.reject_stops_in_market:
            self._reject(order, "STOP_IN_MARKET")
        else:
            self._fill_market(order, book)

    def _accept(self, order: Order) -> bool:
        level = order.price if order.kind is Kind.LIMIT else order.trigger_price
        lacking = self._lacking(order, [(level or 0, order.leaves)], is_maker=True)
        if lacking:
            self._reject(order, lacking)
            return False
        order.state = OrderState.ACCEPTED
        self._working[order.instrument_id][order.client_order_id] = order
        self._emit_for(order, EventKind.ACCEPTED)
        return True

    # ---- fills

    def _fill_market(self, order: Order, book: Book) -> None:
        wanted = self._wanted(order)
        tick = self._ticks[order.instrument_id]
        pieces = market_pieces(order, book, wanted, tick, self._config.unlimited_size) if wanted else []
        self._fill(order, pieces, is_maker=False)

    def _fill_limit(self, order: Order, book: Book) -> None:
        wanted = self._wanted(order)
        pieces = limit_pieces(order, book, wanted, self._config.unlimited_size) if wanted else []
        self._fill(order, pieces, is_maker=order.is_maker)

    def _wanted(self, order: Order) -> int:
        if not order.reduce_only:
            return order.leaves
        return min(order.leaves, self._state.ledger.reducible(order))

    def _fill(self, order: Order, pieces: list[Piece], is_maker: bool) -> None:
        lacking = self._lacking(order, pieces, is_maker)
        is_new = order.state is OrderState.HELD
        if pieces and not lacking:
            self._execute(order, pieces, is_maker)
        elif is_new and order.time_in_force is not TimeInForce.FOK:
            self._reject(order, lacking or f"NO_MARKET: {order.instrument_id}")
        elif lacking or order.time_in_force is not TimeInForce.GTC:
            self._cancel(order, lacking)
        elif not self._wanted(order):
            self._cancel(order, "REDUCE_ONLY: nothing to reduce")
        # Otherwise the book is empty for now, and a stop keeps protecting.

    def _execute(self, order: Order, pieces: list[Piece], is_maker: bool) -> None:
        total = sum(size for _, size in pieces)
        if order.reduce_only and total < order.leaves and total == self._state.ledger.reducible(order):
            order.quantity = order.filled + total
            self._emit_for(order, EventKind.UPDATED)
        held = self._state.ledger.position(order.instrument_id, order.owner).quantity
        for price, size in pieces:
            self._book_fill(order, price, size, is_maker)
            self._follow_fill(order)
        if held * order.sign < 0:
            self._drop_idle_exits(order)
        if order.leaves and order.time_in_force is TimeInForce.IOC and not order.state.is_closed:
            self._cancel(order)

    def _book_fill(self, order: Order, price: int, size: int, is_maker: bool) -> None:
        state, instrument = self._state, self._instruments[order.instrument_id]
        commission = self._cost(order, [(price, size)], is_maker)
        state.ledger.apply(order, size, price, commission, state.ts)
        state.counters.trades += 1
        order.filled += size
        order.filled_value += size * price
        order.state = OrderState.PARTIALLY_FILLED if order.leaves else OrderState.FILLED
        working = self._working[order.instrument_id]
        if order.leaves:
            working[order.client_order_id] = order
        else:
            working.pop(order.client_order_id, None)
        fill = Fill(
            trade_id=f"{self._config.venue}-T{state.counters.trades}",
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            instrument_id=order.instrument_id,
            side=order.side,
            quantity=instrument.quantity(size),
            price=instrument.price(price),
            commission=commission,
            is_maker=is_maker,
            ts_event=state.ts,
            owner=order.owner,
        )
        state.fills.append(fill)
        self._emit_for(order, EventKind.FILLED, fill=fill)

    def _cost(self, order: Order, pieces: list[Piece], is_maker: bool) -> Decimal:
        instrument = self._instruments[order.instrument_id]
        volume = self._state.books[order.instrument_id].bar_volume
        total = Decimal(0)
        for price, size in pieces:
            quantity, level = float(instrument.quantity(size)), float(instrument.price(price))
            cost = self._commission(order.instrument_id, quantity, level, is_maker, volume)
            total += instrument.amount(Decimal(repr(cost)))
        return total

    def _lacking(self, order: Order, pieces: list[Piece], is_maker: bool) -> str:
        if not pieces:
            return ""
        cost = self._cost(order, pieces, is_maker)
        return self._state.ledger.shortfall(order, pieces, cost, self.working())

    # ---- linked orders

    def _siblings(self, order: Order) -> list[Order]:
        exclusive = order.contingency in (Contingency.OCO, Contingency.OUO)
        found = [self.find(other) for other in order.linked_ids] if exclusive else []
        return [other for other in found if other is not None]

    def _linked(self, order: Order) -> list[Order]:
        orders = [self._state.orders.get(other) for other in order.linked_ids]
        return [other for other in orders if other is not None and not other.state.is_closed]

    def _follow_fill(self, order: Order) -> None:
        for other in self._linked(order):
            if order.contingency is Contingency.OTO:
                self._place(other)
            elif order.contingency is Contingency.OCO:
                self._cancel(other, cascade=False)
            elif order.contingency is Contingency.OUO and other.is_open:
                self._resize(other, order.leaves)

    def _drop_idle_exits(self, order: Order) -> None:
        """Cancel exits of a position that is no more, lest they act on the owner's next one."""
        for other in self.working(order.instrument_id):
            idle = other.reduce_only and other.owner == order.owner and other.is_open
            if idle and not self._state.ledger.reducible(other):
                self._cancel(other, "REDUCE_ONLY: nothing to reduce")

    def _resize(self, order: Order, leaves: int) -> None:
        if order.filled >= leaves:
            self._cancel(order, cascade=False)
        elif order.leaves != leaves:
            order.quantity = leaves
            order.sequence = self._state.counters.next_sequence()
            self._emit_for(order, EventKind.UPDATED)

    # ---- changes and ends

    def _change(self, order: Order, command: Modify) -> None:
        instrument = self._instruments[order.instrument_id]
        book = self._state.books[order.instrument_id]
        quantity = order.quantity if command.quantity is None else instrument.size_units(command.quantity)
        price = order.price if command.price is None else instrument.price_units(command.price)
        trigger = (
            order.trigger_price
            if command.trigger_price is None
            else instrument.price_units(command.trigger_price)
        )
        if quantity < order.filled:
            raise RefusalError(f"INVALID_QUANTITY: {command.quantity} is less than what has filled")
        if order.kind is Kind.STOP_MARKET and trigger is not None and book.triggers(order.side, trigger):
            raise RefusalError("STOP_IN_MARKET")
        crosses = order.kind is Kind.LIMIT and price is not None and book.crosses(order.side, price)
        if crosses and order.post_only:
            raise RefusalError("POST_ONLY: would have taken")
        order.quantity, order.price, order.trigger_price = quantity, price, trigger
        order.sequence = self._state.counters.next_sequence()
        self._emit_for(order, EventKind.UPDATED)
        if not order.leaves:
            self._cancel(order)
            return
        if command.quantity is not None and order.contingency is not Contingency.NONE:
            for other in self._linked(order):
                self._resize(other, order.leaves)
        if crosses:
            order.is_maker = False
            self._fill_limit(order, book)
            order.is_maker = True

    def _reject(self, order: Order, reason: str) -> None:
        self._close(order, OrderState.REJECTED, EventKind.REJECTED, reason)

    def _cancel(self, order: Order, reason: str = "", cascade: bool = True) -> None:
        self._close(order, OrderState.CANCELED, EventKind.CANCELED, reason)
        if cascade and order.contingency is not Contingency.NONE:
            for other in self._linked(order):
                self._cancel(other, cascade=False)

    def _close(self, order: Order, state: OrderState, kind: EventKind, reason: str) -> None:
        order.state, order.reason = state, reason
        self._working[order.instrument_id].pop(order.client_order_id, None)
        self._emit_for(order, kind, reason=reason)

    # ---- the outbox

    def _emit_for(self, order: Order, kind: EventKind, reason: str = "", fill: Fill | None = None) -> None:
        instrument = self._instruments[order.instrument_id]
        order.ts_last = self._state.ts
        self._state.counters.account += 1
        self._emit(
            kind,
            order.client_order_id,
            order.venue_order_id,
            reason=reason,
            fill=fill,
            quantity=instrument.quantity(order.quantity),
            price=None if order.price is None else instrument.price(order.price),
            trigger_price=None if order.trigger_price is None else instrument.price(order.trigger_price),
        )

    def _emit(
        self,
        kind: EventKind,
        client_order_id: str,
        venue_order_id: str | None,
        *,
        reason: str = "",
        fill: Fill | None = None,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
    ) -> None:
        self.events.append(
            VenueEvent(
                kind,
                self._state.ts,
                client_order_id,
                venue_order_id,
                reason,
                fill,
                quantity,
                price,
                trigger_price,
            )
        )
