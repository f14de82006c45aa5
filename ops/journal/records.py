"""One record and its line: what is stored, byte for byte.

A line is one JSON object in ASCII, always laid out like this and ended by a newline:

    {"seq":7,"ts_ns":1764000000000000000,"kind":"intent","body":{…},"hash":"<64 hex digits>"}

``hash`` is the SHA-256 of a zero byte, the 32 bytes of the previous line's hash, and the stored bytes before
``,"hash":``. Nothing is serialised again to check it: a line can be checked with no more than its
predecessor's hash. The first line follows 32 zero bytes. Floats have their shortest form that reads back to
the same bits; a number that is not finite is null.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

MAX_RECORD_BYTES = 64 * 1024
"""Longest line that is taken."""

GENESIS = bytes(32)
"""What stands for the previous hash before the first record."""

LINE_OVERHEAD_BYTES = 256
"""More than a line holds beside its body."""

_SUFFIX_BYTES = len(b',"hash":""}\n') + 64
_HEADER = re.compile(rb'\{"seq":([1-9]\d{0,18}),"ts_ns":(0|-?[1-9]\d{0,18}),"kind":"([a-z_]+)","body":\{')
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class Kind(StrEnum):
    """What a record is about; nothing else is written or accepted."""

    SESSION_START = "session_start"
    DECISION = "decision"
    VERDICT = "verdict"
    STATE = "state"
    INTENT = "intent"
    SUBMIT = "submit"
    OUTCOME = "outcome"
    FILL = "fill"
    CONTROL = "control"
    LATCH = "latch"
    RECONCILE = "reconcile"
    CHECKPOINT = "checkpoint"
    STOP = "stop"
    NOTE = "note"


_KINDS = {kind.value.encode(): kind for kind in Kind}


class Record(NamedTuple):
    """A record as it is read back."""

    seq: int
    """Counts from 1 over all segments."""
    ts_ns: int
    """UTC nanoseconds, as the writer was told."""
    kind: Kind
    body: dict[str, Any]


class Header(NamedTuple):
    """What a line says about itself before its body."""

    seq: int
    ts_ns: int
    kind: Kind


class LineError(Exception):
    """A line is not what the chain needs at its place; the message says why."""


def encode_body(body: Mapping[str, Any]) -> str:
    """The JSON text of a body; NaN and infinities become null.

    Raises:
        TypeError: If it holds something that has no JSON form, for example a numpy integer.
        ValueError: If it refers to itself, or is longer than `MAX_RECORD_BYTES` allow.
    """
    try:
        text = _ENCODER.encode(body)
    except ValueError:
        text = _ENCODER.encode(_finite(body, depth=0))
    if len(text) > MAX_RECORD_BYTES - LINE_OVERHEAD_BYTES:
        raise ValueError(
            f"expected a body of at most {MAX_RECORD_BYTES - LINE_OVERHEAD_BYTES} bytes, found {len(text)}; "
            "store a hash of what is large, and the large thing elsewhere"
        )
    return text


def seal(seq: int, ts_ns: int, kind: Kind, body: str, previous: bytes) -> tuple[bytes, bytes]:
    """Lay out a line.

    Args:
        body: From `encode_body`.
        previous: Hash of the line before, 32 bytes.

    Returns:
        The line with its newline, and its hash (32 bytes).
    """
    payload = f'{{"seq":{seq},"ts_ns":{ts_ns},"kind":"{kind.value}","body":{body}'.encode("ascii")
    digest = hashlib.sha256(b"\0" + previous + payload)
    return b'%b,"hash":"%b"}\n' % (payload, digest.hexdigest().encode()), digest.digest()


def check_line(line: bytes, seq: int, previous: bytes) -> tuple[Header, bytes]:
    """Check one line against its place in the chain.

    Args:
        line: Stored bytes, newline included.
        seq: Number that it must have.
        previous: Hash of the line before.

    Returns:
        Its header and its hash.

    Raises:
        LineError: If it does not belong there.
    """
    payload = line[:-_SUFFIX_BYTES]
    digest = hashlib.sha256(b"\0" + previous + payload)
    if line[-_SUFFIX_BYTES:] != b',"hash":"%b"}\n' % digest.hexdigest().encode():
        raise LineError(_why_not(line, seq))
    found = _HEADER.match(payload)
    if found is None or not payload.endswith(b"}"):
        raise LineError("expected the keys seq, ts_ns, kind, body and hash in this order, found others")
    kind = _KINDS.get(found[3])
    if kind is None:
        raise LineError(f"expected a known kind, found {found[3].decode()!r}: written by another version?")
    header = Header(int(found[1]), int(found[2]), kind)
    if header.seq != seq:
        raise LineError(f"expected record {seq}, found {header.seq}")
    return header, digest.digest()


def decode(line: bytes) -> Record:
    """Read a line whose hash was checked.

    Raises:
        LineError: If it has other keys, or its body is no JSON object.
    """
    try:
        fields = json.loads(line)
        if fields.keys() != {"seq", "ts_ns", "kind", "body", "hash"}:
            raise LineError(f"expected the keys seq, ts_ns, kind, body and hash, found {sorted(fields)}")
        return Record(fields["seq"], fields["ts_ns"], Kind(fields["kind"]), fields["body"])
    except (ValueError, AttributeError) as error:
        raise LineError(f"expected one JSON object, found something else: {error}") from error


def _why_not(line: bytes, seq: int) -> str:
    found = _HEADER.match(line)
    if found is not None and int(found[1]) != seq:
        return f"expected record {seq}, found {int(found[1])}: records are missing, repeated or out of order"
    return "the hash does not fit the stored bytes and the record before"


def _finite(value: Any, depth: int) -> Any:
    if depth > 100:
        raise ValueError("expected a body of plain values, found one that is nested without end")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item, depth + 1) for item in value]
    return value
