"""Checking a journal from outside, and proving to others that a record is in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ops.disk import Disk
from ops.journal.anchors import AnchoredHead
from ops.journal.checkpoints import check_signature
from ops.journal.keys import VerifyKey
from ops.journal.merkle import inclusion_path, root_of_path
from ops.journal.reading import StoredLine, read_chain
from ops.journal.records import GENESIS, Kind, LineError, check_lines, decode, stored_hash
from strategies.errors import AuditError


class Verified(NamedTuple):
    """What was found of a journal that is whole."""

    records: int
    head: str
    """Hash of the last record; all zeros where there is none."""
    root: str
    """RFC 6962 Merkle root over all records."""
    segments: int
    checkpoints: int
    signed_seq: int
    """Last record that a checkpoint stands for; the chain alone cannot show that later ones were cut."""
    anchors: int
    """Anchored heads that were looked for, and found."""
    unfinished_bytes: int
    """Bytes of a last write that is not complete: one on its way, or one that a crash tore."""


def verify(disk: Disk, folder: Path, key: VerifyKey | None, anchors: Sequence[AnchoredHead] = ()) -> Verified:
    """Check every byte of a journal, in one pass.

    A journal that passes is what was written, up to its last checkpoint for whoever lacks the key, and up to
    the last of the anchors for whoever has it.

    Args:
        key: Who must have signed; None checks links and roots only.
        anchors: Heads that must be in it.

    Raises:
        BrokenChainError: At the first record that is not what was written.
        AuditError: If an anchored head is not there.
        OSError: If the disk refuses.
    """
    search = _AnchorSearch(anchors)
    end = read_chain(disk, folder, key, search.visit if anchors else None)
    search.refuse_missing(folder, end.chain.seq)
    return Verified(
        records=end.chain.seq,
        head=end.chain.head.hex(),
        root=end.chain.tree.root().hex(),
        segments=len(end.segments),
        checkpoints=end.checkpoints,
        signed_seq=end.signed_seq,
        anchors=len(anchors),
        unfinished_bytes=0 if end.tail is None else len(end.tail.content),
    )


class Proof(NamedTuple):
    """That a record is in the journal, for somebody who has nothing of it but the public key."""

    seq: int
    previous: str
    """Hash of the record before, 64 hex digits."""
    line: str
    """The stored line, without its newline."""
    path: tuple[str, ...]
    """Inclusion path from the record to the checkpoint's root, hex digits, bottom up."""
    checkpoint: dict[str, Any]
    """Body of the checkpoint: seq (the size of the tree), head, root, key, signature."""


def prove(disk: Disk, folder: Path, key: VerifyKey | None, seq: int) -> Proof:
    """Prove a record against the first checkpoint that stands for it.

    The journal up to there is checked on the way.

    Raises:
        LookupError: If there is no such record, or no checkpoint after it yet.
        BrokenChainError: If the journal is damaged before that checkpoint.
    """
    leaves: list[bytes] = []
    lines: list[bytes] = []
    checkpoints: list[dict[str, Any]] = []

    def visit(stored: StoredLine) -> None:
        if checkpoints:
            return
        if stored.kind is Kind.CHECKPOINT and stored.seq > seq:
            checkpoints.append(decode(stored.content).body)
            return
        leaves.append(stored_hash(stored.content))
        if stored.seq == seq:
            lines.append(stored.content)

    end = read_chain(disk, folder, key, visit)
    if not lines:
        raise LookupError(f"expected a record from 1 to {end.chain.seq}, found {seq}")
    if not checkpoints:
        raise LookupError(
            f"record {seq} has no checkpoint after it yet; one comes within a minute, or at the stop"
        )
    path = tuple(node.hex() for node in inclusion_path(leaves, seq - 1))
    previous = (leaves[seq - 2] if seq > 1 else GENESIS).hex()
    return Proof(seq, previous, lines[0].rstrip(b"\n").decode("ascii"), path, checkpoints[0])


def check_proof(proof: Proof, key: VerifyKey) -> None:
    """Check a proof with nothing but the public key.

    Raises:
        AuditError: If it does not show that the record is in a journal that this key signed.
    """
    try:
        check_signature(proof.checkpoint, key)
        path = [bytes.fromhex(node) for node in proof.path]
        line = proof.line.encode("ascii") + b"\n"
        _, _, leaf = next(check_lines([line], proof.seq, bytes.fromhex(proof.previous)))
        root = root_of_path(leaf, proof.seq - 1, int(proof.checkpoint["seq"]), path)
        is_proven = root is not None and root.hex() == proof.checkpoint["root"]
    except LineError as error:
        raise AuditError(f"the proof of record {proof.seq} does not hold: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise AuditError(f"the proof of record {proof.seq} cannot be read: {error!r}") from error
    if not is_proven:
        raise AuditError(
            f"the proof of record {proof.seq} does not hold: its path does not lead to the checkpoint's root"
        )


class _AnchorSearch:
    def __init__(self, anchors: Sequence[AnchoredHead]) -> None:
        self._missing = {anchor.head: anchor.seq for anchor in anchors}

    def visit(self, stored: StoredLine) -> None:
        head = stored_hash(stored.content).hex()
        if self._missing.get(head) in {0, stored.seq}:
            del self._missing[head]

    def refuse_missing(self, folder: Path, records: int) -> None:
        if self._missing:
            head, seq = next(iter(self._missing.items()))
            raise AuditError(
                f"{folder}: expected the anchored record {seq or ''} with hash {head}, found {records} "
                "records and none such: the journal was cut or rewritten, or is another one"
            )
