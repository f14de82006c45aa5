"""Decides what is sent and when: every cause once, and never more than a person can read.

Flow: alerts → **desk** → delivery. Lives on the loop, waits for nobody, and loses nothing silently.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ops.alerts.delivery import Outcome

_LOG = logging.getLogger("argonaut.alerts")

_MOST_WAITING = 200
_MOST_LINES = 30
_MINUTE_SECS = 60.0


class Severity(StrEnum):
    """How soon a person has to look."""

    PAGE = "page"
    """Now: money may be at risk."""
    INFO = "info"
    """When there is time."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that happened."""

    severity: Severity
    title: str
    text: str
    """What to do, or what it is about; no secrets."""
    key: str
    """What makes two alerts the same: cause and scope."""
    ts_ns: int
    """Wall clock, UTC nanoseconds."""


type Deliver = Callable[[str, str], Awaitable[Sequence[Outcome]]]
"""``deliver(title, body)``: to every channel, with retries; never raises."""


class AlertDesk:
    """Takes alerts and has them sent.

    Args:
        deliver: Sends one message.
        sender: Who we are, at the head of each message.
        quiet_secs: For so long the same key is not sent again; how often it came is said with the next one.
        most_per_minute: Messages; what exceeds them goes together in the next.
        monotonic: Clock, seconds.
        sleep: Waits, seconds.
    """

    def __init__(
        self,
        deliver: Deliver,
        *,
        sender: str,
        quiet_secs: float,
        most_per_minute: int,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._deliver = deliver
        self._sender = sender
        self._quiet_secs = quiet_secs
        self._most_per_minute = most_per_minute
        self._monotonic = monotonic
        self._sleep = sleep
        self._waiting: deque[tuple[Alert, int]] = deque()
        self._last: dict[str, tuple[float, int]] = {}
        """When a key was taken last, and how often it was held back since."""
        self._sent_at: deque[float] = deque()
        self._arrived = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self.dropped = 0
        """Alerts that found the desk full."""
        self.outcomes: dict[tuple[str, bool], int] = {}
        """Deliveries by channel, and whether they arrived."""

    def take(self, alert: Alert) -> None:
        """Take an alert; neither waits nor raises."""
        now = self._monotonic()
        last = self._last.get(alert.key)
        if last is not None and now - last[0] < self._quiet_secs:
            self._last[alert.key] = (last[0], last[1] + 1)
            return
        self._forget(now)
        self._last[alert.key] = (now, 0)
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            _LOG.error("alert not sent, too many wait: %s", alert.title)
            return
        self._waiting.append((alert, 0 if last is None else last[1]))
        self._arrived.set()

    async def run(self) -> None:
        """Send what was taken, until cancelled."""
        while True:
            await self._arrived.wait()
            await self._sleep(self._pause_secs())
            self._send_what_waits()

    async def flush(self) -> None:
        """Send what waits, in one message, and return once every message has gone out or failed."""
        self._send_what_waits()
        await asyncio.gather(*self._sending)

    def _send_what_waits(self) -> None:
        # In a task of its own: a channel that is down is tried for minutes, and the next message cannot wait.
        self._arrived.clear()
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        self._sent_at.append(self._monotonic())
        task = asyncio.create_task(self._send(self._title(batch), _body(batch)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, title: str, body: str) -> None:
        try:
            outcomes = await self._deliver(title, body)
        except Exception:  # noqa: BLE001 - whatever it is, the next message is to be tried
            _LOG.exception("alert not delivered: %s", title)
            outcomes = [Outcome("all", is_sent=False, error="the sender broke")]
        for outcome in outcomes:
            key = (outcome.channel, outcome.is_sent)
            self.outcomes[key] = self.outcomes.get(key, 0) + 1
            if not outcome.is_sent:
                _LOG.error("alert not delivered to %s: %s", outcome.channel, outcome.error)

    def _pause_secs(self) -> float:
        now = self._monotonic()
        while self._sent_at and now - self._sent_at[0] >= _MINUTE_SECS:
            self._sent_at.popleft()
        if len(self._sent_at) < self._most_per_minute:
            return 0.0
        return self._sent_at[0] + _MINUTE_SECS - now

    def _forget(self, now: float) -> None:
        # A key that was held back is kept until it comes again: how often it came has to be said.
        self._last = {
            key: (at, held) for key, (at, held) in self._last.items() if held or now - at < self._quiet_secs
        }

    def _title(self, batch: Sequence[tuple[Alert, int]]) -> str:
        pages = any(alert.severity is Severity.PAGE for alert, _ in batch)
        more = f" and {len(batch) - 1} more" if len(batch) > 1 else ""
        first = next((alert for alert, _ in batch if alert.severity is Severity.PAGE), batch[0][0])
        return f"{'[PAGE] ' if pages else ''}{self._sender}: {first.title}{more}"


def _body(batch: Sequence[tuple[Alert, int]]) -> str:
    lines = []
    for alert, held in batch[:_MOST_LINES]:
        at = datetime.fromtimestamp(alert.ts_ns / 1e9, UTC)
        again = f" ({held} more like it since the last one)" if held else ""
        lines.append(f"{at:%H:%M:%S} {alert.title}{again}\n{alert.text}")
    if len(batch) > _MOST_LINES:
        lines.append(f"and {len(batch) - _MOST_LINES} more: argonaut status")
    return "\n\n".join(lines)
