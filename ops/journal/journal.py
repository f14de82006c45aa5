"""The durable journal: what the daemon decided, sent and was told, before it acts on it.

`Journal.append` costs some microseconds on the loop: it lays out the line, chains it and hands it over. A
writer makes it durable and the ticket says so, back on the loop. An order leaves when its intent is durable.
"""

import errno
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.disk import Disk
from ops.journal.anchors import Anchor
from ops.journal.checkpoints import EVERY_NS, EVERY_RECORDS, checkpoint_body
from ops.journal.keys import SigningKey
from ops.journal.reading import CheckedPart, StoredLine
from ops.journal.records import LINE_OVERHEAD_BYTES, Kind, encode_body
from ops.journal.recovery import Recovered, recover
from ops.journal.segments import SEGMENT_BYTES, QueuedLine, SegmentWriter
from ops.journal.tickets import Ticket
from ops.journal.writer import Writer

_LOG = logging.getLogger("argonaut.journal")


class Journal:
    """An open journal. All of it lives on the loop; only bytes leave for the writer.

    Made by `Journal.open`.
    """

    def __init__(
        self,
        recovered: Recovered,
        key: SigningKey,
        segments: SegmentWriter,
        writer: Writer,
        *,
        on_fault: Callable[[OSError], None],
        anchors: Sequence[Anchor] = (),
    ) -> None:
        self.fault: OSError | None = None
        """The first refusal of the disk; from then on nothing is recorded and nothing may add risk."""
        self.anchor_faults = 0
        """Anchors that could not be published."""
        self.counts = dict.fromkeys(Kind, 0)
        """Records taken since it was opened."""
        self.checkpoint_ns = 0
        """When the newest checkpoint was made, UTC nanoseconds."""
        self.durable_seq = recovered.chain.seq
        """Number of the last record that is on the disk."""
        self.recovered = recovered
        self._chain = recovered.chain
        self._key = key
        self._segments = segments
        self._writer = writer
        self._submit: Callable[[QueuedLine], None] = writer.submit
        self._on_fault = on_fault
        self._anchors = tuple(anchors)
        self._waiting: deque[Ticket] = deque()
        self._segment = recovered.next_segment
        self._segment_size = 0
        self._checkpoint_seq = 0
        self._is_closed = False

    @classmethod
    def open(
        cls,
        disk: Disk,
        folder: Path,
        key: SigningKey,
        writer: Writer,
        *,
        ts_ns: int,
        on_fault: Callable[[OSError], None],
        anchors: Sequence[Anchor] = (),
        replay: Callable[[StoredLine], None] | None = None,
        admit: Callable[[], None] = lambda: None,
        checked: CheckedPart | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> "Journal":
        """Check what is there, mend what a crash tore, and begin a segment; slow, for start-up only.

        Args:
            folder: Where the segments lie; made if absent. The key must lie elsewhere.
            writer: `WriterThread` in a daemon.
            ts_ns: Now, UTC nanoseconds.
            on_fault: Called on the loop, once, when the disk refuses for the first time.
            replay: Gets every line that is there, oldest first.
            admit: Called after that; what it raises leaves the journal as it is.
            checked: What need not be read, and is not replayed.
            segment_bytes: Room to reserve for a segment; a full one is followed by the next.

        Raises:
            BrokenChainError: If the journal is damaged, or another key signed it; nothing was changed.
            OSError: If the disk refuses, for example for want of room for a segment.
        """
        recovered = recover(disk, folder, key.verify_key, replay, admit, checked)
        segments = SegmentWriter(disk, folder, segment_bytes)
        journal = cls(recovered, key, segments, writer, on_fault=on_fault, anchors=anchors)
        journal._begin(ts_ns)
        return journal

    @property
    def seq(self) -> int:
        """Number of the last record taken, durable or not."""
        return self._chain.seq

    @property
    def head(self) -> str:
        """Hash of the last record taken, 64 hex digits."""
        return self._chain.head.hex()

    @property
    def backlog(self) -> int:
        """Records that are not known to be durable yet."""
        return len(self._waiting)

    def append(self, kind: Kind, body: Mapping[str, Any], ts_ns: int) -> Ticket:
        """Take a record and put it on its way to the disk.

        Args:
            body: Plain values; what is not finite is stored as null.
            ts_ns: Now, UTC nanoseconds.

        Returns:
            Its ticket; one that has failed already where the disk has refused before, and after `close`:
            what a last answer of the disk sets off then leaves no record, and must not be an exception.

        Raises:
            TypeError, ValueError: If the body has no JSON form or is longer than a record may be; nothing
                was taken.
        """
        if self.fault is not None or self._is_closed:
            ticket = Ticket(0)
            ticket.settle(self.fault or OSError(errno.ESHUTDOWN, "the journal was closed"))
            return ticket
        ticket = self._put(kind, body, ts_ns)
        if self._is_checkpoint_due(ts_ns):
            self._put_checkpoint(ts_ns)
        return ticket

    def tick(self, ts_ns: int) -> None:
        """Write the checkpoint that is due after a quiet minute; to be called each second or so."""
        if self.fault is None and not self._is_closed and self._is_checkpoint_due(ts_ns):
            self._put_checkpoint(ts_ns)

    def close(self, ts_ns: int, timeout_secs: float = 5.0) -> bool:
        """Write a last checkpoint and all that waits, and close; waits for the disk, so at the very end only.

        Returns:
            Whether everything is durable. Tickets that are not have failed by then.
        """
        if self._is_closed:
            return self.fault is None
        if self.fault is None:
            self._put_checkpoint(ts_ns)
        self._is_closed = True
        if not self._writer.close(timeout_secs):
            error = OSError(errno.ETIMEDOUT, f"the disk did not finish within {timeout_secs:g} s of closing")
            self._settle(self._chain.seq, error)
        for anchor in self._anchors:
            anchor.close()
        return self.fault is None

    def _begin(self, ts_ns: int) -> None:
        """Put the run's first lines on the disk before anything else may happen, then start the writer."""
        opening: list[QueuedLine] = []
        self._submit = opening.append
        self._put_checkpoint(ts_ns)
        tail = self.recovered.tail
        if tail is not None:
            text = "the last run was cut short while it wrote; what was unfinished was cut off and kept"
            body = {"text": text, "file": self.recovered.kept_as, "bytes": len(tail.content)}
            self._put(Kind.NOTE, body, ts_ns)
            _LOG.warning("%s", text, extra=body)
        self._segments.write(opening)
        self._submit = self._writer.submit
        self._writer.start(self._segments, self._settle)
        self._settle(self._chain.seq, None)

    def _put(self, kind: Kind, body: Mapping[str, Any], ts_ns: int) -> Ticket:
        text = encode_body(body)
        if self._segment_size + len(text) + LINE_OVERHEAD_BYTES > self._segments.segment_bytes:
            self._segment, self._segment_size = self._segment + 1, 0
            self._put_checkpoint(ts_ns)
        self.counts[kind] += 1
        return self._queue(self._chain.extend(kind, text, ts_ns))

    def _put_checkpoint(self, ts_ns: int) -> None:
        body = encode_body(checkpoint_body(self._chain, self._key))
        ticket = self._queue(self._chain.extend(Kind.CHECKPOINT, body, ts_ns))
        self.counts[Kind.CHECKPOINT] += 1
        self._checkpoint_seq, self.checkpoint_ns = ticket.seq, ts_ns
        if self._anchors:
            head = self.head
            # Only what is durable may be anchored: a head that a crash took back would look like a cut.
            ticket.then(lambda done: self._publish(done, head, ts_ns))

    def _queue(self, line: bytes) -> Ticket:
        ticket = Ticket(self._chain.seq)
        self._waiting.append(ticket)
        self._segment_size += len(line)
        self._submit(QueuedLine(self._segment, ticket.seq, line))
        return ticket

    def _is_checkpoint_due(self, ts_ns: int) -> bool:
        records = self._chain.seq - self._checkpoint_seq
        return records >= EVERY_RECORDS or (records > 0 and ts_ns - self.checkpoint_ns >= EVERY_NS)

    def _publish(self, ticket: Ticket, head: str, ts_ns: int) -> None:
        for anchor in self._anchors if ticket.is_durable else ():
            try:
                anchor.publish(ticket.seq, head, ts_ns)
            except OSError as error:
                self.anchor_faults += 1
                _LOG.error("journal anchor: record %d could not be anchored: %s", ticket.seq, error)

    def _settle(self, seq: int, fault: OSError | None) -> None:
        """Settle all tickets up to a number; all there are, where the disk refused."""
        raised: list[Exception] = []
        if fault is not None and self.fault is None:
            self.fault = fault
            _LOG.error("the journal's disk refused: %s; nothing more is recorded", fault)
            try:
                self._on_fault(fault)
            except Exception as error:  # noqa: BLE001 - raised below, once every caller knows
                raised.append(error)
        while self._waiting and (self.fault is not None or self._waiting[0].seq <= seq):
            ticket = self._waiting.popleft()
            if self.fault is None:
                self.durable_seq = ticket.seq
            raised += ticket.settle(self.fault)
        if raised:
            raise ExceptionGroup("callbacks of the journal failed", raised)
