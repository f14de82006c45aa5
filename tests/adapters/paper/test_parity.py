"""The paper venue and the real backtest engine, fill by fill, on random order streams."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.paper.scenarios import Scenario, make_venue, play, random_scenario

_ENGINE = Path(__file__).with_name("engine_run.py")


def _engine_answers(scenarios: list[Scenario]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(_ENGINE)],
        input=json.dumps(scenarios),
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def _by_instrument(fills: list[list[Any]], scenario: Scenario) -> dict[str, list[list[Any]]]:
    # The order of one instrument's fills is compared; across instruments it is not the same by intent.
    names = {
        action["id"]: action["instrument_id"]
        for actions in scenario["actions"].values()
        for action in actions
        if "instrument_id" in action
    }
    sorted_out: dict[str, list[list[Any]]] = {name: [] for name in scenario["bars"]}
    for fill in fills:
        order = fill[0].removesuffix("-SL").removesuffix("-TP")
        sorted_out[names[order]].append(fill)
    return sorted_out


@pytest.mark.parametrize("account", ["MARGIN", "CASH"])
def test_venue_on_random_orders_fills_as_the_backtest_engine_does(account: str) -> None:
    scenarios = [random_scenario(seed, account) for seed in range(30)]

    answers = _engine_answers(scenarios)

    assert sum(len(answer["fills"]) for answer in answers) > 1_000
    for seed, (scenario, answer) in enumerate(zip(scenarios, answers, strict=True)):
        venue = make_venue(scenario)
        fills = play(venue, scenario, 0, 150)
        assert _by_instrument(fills, scenario) == _by_instrument(answer["fills"], scenario), f"seed {seed}"
        total = next(amount for name, (amount, _) in venue.balances().items() if name == "USDT")
        assert f"{total:.8f}" == answer["balances"]["USDT"], f"seed {seed}"
