"""Orders to the market that are worked over time: equal parts, one a bar, each at its own bar's price.

Flow: orders → door → **slices** → engine.

What is to come is never looked at: a part leaves when its bar is due and meets the market that is there then.
The ledger and the policy see the parts that have filled, and nothing of the rest.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from strategies.delivery import Courier
from strategies.market import Instrument
from strategies.orders import Bracket, OrderIntent, OrderKind
from strategies.sizing.lots import decimal_float, fewest_lots, lots_quantity, whole_lots

_ROOM = 1.5
"""A part is worth this many times the venue's least notional, so that a falling price does not refuse it."""


class Pace(NamedTuple):
    """How an instrument's orders are worked."""

    parts: int
    """At most this many."""
    interval_ns: int
    """From one part to the next."""


class SlicingCourier:
    """Stands between the door and another courier: the door knows whole orders, the other one parts.

    Args:
        instruments: Of the strategy.
        paces: By instrument id; orders of others go whole, and so does what is no order to the market.
        courier: Carries the parts.
        price_of: Last close of an instrument, quote currency.
        objection: Why a part must not leave any more; empty where nothing speaks against it.
        ended: Told of an order that is over before all of it has filled: order, time, reason.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        paces: Mapping[str, Pace],
        courier: Courier,
        *,
        price_of: Callable[[str], float],
        objection: Callable[[OrderIntent], str],
        ended: Callable[[str, int, str], None],
    ) -> None:
        self._instruments = {one.instrument_id: one for one in instruments}
        self._paces = paces
        self._courier = courier
        self._price_of = price_of
        self._objection = objection
        self._ended = ended
        self._waiting: dict[str, deque[OrderIntent]] = {}
        """Parts to come, by order; gone with the order."""
        self._due_ns: dict[str, int] = {}
        self._live: dict[str, list[str]] = {}
        """Parts that were sent and are not done, by order."""
        self._taken_back: dict[str, str] = {}
        """Why no more of an order is sent."""
        self._parents: dict[str, str] = {}

    def submit(self, planned: OrderIntent | Bracket) -> None:
        """Send the first part of an order; a bracket, whose exits must fit it, goes whole."""
        if isinstance(planned, Bracket) or planned.kind is not OrderKind.MARKET:
            self._courier.submit(planned)
            return
        pace = self._paces.get(planned.instrument_id)
        parts = [] if pace is None else self._cut(planned, pace)
        if pace is None or len(parts) < 2:
            self._courier.submit(planned)
            return
        own_id = planned.client_order_id
        self._waiting[own_id] = deque(parts)
        self._live[own_id] = []
        self._due_ns[own_id] = planned.ts_event
        self._send_next(own_id)

    def send_due(self, ts_event: int) -> None:
        """Send the parts whose bar has come; several of one order where the market was silent.

        Args:
            ts_event: Close time of the newest bars, UTC nanoseconds.
        """
        for own_id in tuple(self._waiting):
            waiting = self._waiting[own_id]
            while waiting and self._due_ns[own_id] <= ts_event:
                reason = self._objection(waiting[0])
                if reason:
                    self._take_back(own_id, ts_event, reason)
                else:
                    self._send_next(own_id)

    def cancel(self, client_order_id: str) -> None:
        """Send nothing more of an order, and ask for the end of what is under way."""
        if client_order_id not in self._waiting:
            self._courier.cancel(client_order_id)
            return
        for part in tuple(self._live[client_order_id]):
            self._courier.cancel(part)
        self._take_back(client_order_id, self._due_ns[client_order_id], "it was taken back")

    def parent_of(self, client_order_id: str) -> str:
        """The order that an order of the engine's is a part of; itself where it is whole."""
        return self._parents.get(client_order_id, client_order_id)

    def note_filled(self, client_order_id: str, ts_event: int) -> None:
        """A part has filled, and the door has booked it."""
        own_id = self.parent_of(client_order_id)
        if client_order_id in self._live.get(own_id, ()):
            self._live[own_id].remove(client_order_id)
            self._end_if_over(own_id, ts_event)

    def note_refused(self, client_order_id: str) -> str:
        """A part came to nothing: no other is sent.

        Returns:
            The order that has ended with it.
        """
        own_id = self.parent_of(client_order_id)
        self._forget(own_id)
        return own_id

    def newly_accepted(self, client_order_id: str) -> str | None:
        """The order that the venue has now; None where it has had an earlier part of it."""
        own_id = self.parent_of(client_order_id)
        return own_id if client_order_id in {own_id, f"{own_id}.1"} else None

    def _send_next(self, own_id: str) -> None:
        part = self._waiting[own_id].popleft()
        self._due_ns[own_id] += self._paces[part.instrument_id].interval_ns
        self._live[own_id].append(part.client_order_id)
        self._parents[part.client_order_id] = own_id
        self._courier.submit(part)

    def _take_back(self, own_id: str, ts_event: int, reason: str) -> None:
        self._waiting[own_id].clear()
        self._taken_back[own_id] = reason
        self._end_if_over(own_id, ts_event)

    def _end_if_over(self, own_id: str, ts_event: int) -> None:
        if self._live[own_id] or self._waiting[own_id]:
            return
        reason = self._taken_back.get(own_id)
        self._forget(own_id)
        if reason is not None:
            self._ended(own_id, ts_event, reason)

    def _forget(self, own_id: str) -> None:
        for notes in (self._waiting, self._live, self._due_ns, self._taken_back):
            notes.pop(own_id, None)

    def _cut(self, intent: OrderIntent, pace: Pace) -> list[OrderIntent]:
        price = self._price_of(intent.instrument_id)
        instrument = self._instruments[intent.instrument_id]
        lot_size = instrument.lot_size
        lots = whole_lots(intent.quantity, lot_size)
        least_notional = _ROOM * decimal_float(instrument.min_notional) / price if price > 0.0 else 0.0
        least = max(
            1, fewest_lots(instrument.min_quantity, lot_size), whole_lots(least_notional, lot_size) + 1
        )
        count = max(1, min(pace.parts, lots // least))
        size, rest = divmod(lots, count)
        return [
            intent._replace(
                client_order_id=f"{intent.client_order_id}.{number + 1}",
                quantity=lots_quantity(size + (number < rest), lot_size),
            )
            for number in range(count)
        ]
