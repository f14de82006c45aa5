"""kill -9, then a new node on the same file: strategies that share an instrument get back what is theirs."""

from pathlib import Path
from typing import Any

import pytest

from tests.adapters.paper.scripts import KILL, SETTLE, SHOW, Step, cancel, play, quote, send

HOLD = [
    quote(1, 100.0),
    send("A-001", "A-IN", "BUY", "market", 1.0),
    send("B-002", "B-IN", "SELL", "market", 2.0),
    quote(2, 100.0),
]
PROTECT = [
    send("A-001", "A-STOP", "SELL", "stop", 1.0, trigger=95.0, reduce_only=True),
    send("B-002", "B-STOP", "BUY", "stop", 2.0, trigger=105.0, reduce_only=True),
    quote(3, 100.0),
]


def lives(tmp_path: Path, first: list[Step], second: list[Step], **plan: Any) -> list[dict[str, Any]]:
    """Play one life that ends in SIGKILL and one after it; give what the second one said."""
    state = str(tmp_path / "venue.sqlite")
    play([*first, KILL], killed=True, state=state)
    return play(second, state=state, **plan)


def test_node_after_a_kill_knows_orders_and_positions_under_their_strategies_before_it_starts(
    tmp_path: Path,
) -> None:
    rows = lives(tmp_path, HOLD + PROTECT, [SHOW])

    expected = {
        "orders": [["A-STOP", "A-001", "ACCEPTED", "0.000"], ["B-STOP", "B-002", "ACCEPTED", "0.000"]],
        "positions": [["A-001", "1.0", "100.000000"], ["B-002", "-2.0", "100.000000"]],
    }
    assert rows[0]["at_start"] == {"A-001": expected, "B-002": expected}
    assert rows[1]["heard"] == {"A-001": [], "B-002": []}


def test_stops_of_two_strategies_on_one_instrument_fill_after_a_kill_and_each_hears_its_own_once(
    tmp_path: Path,
) -> None:
    rows = lives(tmp_path, HOLD + PROTECT, [quote(4, 106.0), quote(5, 94.0), SHOW])

    shown = rows[1]
    assert shown["heard"] == {
        "A-001": [["Filled", "A-STOP", "DEMO-T4", "1.000", "94.00"]],
        "B-002": [["Filled", "B-STOP", "DEMO-T3", "2.000", "106.00"]],
    }
    assert shown["known"] == {"orders": [], "positions": []}
    assert shown["positions"] == []


def test_order_from_before_a_kill_can_be_canceled_and_the_other_strategys_stays(tmp_path: Path) -> None:
    rows = lives(
        tmp_path, HOLD + PROTECT, [quote(4, 100.0), cancel("A-001", "A-STOP"), quote(5, 100.0), SHOW]
    )

    shown = rows[1]
    assert shown["heard"] == {"A-001": [["Canceled", "A-STOP"]], "B-002": []}
    assert shown["open"] == [["B-STOP", "B-002", "ACCEPTED"]]


def test_partly_filled_order_and_the_average_price_survive_a_kill(tmp_path: Path) -> None:
    first = [*HOLD, send("A-001", "A-BID", "BUY", "limit", 3.0, price=99.0), quote(3, 100.0)]
    rows = lives(tmp_path, [*first, quote(4, 99.0, size=0.5)], [quote(4, 99.0), quote(5, 99.0), SHOW])

    known, shown = rows[0]["at_start"]["A-001"], rows[1]
    assert known["orders"] == [["A-BID", "A-001", "PARTIALLY_FILLED", "0.500"]]
    assert known["positions"] == [["A-001", "1.5", "99.666667"], ["B-002", "-2.0", "100.000000"]]
    # The quote of the fourth minute is played again and fills nothing twice.
    assert shown["heard"]["A-001"] == [["Filled", "A-BID", "DEMO-T4", "2.500", "99.00"]]
    assert shown["positions"] == [["A-001", "4.000"], ["B-002", "-2.000"]]


def test_bracket_whose_entry_rests_at_a_kill_protects_after_it(tmp_path: Path) -> None:
    bracket = send("B-002", "BR", "BUY", "bracket", 1.0, price=98.0, target=120.0, stop=90.0)
    rows = lives(
        tmp_path,
        [quote(1, 100.0), bracket, quote(2, 100.0)],
        [quote(3, 98.0), quote(4, 97.0), quote(5, 89.0), SHOW],
    )

    heard = rows[1]["heard"]["B-002"]
    assert [row[:3] for row in heard if row[0] == "Filled"] == [
        ["Filled", "BR", "DEMO-T1"],
        ["Filled", "BR-SL", "DEMO-T2"],
    ]
    assert heard.count(["Accepted", "BR-SL"]) == 1
    assert ["Canceled", "BR-TP"] in heard
    assert rows[1]["known"] == {"orders": [], "positions": []}
    assert rows[1]["open"] == []


def test_order_under_way_at_a_kill_arrives_after_it_and_is_its_strategys(tmp_path: Path) -> None:
    rows = lives(
        tmp_path,
        [quote(1, 100.0), send("B-002", "B-BID", "BUY", "limit", 1.0, price=97.0), SETTLE],
        [quote(2, 100.0), quote(3, 97.0), SHOW],
    )

    heard = rows[1]["heard"]
    assert heard["A-001"] == []
    assert heard["B-002"] == [
        ["Accepted", "B-BID"],
        ["Filled", "B-BID", "DEMO-T1", "1.000", "97.00"],
    ]


def test_market_order_under_way_at_a_kill_fills_after_it_and_its_strategy_hears_it_once(
    tmp_path: Path,
) -> None:
    out = send("B-002", "B-OUT", "BUY", "market", 2.0, reduce_only=True)
    rows = lives(
        tmp_path,
        [*HOLD, out, SETTLE],
        [cancel("B-002", "B-OUT"), quote(3, 101.0), quote(4, 101.0), SHOW],
    )

    shown = rows[1]
    fills = [row for row in shown["heard"]["B-002"] if row[0] == "Filled"]
    assert fills == [["Filled", "B-OUT", "DEMO-T3", "2.000", "101.00"]]
    assert shown["heard"]["A-001"] == []
    assert shown["known"] == {"orders": [], "positions": [["A-001", "1.0", "100.000000"]]}
    assert shown["positions"] == [["A-001", "1.000"]]


def test_client_order_id_from_before_a_kill_is_rejected_and_applied_never(tmp_path: Path) -> None:
    rows = lives(
        tmp_path, HOLD, [quote(3, 100.0), send("A-001", "A-IN", "BUY", "market", 1.0), quote(4, 100.0), SHOW]
    )

    shown = rows[1]
    assert shown["heard"]["A-001"][-1] == ["Rejected", "A-IN", "DUPLICATE_CLIENT_ORDER_ID: A-IN"]
    assert shown["positions"] == [["A-001", "1.000"], ["B-002", "-2.000"]]


def test_strategy_that_is_gone_leaves_its_orders_to_nobody(tmp_path: Path) -> None:
    rows = lives(tmp_path, HOLD + PROTECT, [quote(4, 106.0), SHOW], strategies=["A-001"])

    known, shown = rows[0]["at_start"]["A-001"], rows[1]
    assert ["B-STOP", "EXTERNAL", "ACCEPTED", "0.000"] in known["orders"]
    assert ["EXTERNAL", "-2.0", "100.000000"] in known["positions"]
    assert shown["heard"] == {"A-001": []}
    assert shown["positions"] == [["A-001", "1.000"]]


@pytest.mark.parametrize("account", ["CASH"])
def test_cash_account_after_a_kill_holds_what_it_bought(tmp_path: Path, account: str) -> None:
    first = [quote(1, 100.0), send("A-001", "A-IN", "BUY", "market", 1.0), quote(2, 100.0)]
    state = str(tmp_path / "venue.sqlite")
    play([*first, KILL], killed=True, state=state, account=account)

    rows = play(
        [quote(3, 101.0), send("A-001", "A-OUT", "SELL", "market", 1.0), quote(4, 101.0), SHOW],
        state=state,
        account=account,
    )

    shown = rows[1]
    assert shown["heard"]["A-001"][-1] == ["Filled", "A-OUT", "DEMO-T2", "1.000", "101.00"]
    assert shown["positions"] == []
    assert shown["cash"] == "100000.75000000"
