"""The line between a paper venue and whoever trades or feeds it; the place to make it durable or to break it.

The client sends commands and listens to answers; the data client gives market data. Everything passes
here, on one loop, so a subclass may delay, drop, repeat or reorder what passes without either side knowing.

What leaves the venue is on the disk before it leaves. Between two saves the venue's time on the disk lags
behind; after a restart the same market data are played again from there, and nothing counts twice.
"""

from collections.abc import Callable
from typing import Protocol

from adapters.errors import StateWriteError
from adapters.paper.book import MarketBar, MarketQuote
from adapters.paper.orders import Fill, Order, VenueEvent
from adapters.paper.state import Command
from adapters.paper.venue import PaperVenue

type Listener = Callable[[list[VenueEvent]], None]

_MOST_BEHIND = 64
"""Market events after which the venue's time is noted although nothing happened."""


class Memory(Protocol):
    """Where a venue is written down; `VenueStore` is one."""

    def save(self, venue: PaperVenue, *, lasting: bool = True) -> None:
        """Write down what the venue remembers; wait for the disk where it must last."""


class PaperGateway:
    """Hands commands and market data to one venue, and its answers to one listener.

    Args:
        venue: The venue.
        memory: Where it is written down; None for a venue that lives as long as the process.
    """

    def __init__(self, venue: PaperVenue, memory: Memory | None = None) -> None:
        self.venue = venue
        self._memory = memory
        self._listener: Listener | None = None
        self._resync: Callable[[], None] | None = None
        self._saved_revision = venue.account_revision
        self._unsaved_commands = False
        self._behind = 0
        self.answers = 0
        """How many messages have gone out to the listener."""
        self.fault: StateWriteError | None = None
        """The newest refusal of the disk; None while it takes what is written."""

    def connect(self, listener: Listener, resync: Callable[[], None] | None = None) -> None:
        """Send answers to a listener from now on.

        Args:
            listener: Takes the answers.
            resync: Called after the line was down, when answers may be missing.
        """
        self._listener, self._resync = listener, resync

    def disconnect(self) -> None:
        """Keep answers at the venue until somebody listens again."""
        self._listener = None

    def resync(self) -> None:
        """Let the client ask for all that it believes to be open, where answers may be missing."""
        if self._resync is not None:
            self._resync()

    # ---- commands and questions

    def send(self, command: Command) -> None:
        """Let a command travel to the venue."""
        self.venue.send(command)
        self._unsaved_commands = True

    def find(self, client_order_id: str) -> Order | None:
        """Ask the venue for an order by its client id, open or closed; None where it has none."""
        return self.venue.order(client_order_id)

    def fills_of(self, client_order_id: str) -> list[Fill]:
        """Ask the venue for an order's executions, oldest first."""
        return self.venue.fills_of(client_order_id)

    def is_travelling(self, client_order_id: str) -> bool:
        """Tell whether an order is on its way to the venue; if so, it arrives whatever happens to us."""
        travelling = self.venue.is_travelling(client_order_id)
        if travelling:
            self.save()
        return travelling

    def bar(self, client_order_id: str) -> None:
        """Never let the venue take an order of this id, because somebody is told that it is not there."""
        self.venue.bar(client_order_id)
        self.save()

    def entrust(self, instrument_id: str, owner: str, quantity: float, *, ours: frozenset[str]) -> None:
        """Keep as an owner's what it has taken over from others; see `PaperVenue.entrust`.

        Raises:
            StateWriteError: If the disk refuses.
        """
        if self.venue.entrust(instrument_id, owner, quantity, ours=ours):
            self.save()

    # ---- market data

    def on_quote(self, instrument_id: str, quote: MarketQuote) -> None:
        """Give the venue a quote."""
        self.venue.on_quote(instrument_id, quote)
        self._behind += 1
        self._publish()

    def on_bar(self, instrument_id: str, bar: MarketBar) -> None:
        """Give the venue a closed bar."""
        self.venue.on_bar(instrument_id, bar)
        self._behind += 1
        self._publish()

    def settle(self, ts_event: int) -> None:
        """Let the venue work off the commands that have arrived by this time."""
        self.venue.settle(ts_event)
        if self._unsaved_commands:
            self.save()
        self._publish()
        if self._memory is not None and self._behind >= _MOST_BEHIND:
            self._write(self._memory, lasting=False)
            self._behind = 0

    def settle_all(self) -> None:
        """Let every command arrive that is under way, as at the end of the data."""
        while (arrival := self.venue.next_arrival) is not None:
            self.settle(max(arrival, self.venue.state.ts))

    def save(self) -> None:
        """Write the venue down; at once, because somebody is about to know what it knows.

        Raises:
            StateWriteError: If the disk refuses; nothing has left the venue.
        """
        if self._memory is not None:
            self._write(self._memory, lasting=True)
        self._saved_revision = self.venue.account_revision
        self._unsaved_commands = False
        self._behind = 0

    def _write(self, memory: Memory, *, lasting: bool) -> None:
        try:
            memory.save(self.venue, lasting=lasting)
        except StateWriteError as error:
            self.fault = error
            raise
        self.fault = None

    # ---- answers

    def _publish(self) -> None:
        if self._saved_revision != self.venue.account_revision:
            self.save()
        if self._listener is not None and self.venue.has_events:
            self._deliver(self.venue.take_events())

    def _deliver(self, events: list[VenueEvent]) -> None:
        """Hand answers to the listener; all that was answered is on the disk."""
        if self._listener is not None:
            self.answers += len(events)
            self._listener(events)
