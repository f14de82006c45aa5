"""Intents on their way to the disk, each with a deadline.

Flow: door → **outbox** → journal → door.

An order that opens risk leaves once its intent is durable, or not at all. One that takes risk away does not
wait long for a slow disk, and not at all for a broken one: it leaves late, and its record says so.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ops.journal import Kind, Ticket
from strategies.delivery import Written
from strategies.orders import OrderIntent

_LOG = logging.getLogger("argonaut.outbox")


class Appender(Protocol):
    """The journal, as the outbox needs it."""

    def append(self, kind: Kind, body: dict[str, Any], ts_ns: int) -> Ticket:
        """Take a record and put it on its way to the disk."""


class Outbox:
    """Writes intents down and tells their door what became of it.

    Args:
        journal: Where they are written.
        now_ns: Wall clock, UTC nanoseconds; stamps the records.
        call_later: Calls back on the loop after a number of seconds, as `asyncio.loop.call_later` does.
        opening_secs: How long an order that adds risk waits for the disk; then it is dropped.
        reducing_secs: How long one that takes risk away waits; then it leaves.
    """

    def __init__(
        self,
        journal: Appender,
        now_ns: Callable[[], int],
        call_later: Callable[[float, Callable[[], None]], Any],
        *,
        opening_secs: float = 0.25,
        reducing_secs: float = 0.05,
    ) -> None:
        self.expired = 0
        """Orders dropped because their intents were not durable in time."""
        self.late = 0
        """Reducing orders that left before their intents were durable."""
        self.missed: Callable[[Written, str], None] = lambda _written, _strategy: None
        """Told of each decision of which that became true, EXPIRED or LATE, and whose it was."""
        self._journal = journal
        self._now_ns = now_ns
        self._call_later = call_later
        self._opening_secs = opening_secs
        self._reducing_secs = reducing_secs
        self._pending = 0
        self._when_empty: list[Callable[[], None]] = []

    def when_empty(self, then: Callable[[], None]) -> None:
        """Call back once nothing waits for the disk any more; at once where nothing does."""
        if self._pending:
            self._when_empty.append(then)
        else:
            then()

    def record(self, intents: Sequence[OrderIntent], then: Callable[[Written], None], /) -> None:
        """Write the intents of one decision down as one record, so that all of it is durable or nothing."""
        reduces = all(intent.reduce_only for intent in intents)
        body = {"strategy": intents[0].strategy, "intents": [intent._asdict() for intent in intents]}
        ticket = self._journal.append(Kind.INTENT, body, self._now_ns())
        waiting = [then]
        self._pending += 1

        def settle(written: Written) -> None:
            if not waiting:
                return  # the disk and the deadline both answered; the first one counts
            waiting.pop()
            self._pending -= 1
            if written is Written.EXPIRED:
                self.expired += 1
                _LOG.error("order dropped: its intent was not durable in time", extra=_names(intents))
            elif written is Written.LATE:
                self.late += 1
                _LOG.warning("reducing order left before its intent was durable", extra=_names(intents))
            then(written)
            if written is not Written.DURABLE:
                self.missed(written, intents[0].strategy)
            self._tell_empty()

        missed = Written.LATE if reduces else Written.EXPIRED
        ticket.then(lambda done: settle(Written.DURABLE if done.is_durable else missed))
        if waiting:
            self._call_later(self._reducing_secs if reduces else self._opening_secs, lambda: settle(missed))

    def _tell_empty(self) -> None:
        if self._pending == 0:
            callers, self._when_empty = self._when_empty, []
            for call in callers:
                call()


def _names(intents: Sequence[OrderIntent]) -> dict[str, Any]:
    return {"orders": [intent.client_order_id for intent in intents], "strategy": intents[0].strategy}
