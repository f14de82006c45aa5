"""What happens, as it happens: server-sent events of changes only.

    init       status, positions and open orders, once, when the stream begins
    status     parts of the status that have changed
    position   one position that has changed; its quantity is 0 where it is gone
    order, fill, decision   one record each, as the journal gets it

Nobody who listens can hold the trading loop up: a record is encoded once, if anybody listens at all, and put
into a bounded queue for each; whoever lets that fill up is cut off.

Flow: tape → **live stream** → browsers, scripts.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ops.api.connection import DROP
from ops.api.problems import ProblemError
from ops.api.roles import ANYBODY, Caller, Role
from strategies.tape import DecisionRecord, FillRecord, OrderRecord, Record, VerdictRecord

MOST_CLIENTS = 12
"""At a time; the last places are for whoever may act."""
_FOR_OPERATORS = 4
_FOR_TOKENS = 4
"""Nobody without a token gets these."""
QUEUED_EVENTS = 512
"""That one client may be behind."""
HEARTBEAT_SECS = 15.0
LOOK_SECS = 1.0
"""Between two looks at what is no record: status and positions."""

_NAMES: Mapping[type, str] = {
    OrderRecord: "order",
    FillRecord: "fill",
    DecisionRecord: "decision",
    VerdictRecord: "verdict",
}
_HEARTBEAT = b": still here\n\n"

type Look = Callable[[], dict[str, Any]]
"""``look()``: the documents ``status``, ``positions`` and ``orders``."""


class Listener:
    """One client's queue."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUED_EVENTS)
        self.cut: Callable[[], None] = lambda: None
        """Ends the connection at once."""
        self.is_behind = False

    def offer(self, event: bytes) -> bool:
        """Give it an event, unless it is too far behind; then it is cut off."""
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.is_behind = True
            self.cut()
            return False
        return True

    def end(self) -> None:
        """Let the stream end once what is queued was sent."""
        if self.queue.full():
            self.cut()
        else:
            self.queue.put_nowait(None)


class LiveStream:
    """Tells everybody who listens; a tape sink, on the loop."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._look: Look = lambda: {"status": {}, "positions": [], "orders": []}
        self._seen: dict[str, Any] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False
        self.dropped = 0
        """Clients that were too slow."""

    def attach(self, look: Look) -> None:
        """Look at the daemon from now on, while anybody listens."""
        self._look = look

    def write(self, record: Record) -> None:
        """Tell of a record; neither blocks nor raises."""
        if self._listeners and (name := _NAMES.get(type(record))) is not None:
            self._publish(event(name, record._asdict()))

    def listen(self, caller: Caller | None) -> Listener:
        """Begin to listen; the first event is ``init``.

        Raises:
            ProblemError: If too many listen already for this caller, or the daemon stops.
        """
        require_room(len(self._listeners), caller, is_closed=self._is_closed)
        listener = Listener()
        found = self._look()
        listener.offer(event("init", found))
        if not self._listeners:
            self._seen = found
        self._listeners.add(listener)
        if self._looking is None:
            self._looking = asyncio.create_task(self._keep_looking())
        return listener

    def leave(self, listener: Listener) -> None:
        """Stop listening."""
        self._listeners.discard(listener)

    async def close(self) -> None:
        """End every stream."""
        self._is_closed = True
        for listener in tuple(self._listeners):
            listener.end()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def look(self) -> None:
        """Tell what has changed of status and positions since the last look."""
        seen, self._seen = self._seen, self._look()
        before, now = seen.get("status", {}), self._seen["status"]
        changed = {key: value for key, value in now.items() if before.get(key) != value}
        if changed:
            self._publish(event("status", changed))
        held, holds = _by_place(seen.get("positions", [])), _by_place(self._seen["positions"])
        for place, row in holds.items():
            if held.get(place) != row:
                self._publish(event("position", row))
        for strategy, instrument_id in held.keys() - holds.keys():
            gone = {"strategy": strategy, "instrument_id": instrument_id, "quantity": 0.0}
            self._publish(event("position", gone))

    def _publish(self, told: bytes) -> None:
        for listener in tuple(self._listeners):
            if not listener.offer(told):
                self.dropped += 1
                self._listeners.discard(listener)

    async def _keep_looking(self) -> None:
        while self._listeners:
            await asyncio.sleep(LOOK_SECS)
            self.look()
        self._looking = None


def require_room(taken: int, caller: Caller | None, *, is_closed: bool) -> None:
    """Let no more in than may, and whoever only looks never into the last places.

    Args:
        taken: Places that are.
        caller: Who wants one; None is treated as who shows no token.
        is_closed: Whether there are none any more.

    Raises:
        ProblemError: If there is no place.
    """
    most = MOST_CLIENTS
    if caller is None or caller.role < Role.OPERATOR:
        most -= _FOR_OPERATORS
    if caller is None or caller is ANYBODY:
        most -= _FOR_TOKENS
    if is_closed or taken >= most:
        raise ProblemError(503, f"expected at most {most} streams", retry_after_secs=5.0)


class Source(Protocol):
    """What a stream tells of."""

    def leave(self, listener: Listener) -> None:
        """Stop listening."""


class EventStream(Response):
    """The answer that ends when what it tells of does.

    Args:
        source: What it tells of; told when nobody listens any more.
        listener: Who listens there.
        heartbeat_secs: Longest silence.
    """

    media_type = "text/event-stream"

    def __init__(self, source: Source, listener: Listener, *, heartbeat_secs: float = HEARTBEAT_SECS) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._source = source
        self._listener = listener
        self._heartbeat_secs = heartbeat_secs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listener = self._listener
        listener.cut = scope.get(DROP, listener.cut)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            tasks = {asyncio.create_task(self._tell(send)), asyncio.create_task(until_gone(receive))}
            _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._source.leave(listener)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, send: Send) -> None:
        while not self._listener.is_behind:
            try:
                told = await asyncio.wait_for(self._listener.queue.get(), self._heartbeat_secs)
            except TimeoutError:
                told = _HEARTBEAT
            if told is None:
                return
            await send({"type": "http.response.body", "body": told, "more_body": True})


def event(name: str, document: Any) -> bytes:
    """One event as it is sent; what is not finite is null."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), to_json(document, inf_nan_mode="null"))


async def until_gone(receive: Receive) -> None:
    """Return once whoever asked has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _by_place(positions: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["strategy"], row["instrument_id"]): row for row in positions}
