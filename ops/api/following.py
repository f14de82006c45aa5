"""Tells a run to whoever follows it: how it stands, how far it is, what it says, until it has ended.

Flow: `ops.runs.queue` → **following** → `ops.api.stream`.

A run is looked at while anybody follows it, and only then.
"""

import asyncio
import logging

from ops.api.roles import Caller
from ops.api.stream import Listener, event, require_room
from ops.refusals import RefusedError
from ops.runs.queue import RunQueue, has_ended

LOOK_SECS = 0.5

_LOG = logging.getLogger("argonaut.runs")


class Followers:
    """Everybody who follows a run.

    Args:
        queue: The runs.
        look_secs: Between two looks at one.
    """

    def __init__(self, queue: RunQueue, *, look_secs: float = LOOK_SECS) -> None:
        self._queue = queue
        self._look_secs = look_secs
        self._following: dict[Listener, asyncio.Task[None]] = {}
        self._is_closed = False

    async def follow(self, run_id: int, caller: Caller | None) -> Listener:
        """One follower of one run; its first event is ``init``, its last ``end``.

        Raises:
            RefusedError: If there is none of that number.
            ProblemError: If too many follow already for this caller, or the daemon stops.
        """
        require_room(len(self._following), caller, is_closed=self._is_closed)
        document = await self._queue.show(run_id)
        listener = Listener()
        listener.offer(event("init", document))
        self._following[listener] = asyncio.create_task(
            self._tell(run_id, listener, document["run"]["state"])
        )
        return listener

    def leave(self, listener: Listener) -> None:
        """Follow no more."""
        task = self._following.pop(listener, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """End every stream."""
        self._is_closed = True
        tasks = list(self._following.values())
        for listener in tuple(self._following):
            self.leave(listener)
            listener.end()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, run_id: int, listener: Listener, state: str) -> None:
        progress, log_at = None, 0
        try:
            while True:
                seen = await self._queue.glance(run_id, log_at)
                if seen.said.text:
                    said = {"text": seen.said.text, "is_cut": seen.said.is_cut}
                    listener.offer(event("log", said))
                log_at = seen.said.next_at
                if seen.progress != progress:
                    progress = seen.progress
                    listener.offer(event("progress", progress))
                if seen.run.state != state:
                    state = seen.run.state
                    listener.offer(event("state", seen.run.as_json()))
                if has_ended(seen.run):
                    listener.offer(event("end", seen.run.as_json()))
                    break
                await asyncio.sleep(self._look_secs)
        except RefusedError as error:  # it was deleted, or the daemon stops
            listener.offer(event("end", {"run_id": run_id, "detail": str(error)}))
        except Exception:  # noqa: BLE001 - the stream ends, and nothing else does
            _LOG.exception("run %d cannot be followed any more", run_id)
        listener.end()
