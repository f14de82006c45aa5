"""Calls that touch files, one after the other on a thread of their own: the loop never waits for a disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class OneThread:
    """A thread, begun with the first call.

    Args:
        name: For whoever looks at a stuck process.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, name)

    async def __call__[**P, T](self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a call once those before it are done; it raises what the call raises."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args, **kwargs))

    def close(self) -> None:
        """Take no more calls; whoever needs the last one awaits it first."""
        self._pool.shutdown(wait=False)
