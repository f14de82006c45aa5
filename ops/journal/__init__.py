"""The durable journal: a hash chain of JSON lines in segments, signed checkpoints, a writer off the loop.

    Journal.append → Chain (line, hash, tree) → Writer (thread) → SegmentWriter → Disk
                   ← Ticket.then, on the loop ←

The chain is the truth; whatever else shows its contents is an index that can be rebuilt.
"""

from ops.journal.anchors import Anchor, FileAnchor, LogAnchor, ThreadedAnchor
from ops.journal.journal import Journal
from ops.journal.keys import SigningKey, VerifyKey, load_or_create_key, load_verify_key, public_path
from ops.journal.reading import BrokenChainError, CheckedPart, read_chain
from ops.journal.records import Kind, Record
from ops.journal.recovery import Recovered, recover
from ops.journal.tickets import Ticket
from ops.journal.writer import StepWriter, Writer, WriterThread

__all__ = [
    "Anchor",
    "BrokenChainError",
    "CheckedPart",
    "FileAnchor",
    "Journal",
    "Kind",
    "LogAnchor",
    "Record",
    "Recovered",
    "SigningKey",
    "StepWriter",
    "ThreadedAnchor",
    "Ticket",
    "VerifyKey",
    "Writer",
    "WriterThread",
    "load_or_create_key",
    "load_verify_key",
    "public_path",
    "read_chain",
    "recover",
]
