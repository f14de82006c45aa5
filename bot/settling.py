"""The clock of a settlement: `ops.reconciliation` says when to ask the venue, this waits and asks."""

import asyncio
from collections.abc import Callable, Generator
from typing import cast


async def see_through[V, R](settling: Generator[float, V, R], ask: Callable[[], V]) -> R:
    """Wait as long as a settlement says, ask, and go on, until it has a result.

    Args:
        settling: Yields seconds to wait, and takes what the venue then says.
        ask: What the venue says now.

    Raises:
        TransientError: If the venue does not answer.
    """
    secs = next(settling)
    try:
        while True:
            await asyncio.sleep(secs)
            secs = settling.send(ask())
    except StopIteration as settled:
        return cast(R, settled.value)
