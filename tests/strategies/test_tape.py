"""The record's bytes pin a run: two records with equal bytes must be the same record."""

import hashlib
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    MemoryTape,
    OrderRecord,
    Record,
    VerdictRecord,
    canonical_bytes,
    records_sha256,
)

NAN = math.nan
DECISION = DecisionRecord(7, "one", "ab", 1, (0.25, 0.75), (100.0, 50.0), (NAN,), 0.5, (0.1, NAN), (3.0, NAN))
RECORDS: list[Record] = [
    DECISION,
    VerdictRecord(7, "one", "A.DEMO", 2.0, 1.0, "notional_max", 75.0, 150.0),
    OrderRecord(
        7, "one", "A.DEMO", "d" * 64, "AR1", "BUY", 2.0, "MARKET", "OPEN", NAN, 98.0, "REJECTED", "no money"
    ),
    FillRecord(7, "one", "A.DEMO", "AR1", "T1", "BUY", 2.0, 100.0, 0.1, "TAKER"),
    EquityRecord(7, "one", 1000.0, 800.0, 200.0, 200.0, 1.0, 2.0, 3.0, 0.01),
    HaltRecord(7, "one", "HALTED", "fault", "ZeroDivisionError"),
]

texts = st.text(max_size=6)
floats = st.floats(allow_nan=True, allow_infinity=True)
vectors = st.lists(floats, max_size=4).map(tuple)
decisions = st.builds(
    DecisionRecord,
    st.integers(-(2**63), 2**63 - 1),
    texts,
    texts,
    st.integers(-1, 5),
    vectors,
    vectors,
    vectors,
    floats,
    vectors,
    vectors,
)


def _bits(value: Any) -> Any:
    """A value as something that compares by bits: NaN equals itself, 0.0 differs from -0.0."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    return tuple(map(_bits, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_canonical_bytes_of_any_changed_field_differ(record: Record) -> None:
    plain = canonical_bytes(record)

    for name, value in record._asdict().items():
        if isinstance(value, tuple):
            changes: list[Any] = [(*value, 0.0), value[:-1], (1e-300, *value[1:])]
        else:
            changes = [f"{value}x", value[:-1]] if isinstance(value, str) else [value + 1]
            if isinstance(value, float):
                changes = [1.25 if math.isnan(value) else math.nextafter(value, math.inf), -1.5]
        for change in changes:
            assert canonical_bytes(record._replace(**{name: change})) != plain, name


@given(decisions, decisions)
def test_canonical_bytes_are_equal_only_for_equal_records(one: DecisionRecord, other: DecisionRecord) -> None:
    assert (canonical_bytes(one) == canonical_bytes(other)) == (_bits(tuple(one)) == _bits(tuple(other)))


def test_canonical_bytes_do_not_let_one_field_run_into_the_next() -> None:
    pairs: list[tuple[Record, Record]] = [
        (HaltRecord(1, "ab", "c", "", ""), HaltRecord(1, "a", "bc", "", "")),
        (HaltRecord(1, "", "a", "", ""), HaltRecord(1, "a", "", "", "")),
        (
            DECISION._replace(closes=(1.0,), action=(2.0, 3.0)),
            DECISION._replace(closes=(1.0, 2.0), action=(3.0,)),
        ),
        (DECISION._replace(regime_probs=()), DECISION._replace(regime_probs=(0.0,))),
    ]

    for one, other in pairs:
        assert canonical_bytes(one) != canonical_bytes(other)


def test_canonical_bytes_of_nan_equal_themselves() -> None:
    again = DECISION._replace(action=(float("nan"),), weights=(0.1, float("nan")))

    assert canonical_bytes(DECISION) == canonical_bytes(again)


def test_canonical_bytes_tell_negative_zero_from_zero() -> None:
    assert canonical_bytes(DECISION._replace(confidence=0.0)) != canonical_bytes(
        DECISION._replace(confidence=-0.0)
    )


def test_canonical_bytes_of_a_halt_by_hand() -> None:
    expected = (
        b"HaltRecord"
        + struct.pack("<q", 258)
        + b"\x03\x00\x00\x00one"
        + b"\x06\x00\x00\x00HALTED"
        + b"\x02\x00\x00\x00\xc3\xa9"
        + b"\x00\x00\x00\x00"
    )

    assert canonical_bytes(HaltRecord(258, "one", "HALTED", "é", "")) == expected


def test_records_sha256_depends_on_order_and_is_the_hash_of_the_joined_bytes() -> None:
    other = DECISION._replace(ts_event=8)
    joined = canonical_bytes(DECISION) + canonical_bytes(other)

    assert records_sha256([DECISION, other]) == hashlib.sha256(joined).hexdigest()
    assert records_sha256([other, DECISION]) != records_sha256([DECISION, other])


def test_memory_tape_keeps_each_kind_apart_and_in_order() -> None:
    tape = MemoryTape()
    for record in RECORDS:
        tape.write(record)
    tape.write(DECISION._replace(ts_event=8))

    kept = (tape.decisions, tape.verdicts, tape.orders, tape.fills, tape.equity, tape.halts)

    assert [len(kind) for kind in kept] == [2, 1, 1, 1, 1, 1]
    assert [kind[0] for kind in kept] == RECORDS
    assert [record.ts_event for record in tape.decisions] == [7, 8]
