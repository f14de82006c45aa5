"""The line between a paper venue and whoever trades or feeds it; the place to make it durable or to break it.

The client sends commands and listens to answers; the data client gives market data. Everything passes
here, on one loop, so a subclass may delay, drop, repeat or reorder what passes without either side knowing.
"""

from collections.abc import Callable

from adapters.paper.book import MarketBar, MarketQuote
from adapters.paper.orders import VenueEvent
from adapters.paper.state import Command
from adapters.paper.venue import PaperVenue

type Listener = Callable[[list[VenueEvent]], None]


class PaperGateway:
    """Hands commands and market data to one venue, and its answers to one listener.

    Args:
        venue: The venue.
        remember: Called with the venue after every change and before its answers go out, so that what was
            answered is never forgotten; None for a venue that lives as long as the process.
    """

    def __init__(self, venue: PaperVenue, remember: Callable[[PaperVenue], None] | None = None) -> None:
        self.venue = venue
        self._remember = remember
        self._listener: Listener | None = None
        self.answers = 0
        """How many messages have gone out to the listener."""

    def connect(self, listener: Listener) -> None:
        """Send answers to a listener from now on."""
        self._listener = listener

    def disconnect(self) -> None:
        """Keep answers at the venue until somebody listens again."""
        self._listener = None

    def send(self, command: Command) -> None:
        """Let a command travel to the venue."""
        self.venue.send(command)
        if self._remember is not None:
            self._remember(self.venue)

    def on_quote(self, instrument_id: str, quote: MarketQuote) -> None:
        """Give the venue a quote."""
        self.venue.on_quote(instrument_id, quote)
        self._publish()

    def on_bar(self, instrument_id: str, bar: MarketBar) -> None:
        """Give the venue a closed bar."""
        self.venue.on_bar(instrument_id, bar)
        self._publish()

    def settle(self, ts_event: int) -> None:
        """Let the venue work off the commands that have arrived by this time."""
        self.venue.settle(ts_event)
        self._publish()

    def settle_all(self) -> None:
        """Let every command arrive that is under way, as at the end of the data."""
        while (arrival := self.venue.next_arrival) is not None:
            self.settle(max(arrival, self.venue.state.ts))

    def _publish(self) -> None:
        if self._listener is None or not self.venue.has_events:
            return
        if self._remember is not None:
            self._remember(self.venue)
        events = self.venue.take_events()
        self.answers += len(events)
        self._listener(events)
