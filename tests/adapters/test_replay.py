"""Replay and paper venue in a real live node, each in a process of its own."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
_NODE = Path(__file__).with_name("replay_node.py")
_MINUTE = 60_000_000_000
_START = 1_700_000_040_000_000_000
_NAMES = ("BTCUSDT.DEMO", "ETHUSDT.DEMO")

type Plan = dict[str, Any]


def _plan(num_bars: int, **changes: Any) -> Plan:
    rng = random.Random(3)
    bars: dict[str, list[list[float]]] = {}
    for k, name in enumerate(_NAMES):
        price, rows = 10_000 + 5_000 * k, []
        for _ in range(num_bars):
            opened = price + rng.randint(-20, 20)
            closed = opened + rng.randint(-60, 60)
            path = (opened, max(opened, closed) + 20, min(opened, closed) - 20, closed)
            rows.append([value / 100 for value in path] + [20.0])
            price = closed
        bars[name] = rows
    plan: Plan = {
        "bars": bars,
        "actions": {},
        "start": _START,
        "account": "CASH",
        "cash": "100000",
        "speed": None,
        "failures": [],
        "fence": True,
        "latency_ns": 1,
    }
    return plan | changes


def _round_trips(num_bars: int) -> dict[str, list[dict[str, Any]]]:
    actions: dict[str, list[dict[str, Any]]] = {}
    for number in range(10, num_bars - 20, 20):
        for name in _NAMES:
            order = {"do": "market", "instrument_id": name, "quantity": 1.0}
            buy = order | {"id": f"B-{name[:3]}-{number}", "side": "BUY"}
            sell = order | {"id": f"S-{name[:3]}-{number + 7}", "side": "SELL", "reduce_only": True}
            actions.setdefault(str(number), []).append(buy)
            actions.setdefault(str(number + 7), []).append(sell)
    return actions


def _run(plan: Plan) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(_NODE)],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _fills(answer: dict[str, Any]) -> list[list[Any]]:
    return [event for event in answer["events"] if event[0] == "Filled"]


def _expected_fills(plan: Plan) -> set[tuple[str, int, str]]:
    expected = set()
    for number, actions in plan["actions"].items():
        for action in actions:
            following = int(number) + 1
            opened = plan["bars"][action["instrument_id"]][following][0]
            expected.add((action["id"], _START + following * _MINUTE + 1, f"{opened:.2f}"))
    return expected


@pytest.mark.parametrize("changes", [{}, {"failures": [100, 777, 778]}, {"speed": 60_000}])
def test_replay_decides_each_bar_once_and_fills_at_the_next_open(changes: dict[str, Any]) -> None:
    plan = _plan(500, actions=_round_trips(500), **changes)

    answer = _run(plan)

    assert answer["decisions"] == [_START + (n + 1) * _MINUTE for n in range(500)]
    fills = _fills(answer)
    assert {(fill[1], fill[2], fill[5]) for fill in fills} == _expected_fills(plan)
    assert len(fills) == len(_expected_fills(plan))
    assert answer["status"]["restarts"] == len(changes.get("failures", []))
    assert answer["status"]["is_finished"]
    assert answer["positions"] == {}
    assert answer["warm_up"] == 10
    assert answer["state"] == "NodeState.STOPPED"


def test_replay_that_keeps_failing_gives_up_and_says_so() -> None:
    answer = _run(_plan(50, failures=[48] * 9))

    status = answer["status"]
    assert (status["is_dead"], status["is_finished"]) == (True, False)
    assert status["failure"] == "OSError: the feed broke"
    assert status["restarts"] == 2
    # Eleven times were played; of the twelfth it cannot be known that it is complete.
    assert len(answer["decisions"]) == 11
    assert answer["state"] == "NodeState.STOPPED"


def test_node_hears_of_brackets_changes_cancels_and_rejections() -> None:
    name = _NAMES[0]
    order = {"instrument_id": name, "side": "BUY", "quantity": 1.0}
    plan = _plan(
        60,
        actions={
            "5": [order | {"do": "bracket", "id": "BR", "distance": 1.5}],
            "6": [order | {"do": "limit", "id": "L1", "price": 50.0}],
            "7": [order | {"do": "modify", "id": "L1", "quantity": 2.0, "price": 51.0}],
            "8": [order | {"do": "cancel", "id": "L1"}],
            "9": [order | {"do": "market", "id": "R1", "side": "SELL", "reduce_only": True, "quantity": 9.0}],
            "40": [order | {"do": "limit", "id": "L2", "price": 50.0}],
            "42": [order | {"do": "cancel_all", "id": "-"}],
        },
    )

    answer = _run(plan)

    heard: dict[str, list[str]] = {}
    for event in answer["events"]:
        heard.setdefault(event[1], []).append(event[0])
    assert heard["BR"] == ["Initialized", "Submitted", "Filled"]
    assert heard["L1"][:3] == ["Initialized", "Submitted", "Accepted"]
    assert [kind for kind in heard["L1"][3:] if not kind.startswith("Pending")] == ["Updated", "Canceled"]
    assert heard["L2"][-1] == "Canceled"
    exits = [events for client_id, events in heard.items() if client_id not in ("BR", "L1", "L2", "R1")]
    assert len(exits) == 2
    assert all(events[:3] == ["Initialized", "Submitted", "Accepted"] for events in exits)
    assert all(events[-1] in ("Filled", "Canceled") for events in exits)
    assert answer["positions"] == {}


def test_order_that_travels_longer_than_the_node_is_patient_still_fills() -> None:
    # Ten bars a second, so the order is under way for half a second; the node asks after a tenth.
    order = {"do": "market", "id": "A", "instrument_id": _NAMES[0], "side": "BUY", "quantity": 1.0}
    plan = _plan(14, actions={"2": [order]}, speed=600, latency_ns=5 * _MINUTE + 1)

    answer = _run(plan)

    assert [event[0] for event in answer["events"]] == ["Initialized", "Submitted", "Accepted", "Filled"]
    assert _fills(answer)[0][2] == _START + 8 * _MINUTE + 1


def test_replay_without_the_barrier_lets_a_decision_come_late() -> None:
    plan = _plan(500, actions=_round_trips(500), fence=False)

    answer = _run(plan)

    # This is what the barrier is for; were it not so, the tests above would prove nothing.
    assert {(fill[1], fill[2], fill[5]) for fill in _fills(answer)} != _expected_fills(plan)
