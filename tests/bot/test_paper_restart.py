"""The whole bot on a paper venue that remembers: one life as without it, and a life after kill -9."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.bots import write_bot
from tests.support.data import ROOT
from tests.support.markets import market

__all__ = ["market"]

_RUN = Path(__file__).with_name("paper_node_run.py")
_MINUTE = 60_000_000_000


def live(host: Path, state_dir: Path, *, remember: bool = True, kill_after_fills: int = 0) -> Any:
    state_dir.mkdir(exist_ok=True)
    plan = {"host": str(host), "state_dir": str(state_dir)}
    done = subprocess.run(
        [sys.executable, str(_RUN)],
        input=json.dumps(plan | {"remember": remember, "kill_after_fills": kill_after_fills}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == (-9 if kill_after_fills else 0), done.stderr[-2000:]
    return None if kill_after_fills else json.loads(done.stdout)


def write(market: Path, directory: Path, *strategies: str) -> Path:
    directory.mkdir()
    return write_bot(directory, market, strategies, kind="paper", end="2024-01-01T08:00")


@pytest.fixture
def host(market: Path, tmp_path: Path) -> Path:
    return write(market, tmp_path / "host", "wanderer", "breakout", "holder")


def test_bot_on_a_venue_that_remembers_trades_as_on_one_that_forgets(host: Path, tmp_path: Path) -> None:
    forgets = live(host, tmp_path / "one", remember=False)
    remembers = live(host, tmp_path / "two")

    assert remembers == forgets
    assert len(remembers["fills"]) > 50
    assert remembers["resume_ns"] == 0


def test_bot_after_a_kill_goes_on_where_the_venue_stands_with_what_each_strategy_had(
    host: Path, market: Path, tmp_path: Path
) -> None:
    whole = live(host, tmp_path / "one")
    live(host, tmp_path / "two", kill_after_fills=60)
    # What a strategy holds is its own, wherever the configuration names it.
    reordered = write(market, tmp_path / "reordered", "holder", "wanderer", "breakout")
    after = live(reordered, tmp_path / "two")

    before = [fill for fill in after["fills"] if fill[3] <= after["resume_ns"]]
    assert len(before) >= 60
    assert before == whole["fills"][: len(before)]
    assert [fill[0] for fill in after["fills"]] == [f"DEMO-T{n + 1}" for n in range(len(after["fills"]))]
    assert [[owner, name, _plain(size)] for owner, name, size in after["believed"]] == [
        [owner, name, _plain(size)] for owner, name, size in after["held"]
    ]
    assert len({owner for owner, _, _ in after["held"]}) > 1
    assert after["named"] == after["waiting"]
    # The strategies are warm when the venue goes on, and the feed has not had to be restarted.
    assert abs(after["first_decision_ns"] - after["resume_ns"]) <= 2 * _MINUTE
    assert after["warm_up"]
    assert after["restarts"] == 0


def _plain(size: str) -> float:
    return abs(float(size))
