"""Plays recorded quotes and bars into a trading node as if they happened now.

The order of things at one time, at any speed:

1. every quote and bar of that time goes to the venue (`Market`), which fills what was resting;
2. every one goes to the node, which hands the bars to its subscribers;
3. where bars closed or the venue answered, the replay awaits `Settle`, the barrier: decisions are made,
   fills are known to whom they concern, and the orders that follow have reached the venue's line;
4. the venue works off what has arrived by then, and where that gave answers, 3 is repeated.

So a decision at close(t) always meets the quote at open(t+1) as its first market, and nothing later:
speed changes how long the replay sleeps, never who sees what.

The feed runs as a supervised task: what it raises is counted and logged, and it goes on with the event
after the last one it gave, so no bar comes twice and none is skipped. It gives up when it fails
`ReplayConfig.max_failures` times without playing an event in between; a watchdog finds that in
`ReplayStatus`.

After a restart the replay starts a warm-up before the time at which the venue stands. All of it goes to the
venue and to the node; the venue ignores what it has taken before, and who subscribes to bars tells by
`ReplayStatus.is_warm_up` which ones were played in an earlier life.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nautilus_trader.common import Clock
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import (
    BarsResponse,
    ClientCache,
    InstrumentResponse,
    InstrumentsResponse,
    RequestBars,
    RequestInstrument,
    RequestInstruments,
    SubscribeBars,
    SubscribeInstrument,
    SubscribeInstruments,
    SubscribeQuotes,
    UnsubscribeBars,
    UnsubscribeInstrument,
    UnsubscribeInstruments,
    UnsubscribeQuotes,
)
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import Bar, BarType, QuoteTick, Venue

from adapters.paper.book import MarketBar, MarketQuote

_LOG = logging.getLogger(__name__)

type Event = QuoteTick | Bar

type Source = Callable[[int], Iterable[Event]]
"""``source(after_ns)``: the events later than a time, in time order; called again after a failure."""

type Settle = Callable[[int], Awaitable[None]]
"""``await settle(ts_event)``: the barrier after a time at which bars closed or the venue answered.

When it is called, the bars of ``ts_event`` are on their way to the node but may not have been delivered.
It must return only when

1. every subscriber has seen them and has decided (an instrument without a bar at this time will not get
   one any more: `ReplayStatus.bars_sent` says how many bars to wait for), and
2. every command sent while deciding, or on hearing of a fill, has reached the execution client
   (`CommandFence.reached`).

It must let the loop run (await something), or nothing is ever delivered. What it raises restarts the feed
after this time. Without a barrier the replay only yields to the loop, and a decision may come late.
"""

type History = Callable[[BarType, int | None, int | None, int | None], Sequence[Bar]]
"""``history(bar_type, start_ns, end_ns, limit)``: closed bars for a warm-up, both ends included."""


class Market(Protocol):
    """The venue that the data drive; `PaperGateway` is one."""

    @property
    def answers(self) -> int:
        """How many messages the venue has sent."""

    def on_quote(self, instrument_id: str, quote: MarketQuote) -> None: ...

    def on_bar(self, instrument_id: str, bar: MarketBar) -> None: ...

    def settle(self, ts_event: int) -> None: ...

    def settle_all(self) -> None: ...


@dataclass(slots=True)
class ReplayStatus:
    """How far the replay has come; read it, do not write it."""

    ts_event: int = 0
    """Time of the newest event given, UTC nanoseconds."""
    events_sent: int = 0
    bars_sent: int = 0
    restarts: int = 0
    """How often the feed was restarted after a failure."""
    failure: str = ""
    """The last failure."""
    is_finished: bool = False
    """Whether all events have been played."""
    is_dead: bool = False
    """Whether the feed gave up."""
    due_at: float | None = None
    """When the events now waited for are due, by the loop's clock, seconds; None before the first."""
    resume_ns: int = 0
    """Market time that an earlier life had reached, UTC nanoseconds; 0 in the first one."""

    def is_warm_up(self, ts_event: int) -> bool:
        """Tell whether an event was played before the restart, so that it is only remembered now."""
        return ts_event <= self.resume_ns


class ReplayConfig(DataClientConfig):
    """What is replayed, and how.

    Args:
        venue: Name of the venue that the data come from.
        instruments: The node's instruments; events of others are refused.
        source: The events.
        market: The venue that the data drive; None replays to the node only.
        matching: Series of bars that drive it, one an instrument; None drives it with all.
        settle: The barrier; see `Settle`.
        history: Bars for warm-up requests; None serves none.
        speed: Event seconds per second; None plays as fast as decisions are made.
        paced_from_ns: Events before this time are played without a pause, as a warm-up.
        start_ns: Events after this time are played; 0 plays from the beginning.
        resume_ns: Market time that an earlier life had reached; 0 in the first one.
        start_after: Waited for before the first event; None starts with the first subscription.
        max_failures: Failures in a row, without an event in between, after which the feed gives up.
        restart_delay_secs: Pause before a restart, doubled with every failure in a row.
    """

    def __init__(
        self,
        *,
        venue: str,
        instruments: Sequence[Any],
        source: Source,
        market: Market | None = None,
        matching: Collection[str] | None = None,
        settle: Settle | None = None,
        history: History | None = None,
        speed: float | None = None,
        paced_from_ns: int = 0,
        start_ns: int = 0,
        resume_ns: int = 0,
        start_after: asyncio.Event | None = None,
        max_failures: int = 5,
        restart_delay_secs: float = 0.1,
        **_: object,
    ) -> None:
        if speed is not None and speed <= 0:
            raise ValueError(f"speed: expected more than 0, or None for no pause, found {speed}")
        self.venue = venue
        self.instruments = tuple(instruments)
        self.source = source
        self.market = market
        self.matching = matching
        self.settle = settle
        self.history = history
        self.speed = speed
        self.paced_from_ns = paced_from_ns
        self.start_ns = start_ns
        self.start_after = start_after
        self.max_failures = max_failures
        self.restart_delay_secs = restart_delay_secs
        self.status = ReplayStatus(resume_ns=resume_ns)


class ReplayDataClient(MarketDataClient):
    """Data client that replays; see the module for the order of things."""

    config: ReplayConfig

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._feed: asyncio.Task[object] | None = None
        self._status = self.config.status
        self._names = {instrument.id: str(instrument.id) for instrument in self.config.instruments}
        self._driving: dict[BarType, bool] = {}
        self._pending: deque[Event] = deque()
        self._clock_start: tuple[float, int] | None = None
        self._bars_closed = False
        self._answers = 0

    async def _connect(self) -> None:
        for instrument in self.config.instruments:
            self._handle_instrument(instrument)

    async def _disconnect(self) -> None:
        if self._feed is not None and not self._feed.done():
            self._feed.cancel()

    # ---- the feed

    def _start(self) -> None:
        if self._feed is None:
            self._feed = self.create_task(self._supervise(), "replay")

    async def _supervise(self) -> None:
        if self.config.start_after is not None:
            await self.config.start_after.wait()
        status, failures, reached = self._status, 0, -1
        status.ts_event = self.config.start_ns
        while not status.is_finished:
            try:
                await self._play()
            except Exception as error:  # noqa: BLE001 - whatever broke the feed, it is restarted and counted
                failures = failures + 1 if status.events_sent == reached else 1
                reached = status.events_sent
                status.failure = f"{type(error).__name__}: {error}"
                if failures >= self.config.max_failures:
                    status.is_dead = True
                    _LOG.exception("replay gave up after %d failures in a row", failures)
                    return
                status.restarts += 1
                _LOG.exception("replay failed at %d and is restarted", status.ts_event)
                await asyncio.sleep(self.config.restart_delay_secs * 2 ** (failures - 1))

    async def _play(self) -> None:
        await self._finish_time()
        for group in _by_time(self.config.source(self._status.ts_event)):
            await self._wait_for(_time(group[0]))
            self._pending.extend(group)
            await self._finish_time()
        if self.config.market is not None:
            self.config.market.settle_all()
        self._status.is_finished = True

    async def _finish_time(self) -> None:
        """Play what is left of the time being played, then let the decisions of it reach the venue."""
        while self._pending:
            # Off the list first: an event that breaks the venue must not break it again.
            self._give(self._pending.popleft())
        await self._settle()
        if self.config.market is not None and self._status.events_sent:
            self.config.market.settle(self._status.ts_event)
            await self._settle()

    async def _settle(self) -> None:
        answers = 0 if self.config.market is None else self.config.market.answers
        if not self._bars_closed and answers == self._answers:
            return
        self._bars_closed, self._answers = False, answers
        if self.config.settle is None:
            await asyncio.sleep(0)
        else:
            await self.config.settle(self._status.ts_event)

    def _give(self, event: Event) -> None:
        status, market = self._status, self.config.market
        if event.ts_event < status.ts_event:
            raise ValueError(
                f"replay: expected events in time order, found {event.ts_event} after {status.ts_event};"
                " sort the source"
            )
        status.ts_event = event.ts_event
        status.events_sent += 1
        if isinstance(event, Bar):
            status.bars_sent += 1
            self._bars_closed = True
            if market is not None and self._drives(event.bar_type):
                market.on_bar(self._names[event.bar_type.instrument_id], _bar(event))
        elif market is not None:
            market.on_quote(self._names[event.instrument_id], _quote(event))
        self._handle_data(event)

    def _drives(self, bar_type: BarType) -> bool:
        known = self._driving.get(bar_type)
        if known is None:
            matching = self.config.matching
            known = self._driving[bar_type] = matching is None or str(bar_type) in matching
        return known

    async def _wait_for(self, ts_event: int) -> None:
        now = asyncio.get_running_loop().time()
        if self.config.speed is None or ts_event < self.config.paced_from_ns:
            self._status.due_at = now
            return
        if self._clock_start is None:
            self._clock_start = (now, ts_event)
        started, first = self._clock_start
        self._status.due_at = started + (ts_event - first) / 1e9 / self.config.speed
        await asyncio.sleep(max(0.0, self._status.due_at - now))

    # ---- subscriptions and requests

    async def _subscribe_bars(self, command: SubscribeBars) -> None:  # noqa: ARG002 - the feed plays all
        self._start()

    async def _subscribe_quotes(self, command: SubscribeQuotes) -> None:  # noqa: ARG002
        self._start()

    async def _subscribe_instrument(self, command: SubscribeInstrument) -> None: ...

    async def _subscribe_instruments(self, command: SubscribeInstruments) -> None: ...

    async def _unsubscribe_bars(self, command: UnsubscribeBars) -> None: ...

    async def _unsubscribe_quotes(self, command: UnsubscribeQuotes) -> None: ...

    async def _unsubscribe_instrument(self, command: UnsubscribeInstrument) -> None: ...

    async def _unsubscribe_instruments(self, command: UnsubscribeInstruments) -> None: ...

    async def _request_bars(self, request: RequestBars) -> None:
        history = self.config.history
        bars = history(request.bar_type, request.start_ns, request.end_ns, request.limit) if history else []
        self._handle_response(
            BarsResponse(
                self.client_id,
                request.bar_type,
                list(bars),
                request.request_id,
                self.clock.timestamp_ns(),
                request.start_ns,
                request.end_ns,
            )
        )

    async def _request_instrument(self, request: RequestInstrument) -> None:
        found = next((i for i in self.config.instruments if i.id == request.instrument_id), None)
        if found is not None:
            now = self.clock.timestamp_ns()
            self._handle_response(
                InstrumentResponse(self.client_id, request.instrument_id, found, request.request_id, now)
            )

    async def _request_instruments(self, request: RequestInstruments) -> None:
        self._handle_response(
            InstrumentsResponse(
                self.client_id,
                Venue(self.config.venue),
                list(self.config.instruments),
                request.request_id,
                self.clock.timestamp_ns(),
            )
        )


class ReplayDataClientFactory(DataClientFactory):
    """Makes the client for a node under construction."""

    @staticmethod
    def create(*, name: str, config: DataClientConfig, cache: ClientCache, clock: Clock) -> ReplayDataClient:
        """Make the client; the feed starts with the first subscription."""
        if not isinstance(config, ReplayConfig):
            raise TypeError(f"expected ReplayConfig, found {type(config).__name__}")
        return ReplayDataClient(name=name, config=config, cache=cache, clock=clock, venue=Venue(config.venue))


def _by_time(events: Iterable[Event]) -> Iterator[list[Event]]:
    group: list[Event] = []
    for event in events:
        if group and event.ts_event != group[0].ts_event:
            yield group
            group = []
        group.append(event)
    if group:
        yield group


def _time(event: Event) -> int:
    return event.ts_event


def _bar(bar: Bar) -> MarketBar:
    return MarketBar(
        bar.ts_event, float(bar.open), float(bar.high), float(bar.low), float(bar.close), float(bar.volume)
    )


def _quote(quote: QuoteTick) -> MarketQuote:
    return MarketQuote(
        quote.ts_event,
        float(quote.bid_price),
        float(quote.ask_price),
        float(quote.bid_size),
        float(quote.ask_size),
    )
