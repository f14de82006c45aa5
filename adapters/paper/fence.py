"""A mark that travels behind the commands of a node, to tell when they have reached the execution client."""

import asyncio
from collections.abc import Callable


class CommandFence:
    """Tells when every command that was sent so far has reached the execution client.

    Commands of one node are worked off in the order in which they were sent. The fence sends one more and
    waits until that one has come through.

    Args:
        send: Sends a `QueryAccount` with these params from any running strategy, for example
            ``lambda params: strategy.query_account(account_id, params=params)``.
    """

    def __init__(self, send: Callable[[dict[str, str]], None] | None = None) -> None:
        self.send = send
        self._sent = 0
        self._waiting: asyncio.Future[None] | None = None

    async def reached(self) -> None:
        """Wait until all commands sent before this call are at the venue, and those that answers caused.

        Raises:
            RuntimeError: If nobody is there to send the mark; set `send` once the strategies run.
        """
        # Answers under way are heard before the first mark comes; what they cause goes out before the second.
        await self._mark()
        await self._mark()

    async def _mark(self) -> None:
        if self.send is None:
            raise RuntimeError("CommandFence: expected a way to send the mark, found none; set `send`")
        self._sent += 1
        self._waiting = asyncio.get_running_loop().create_future()
        self.send({"fence": str(self._sent)})
        await self._waiting

    def passed(self, mark: str) -> None:
        """Take note that a mark has come through; called by the client."""
        if self._waiting is not None and int(mark) == self._sent and not self._waiting.done():
            self._waiting.set_result(None)
