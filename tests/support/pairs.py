"""What a backtest and a daemon wrote down, and how the two may differ."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import DaemonProcess, run_script
from tests.support.data import ROOT
from tests.support.journals import recorded

type Rows = list[dict[str, Any]]

_ENGINE_RUN = ROOT / "tests" / "acceptance" / "engine_run.py"
_SUMS = ("equity", "cash", "realised", "unrealised", "fees", "gross_exposure", "net_exposure", "drawdown")


class Pair:
    """The same span in the backtest engine and in the daemon at full speed, a process each."""

    def __init__(self, backtest: Path, paper: Path, directory: Path) -> None:
        records = directory / "backtest.json"
        self.engine = run_script(_ENGINE_RUN, {"host": str(backtest), "records": str(records)})
        self._backtest: dict[str, Rows] = json.loads(records.read_text())
        with DaemonProcess(paper, directory / "var", "--speed", "max") as daemon:
            assert daemon.wait(180.0) == 0, daemon.said
        self._state_dir = directory / "var"

    def rows(self, kind: str) -> tuple[Rows, Rows]:
        """Records of a kind, of the backtest and of the daemon."""
        return self._backtest[kind], recorded(self._state_dir, kind)


def assert_same(pair: Pair) -> None:
    """The daemon decided as the backtest did, and what differs is what is documented.

    1. Orders of different instruments that meet the market at one time fill in another order: the engine
       goes through the instruments, the paper venue through the orders as they were sent.
    2. Sums over fills differ in their last bits for that reason.
    3. What was decided on the last bar still fills in the daemon, which settles at the end of the data.
    4. Ids of executions are each venue's own.
    """
    dropped = [row for row in pair.rows("order")[1] if row["status"] == "EXPIRED"]
    assert dropped == [], "the disk was too slow for the daemon: its host wants PATIENT_DISK"
    decisions, verdicts = pair.rows("decision"), pair.rows("verdict")
    assert decisions[0] == decisions[1]
    assert len(decisions[0]) > 0
    assert verdicts[0] == verdicts[1]
    last_ns = max(row["ts_event"] for row in pair.rows("equity")[0])
    _assert_same_but_for_order_at_one_time(*pair.rows("fill"), last_ns)
    _assert_same_but_for_order_at_one_time(*pair.rows("order"), last_ns)
    _assert_equity_is_equal(*pair.rows("equity"))
    assert pair.rows("halt")[0] == pair.rows("halt")[1]


def _assert_same_but_for_order_at_one_time(backtest: Rows, paper: Rows, last_ns: int) -> None:
    ours, theirs = (
        [_without_trade_id(row) for row in rows if row["ts_event"] <= last_ns] for rows in (backtest, paper)
    )
    assert [row["ts_event"] for row in ours] == [row["ts_event"] for row in theirs]
    assert Counter(map(_key, ours)) == Counter(map(_key, theirs))
    for instrument_id in {row["instrument_id"] for row in ours}:
        of_one = [[row for row in rows if row["instrument_id"] == instrument_id] for rows in (ours, theirs)]
        assert of_one[0] == of_one[1], "orders of one instrument keep their order"


def _assert_equity_is_equal(backtest: Rows, paper: Rows) -> None:
    exact = [[{k: v for k, v in row.items() if k not in _SUMS} for row in rows] for rows in (backtest, paper)]
    assert exact[0] == exact[1]
    for name in _SUMS:
        ours, theirs = ([row[name] for row in rows] for rows in (backtest, paper))
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-8), name


def _without_trade_id(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "trade_id"}


def _key(row: dict[str, Any]) -> Sequence[Any]:
    return tuple(row.items())
