"""The index answers from the journal, is equal however it came about, and is never trusted."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.disk import LocalDisk
from ops.journal import BrokenChainError, Kind
from ops.journal.index import JournalIndex
from ops.journal.segments import segment_numbers, segment_path
from tests.support.journals import open_journal


def _intent(own_id: str, strategy: str = "trend") -> dict[str, object]:
    order = {
        "client_order_id": own_id,
        "decision_id": "d" * 64,
        "strategy": strategy,
        "instrument_id": "BTCUSDT.BINANCE",
        "ts_event": 60,
        "side": "BUY",
        "quantity": 2.0,
        "kind": "MARKET",
        "price": None,
        "trigger_price": None,
        "reduce_only": False,
        "role": "OPEN",
    }
    return {"strategy": strategy, "intents": [order]}


def _outcome(own_id: str, status: str, reason: str = "") -> dict[str, object]:
    return {
        "client_order_id": own_id, "strategy": "trend", "instrument_id": "BTCUSDT.BINANCE", "status": status,
        "reason": reason, "side": "BUY", "quantity": 2.0, "ts_event": 61,
    }  # fmt: skip


def _fill(own_id: str, trade_id: str, quantity: float) -> dict[str, object]:
    return {
        "client_order_id": own_id, "trade_id": trade_id, "strategy": "trend", "ts_event": 62, "side": "BUY",
        "instrument_id": "BTCUSDT.BINANCE", "quantity": quantity, "price": 100.5, "fee": 0.1,
    }  # fmt: skip


_HISTORY: tuple[tuple[Kind, dict[str, Any]], ...] = (
    (Kind.DECISION, {"strategy": "trend", "ts_event": 60, "action": [0.5], "closes": [1.0]}),
    (Kind.INTENT, _intent("AR1")),
    (Kind.SUBMIT, _outcome("AR1", "SUBMITTED")),
    (Kind.FILL, _fill("AR1", "T1", 0.5)),
    (Kind.FILL, _fill("AR1", "T1", 0.5)),
    (Kind.FILL, _fill("AR1", "T2", 1.5)),
    (Kind.OUTCOME, _outcome("AR1", "FILLED")),
    (Kind.OUTCOME, _outcome("AR1", "CANCELED", "late")),
    (Kind.INTENT, _intent("AR2", "carry")),
    (Kind.CONTROL, {"command": "pause", "scope": "all", "who": "ann", "reason": "news", "answer": {"x": 1}}),
    (Kind.LATCH, {"action": "hold", "serial": 1}),
    (Kind.STATE, {"strategy": "trend", "state": {}}),
    (Kind.DECISION, {"strategy": "carry", "ts_event": 120}),
)


def _write(folder: Path, rounds: int = 1, *, segment_bytes: int = 3_000) -> None:
    journal, _ = open_journal(LocalDisk(), folder=folder, segment_bytes=segment_bytes)
    for number in range(rounds):
        for kind, body in _HISTORY:
            journal.append(kind, body, 1_000 + number)
    journal.close(9_999)


def _built(tmp_path: Path, name: str = "index.sqlite") -> JournalIndex:
    index = JournalIndex(LocalDisk(), tmp_path / "journal", tmp_path / name)
    index.update()
    return index


def test_orders_stand_as_their_records_say_and_what_is_done_stays_done(tmp_path: Path) -> None:
    _write(tmp_path / "journal")
    index = _built(tmp_path)

    orders = {order["client_order_id"]: order for order in index.orders()}

    assert (orders["AR1"]["status"], orders["AR1"]["filled_quantity"]) == ("FILLED", 2.0)
    assert (orders["AR2"]["status"], orders["AR2"]["filled_quantity"]) == ("INTENT", 0.0)
    assert [order["client_order_id"] for order in index.orders(open_only=True)] == ["AR2"]
    assert [order["client_order_id"] for order in index.orders(strategy="trend")] == ["AR1"]
    index.close()


def test_verdicts_and_equity_are_found_by_strategy_and_time(tmp_path: Path) -> None:
    journal, _ = open_journal(LocalDisk(), folder=tmp_path / "journal")
    verdict = {
        "ts_event": 60, "strategy": "trend", "instrument_id": "A.X", "requested": 2.0, "approved": 0.5,
        "reason": "max_notional", "limit": 50.0, "value": 200.0,
    }  # fmt: skip
    equity = {
        "ts_event": 60, "strategy": "trend", "equity": 101.0, "cash": 51.0, "gross_exposure": 50.0,
        "net_exposure": 50.0, "realised": 0.0, "unrealised": 1.0, "fees": 0.5, "drawdown": 0.0,
    }  # fmt: skip
    journal.append(Kind.VERDICT, verdict, 1)
    journal.append(Kind.STATE, {"strategy": "trend", "state": {}, "equity": equity}, 1)
    journal.append(Kind.STATE, {"strategy": "fresh", "state": {}}, 1)
    journal.close(2)
    index = _built(tmp_path)

    (found,), (reading,) = index.verdicts(strategy="trend"), index.equity(until_ns=60)

    assert {key: found[key] for key in verdict} == verdict
    assert {key: reading[key] for key in equity} == equity
    assert index.verdicts(since_ns=61) == index.equity(strategy="fresh") == []
    index.close()


def test_an_index_in_memory_answers_as_the_file_does(tmp_path: Path) -> None:
    _write(tmp_path / "journal")
    in_file = _built(tmp_path)
    in_memory = JournalIndex(LocalDisk(), tmp_path / "journal", None)
    in_memory.update()

    assert in_memory.dump() == in_file.dump()
    in_file.close()
    in_memory.close()


def test_an_execution_told_twice_is_counted_once(tmp_path: Path) -> None:
    _write(tmp_path / "journal")
    index = _built(tmp_path)

    assert [(fill["trade_id"], fill["seq"]) for fill in index.fills(strategy="trend")] == [
        ("T2", 7),
        ("T1", 5),
    ]
    assert index.fills(since_ns=63) == []
    index.close()


def test_decisions_and_commands_are_found_by_strategy_and_time(tmp_path: Path) -> None:
    _write(tmp_path / "journal")
    index = _built(tmp_path)

    assert [one["ts_event"] for one in index.decisions()] == [120, 60]
    assert [one["strategy"] for one in index.decisions(until_ns=60)] == ["trend"]
    assert [one["strategy"] for one in index.decisions(strategy="carry", since_ns=61)] == ["carry"]
    assert [(one["kind"], one["who"]) for one in index.commands()] == [("latch", None), ("control", "ann")]
    index.close()


def test_an_index_made_bit_by_bit_equals_one_made_at_once(tmp_path: Path) -> None:
    journal, writer = open_journal(LocalDisk(), folder=tmp_path / "journal", segment_bytes=3_000)
    index = JournalIndex(LocalDisk(), tmp_path / "journal", tmp_path / "bits.sqlite")
    for number, (kind, body) in enumerate(_HISTORY * 5):
        journal.append(kind, body, number)
        if number % 3 == 0:
            writer.step()
            index.update()
    journal.close(9_999)
    gained = index.update()
    whole = _built(tmp_path, "whole.sqlite")

    assert gained > 0
    assert index.update() == 0
    assert index.dump() == whole.dump()
    index.close()
    whole.close()


def test_a_deleted_index_is_made_again_equal(tmp_path: Path) -> None:
    _write(tmp_path / "journal", rounds=4)
    index = _built(tmp_path)
    before = index.dump()
    index.close()
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()

    again = _built(tmp_path)

    assert again.dump() == before
    assert len(segment_numbers(LocalDisk(), tmp_path / "journal")) > 2
    again.close()


def _nonsense(path: Path) -> None:
    path.write_bytes(b"nonsense" * 1_000)


def _hole(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    path.write_bytes(content)


def _another_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("DELETE FROM fills")
    connection.close()


@pytest.mark.parametrize("damage", [_nonsense, _hole, _another_version])
def test_a_damaged_index_is_thrown_away_and_made_again(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    _write(tmp_path / "journal", rounds=4)
    index = _built(tmp_path)
    before = index.dump()
    index.close()
    damage(tmp_path / "index.sqlite")

    again = _built(tmp_path)

    assert again.dump() == before
    again.close()


def test_an_index_of_another_journal_is_made_again(tmp_path: Path) -> None:
    _write(tmp_path / "journal", rounds=4)
    _built(tmp_path).close()
    for path in (tmp_path / "journal").iterdir():
        path.unlink()
    _write(tmp_path / "journal", rounds=2, segment_bytes=1 << 20)

    again = _built(tmp_path)
    fresh = _built(tmp_path, "fresh.sqlite")

    assert again.dump() == fresh.dump()
    again.close()
    fresh.close()


def test_a_damaged_journal_is_refused_and_the_index_stays_as_it_was(tmp_path: Path) -> None:
    _write(tmp_path / "journal")
    index = _built(tmp_path)
    before = index.dump()
    _write(tmp_path / "journal", segment_bytes=1 << 20)
    numbers = segment_numbers(LocalDisk(), tmp_path / "journal")
    path = segment_path(tmp_path / "journal", numbers[-1])
    path.write_bytes(path.read_bytes().replace(b'"AR2"', b'"AR9"', 1))

    with pytest.raises(BrokenChainError):
        index.update()
    assert index.dump() == before
    index.close()
