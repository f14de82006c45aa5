"""What lies between the bot and the venue: messages that are lost, late, doubled or out of order."""

import random
from collections.abc import Callable

from strategies.orders import Bracket, OrderIntent
from tests.support.simulation.schedule import Schedule, Trace
from tests.support.simulation.venue import Request, SimVenue
from tests.support.simulation.weather import MAX_DELAY_SECS, Weather


class Network:
    """Carries messages."""

    def __init__(self, rng: random.Random, weather: Weather, schedule: Schedule, trace: Trace) -> None:
        self.is_well = False
        self._rng = rng
        self._weather = weather
        self._schedule = schedule
        self._trace = trace

    def carry(self, label: str, deliver: Callable[[], None]) -> None:
        """Deliver a message later, perhaps twice, perhaps never."""
        rng, weather = self._rng, self._weather
        copies = 1
        if not self.is_well:
            roll = rng.random()
            if roll < weather.lost:
                self._trace.note("network: %s is lost", label)
                return
            copies = 2 if roll > 1.0 - weather.doubled else 1
        for _ in range(copies):
            is_slow = rng.random() < weather.slow
            delay = rng.uniform(0.001, MAX_DELAY_SECS if is_slow else 0.08)
            self._schedule.after(delay, label, deliver)


class SimCourier:
    """Implements `strategies.delivery.Courier` for one process.

    Args:
        moment: Called before and after each message leaves.
        inspect: Sees what is about to leave.
    """

    def __init__(
        self,
        network: Network,
        venue: SimVenue,
        schedule: Schedule,
        trace: Trace,
        moment: Callable[[str], None],
        inspect: Callable[[tuple[OrderIntent, ...]], None],
    ) -> None:
        self.sent_ns: dict[str, int] = {}
        """When each order left."""
        self._network = network
        self._venue = venue
        self._schedule = schedule
        self._trace = trace
        self._moment = moment
        self._inspect = inspect
        self._requests = 0

    def submit(self, planned: OrderIntent | Bracket) -> None:
        if isinstance(planned, OrderIntent):
            intents: tuple[OrderIntent, ...] = (planned,)
        else:
            intents = tuple(one for one in (planned.entry, planned.stop, planned.target) if one is not None)
        self.carry(intents)

    def carry(self, intents: tuple[OrderIntent, ...]) -> None:
        """Send orders as one request."""
        self._moment("send")
        self._inspect(intents)
        self._requests += 1
        now_ns = self._schedule.now_ns
        request = Request(now_ns * 1_000 + self._requests, now_ns, intents)
        names = " ".join(f"{one.role}:{one.client_order_id[:8]}" for one in intents)
        self._trace.note("bot: sends %s", names)
        self.sent_ns |= dict.fromkeys((one.client_order_id for one in intents), now_ns)
        self._network.carry(f"submit {names}", lambda: self._venue.submit(request))
        self._moment("sent")

    def cancel(self, client_order_id: str) -> None:
        self._moment("cancel")
        self._trace.note("bot: cancels %s", client_order_id[:8])
        self._network.carry(f"cancel {client_order_id[:8]}", lambda: self._venue.cancel(client_order_id))
