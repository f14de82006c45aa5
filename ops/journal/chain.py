"""The hash chain: pure, one line at a time."""

from collections.abc import Iterable, Sequence

from ops.journal.merkle import CompactRange
from ops.journal.records import GENESIS, Kind, seal


class Chain:
    """Where a chain stands: how many records, the hash of the last, and the tree over all.

    Any line that is changed, dropped, repeated or moved no longer fits its neighbours. What a chain alone
    cannot show is a tail that was cut at the end of a line, or a history rewritten from some record on: that
    takes a signed checkpoint or an anchor outside.
    """

    __slots__ = ("head", "seq", "tree")

    def __init__(self) -> None:
        self.seq = 0
        """Number of the last record; 0 before the first."""
        self.head = GENESIS
        """Hash of the last record."""
        self.tree = CompactRange()

    @classmethod
    def grown(cls, seq: int, head: bytes, peaks: Iterable[bytes]) -> "Chain":
        """A chain that stands where another one stood.

        Raises:
            ValueError: If the tree over so many records has another number of peaks.
        """
        chain = cls()
        chain.seq, chain.head, chain.tree = seq, head, CompactRange.grown(seq, peaks)
        return chain

    def extend(self, kind: Kind, body: bytes, ts_ns: int) -> bytes:
        """Make the next line.

        Args:
            body: From `encode_body`.
        """
        line, head = seal(self.seq + 1, ts_ns, kind, body, self.head)
        self.advance((head,))
        return line

    def advance(self, heads: Sequence[bytes]) -> None:
        """Take the hashes of next lines that are known to follow."""
        if heads:
            self.seq += len(heads)
            self.head = heads[-1]
            self.tree.add_all(heads)
