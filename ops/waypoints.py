"""Waypoints: how far a journal was checked and what it said up to there; a start reads what came after.

    files      size and SHA-256 of each segment that was checked: one that is not as it was makes it void
    checked    where the chain and its tree stood
    memory     what whoever reads a journal at a start knew there

Reading a record takes ten times as long as hashing its bytes, and a journal only grows. A waypoint is made
beside trading, signed with the journal's key, and saves time, no more: where anything about it does not fit,
the whole journal is read, and what is wrong with that is found as it always is.
"""

import hashlib
import logging
from binascii import unhexlify
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from ops.disk import Disk
from ops.journal import CheckedPart, SigningKey, VerifyKey, read_chain
from ops.journal.segments import segment_numbers, segment_path
from ops.quick_recall import QuickRecall
from ops.recall import Recall
from ops.recall_memory import memory_of, recall_from
from ops.state_dir import JOURNAL, WAYPOINT
from strategies.errors import SafetyError

_LOG = logging.getLogger("argonaut.journal")
_PURPOSE = b"argonaut journal waypoint\n"
_CHUNK_BYTES = 2**20

type Files = tuple[tuple[int, str], ...]
"""Size and SHA-256 of the first segments, in order."""


class Waypoint(NamedTuple):
    """A place in a journal from which a reader may go on."""

    checked: CheckedPart | None
    """What lies before it; None where nothing does."""
    files: Files
    recall: Recall


def load_waypoint(disk: Disk, state_dir: Path, key: VerifyKey, version: str) -> Waypoint:
    """The waypoint of a state directory; the beginning of its journal where none fits.

    Args:
        key: Who must have signed it.
        version: Of the program; another one may remember something else.
    """
    path, beginning = state_dir / WAYPOINT, Waypoint(None, (), Recall())
    if path.name not in disk.names(state_dir):
        return beginning
    try:
        signature, _, body = disk.read(path).partition(b"\n")
        if not key.is_signed(_PURPOSE + body, unhexlify(signature.lower())):
            raise ValueError("the journal's key has not signed it")
        document = from_json(body)
        if document["version"] != version:
            return beginning  # after an upgrade
        found = _waypoint_from(document)
        _require_as_they_were(disk, state_dir / JOURNAL, found.files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetyError) as error:
        _LOG.warning("%s is not used, the whole journal is read: %s", path, error)
        return beginning
    return found


def advance_waypoint(disk: Disk, state_dir: Path, key: SigningKey, version: str) -> int:
    """Read on from the waypoint to the end of the last segment that is not written any more, and note it.

    Works beside a running daemon.

    Returns:
        Number of the last record before the waypoint.

    Raises:
        BrokenChainError: If the journal is damaged; the waypoint stays where it was.
        SafetyError: If another version wrote it.
        OSError: If the disk refuses.
    """
    folder, start = state_dir / JOURNAL, load_waypoint(disk, state_dir, key.verify_key, version)
    last = max(0, len(segment_numbers(disk, folder)) - 1)
    if last == len(start.files):
        return 0 if start.checked is None else start.checked.seq
    lines = QuickRecall(start.recall)
    end = read_chain(disk, folder, key.verify_key, lines.take, checked=start.checked, last=last)
    lines.settle()
    chain = end.chain
    checked = CheckedPart(last, chain.seq, chain.head, chain.tree.peaks, end.checkpoints, end.signed_seq)
    files = (*start.files, *_noted(disk, folder, range(len(start.files) + 1, last + 1)))
    body = to_json(_document(Waypoint(checked, files, start.recall), version), inf_nan_mode="null")
    disk.replace(state_dir / WAYPOINT, key.sign(_PURPOSE + body).hex().encode() + b"\n" + body)
    return chain.seq


def _document(waypoint: Waypoint, version: str) -> dict[str, Any]:
    checked = waypoint.checked
    assert checked is not None, "there is something before it"
    hashes = {"head": checked.head.hex(), "peaks": [peak.hex() for peak in checked.peaks]}
    return {
        "version": version,
        "checked": checked._asdict() | hashes,
        "files": waypoint.files,
        "memory": memory_of(waypoint.recall),
    }


def _waypoint_from(document: Mapping[str, Any]) -> Waypoint:
    fields = document["checked"]
    hashes = {"head": bytes.fromhex(fields["head"]), "peaks": tuple(map(bytes.fromhex, fields["peaks"]))}
    checked = CheckedPart(**(fields | hashes))
    files = tuple((size, digest) for size, digest in document["files"])
    if len(files) != checked.segments:
        raise ValueError(f"expected {checked.segments} files, found {len(files)}")
    return Waypoint(checked, files, recall_from(document["memory"]))


def _require_as_they_were(disk: Disk, folder: Path, files: Files) -> None:
    numbers = segment_numbers(disk, folder)
    if numbers[: len(files)] != list(range(1, len(files) + 1)) or len(numbers) == len(files):
        raise ValueError(f"expected {len(files)} segments and one more, found {numbers}")
    for number, noted in enumerate(files, start=1):
        if next(_noted(disk, folder, range(number, number + 1))) != noted:
            raise ValueError(f"{segment_path(folder, number).name} is not as it was when it was checked")


def _noted(disk: Disk, folder: Path, numbers: range) -> Iterator[tuple[int, str]]:
    for number in numbers:
        size, state = 0, hashlib.sha256()
        for chunk in iter(_reader(disk, segment_path(folder, number)), b""):
            size += len(chunk)
            state.update(chunk)
        yield size, state.hexdigest()


def _reader(disk: Disk, path: Path) -> Callable[[], bytes]:
    offset = 0

    def read() -> bytes:
        nonlocal offset
        chunk = disk.read(path, offset, _CHUNK_BYTES)
        offset += len(chunk)
        return chunk

    return read
