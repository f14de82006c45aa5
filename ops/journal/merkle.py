"""The Merkle tree of RFC 6962 over the journal's records: one root for all, and short proofs for each.

    leaf(record)  = SHA256(0x00 ‖ record)
    node(l, r)    = SHA256(0x01 ‖ l ‖ r)
    root of n     = node(root of the first k, root of the rest),  k the largest power of two below n

The tree's entry for a record is the previous record's hash and the record's stored bytes, so that a leaf's
hash *is* the hash that the chain gives the record: one SHA-256 serves both.

Source:
    RFC 6962, section 2.1.
"""

import hashlib
from collections.abc import Iterable, Sequence

_EMPTY = hashlib.sha256(b"").digest()


class CompactRange:
    """Grows leaf by leaf and keeps only the roots of the full subtrees: log2(n) hashes."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    @classmethod
    def grown(cls, size: int, peaks: Iterable[bytes]) -> "CompactRange":
        """The tree over `size` leaves whose full subtrees have these roots.

        Raises:
            ValueError: If that many leaves have another number of full subtrees.
        """
        tree = cls()
        tree.size, tree._peaks = size, list(peaks)
        if len(tree._peaks) != size.bit_count():
            raise ValueError(
                f"expected {size.bit_count()} peaks over {size} leaves, found {len(tree._peaks)}"
            )
        return tree

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Roots of the full subtrees, the largest first."""
        return tuple(self._peaks)

    def add(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        self.add_all((leaf,))

    def add_all(self, leaves: Iterable[bytes]) -> None:
        """Add the hashes of the next leaves."""
        start, peaks, size = hashlib.sha256(b"\1"), self._peaks, self.size
        for leaf in leaves:
            node, rest = leaf, size
            while rest & 1:
                state = start.copy()
                state.update(peaks.pop() + node)
                node = state.digest()
                rest >>= 1
            peaks.append(node)
            size += 1
        self.size = size

    def root(self) -> bytes:
        """Root of what was added so far."""
        if not self._peaks:
            return _EMPTY
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = _node(peak, node)
        return node


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from one leaf to the root, from the bottom up.

    Args:
        leaves: Leaf hashes of the whole tree.
        index: Which leaf, from 0.
    """
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_path(leaves[:split], index), tree_root(leaves[split:])]
    return [*inclusion_path(leaves[split:], index - split), tree_root(leaves[:split])]


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes."""
    if not leaves:
        return _EMPTY
    level = list(leaves)
    while len(level) > 1:
        # An odd node out at the end rises a level unchanged: the same tree as the recursive definition.
        odd = level[-1:] if len(level) % 2 else []
        level = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)] + odd
    return level[0]


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion path leads to; None where the path cannot belong to such a tree.

    Args:
        leaf: Hash of the leaf.
        index: Place of the leaf, from 0.
        size: Number of leaves.
        path: From `inclusion_path`.
    """
    if not 0 <= index < size:
        return None
    node, at, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if at % 2 or at == last:
            node = _node(sibling, node)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            node = _node(node, sibling)
        at, last = at >> 1, last >> 1
    return node if last == 0 else None


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1
