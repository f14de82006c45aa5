"""Steps for `scripted_node.py`, and running one in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[3]
_NODE = Path(__file__).with_name("scripted_node.py")
MINUTE = 60_000_000_000

type Step = dict[str, Any]

SHOW: Step = {"do": "show"}
KILL: Step = {"do": "kill"}
SETTLE: Step = {"do": "settle"}


def quote(number: int, price: float, **more: Any) -> Step:
    return {"do": "quote", "ts": number * MINUTE, "price": price, **more}


def send(strategy: str, name: str, side: str, kind: str, quantity: float, **more: Any) -> Step:
    order = {"strategy": strategy, "id": name, "side": side, "kind": kind, "quantity": quantity}
    return {"do": "send", **order, **more}


def cancel(strategy: str, name: str) -> Step:
    return {"do": "cancel", "strategy": strategy, "id": name}


def line(what: str) -> Step:
    return {"do": "line", "what": what}


def wait(strategy: str, kind: str, name: str) -> Step:
    return {"do": "wait", "until": [strategy, kind, name]}


def play(steps: list[Step], *, killed: bool = False, **plan: Any) -> list[dict[str, Any]]:
    """Play a script and give what the node said, a row a step."""
    done = subprocess.run(
        [sys.executable, str(_NODE)],
        input=json.dumps(plan | {"steps": steps}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
    )
    assert done.returncode == (-9 if killed else 0), done.stderr[-2000:]
    return [json.loads(row) for row in done.stdout.splitlines()]
