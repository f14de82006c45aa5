"""The paper venue: a deterministic state machine that trades against replayed or live market data.

Commands (submit, cancel, modify) travel for `VenueConfig.latency_ns` and arrive when market time reaches
them: `settle` is called once all data of one time has been given to `on_quote` and `on_bar`, so an order
never meets a market older than its arrival. Answers wait in an outbox until `take_events`.

Nothing here reads a clock, draws a random number or does I/O; the same calls give the same ids, fills and
balances, and `snapshot` → `restore` continues as if nothing had happened. After a restore the feed may play
old market data again, from any time on: what the venue took before is not taken twice. What stands between
the client and this class may lose, delay or repeat calls and events: that is where faults are planted.

A client order id is used once, for ever: `retire` moves what is over to the `Archive`, which is asked too.

Differences to Nautilus's backtest engine, which is otherwise followed fill by fill:

- An account that cannot carry an order rejects it on arrival, or cancels it when it would fill
  (the engine's risk check denies before it is sent, and lets fees make a cash balance negative).
- A list of orders of which one is refused is refused whole (the engine judges them one by one).
- The exits of an entry that was refused or canceled unfilled are closed with it.
- What is left of a partly filled limit order trades on when new market data come; the engine also gives
  it the same displayed quantity again whenever a command arrives for any instrument, or when two limit
  orders fill at one point of a bar. A bracket's target that fills in part leaves the stop with the
  remainder; the engine's stop may then sell more than the position holds.
- Commands that arrive at one time are worked off after all data of that time; the engine does so after the
  first instrument's data. Fills are the same, their order across instruments is not.
- A stop that is in the market on arrival fills at once unless `reject_stops_in_market`; the engine's
  default is to reject it, which leaves a bracket's position naked. Give the engine
  ``reject_stop_orders=False`` for the same fills.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from adapters.paper.book import BarUnits, Book, MarketBar, MarketQuote
from adapters.paper.execution import Execution
from adapters.paper.ledger import Ledger
from adapters.paper.orders import Fill, Order, OrderRequest, VenueEvent, VenueInstrument
from adapters.paper.state import (
    Archive,
    Cancel,
    CancelAll,
    Command,
    Commission,
    Modify,
    NoArchive,
    Submit,
    VenueConfig,
    VenueState,
)


class PaperVenue:
    """One paper venue with one account.

    Args:
        config: How the venue behaves.
        instruments: What it trades.
        commission: Cost of one fill; see `Commission`. ``bar_volume`` is that of the last closed bar.
        archive: Where it finds what it has retired.
    """

    def __init__(
        self,
        config: VenueConfig,
        instruments: Sequence[VenueInstrument],
        commission: Commission,
        archive: Archive | None = None,
    ) -> None:
        self.config = config
        self.archive: Archive = archive or NoArchive()
        self.instruments = {instrument.instrument_id: instrument for instrument in instruments}
        self._commission = commission
        self._scales = {
            name: _Scales(
                10.0**instrument.price_precision,
                10.0**instrument.size_precision,
                int(instrument.lot_size.scaleb(instrument.size_precision)),
            )
            for name, instrument in self.instruments.items()
        }
        ledger = Ledger(config.account, config.leverage, self.instruments, dict(config.balances))
        self.adopt(VenueState(ledger=ledger))

    def adopt(self, state: VenueState) -> None:
        """Continue from a remembered state; answers not taken yet are lost, as with a broken connection."""
        for name in self.instruments:
            state.books.setdefault(name, Book())
        self.state = state
        self._execution = Execution(self.config, self.instruments, self._commission, state, self.archive)
        self._resumed_at = state.ts
        self._repeats = dict(state.seen)

    def retire(self) -> tuple[list[Order], list[Fill]]:
        """Give up what is over: closed orders that no living order refers to, and all executions.

        The caller owes them to the archive before the next call.
        """
        state = self.state
        living = [order for order in state.orders.values() if not order.state.is_closed]
        needed = {
            name for order in living for name in (order.client_order_id, order.parent_id, *order.linked_ids)
        }
        over = [order for name, order in state.orders.items() if name not in needed]
        for order in over:
            del state.orders[order.client_order_id]
        fills, state.fills = state.fills, []
        return over, fills

    # ---- commands

    def send(self, command: Command) -> None:
        """Let a command travel to the venue; its answer comes as events once it has arrived."""
        self.state.travelling.append((self.state.ts + self.config.latency_ns, command))

    @property
    def next_arrival(self) -> int | None:
        """Time at which the next command arrives, UTC nanoseconds; None where none is under way."""
        return self.state.travelling[0][0] if self.state.travelling else None

    def travelling(self) -> list[OrderRequest]:
        """List the orders that were sent and have not arrived, in the order of their arrival."""
        return [
            request
            for _, command in self.state.travelling
            if isinstance(command, Submit)
            for request in command.orders
        ]

    def is_travelling(self, client_order_id: str) -> bool:
        """Tell whether an order was sent but has not arrived."""
        return any(request.client_order_id == client_order_id for request in self.travelling())

    def bar(self, client_order_id: str) -> None:
        """Never take an order of this id: somebody was told that the venue has not seen it."""
        self.state.barred.add(client_order_id)

    def entrust(self, instrument_id: str, owner: str, quantity: float, *, ours: frozenset[str]) -> bool:
        """Let an owner have what it has taken over of others' positions; asked twice, it is done once.

        Args:
            owner: Who has taken over.
            quantity: Signed base units that it holds by now.
            ours: Owners from whom nothing is taken.

        Returns:
            Whether anything had to change.

        Raises:
            StateError: If the others do not hold as much.
        """
        rules = self.instruments[instrument_id]
        units = int(Decimal(repr(quantity)).scaleb(rules.size_precision))
        if not self.state.ledger.entrust(instrument_id, owner, units, ours):
            return False
        self.state.counters.account += 1
        return True

    # ---- market data

    def on_quote(self, instrument_id: str, quote: MarketQuote) -> None:
        """Take a quote and match resting orders against it.

        Raises:
            ValueError: If the quote is older than the venue's time; nothing changes.
        """
        if not self._is_new("quote", instrument_id, quote.ts_event):
            return
        price_scale, size_scale, _ = self._scales[instrument_id]
        self.state.books[instrument_id].quote(
            round(quote.bid * price_scale),
            round(quote.ask * price_scale),
            round(quote.bid_size * size_scale),
            round(quote.ask_size * size_scale),
        )
        self._execution.match(instrument_id)

    def on_bar(self, instrument_id: str, bar: MarketBar) -> None:
        """Take a closed bar and match resting orders along its path.

        Raises:
            ValueError: If the bar is older than the venue's time; nothing changes.
        """
        if not self._is_new("bar", instrument_id, bar.ts_event):
            return
        scale, size_scale, lot = self._scales[instrument_id]
        units = BarUnits(
            round(bar.open * scale),
            round(bar.high * scale),
            round(bar.low * scale),
            round(bar.close * scale),
            round(bar.volume * size_scale),
        )
        book = self.state.books[instrument_id]
        for _ in book.path(units, lot, self.config.nearest_extreme_first):
            self._execution.match(instrument_id)
        book.bar_volume = bar.volume

    def settle(self, ts_event: int) -> None:
        """Let arrive what is due; call it when all market data of this time has been given.

        Raises:
            ValueError: If the time is before the venue's; nothing changes.
        """
        if ts_event < self._resumed_at:
            return
        self._advance(ts_event)
        travelling = self.state.travelling
        while travelling and travelling[0][0] <= ts_event:
            self._arrive(travelling.popleft()[1])

    # ---- answers and queries

    @property
    def has_events(self) -> bool:
        """Whether `take_events` would return any."""
        return bool(self._execution.events)

    def take_events(self) -> list[VenueEvent]:
        """Take what happened since the last call, in order."""
        events, self._execution.events = self._execution.events, []
        return events

    @property
    def account_revision(self) -> int:
        """A number that grows whenever balances, positions or reservations may have changed."""
        return self.state.counters.account

    def order(self, client_order_id: str) -> Order | None:
        """Find an order by its client id, open or closed."""
        return self._execution.find(client_order_id)

    def order_numbered(self, venue_order_id: str) -> Order | None:
        """Find an order by the venue's own id, open or closed."""
        recent = (one for one in self.state.orders.values() if one.venue_order_id == venue_order_id)
        return next(recent, None) or self.archive.order_numbered(venue_order_id)

    def fills_of(self, client_order_id: str) -> list[Fill]:
        """List an order's executions, oldest first."""
        recent = [fill for fill in self.state.fills if fill.client_order_id == client_order_id]
        return self.archive.fills_of(client_order_id) + recent

    def fills_since(self, since_ns: int) -> list[Fill]:
        """List executions at or after a market time, UTC nanoseconds, oldest first."""
        recent = [fill for fill in self.state.fills if fill.ts_event >= since_ns]
        return self.archive.fills_since(since_ns) + recent

    def open_orders(self, instrument_id: str | None = None) -> list[Order]:
        """List the orders that work in the market, by instrument, then oldest first."""
        return self._execution.working(instrument_id)

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Give each currency's total and the part of it that is reserved."""
        ledger = self.state.ledger
        locked = ledger.locked(self.open_orders())
        return {
            currency: (total, min(locked.get(currency, Decimal(0)), max(total, Decimal(0))))
            for currency, total in ledger.balances.items()
        }

    def _is_new(self, kind: str, instrument_id: str, ts_event: int) -> bool:
        """Advance to an event, or tell that it was taken before a restart."""
        if instrument_id not in self.instruments:
            raise ValueError(f"{self.config.venue}: expected a known instrument, found {instrument_id}")
        series = f"{kind} {instrument_id}"
        if ts_event < self._resumed_at:
            return False
        # Of the events at the very time of the restart, the first ones were taken.
        if ts_event == self._resumed_at and self._repeats.get(series):
            self._repeats[series] -= 1
            return False
        self._advance(ts_event)
        self.state.seen[series] = self.state.seen.get(series, 0) + 1
        return True

    def _advance(self, ts_event: int) -> None:
        if ts_event < self.state.ts:
            raise ValueError(
                f"{self.config.venue}: expected market data at or after {self.state.ts}, found {ts_event};"
                " feed events in time order"
            )
        if ts_event > self.state.ts:
            self.state.ts = ts_event
            self.state.seen.clear()
            self._resumed_at = 0

    def _arrive(self, command: Command) -> None:
        match command:
            case Submit(orders):
                self._execution.take(orders)
            case Cancel(client_order_id):
                self._execution.cancel(client_order_id)
            case CancelAll():
                self._execution.cancel_all(command)
            case Modify():
                self._execution.modify(command)


class _Scales(NamedTuple):
    price: float
    size: float
    lot: int
