"""The layout of a line, checked by hand with nothing but hashlib and json."""

import hashlib
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.journal.records import GENESIS, Kind, LineError, check_lines, decode, encode_body, seal, stored_hash


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
    assert list(check_lines([line], 1, GENESIS)) == [(line, Kind.INTENT, stored_hash(line))]


def test_a_body_keeps_the_bits_of_its_floats_and_stores_null_for_what_is_not_finite() -> None:
    body = {
        "NaN": "Infinity",
        "a": 0.1 + 0.2,
        "b": math.nan,
        "c": [math.inf, -0.0],
        "d": {"e": (-math.inf, 5e-324)},
    }

    text = encode_body(body)

    assert json.loads(text) == {
        "NaN": "Infinity",
        "a": 0.1 + 0.2,
        "b": None,
        "c": [None, 0.0],
        "d": {"e": [None, 5e-324]},
    }
    assert b"-0.0" in text
    assert text.isascii()


def test_a_line_holds_one_newline_and_only_ascii_whatever_the_body() -> None:
    line = _line(body={"text": "a\nb\r\0\u2028é\ud800"})

    assert line.count(b"\n") == 1
    assert line.isascii()
    assert not any(byte < 32 for byte in line[:-1])
    assert decode(line).body == {"text": "a\nb\r\0\u2028é\ud800"}


@pytest.mark.parametrize("body", [{"a": object()}, {"a": np.int64(1)}, {"a": [np.bool_(True)]}])
def test_a_body_without_json_form_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        encode_body(body)


def test_a_body_that_is_too_long_or_refers_to_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless

    with pytest.raises(ValueError, match="expected a body of at most"):
        encode_body({"a": "x" * 300_000})
    with pytest.raises(ValueError, match="Circular"):
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
        list(check_lines([_forged(payload)], 1, GENESIS))


def test_a_foreign_key_behind_the_body_is_refused_when_the_record_is_read() -> None:
    line = _forged(b'{"seq":1,"ts_ns":5,"kind":"intent","body":{"a":1},"more":{}')

    assert len(list(check_lines([line], 1, GENESIS))) == 1
    with pytest.raises(LineError, match="expected the keys"):
        decode(line)


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=20,
        ),
    )
)
def test_any_body_reads_back_as_the_standard_library_would_write_it(body: dict[str, Any]) -> None:
    def finite(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            return {key: finite(item) for key, item in value.items()}
        return [finite(item) for item in value] if isinstance(value, list) else value

    text = encode_body(body)

    assert text.isascii()
    assert b"\n" not in text
    assert repr(json.loads(text)) == repr(json.loads(json.dumps(finite(body))))
