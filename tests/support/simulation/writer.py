"""The journal's writer in virtual time: gathers as the daemon's thread does, and is now and then slow."""

import random
from collections import deque
from collections.abc import Callable

from ops.journal.segments import MAX_BATCH_BYTES, QueuedLine, SegmentWriter
from ops.journal.writer import Settle

type Later = Callable[[float, str, Callable[[], None]], None]


class StallingWriter:
    """Implements `ops.journal.Writer`.

    Args:
        later: Calls back after seconds, unless the process is dead by then.
        stall: Chance that a write takes up to 400 ms.
    """

    def __init__(self, rng: random.Random, later: Later, stall: float) -> None:
        self.durable_seq = 0
        """Number of the last line that was said to be durable."""
        self._rng = rng
        self._later = later
        self._stall = stall
        self._pending: deque[QueuedLine] = deque()
        self._batch: list[QueuedLine] = []
        self._segments: SegmentWriter
        self._settle: Settle

    def start(self, segments: SegmentWriter, settle: Settle) -> None:
        self._segments, self._settle = segments, settle

    def submit(self, line: QueuedLine) -> None:
        self._pending.append(line)
        if not self._batch:
            self._gather()

    def close(self, timeout_secs: float) -> bool:
        while self._batch or self._pending:
            if not self._batch:
                self._take()
            self._write()
        self._segments.close()
        return True

    def _gather(self) -> None:
        self._take()
        is_stalled = self._rng.random() < self._stall
        wait = self._rng.uniform(0.001, 0.4) if is_stalled else self._rng.uniform(0.00005, 0.003)
        self._later(wait, "disk", self._write)

    def _take(self) -> None:
        room = MAX_BATCH_BYTES
        while self._pending and (room := room - len(self._pending[0].content)) >= 0:
            self._batch.append(self._pending.popleft())

    def _write(self) -> None:
        batch, fault = self._batch, None
        if not batch:
            return  # closing was faster
        try:
            self._segments.write(batch)
        except OSError as error:
            fault = error
        else:
            self.durable_seq = batch[-1].seq
        self._batch = []
        if self._pending:
            self._gather()
        self._settle(batch[-1].seq, fault)
