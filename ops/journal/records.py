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
from binascii import hexlify
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic_core import PydanticSerializationError, from_json, to_json

MAX_RECORD_BYTES = 256 * 1024
"""Longest line that is taken."""

GENESIS = bytes(32)
"""What stands for the previous hash before the first record."""

LINE_OVERHEAD_BYTES = 256
"""More than a line holds beside its body."""

_SUFFIX_BYTES = len(b',"hash":""}\n') + 64
_SEQ = re.compile(rb'\{"seq":([1-9]\d{0,18}),')
_PATIENT = json.JSONEncoder(separators=(",", ":"))


class Kind(StrEnum):
    """What a record is about; nothing else is written or accepted."""

    SESSION_START = "session_start"
    INPUT = "input"
    """What strategies were given from outside: rules, bars, balances. With it a session can be replayed."""
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


_FIELDS_OF = {kind: f'"kind":"{kind.value}"'.encode() for kind in Kind}
_KIND_FIELDS = {field: kind for kind, field in _FIELDS_OF.items()}


class Record(NamedTuple):
    """A record as it is read back."""

    seq: int
    """Counts from 1 over all segments."""
    ts_ns: int
    """UTC nanoseconds, as the writer was told."""
    kind: Kind
    body: dict[str, Any]


class LineError(Exception):
    """A line is not what the chain needs at its place; the message says why."""


def encode_body(body: Mapping[str, Any]) -> bytes:
    """The JSON text of a body, in ASCII; NaN and infinities become null.

    Raises:
        TypeError: If it holds something that has no JSON form, for example a numpy integer.
        ValueError: If it refers to itself, or is longer than `MAX_RECORD_BYTES` allow.
    """
    try:
        text = to_json(body, inf_nan_mode="null", ensure_ascii=True)
    except PydanticSerializationError:
        # Half a surrogate pair, as a venue's garbled text may hold, is no reason to lose a record; anything
        # else that was not taken is refused here as well.
        text = _PATIENT.encode(_finite(json.loads(_PATIENT.encode(body)))).encode("ascii")
    if len(text) > MAX_RECORD_BYTES - LINE_OVERHEAD_BYTES:
        raise ValueError(
            f"expected a body of at most {MAX_RECORD_BYTES - LINE_OVERHEAD_BYTES} bytes, found {len(text)}; "
            "store a hash of what is large, and the large thing elsewhere"
        )
    return text


def seal(seq: int, ts_ns: int, kind: Kind, body: bytes, previous: bytes) -> tuple[bytes, bytes]:
    """Lay out a line.

    Args:
        body: From `encode_body`.
        previous: Hash of the line before, 32 bytes.

    Returns:
        The line with its newline, and its hash (32 bytes).
    """
    payload = b'{"seq":%d,"ts_ns":%d,%b,"body":%b' % (seq, ts_ns, _FIELDS_OF[kind], body)
    head = hashlib.sha256(b"\0" + previous + payload).digest()
    return b'%b,"hash":"%b"}\n' % (payload, hexlify(head)), head


def check_lines(lines: Iterable[bytes], seq: int, previous: bytes) -> Iterator[tuple[bytes, Kind, bytes]]:
    """Check lines against their place in the chain.

    Args:
        lines: Stored bytes, newlines included.
        seq: Number that the first one must have.
        previous: Hash of the line before it.

    Yields:
        Each line that is good, its kind and its hash.

    Raises:
        LineError: At the first that does not belong there.
    """
    start, kinds = hashlib.sha256(b"\0"), _KIND_FIELDS
    head = previous
    # A year of records goes through here at each start: splitting is twice as fast as a regular expression,
    # and copying a hash that has begun a third faster than beginning one.
    for line in lines:
        state = start.copy()
        state.update(head + line[:-_SUFFIX_BYTES])
        head = state.digest()
        fields = line.split(b",", 3)
        if (
            len(fields) != 4
            or fields[0] != b'{"seq":%d' % seq
            or line[-_SUFFIX_BYTES - 1 :] != b'},"hash":"' + hexlify(head) + b'"}\n'
            or not fields[3].startswith(b'"body":{')
            or not (fields[1].startswith(b'"ts_ns":') and fields[1][8:].lstrip(b"-").isdigit())
        ):
            raise LineError(_why_not(line, seq))
        kind = kinds.get(fields[2])
        if kind is None:
            name = fields[2].decode("ascii", "replace")
            raise LineError(f"its kind is unknown: {name}; written by another version?")
        yield line, kind, head
        seq += 1


def kind_of(line: bytes) -> Kind | None:
    """The kind that a line says it has; None where it is no line of a journal. Its hash is not checked."""
    fields = line.split(b",", 3)
    return _KIND_FIELDS.get(fields[2]) if len(fields) == 4 else None


def decode(line: bytes) -> Record:
    """Read a line whose hash was checked.

    Raises:
        LineError: If it has other keys, or its body is no JSON object.
    """
    try:
        fields = _parsed(line)
        if fields.keys() != {"seq", "ts_ns", "kind", "body", "hash"}:
            raise LineError(f"expected the keys seq, ts_ns, kind, body and hash, found {sorted(fields)}")
        return Record(fields["seq"], fields["ts_ns"], Kind(fields["kind"]), fields["body"])
    except (ValueError, AttributeError) as error:
        raise LineError(f"expected one JSON object, found something else: {error}") from error


def _parsed(line: bytes) -> Any:
    try:
        return from_json(line)  # five times as fast as the standard library
    except ValueError:
        return json.loads(line)  # which takes half a surrogate pair, too


def stored_hash(line: bytes) -> bytes:
    """The hash that a line carries, 32 bytes; the line must have been checked."""
    return bytes.fromhex(line[-67:-3].decode("ascii"))


def _why_not(line: bytes, seq: int) -> str:
    found = _SEQ.match(line)
    if found is not None and int(found[1]) != seq:
        return f"record {int(found[1])} is there: records are missing, repeated or out of order"
    return "its hash does not fit the stored bytes and the record before"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
