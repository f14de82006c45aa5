"""Who carries lines from the loop to the disk: a thread in the daemon, a step at a time in a simulation.

Both run the same `SegmentWriter`; they differ only in who calls it when.
"""

import asyncio
import contextlib
import errno
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from ops.journal.segments import MAX_BATCH_BYTES, QueuedLine, SegmentWriter

type Settle = Callable[[int, OSError | None], None]
"""Told the number of the last line of a batch, and the fault if it is not durable."""


class Writer(Protocol):
    """Takes lines in order and says what became of them, in the same order."""

    def start(self, segments: SegmentWriter, settle: Settle) -> None:
        """Begin; called once."""

    def submit(self, line: QueuedLine) -> None:
        """Take the next line; neither waits nor raises."""

    def close(self, timeout_secs: float) -> bool:
        """Write what is pending, settle it, close the file. False if the disk was too slow for that."""


class StepWriter:
    """Writes only when told to: no thread, no loop, no time. For simulations and tests."""

    def __init__(self) -> None:
        self._pending: deque[QueuedLine] = deque()
        self._segments: SegmentWriter
        self._settle: Settle

    @property
    def pending(self) -> int:
        """Lines that wait."""
        return len(self._pending)

    def start(self, segments: SegmentWriter, settle: Settle) -> None:
        self._segments, self._settle = segments, settle

    def submit(self, line: QueuedLine) -> None:
        self._pending.append(line)

    def step(self) -> bool:
        """Write one batch and settle it; False where nothing waits."""
        batch = take_batch(self._pending)
        if not batch:
            return False
        self._settle(batch[-1].seq, _written(self._segments, batch))
        return True

    def close(self, timeout_secs: float) -> bool:  # noqa: ARG002 - nothing here takes time
        while self.step():
            pass
        self._segments.close()
        return True


class WriterThread:
    """The daemon's writer: one thread that takes all that waits, writes it, syncs once, and reports.

    Lines are handed to the thread at the end of the loop's turn: waking a thread costs more than laying out a
    line, and what one decision leaves behind then shares a sync.

    Args:
        loop: Where results are settled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._turn: list[QueuedLine] = []
        self._queue: SimpleQueue[list[QueuedLine] | None] = SimpleQueue()
        self._results: deque[tuple[int, OSError | None]] = deque()
        self._segments: SegmentWriter
        self._settle: Settle
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def start(self, segments: SegmentWriter, settle: Settle) -> None:
        self._segments, self._settle = segments, settle
        self._thread.start()

    def submit(self, line: QueuedLine) -> None:
        if not self._turn:
            self._loop.call_soon(self._hand_over)
        self._turn.append(line)

    def close(self, timeout_secs: float) -> bool:
        self._hand_over()
        self._queue.put(None)
        self._thread.join(timeout_secs)
        self._deliver()
        return not self._thread.is_alive()

    def _hand_over(self) -> None:
        if self._turn:
            self._queue.put(self._turn)
            self._turn = []

    def _run(self) -> None:
        pending: deque[QueuedLine] = deque()
        is_open = True
        while pending or is_open:
            is_open = self._gather(pending) and is_open
            batch = take_batch(pending)
            if batch:
                self._results.append((batch[-1].seq, _written(self._segments, batch)))
                with contextlib.suppress(RuntimeError):  # the loop is closed: `close` delivers
                    self._loop.call_soon_threadsafe(self._deliver)
        self._segments.close()

    def _gather(self, pending: deque[QueuedLine]) -> bool:
        """Move all that waits to what is pending, waiting where nothing is; False at the end."""
        try:
            while (turn := self._queue.get(block=not pending)) is not None:
                pending.extend(turn)
        except Empty:
            return True
        return False

    def _deliver(self) -> None:
        # Runs on the loop only; a later call finds nothing left of what an earlier one delivered.
        while self._results:
            self._settle(*self._results.popleft())


def take_batch(pending: deque[QueuedLine]) -> list[QueuedLine]:
    """Remove as many lines as share a sync."""
    batch: list[QueuedLine] = []
    room = MAX_BATCH_BYTES
    while pending and (room := room - len(pending[0].content)) >= 0:
        batch.append(pending.popleft())
    return batch


def _written(segments: SegmentWriter, batch: list[QueuedLine]) -> OSError | None:
    try:
        segments.write(batch)
    except OSError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a writer that dies in silence leaves orders waiting for ever
        return OSError(errno.EIO, f"the journal's writer failed: {type(error).__name__}: {error}")
    return None
