"""The short way to what a journal remembers is the long one, from any journal, cut anywhere."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

import ops.quick_recall
from ops.journal import Kind, Record, read_chain
from ops.journal.reading import StoredLine
from ops.journal.records import decode
from ops.quick_recall import QuickRecall
from ops.recall import Recall
from ops.recall_memory import memory_of, recall_from
from strategies.errors import SafetyError
from strategies.orders import OrderIntent, OrderKind, OrderRole, OrderSide
from tests.support.journals import FOLDER, KEY, open_journal
from tests.support.memory_disk import MemoryDisk
from tests.support.recovery import Bench

NAMES = ("trend", "tränd", 'odd "name"\\', "")
"""The second and the third are not stored as they are read."""


def _intent(name: str, number: int) -> dict[str, Any]:
    return OrderIntent(
        decision_id=f"D{number}",
        client_order_id=f"AR{name}{number % 3}",
        strategy=name,
        instrument_id="ALPHA",
        ts_event=number,
        side=OrderSide.BUY,
        quantity=1.0,
        kind=OrderKind.MARKET,
        price=None,
        trigger_price=None,
        reduce_only=False,
        role=OrderRole.OPEN,
    )._asdict()


def _body(kind: Kind, name: str, number: int) -> dict[str, Any]:
    own_id = f"AR{name}{number % 3}"
    bodies: dict[Kind, dict[str, Any]] = {
        Kind.STATE: {"strategy": name, "state": {"n": number, "strategy": "nested"}},
        Kind.DECISION: {"ts_event": number, "strategy": name},
        Kind.INTENT: {"strategy": name, "intents": [_intent(name, number)]},
        Kind.SUBMIT: {"strategy": name, "client_order_id": own_id, "status": "SUBMITTED"},
        Kind.OUTCOME: {"strategy": name, "client_order_id": own_id, "status": "CANCELED"},
        Kind.FILL: {
            "strategy": name,
            "client_order_id": own_id,
            "trade_id": f"T{number}",
            "ts_event": number,
            "quantity": 0.25,
        },
        Kind.INPUT: {"ts_event": number, "bars": {"ALPHA": [1.0]}},
        Kind.VERDICT: {"strategy": name, "ts_event": number},
        Kind.LATCH: {"restrictions": [number]},
        Kind.SESSION_START: {"number": number},
        Kind.STOP: {"exit_code": (0, 75, None)[number % 3]},
        Kind.RECONCILE: {"baseline": {"cash": number}, "forgotten": [name] if number % 2 else []},
        Kind.NOTE: {},
    }
    return bodies[kind]


_KINDS = (
    Kind.STATE, Kind.DECISION, Kind.INTENT, Kind.SUBMIT, Kind.OUTCOME, Kind.FILL, Kind.INPUT, Kind.VERDICT,
    Kind.LATCH, Kind.SESSION_START, Kind.STOP, Kind.RECONCILE, Kind.NOTE,
)  # fmt: skip
_RECORDS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(_KINDS), st.sampled_from(NAMES)),
        st.tuples(st.sampled_from([Kind.STATE, Kind.DECISION, Kind.INTENT]), st.sampled_from(NAMES)),
        st.just((Kind.STATE, None)),
    ),
    max_size=40,
)


def _lines(records: list[tuple[Kind, str | None]]) -> list[StoredLine]:
    disk = MemoryDisk()
    journal, writer = open_journal(disk)
    for number, (kind, name) in enumerate(records):
        shared = {"ts_event": number, "account": {"n": number}, "borrow": {}}
        body = shared if name is None else _body(kind, name, number)
        journal.append(kind, body, 1_000 - number if number % 7 == 0 else number)
    while writer.step():
        pass
    lines: list[StoredLine] = []
    read_chain(disk, FOLDER, KEY.verify_key, lines.append)
    return lines


def _memory(recall: Recall) -> dict[str, Any]:
    return {name: value for name, value in vars(recall).items() if name != "_takers"}


@given(records=_RECORDS)
def test_memory_is_that_of_every_record_taken_one_after_the_other(
    records: list[tuple[Kind, str | None]],
) -> None:
    lines = _lines(records)
    for cut in range(len(lines) + 1):
        whole, short = Recall(), Recall()
        quick = QuickRecall(short)
        for line in lines[:cut]:
            whole.take(decode(line.content))
            quick.take(line)
        quick.settle()

        assert _memory(short) == _memory(whole)


@given(records=_RECORDS)
def test_memory_that_was_written_down_anywhere_goes_on_as_if_it_never_had_been(
    records: list[tuple[Kind, str | None]],
) -> None:
    lines = _lines(records)
    whole = Recall()
    for line in lines:
        whole.take(decode(line.content))
    for cut in range(len(lines) + 1):
        before = Recall()
        for line in lines[:cut]:
            before.take(decode(line.content))
        again = recall_from(json.loads(to_json(memory_of(before))))
        assert _memory(again) == _memory(before)
        quick = QuickRecall(again)
        for line in lines[cut:]:
            quick.take(line)
        quick.settle()

        assert _memory(again) == _memory(whole)


def test_what_a_later_state_replaces_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(MemoryDisk())
    for _ in range(100):
        bench.bar((100.0, 100.0))
    while bench.writer.step():
        pass
    lines: list[StoredLine] = []
    read_chain(bench.disk, FOLDER, KEY.verify_key, lines.append)
    decoded: list[Kind] = []

    def decode_and_count(content: bytes) -> Record:
        record = decode(content)
        decoded.append(record.kind)
        return record

    monkeypatch.setattr(ops.quick_recall, "decode", decode_and_count)
    quick = QuickRecall(Recall())
    for line in lines:
        quick.take(line)
    quick.settle()

    assert sum(line.kind in (Kind.STATE, Kind.DECISION) for line in lines) > 190
    assert len(decoded) < 5, decoded


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        (b'"stand":{"n"', "written by another version, nothing was started"),
        (b'"state":["n"', "nothing was started"),
    ],
)
def test_newest_line_that_is_of_another_version_starts_nothing(spoilt: bytes, why: str) -> None:
    quick = QuickRecall(Recall())
    (*_, line) = _lines([(Kind.STATE, "trend")])
    quick.take(line._replace(content=line.content.replace(b'"state":{"n"', spoilt)))

    with pytest.raises(SafetyError, match=why):
        quick.settle()
