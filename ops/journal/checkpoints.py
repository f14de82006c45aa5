"""Checkpoints: signed statements, inside the chain, of where it stood.

A checkpoint names the last record before it, that record's hash and the Merkle root over all records up to
it, signed with Ed25519. Whoever edits history without the key is found out at the next checkpoint; whoever
has the key is not, unless a head was anchored outside.
"""

from typing import Any

from ops.journal.chain import Chain
from ops.journal.keys import SigningKey, VerifyKey
from ops.journal.records import LineError

EVERY_RECORDS = 1_000
EVERY_NS = 60 * 10**9


def checkpoint_body(chain: Chain, key: SigningKey) -> dict[str, Any]:
    """What a checkpoint says about the chain before it."""
    head, root = chain.head.hex(), chain.tree.root().hex()
    return {
        "seq": chain.seq,
        "head": head,
        "root": root,
        "key": key.verify_key.fingerprint,
        "signature": key.sign(signed_message(chain.seq, head, root)).hex(),
    }


def check_checkpoint(body: dict[str, Any], chain: Chain, key: VerifyKey | None) -> None:
    """Compare a checkpoint with the chain before it.

    Args:
        chain: As it stood before the checkpoint.
        key: Who must have signed; None leaves the signature unchecked.

    Raises:
        LineError: If it says anything else than what is there, or another key signed.
    """
    if body.keys() != {"seq", "head", "root", "key", "signature"}:
        raise LineError("expected a checkpoint of seq, head, root, key and signature, found other keys")
    if (body["seq"], body["head"]) != (chain.seq, chain.head.hex()):
        raise LineError(
            f"the checkpoint stands for record {body['seq']} with hash {body['head']}, "
            f"the chain before it ends with record {chain.seq} and hash {chain.head.hex()}"
        )
    if body["root"] != chain.tree.root().hex():
        raise LineError("the checkpoint's Merkle root is not that of the records before it")
    if key is not None:
        check_signature(body, key)


def check_signature(body: dict[str, Any], key: VerifyKey) -> None:
    """Check who signed a checkpoint.

    Raises:
        LineError: If it was not this key.
    """
    if body["key"] != key.fingerprint:
        raise LineError(
            f"expected a checkpoint signed by key {key.fingerprint}, found one by {body['key']}: "
            "the journal is another installation's, or its key was replaced"
        )
    try:
        signature = bytes.fromhex(body["signature"])
    except (TypeError, ValueError):
        signature = b""
    if not key.is_signed(signed_message(body["seq"], body["head"], body["root"]), signature):
        raise LineError(f"the signature is not that of key {key.fingerprint} over this checkpoint")


def signed_message(seq: int, head: str, root: str) -> bytes:
    """The bytes that are signed."""
    return f"argonaut journal checkpoint\n{seq}\n{head}\n{root}\n".encode()
