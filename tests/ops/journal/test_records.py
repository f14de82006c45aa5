"""The layout of a line, checked by hand with nothing but hashlib and json."""

import hashlib
import json
import math
from typing import Any

import pytest

from ops.journal.records import GENESIS, Kind, LineError, check_line, decode, encode_body, seal, stored_hash


def _line(seq: int = 1, body: Any = None, previous: bytes = GENESIS) -> bytes:
    return seal(seq, 5, Kind.INTENT, encode_body(body or {"a": 1}), previous)[0]


def _forged(payload: bytes) -> bytes:
    """A line with any payload and the hash that belongs to it."""
    digest = hashlib.sha256(bytes(33) + payload).hexdigest().encode()
    return payload + b',"hash":"' + digest + b'"}\n'


def test_a_line_is_json_whose_hash_covers_the_stored_bytes_and_the_predecessor() -> None:
    line = _line(body={"price": 0.1, "side": "BUY"})
    payload = b'{"seq":1,"ts_ns":5,"kind":"intent","body":{"price":0.1,"side":"BUY"}'

    assert line == _forged(payload)
    assert json.loads(line)["body"] == {"price": 0.1, "side": "BUY"}
    assert decode(line) == (1, 5, Kind.INTENT, {"price": 0.1, "side": "BUY"})
    assert check_line(line, 1, GENESIS) == (Kind.INTENT, stored_hash(line))


def test_a_body_keeps_the_bits_of_its_floats_and_stores_null_for_what_is_not_finite() -> None:
    body = {"a": 0.1 + 0.2, "b": math.nan, "c": [math.inf, -0.0], "d": {"e": (-math.inf, 5e-324)}}

    text = encode_body(body)

    assert json.loads(text) == {"a": 0.1 + 0.2, "b": None, "c": [None, 0.0], "d": {"e": [None, 5e-324]}}
    assert "-0.0" in text


def test_a_line_holds_one_newline_and_only_ascii_whatever_the_body() -> None:
    line = _line(body={"text": "a\nb\r\0\u2028é\ud800"})

    assert line.count(b"\n") == 1
    assert line.isascii()
    assert not any(byte < 32 for byte in line[:-1])
    assert decode(line).body == {"text": "a\nb\r\0\u2028é\ud800"}


@pytest.mark.parametrize("body", [{"a": {1, 2}}, {"a": b"x"}, {"a": object()}])
def test_a_body_without_json_form_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        encode_body(body)


def test_a_body_that_is_too_long_or_refers_to_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless

    with pytest.raises(ValueError, match="expected a body of at most"):
        encode_body({"a": "x" * 300_000})
    with pytest.raises(ValueError, match="nested without end"):
        encode_body(endless)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b'{"seq":1,"ts_ns":5,"kind":"trade","body":{"a":1}', "kind is unknown"),
        (b'{"seq":1,"ts_ns":5,"sort":"intent","body":{"a":1}', "kind is unknown"),
        (b'{"seq":1,"time":5,"kind":"intent","body":{"a":1}', "hash does not fit"),
        (b'{"seq":1,"ts_ns":x,"kind":"intent","body":{"a":1}', "hash does not fit"),
        (b'{"seq":1,"ts_ns":5,"kind":"intent","body":[1]', "hash does not fit"),
        (b'{"seq":1,"ts_ns":5,"kind":"intent"', "hash does not fit"),
        (b'{"seq":2,"ts_ns":5,"kind":"intent","body":{"a":1}', "record 2 is there"),
        (b'{"seq":01,"ts_ns":5,"kind":"intent","body":{"a":1}', "hash does not fit"),
    ],
)
def test_a_line_of_another_form_is_refused_though_its_hash_fits(payload: bytes, why: str) -> None:
    with pytest.raises(LineError, match=why):
        check_line(_forged(payload), 1, GENESIS)


def test_a_foreign_key_behind_the_body_is_refused_when_the_record_is_read() -> None:
    line = _forged(b'{"seq":1,"ts_ns":5,"kind":"intent","body":{"a":1},"more":{}')

    check_line(line, 1, GENESIS)
    with pytest.raises(LineError, match="expected the keys"):
        decode(line)
