"""A line that breaks between a real live node and the paper venue: each end of an order is heard once."""

from typing import Any

import pytest

from adapters.paper.faults import FaultKind, draw_faults
from tests.adapters.paper.scripts import SHOW, Step, cancel, line, play, quote, send, wait

BUY = send("A-001", "X", "BUY", "market", 1.0)
BID = send("A-001", "X", "BUY", "limit", 1.0, price=99.0)
REST = [quote(1, 100.0), BID, quote(2, 100.0)]
FILL = ["Filled", "X", "DEMO-T1", "1.000", "99.00"]
NONE = ["PARTIAL", "nothing"]
"""A fault that never strikes, for scripts that break the line by hand."""


def last(fault: list[str], steps: list[Step], **plan: Any) -> dict[str, Any]:
    rows = play([*steps, SHOW], faults=[fault], strategies=["A-001"], **plan)
    assert rows[-1] == {"end": "in order"}
    return rows[-2]


def ends(shown: dict[str, Any]) -> list[list[str]]:
    return [row for row in shown["heard"]["A-001"] if row[0] not in ("Submitted", "Accepted")]


def times(shown: dict[str, Any], kind: str) -> int:
    return sum(row[0] == kind for row in shown["heard"]["A-001"])


def check_agreement(shown: dict[str, Any]) -> None:
    """The node and the venue believe the same of orders and positions."""
    believed = [[owner, f"{float(quantity):.3f}"] for owner, quantity, _ in shown["known"]["positions"]]
    assert believed == shown["positions"]
    assert sorted(row[0] for row in shown["known"]["orders"]) == sorted(row[0] for row in shown["open"])


def test_command_that_never_arrives_ends_rejected_and_is_never_applied() -> None:
    shown = last(
        ["LOSE_COMMAND", "X"],
        [quote(1, 100.0), BUY, quote(2, 100.0), wait("A-001", "Rejected", "X"), quote(3, 100.0)],
        inflight_ms=50,
    )

    assert ends(shown) == [["Rejected", "X", "NOT_FOUND: never arrived"]]
    assert shown["fills"] == []
    check_agreement(shown)


def test_command_that_arrives_after_it_was_reported_missing_is_refused() -> None:
    shown = last(
        ["LATE_COMMAND", "X"],
        [
            quote(1, 100.0),
            BUY,
            quote(2, 100.0),
            wait("A-001", "Rejected", "X"),
            line("release"),
            quote(3, 100.0),
            quote(4, 100.0),
        ],
        inflight_ms=50,
    )

    assert ends(shown) == [["Rejected", "X", "NOT_FOUND: never arrived"]]
    assert shown["fills"] == []
    check_agreement(shown)


def test_fill_whose_answer_is_lost_is_asked_for_and_heard_with_its_own_trade_id() -> None:
    shown = last(
        ["LOSE_ANSWER", "X"],
        [quote(1, 100.0), BUY, quote(2, 100.0), wait("A-001", "Filled", "X"), quote(3, 100.0)],
        inflight_ms=50,
    )

    assert ends(shown) == [["Filled", "X", "DEMO-T1", "1.000", "100.00"]]
    check_agreement(shown)


def test_fill_of_a_resting_order_that_was_lost_is_heard_once_when_the_strategy_asks() -> None:
    ask = {"do": "query", "strategy": "A-001", "id": "X"}
    shown = last(
        ["LOSE_ANSWER", "X", "FILLED"], [*REST, quote(3, 99.0), ask, wait("A-001", "Filled", "X"), ask]
    )

    assert ends(shown) == [FILL]
    check_agreement(shown)


def test_cancel_whose_answer_is_lost_is_asked_for() -> None:
    shown = last(
        ["LOSE_ANSWER", "X", "CANCELED"],
        [*REST, cancel("A-001", "X"), quote(3, 100.0), wait("A-001", "Canceled", "X")],
        inflight_ms=50,
    )

    assert ends(shown) == [["Canceled", "X"]]
    check_agreement(shown)


@pytest.mark.parametrize("event", ["ACCEPTED", "FILLED"])
def test_answer_that_comes_twice_is_heard_once(event: str) -> None:
    shown = last(["REPEAT_ANSWER", "X", event], [*REST, quote(3, 99.0)])

    assert times(shown, "Accepted") == 1
    assert ends(shown) == [FILL]
    check_agreement(shown)


def test_answers_in_the_wrong_order_end_in_the_right_state() -> None:
    shown = last(["SWAP_ANSWER", "X", "ACCEPTED"], [*REST, quote(3, 99.0), quote(4, 99.0)])

    assert ends(shown) == [FILL]
    check_agreement(shown)


def test_answer_that_is_late_is_heard_when_it_comes() -> None:
    shown = last(["LATE_ANSWER", "X", "FILLED"], [*REST, quote(3, 99.0), line("release"), quote(4, 99.0)])

    assert ends(shown) == [FILL]
    check_agreement(shown)


def test_order_that_the_venue_refuses_is_heard_rejected() -> None:
    shown = last(["REJECT", "X"], [quote(1, 100.0), BUY, quote(2, 100.0)])

    assert ends(shown) == [["Rejected", "X", "FAULT: refused"]]
    check_agreement(shown)


def test_order_that_fills_in_parts_is_heard_part_by_part() -> None:
    shown = last(["PARTIAL", "X"], [quote(1, 100.0), BID, quote(2, 99.0), quote(3, 99.0)])

    assert ends(shown) == [
        ["Filled", "X", "DEMO-T1", "0.001", "99.00"],
        ["Filled", "X", "DEMO-T2", "0.999", "99.00"],
    ]
    check_agreement(shown)


def test_fill_while_the_line_is_down_is_heard_once_when_it_is_back() -> None:
    shown = last(
        NONE,
        [*REST, line("drop"), quote(3, 99.0), line("restore"), wait("A-001", "Filled", "X"), line("restore")],
    )

    assert ends(shown) == [FILL]
    check_agreement(shown)


def test_fill_behind_a_frozen_line_is_heard_when_it_thaws() -> None:
    rows = play(
        [*REST, line("freeze"), quote(3, 99.0), SHOW, line("release"), wait("A-001", "Filled", "X"), SHOW],
        faults=[NONE],
        strategies=["A-001"],
    )

    frozen, thawed = rows[1], rows[2]
    assert ends(frozen) == []
    assert frozen["fills"] == [["DEMO-T1", "X", "A-001"]]
    assert ends(thawed) == [FILL]
    check_agreement(thawed)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_many_orders_over_a_bad_line_end_as_the_venue_has_them(seed: int) -> None:
    names = [f"O{number}" for number in range(12)]
    faults = [
        [str(fault.kind), fault.client_order_id]
        for fault in draw_faults(seed, names)
        if fault.kind not in (FaultKind.LATE_ANSWER, FaultKind.SWAP_ANSWER)
    ]
    steps = [quote(1, 100.0)]
    for number, name in enumerate(names):
        side = "BUY" if number % 2 else "SELL"
        steps += [send("A-001", name, side, "market", 1.0), quote(number + 2, 100.0)]
    # Whatever was lost is asked for within the node's patience; then every order has an end.
    ended = {"do": "all_closed"}
    rows = play(
        [*steps, ended, line("release"), quote(50, 100.0), quote(51, 100.0), SHOW],
        faults=faults,
        strategies=["A-001"],
        inflight_ms=50,
    )

    shown = rows[-2]
    assert len(faults) >= 3
    heard = [row[2] for row in shown["heard"]["A-001"] if row[0] == "Filled"]
    assert sorted(heard) == sorted(trade_id for trade_id, _, _ in shown["fills"])
    check_agreement(shown)


def test_faults_of_one_seed_are_always_the_same() -> None:
    names = [f"O{number}" for number in range(50)]

    assert draw_faults(7, names) == draw_faults(7, names)
    assert draw_faults(7, names) != draw_faults(8, names)


def test_gate_before_the_venue_refuses_what_it_says_and_lets_cancels_pass() -> None:
    (*_, shown, _) = play(
        [
            *REST,
            send("A-001", "NO", "SELL", "market", 1.0, reduce_only=True),
            send("A-001", "BAD", "BUY", "market", 1.0),
            send("A-001", "BR", "BUY", "bracket", 1.0, target=120.0, stop=90.0),
            cancel("A-001", "X"),
            quote(3, 100.0),
            quote(4, 100.0),
            SHOW,
        ],
        strategies=["A-001"],
        refused={"NO": "HALTED", "BAD": "raise", "BR-SL": "NO_STOPS"},
    )

    assert [row for row in ends(shown) if row[1] != "X"] == [
        ["Denied", "NO", "HALTED"],
        ["Denied", "BAD", "GATE_FAILED: OSError: the gate is broken"],
        ["Denied", "BR", "NO_STOPS"],
        ["Denied", "BR-SL", "NO_STOPS"],
        ["Denied", "BR-TP", "NO_STOPS"],
    ]
    assert ["NO", "BTCUSDT.DEMO", "SELL", True] in shown["asked"]
    assert ["Canceled", "X"] in ends(shown)
    assert shown["fills"] == []
