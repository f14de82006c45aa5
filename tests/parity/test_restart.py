"""A daemon that was stopped and started again decides as a bot that never stopped."""

import json
from pathlib import Path
from typing import Any

from tests.support.bots import write_bot
from tests.support.command import DaemonProcess, run_script
from tests.support.data import ROOT
from tests.support.journals import recorded
from tests.support.markets import torn_market

__all__ = ["torn_market"]

_ENGINE_RUN = ROOT / "tests" / "acceptance" / "engine_run.py"
# The market is silent from 15:00 to 16:20; an hour of wall time before the stop holds five bars.
_STOPPED, _END = "2024-01-01T16:25", "2024-01-01T20:00"
_NEXT_NS = 1_704_126_360_000_000_000
"""16:26."""


def test_daemon_stopped_after_a_silence_of_the_market_goes_on_as_if_it_had_never_stopped(
    torn_market: Path, tmp_path: Path
) -> None:
    for kind, end in (("backtest", _END), ("paper", _STOPPED)):
        write_bot(tmp_path, torn_market, ("breakout",), kind=kind, end=end)
    records = tmp_path / "records.json"
    run_script(_ENGINE_RUN, {"host": str(tmp_path / "backtest.toml"), "records": str(records)})
    uninterrupted = json.loads(records.read_text())
    for end in (_STOPPED, _END):
        paper = write_bot(tmp_path, torn_market, ("breakout",), kind="paper", end=end)
        with DaemonProcess(paper, tmp_path / "var", "--speed", "max") as daemon:
            assert daemon.wait(180.0) == 0, daemon.said
    rows = recorded(tmp_path / "var", "decision")
    expected = [row for row in uninterrupted["decision"] if row["ts_event"] >= rows[0]["ts_event"]]

    assert rows[0]["ts_event"] == _NEXT_NS
    assert len(rows) == 215, "each minute up to 20:00, both ends included"
    assert rows == expected
    assert _placed(recorded(tmp_path / "var", "order")) == _placed(uninterrupted["order"])


def _placed(orders: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (one["role"], one["side"], one["quantity"], one["trigger_price"], one["price"])
        for one in orders
        if one["status"] == "SUBMITTED" and one["ts_event"] >= _NEXT_NS
    ]
