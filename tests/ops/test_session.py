"""What a daemon session leaves on disk, also when it ends badly."""

import math
from pathlib import Path

import pytest

from ops.session import SessionRecorder, list_sessions, read_orders, read_records
from strategies.tape import EquityRecord, FillRecord, OrderRecord

_NAN = math.nan


def _order(own_id: str, status: str, ts_event: int = 1) -> OrderRecord:
    return OrderRecord(
        ts_event, "s", "A.X", "d" * 64, own_id, "BUY", 2.0, "MARKET", "OPEN", _NAN, _NAN, status, ""
    )


def _fill(own_id: str, quantity: float) -> FillRecord:
    return FillRecord(2, "s", "A.X", own_id, f"T-{quantity}", "BUY", quantity, 10.0, 0.1, "TAKER")


def test_records_are_read_back_in_order(tmp_path: Path) -> None:
    recorder = SessionRecorder(tmp_path, "one", {"config_sha256": "c"})
    recorder.write(_order("AR1", "SUBMITTED"))
    recorder.write(_fill("AR1", 2.0))
    recorder.write(_order("AR1", "FILLED", 3))
    recorder.close()

    records = list(read_records(tmp_path / "one"))

    assert [record["type"] for record in records] == ["order", "fill", "order"]
    assert records[0]["price"] is None
    assert records[1]["quantity"] == 2.0


def test_orders_stand_as_their_last_record_says_with_what_was_filled(tmp_path: Path) -> None:
    recorder = SessionRecorder(tmp_path, "one", {})
    for record in (_order("AR1", "SUBMITTED"), _fill("AR1", 0.5), _order("AR2", "SUBMITTED")):
        recorder.write(record)
    recorder.write(_order("AR2", "REJECTED", 5))
    recorder.close()

    every = {order["client_order_id"]: order for order in read_orders(tmp_path, open_only=False)}
    still_open = [order["client_order_id"] for order in read_orders(tmp_path, open_only=True)]

    assert every["AR1"]["filled_quantity"] == 0.5
    assert every["AR2"]["status"] == "REJECTED"
    assert still_open == ["AR1"]


def test_a_last_line_that_was_cut_off_is_ignored(tmp_path: Path) -> None:
    recorder = SessionRecorder(tmp_path, "one", {})
    recorder.write(_order("AR1", "SUBMITTED"))
    recorder.write(_order("AR2", "SUBMITTED"))
    recorder.close()
    tape = tmp_path / "one" / "tape.jsonl"
    tape.write_bytes(tape.read_bytes()[:-7])

    orders = read_orders(tmp_path, open_only=False)

    assert [order["client_order_id"] for order in orders] == ["AR1"]


def test_sessions_are_listed_oldest_first_and_latest_points_to_the_newest(tmp_path: Path) -> None:
    for name in ("20240101T000000Z-1", "20240102T000000Z-1"):
        SessionRecorder(tmp_path, name, {}).close()

    names = [path.name for path in list_sessions(tmp_path)]

    assert names == ["20240101T000000Z-1", "20240102T000000Z-1"]
    assert (tmp_path / "latest").resolve().name == "20240102T000000Z-1"


def test_a_session_of_the_same_name_is_refused(tmp_path: Path) -> None:
    SessionRecorder(tmp_path, "one", {}).close()

    with pytest.raises(FileExistsError):
        SessionRecorder(tmp_path, "one", {})


def test_a_full_disk_is_kept_as_a_fault_and_nothing_is_raised(tmp_path: Path) -> None:
    recorder = SessionRecorder(tmp_path, "one", {})
    recorder._file.close()
    recorder._file = Path("/dev/full").open("ab", buffering=0)  # noqa: SIM115 - the recorder closes it

    recorder.write(EquityRecord(1, "s", 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    recorder.flush()
    recorder.close()

    assert recorder.fault is not None
    assert recorder.fault.errno == 28


def test_orders_of_a_replay_that_was_run_again_count_their_fills_once(tmp_path: Path) -> None:
    for name in ("20240101T000000Z-1", "20240102T000000Z-1"):
        recorder = SessionRecorder(tmp_path, name, {})
        for record in (_order("AR1", "SUBMITTED"), _fill("AR1", 2.0), _order("AR1", "FILLED", 3)):
            recorder.write(record)
        recorder.close()

    (order,) = read_orders(tmp_path, open_only=False)

    assert (order["filled_quantity"], order["session"]) == (2.0, "20240102T000000Z-1")
