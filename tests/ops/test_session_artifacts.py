"""A session of two bars and three executions, by hand."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import pytest

from ops.journal import Kind, Record
from ops.log_reading import Part
from ops.session_artifacts import write_session
from ops.session_tape import SessionTape

MINUTE = 60_000_000_000
START = 1_704_067_200_000_000_000


def pins(name: str) -> dict[str, Any]:
    return {
        "session": name,
        "started_at": "2026-01-02T03:04:05+00:00",
        "config": "/somewhere/paper.toml",
        "config_sha256": "c" * 64,
        "code_sha256": "d" * 64,
        "settings": {"host": {"kind": "paper"}},
    }


def fill(number: int, side: str, quantity: float, price: float, minute: int) -> tuple[Kind, dict[str, Any]]:
    return Kind.FILL, {
        "ts_event": START + minute * MINUTE,
        "strategy": "one",
        "instrument_id": "A.X",
        "client_order_id": f"AR{number}",
        "trade_id": f"T{number}",
        "side": side,
        "quantity": quantity,
        "price": price,
        "fee": 0.5,
        "liquidity": "TAKER",
    }


def state(strategy: str, minute: int, equity: float, fees: float = 0.0) -> tuple[Kind, dict[str, Any]]:
    reading = {
        "ts_event": START + minute * MINUTE,
        "strategy": strategy,
        "equity": equity,
        "cash": equity,
        "gross_exposure": 0.0,
        "net_exposure": 0.0,
        "realised": 0.0,
        "unrealised": 0.0,
        "fees": fees,
        "drawdown": 0.1,
    }
    return Kind.STATE, {"strategy": strategy, "state": {}, "equity": reading}


def order(status: str, price: float | None) -> tuple[Kind, dict[str, Any]]:
    return Kind.SUBMIT if status == "SUBMITTED" else Kind.OUTCOME, {
        "ts_event": START + 2 * MINUTE,
        "strategy": "one",
        "instrument_id": "A.X",
        "decision_id": "d",
        "client_order_id": "AR3",
        "side": "SELL",
        "quantity": 2.0,
        "kind": "MARKET",
        "role": "REDUCE",
        "price": price,
        "trigger_price": None,
        "status": status,
        "reason": "",
    }


def asked(command: str, reason: str, **what: Any) -> dict[str, Any]:
    return {"command": command, "stage": "asked", "who": "me", "reason": reason, "asked": what}


RECORDS: list[tuple[Kind, dict[str, Any]]] = [
    (Kind.SESSION_START, pins("first")),
    fill(1, "BUY", 3.0, 100.0, 0),
    (Kind.STOP, {"session": "first", "reason": "x", "exit_code": 0}),
    (Kind.SESSION_START, pins("second")),
    state("one", 1, 1_000.0),
    state("two", 1, 500.0),
    (Kind.STATE, {"ts_event": START + MINUTE, "account": {}, "borrow": {}}),
    order("SUBMITTED", None),
    fill(3, "SELL", 2.0, 110.0, 2),
    order("FILLED", None),
    state("one", 2, 900.0, fees=1.5),
    state("two", 2, 500.0),
    (Kind.CONTROL, asked("pause", "looks\nodd", strategy="one")),
    (Kind.CONTROL, {"command": "pause", "scope": "strategy:one", "who": "me", "reason": "looks\nodd"}),
    (Kind.CONTROL, asked("stop", "for today", flatten=None)),
    (Kind.STOP, {"session": "second", "reason": "told to", "exit_code": 0}),
    (Kind.SESSION_START, pins("third")),
    fill(9, "SELL", 1.0, 90.0, 3),
]


def taken(session: str, records: list[tuple[Kind, dict[str, Any]]] | None = None) -> SessionTape:
    found = SessionTape(session)
    for seq, (kind, body) in enumerate(RECORDS if records is None else records, start=1):
        found.take(Record(seq, seq, kind, body))
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_session_leaves_its_own_records_and_no_others(tmp_path: Path) -> None:
    place = write_session(tmp_path, taken("second"))

    assert [one["trade_id"] for one in rows(place / "fills.csv")] == ["T3"]
    assert [(one["status"], one["price"]) for one in rows(place / "orders.csv")] == [
        ("SUBMITTED", ""),
        ("FILLED", ""),
    ]
    assert len(rows(place / "equity.csv")) == 4
    assert (tmp_path / "latest").resolve() == place


def test_trade_opened_in_an_earlier_session_is_closed_in_this_one(tmp_path: Path) -> None:
    place = write_session(tmp_path, taken("second"))

    (trade,) = rows(place / "trades.csv")
    # 2 of the 3 bought at 100 are sold at 110: 20, less 0.5 for the sale and 2/3 of 0.5 for the purchase.
    assert (trade["side"], float(trade["quantity"]), float(trade["gross_pnl"])) == ("LONG", 2.0, 20.0)
    assert float(trade["net_pnl"]) == pytest.approx(20.0 - 0.5 - 1.0 / 3.0)
    (position,) = rows(place / "positions.csv")
    assert (float(position["quantity"]), float(position["entry_price"])) == (1.0, 100.0)


def test_account_is_the_sum_of_the_books_and_falls_from_its_peak(tmp_path: Path) -> None:
    account = rows(write_session(tmp_path, taken("second")) / "account.csv")

    assert [float(one["equity"]) for one in account] == [1_500.0, 1_400.0]
    assert float(account[-1]["drawdown"]) == pytest.approx(100.0 / 1_500.0)


def test_session_that_ended_in_order_shows_what_was_executed_after_its_newest_bar(tmp_path: Path) -> None:
    _, last = state("one", 2, 850.0, fees=2.5)
    _, other = state("two", 3, 480.0)
    closing = {"session": "second", "reason": "told to", "exit_code": 0}
    ended = (Kind.STOP, closing | {"equity": [last["equity"], other["equity"]]})

    place = write_session(tmp_path, taken("second", [*RECORDS[:-3], ended]))

    # The book of one is replaced, for its bar was there; that of two had seen another.
    assert [(row["strategy"], float(row["equity"])) for row in rows(place / "equity.csv")] == [
        ("one", 1_000.0),
        ("two", 500.0),
        ("one", 850.0),
        ("two", 500.0),
        ("two", 480.0),
    ]
    assert [float(row["equity"]) for row in rows(place / "account.csv")] == [1_500.0, 1_350.0, 1_330.0]
    assert "| one | 1,000.00 | 850.00 | -150.00 | 2.50 |" in (place / "session.md").read_text()


def test_what_is_very_long_is_cut_and_the_summary_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.session_artifacts.MOST_ROWS", 3)
    logs = {"argonaut.jsonl": Part(b"newest\n", is_whole=False), "engine.jsonl": Part(b"", is_whole=True)}

    place = write_session(tmp_path, taken("second"), logs)

    assert [float(row["equity"]) for row in rows(place / "equity.csv")] == [500.0, 900.0, 500.0]
    assert (place / "argonaut.jsonl").read_bytes() == b"newest\n"
    text = (place / "session.md").read_text()
    assert "- equity.csv has the newest 3 rows of 4\n- argonaut.jsonl has the newest part alone\n" in text
    assert "orders.csv has" not in text
    assert "engine.jsonl has" not in text


def test_session_s_logs_end_where_it_ended_or_the_next_one_began() -> None:
    killed = [one for one in RECORDS if one[0] is not Kind.STOP]

    # A record's wall time is its number here.
    assert taken("second").ended_ns == RECORDS.index(RECORDS[-3]) + 1
    assert taken("second", killed).ended_ns == len(killed) - 1
    assert taken("third").ended_ns is None


def test_summary_says_how_it_ended_what_came_of_it_and_who_commanded(tmp_path: Path) -> None:
    text = (write_session(tmp_path, taken("sec")) / "session.md").read_text()

    assert text.startswith("# Session second\n")
    assert "Ended: told to (exit code 0)" in text
    assert "| one | 1,000.00 | 900.00 | -100.00 | 1.50 | 10.00% | 1 | 1 |" in text
    assert "- pause strategy:one by me: looks odd\n- stop by me: for today\n" in text
    assert "somewhere" not in text


def test_session_that_was_killed_and_decided_nothing_says_so(tmp_path: Path) -> None:
    text = (write_session(tmp_path, taken("third")) / "session.md").read_text()

    assert "not in order: it was killed, or runs" in text
    assert "Market time: no decision" in text
    assert "no bar" in (tmp_path / "third" / "equity.svg").read_text()


def test_equal_journals_give_equal_bytes_and_a_second_time_replaces_the_first(tmp_path: Path) -> None:
    def digests() -> dict[str, str]:
        place = write_session(tmp_path, taken("second"))
        (tmp_path / "second" / "stray").touch()
        return {
            one.name: hashlib.sha256(one.read_bytes()).hexdigest()
            for one in place.iterdir()
            if one.name != "stray"
        }

    first, second = digests(), digests()

    assert first == second
    assert sorted(one.name for one in tmp_path.iterdir()) == ["latest", "second"]


def test_session_that_is_not_there_is_not_found() -> None:
    found = taken("fourth")

    assert (found.pins, found.names) == ({}, ["first", "second", "third"])
