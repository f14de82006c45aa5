"""The index answers from the journal, is equal however it came about, and is never trusted."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml.evaluation import match_fills
from ml.round_trips import RoundTrip
from ops.disk import LocalDisk
from ops.journal import BrokenChainError, Kind
from ops.journal.index import JournalIndex
from ops.journal.questions import Cursor, Filter, Question
from ops.journal.segments import segment_numbers, segment_path
from strategies.tape import FillRecord
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


def _rows(index: JournalIndex, question: Question, **asked: Any) -> list[dict[str, Any]]:
    return index.page(question, Filter(**asked)).rows


def test_orders_stand_as_their_records_say_and_what_is_done_stays_done(tmp_path: Path) -> None:
    _write(tmp_path / "journal")
    index = _built(tmp_path)

    orders = {order["client_order_id"]: order for order in _rows(index, Question.ORDERS)}

    assert (orders["AR1"]["status"], orders["AR1"]["filled_quantity"]) == ("FILLED", 2.0)
    assert (orders["AR2"]["status"], orders["AR2"]["filled_quantity"]) == ("INTENT", 0.0)
    assert [order["client_order_id"] for order in _rows(index, Question.ORDERS, open_only=True)] == ["AR2"]
    assert [order["client_order_id"] for order in _rows(index, Question.ORDERS, strategy="trend")] == ["AR1"]
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

    (found,), (reading,) = (
        _rows(index, Question.VERDICTS, strategy="trend"),
        _rows(index, Question.EQUITY, until_ns=60),
    )

    assert {key: found[key] for key in verdict} == verdict
    assert {key: reading[key] for key in equity} == equity
    assert (
        _rows(index, Question.VERDICTS, since_ns=61) == _rows(index, Question.EQUITY, strategy="fresh") == []
    )
    index.close()


def _bars(ts_event: int, **values: list[float]) -> dict[str, Any]:
    return {
        "ts_event": ts_event,
        "bars": {f"{name}.X-1-MINUTE-LAST-EXTERNAL": bar for name, bar in values.items()},
    }


def test_bars_are_found_by_instrument_once_each_and_join_into_longer_ones(tmp_path: Path) -> None:
    minute = 60_000_000_000
    journal, _ = open_journal(LocalDisk(), folder=tmp_path / "journal")
    for number, a in enumerate(
        ([1.0, 5.0, 1.0, 2.0, 10.0], [2.0, 3.0, 0.5, 2.5, 20.0], [2.5, 2.6, 2.4, 2.5, 5.0]), start=1
    ):
        journal.append(Kind.INPUT, _bars(number * minute, **{"A-PERP": a, "B": [9.0, 9.0, 9.0, 9.0, 1.0]}), 1)
    journal.append(Kind.INPUT, _bars(3 * minute, **{"A-PERP": [7.0, 7.0, 7.0, 7.0, 7.0]}), 2)  # a restart
    journal.append(Kind.INPUT, {"currency": "USDT", "free": 1.0}, 2)
    journal.close(2)
    index = _built(tmp_path)
    asked: dict[str, Any] = {"instrument_id": "A-PERP.X"}

    single = _rows(index, Question.BARS, **asked, since_ns=2 * minute)
    joined = _rows(index, Question.BARS, **asked, every_secs=120)
    first = index.page(Question.BARS, Filter(**asked, every_secs=120, limit=1))
    assert first.next_cursor is not None
    second = index.page(
        Question.BARS, Filter(**asked, every_secs=120, limit=1, before=Cursor.parse(first.next_cursor))
    )

    assert [(one["ts_event"], one["close"], one["bars"]) for one in single] == [
        (3 * minute, 2.5, 1),
        (2 * minute, 2.5, 1),
    ]
    # Of two minutes each, by hand: the first ends at the second close, the newest is not full yet.
    shown = ("ts_event", "open", "high", "low", "close", "volume", "bars")
    assert [tuple(one[key] for key in shown) for one in joined] == [
        (3 * minute, 2.5, 2.6, 2.4, 2.5, 5.0, 1),
        (2 * minute, 1.0, 5.0, 0.5, 2.5, 30.0, 2),
    ]
    assert first.rows + second.rows == joined
    assert second.next_cursor is None
    index.close()


def test_equity_is_thinned_to_the_newest_of_each_stretch_and_strategy(tmp_path: Path) -> None:
    journal, _ = open_journal(LocalDisk(), folder=tmp_path / "journal")
    for ts_secs, strategy, equity in ((60, "a", 1.0), (60, "b", 10.0), (120, "a", 2.0), (121, "a", 3.0)):
        reading = {"ts_event": ts_secs * 1_000_000_000, "strategy": strategy, "equity": equity}
        journal.append(Kind.STATE, {"strategy": strategy, "state": {}, "equity": reading}, 1)
    journal.close(2)
    index = _built(tmp_path)

    thin = _rows(index, Question.EQUITY, every_secs=120)
    of_one = _rows(index, Question.EQUITY, every_secs=120, strategy="a", until_ns=120_000_000_000)

    assert [(one["strategy"], one["equity"]) for one in thin] == [("a", 3.0), ("a", 2.0), ("b", 10.0)]
    assert [one["equity"] for one in of_one] == [2.0]
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

    assert [(fill["trade_id"], fill["seq"]) for fill in _rows(index, Question.FILLS, strategy="trend")] == [
        ("T2", 7),
        ("T1", 5),
    ]
    assert _rows(index, Question.FILLS, since_ns=63) == []
    index.close()


def test_decisions_and_commands_are_found_by_strategy_and_time(tmp_path: Path) -> None:
    _write(tmp_path / "journal")
    index = _built(tmp_path)

    assert [one["ts_event"] for one in _rows(index, Question.DECISIONS)] == [120, 60]
    assert [one["strategy"] for one in _rows(index, Question.DECISIONS, until_ns=60)] == ["trend"]
    assert [one["strategy"] for one in _rows(index, Question.DECISIONS, strategy="carry", since_ns=61)] == [
        "carry"
    ]
    assert [(one["kind"], one["who"]) for one in _rows(index, Question.COMMANDS)] == [
        ("latch", None),
        ("control", "ann"),
    ]
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


def test_a_bit_that_flips_anywhere_in_the_index_is_found_and_mended_by_a_check(tmp_path: Path) -> None:
    _write(tmp_path / "journal", rounds=4)
    index = _built(tmp_path)
    assert index.check()
    before = index.dump()
    index.close()
    path, found = tmp_path / "index.sqlite", 0
    content = path.read_bytes()

    for at in range(0, len(content), 509):
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        again = _built(tmp_path)
        said = again.dump()
        is_right = again.check()
        assert is_right <= (said == before), "what is not noticed must not matter"
        assert again.dump() == before
        again.close()
        found += not is_right

    assert found > 0, "a check that never finds anything checks nothing"


def test_a_changed_row_of_the_index_and_a_changed_key_of_its_own_indices_are_found(tmp_path: Path) -> None:
    _write(tmp_path / "journal", rounds=4)
    for change in (
        "UPDATE fills SET quantity = 7.0 WHERE seq = (SELECT MIN(seq) FROM fills)",
        "DELETE FROM orders WHERE client_order_id = 'AR2'",
    ):
        index = _built(tmp_path)
        with sqlite3.connect(tmp_path / "index.sqlite") as connection:
            connection.execute(change)
        connection.close()

        assert not index.check()
        assert index.check()
        index.close()


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


def _filled(own_id: str, side: str, quantity: float, price: float, fee: float, minute: int) -> dict[str, Any]:
    return {
        "client_order_id": own_id, "trade_id": f"{own_id}@{minute}", "strategy": "trend", "side": side,
        "instrument_id": "BTCUSDT.BINANCE", "quantity": quantity, "price": price, "fee": fee,
        "ts_event": minute * 60_000_000_000, "liquidity": "TAKER",
    }  # fmt: skip


def _index_of(tmp_path: Path, *records: tuple[Kind, dict[str, Any]]) -> JournalIndex:
    journal, _ = open_journal(LocalDisk(), folder=tmp_path / "journal")
    for number, (kind, body) in enumerate(records):
        journal.append(kind, body, number)
    journal.close(99)
    return _built(tmp_path)


def test_a_round_trip_is_matched_first_in_first_out_over_all_fills_of_its_closing_order(
    tmp_path: Path,
) -> None:
    fills = [
        _filled("B1", "BUY", 1.0, 100.0, 1.0, 1),
        _filled("B2", "BUY", 1.0, 110.0, 2.0, 2),
        _filled("S1", "SELL", 0.5, 120.0, 0.5, 3),
        _filled("S1", "SELL", 1.0, 130.0, 0.5, 5),
    ]

    index = _index_of(tmp_path, *((Kind.FILL, fill) for fill in [*fills, fills[-1]]))
    (trade,) = _rows(index, Question.TRADES, strategy="trend")

    # 0.5 of 100 sold at 120, 0.5 of 100 and 0.5 of 110 at 130: 10 + 15 + 10; fees 2.0 in, 1.0 out.
    assert (trade["side"], trade["quantity"], trade["gross_pnl"], trade["fees"]) == ("LONG", 1.5, 35.0, 3.0)
    assert (trade["net_pnl"], trade["entry_price"]) == (32.0, pytest.approx(155.0 / 1.5))
    assert trade["hold_secs"] == pytest.approx((0.5 * 120 + 0.5 * 240 + 0.5 * 180) / 1.5)
    assert (trade["exit_order_id"], trade["exit_ts"]) == ("S1", 300_000_000_000)
    index.close()


def test_a_sale_through_zero_closes_the_long_and_opens_a_short(tmp_path: Path) -> None:
    fills = [
        _filled("B1", "BUY", 1.0, 100.0, 0.0, 1),
        _filled("S1", "SELL", 3.0, 90.0, 0.0, 2),
        _filled("B2", "BUY", 2.0, 80.0, 0.0, 3),
    ]

    index = _index_of(tmp_path, *((Kind.FILL, fill) for fill in fills))
    newest, older = _rows(index, Question.TRADES)

    assert (newest["side"], newest["quantity"], newest["net_pnl"]) == ("SHORT", 2.0, 20.0)
    assert (older["side"], older["quantity"], older["net_pnl"]) == ("LONG", 1.0, -10.0)
    index.close()


def test_trades_of_the_index_are_those_of_a_report(tmp_path: Path) -> None:
    chance = random.Random(7)
    fills = [
        _filled(f"O{n // 2}", chance.choice(("BUY", "SELL")), chance.uniform(0.1, 2.0), 100.0 + n, 0.1, n + 1)
        for n in range(200)
    ]
    index = _index_of(tmp_path, *((Kind.FILL, fill) for fill in fills))

    ours = {(one["exit_order_id"], one["side"]): one for one in _rows(index, Question.TRADES)}
    matched = match_fills([FillRecord(**fill) for fill in fills])

    assert len(ours) == len(matched.trades) > 50
    for trade in matched.trades:
        found = ours[trade.exit_order_id, trade.side]
        assert {name: found[name] for name in RoundTrip._fields} == trade._asdict()
    index.close()


def _decided(minute: int, state: int, prob: float) -> tuple[Kind, dict[str, Any]]:
    probs = [1.0 - prob, 1.0 - prob, 1.0 - prob]
    probs[state] = prob
    body = {"strategy": "trend", "ts_event": minute, "regime_state": state, "regime_probs": probs}
    return Kind.DECISION, body


def test_regimes_are_unbroken_stays_with_their_mean_belief(tmp_path: Path) -> None:
    records = [_decided(1, 0, 0.5), _decided(2, 0, 0.75), _decided(3, 2, 1.0), _decided(4, 0, 0.25)]
    none = (Kind.DECISION, {"strategy": "plain", "ts_event": 1, "regime_state": -1, "regime_probs": []})

    index = _index_of(tmp_path, *records, none)
    stays = _rows(index, Question.REGIMES)

    told = [(one["state"], one["first_ts"], one["last_ts"], one["bars"]) for one in stays]
    assert told == [(0, 4, 4, 1), (2, 3, 3, 1), (0, 1, 2, 2)]
    assert [one["mean_probability"] for one in stays] == [0.25, 1.0, 0.625]
    index.close()


def test_profit_is_told_by_day_and_a_mark_at_midnight_ends_the_day_before(tmp_path: Path) -> None:
    day = 86_400 * 10**9

    def marked(ts_event: int, equity: float) -> tuple[Kind, dict[str, Any]]:
        reading = {"ts_event": ts_event, "strategy": "trend", "equity": equity, "drawdown": 0.0, "fees": 1.0}
        return Kind.STATE, {"strategy": "trend", "state": {}, "equity": reading}

    index = _index_of(
        tmp_path, marked(day + 1, 100.0), marked(2 * day - 1, 104.0), marked(2 * day, 103.0),
        marked(2 * day + 1, 99.0), marked(4 * day, 110.0),
    )  # fmt: skip
    rows = _rows(index, Question.PNL, since_ns=2 * day)

    assert [(one["day"], one["profit"], one["equity"]) for one in rows] == [
        ("1970-01-04", 11.0, 110.0),
        ("1970-01-03", -4.0, 99.0),
        ("1970-01-02", 3.0, 103.0),
    ]
    index.close()


@pytest.mark.parametrize("question", Question)
def test_pages_go_through_every_row_once(tmp_path: Path, question: Question) -> None:
    two = _intent("AR3")
    two["intents"] = [*_intent("AR4")["intents"], *_intent("AR5")["intents"]]  # type: ignore[misc]
    reading = {"ts_event": 60, "strategy": "trend", "equity": 1.0, "drawdown": 0.0}
    extra: tuple[tuple[Kind, dict[str, Any]], ...] = (
        (Kind.INTENT, two),
        (Kind.STATE, {"strategy": "trend", "state": {}, "equity": reading}),
        (Kind.STATE, {"strategy": "trend", "state": {}, "equity": reading | {"ts_event": 10**15}}),
        (Kind.VERDICT, {"ts_event": 1, "strategy": "trend", "instrument_id": "A.X"}),
        (Kind.VERDICT, {"ts_event": 2, "strategy": "trend", "instrument_id": "A.X"}),
        *((Kind.INPUT, _bars(minute, A=[1.0] * 5, B=[2.0] * 5)) for minute in range(3)),
        *(_decided(minute, minute % 2, 0.5) for minute in range(5)),
        *((Kind.FILL, _filled(f"O{n}", ("BUY", "SELL")[n % 2], 1.0, 10.0, 0.0, n)) for n in range(8)),
    )
    index = _index_of(tmp_path, *_HISTORY, *extra)
    whole = _rows(index, question)

    paged, cursor = [], None
    while True:
        page = index.page(question, Filter(before=cursor, limit=1))
        paged += page.rows
        if page.next_cursor is None:
            break
        cursor = Cursor.parse(page.next_cursor)

    assert paged == whole
    assert len(whole) > 1
    index.close()


@pytest.mark.parametrize("text", ["", "x", "-1", "1:\x00", "1" * 30, "1; DROP TABLE fills"])
def test_a_cursor_that_no_page_gave_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the next_cursor"):
        Cursor.parse(text)
