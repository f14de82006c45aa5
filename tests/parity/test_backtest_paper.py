"""The same bars through the backtest engine and through the paper daemon: the same decisions, bar for bar."""

import shutil
from pathlib import Path

import pytest

from tests.support.bots import ALL, WANDERER, write_bot
from tests.support.command import argonaut
from tests.support.pairs import Pair, assert_same

MIDNIGHT_NS = 1_704_153_600 * 10**9
"""At which the generated market's second day begins."""


def play(directory: Path, catalog: Path, strategies: tuple[str, ...]) -> Pair:
    backtest, paper = (write_bot(directory, catalog, strategies, kind=kind) for kind in ("backtest", "paper"))
    return Pair(backtest, paper, directory)


@pytest.mark.parametrize("strategies", [("breakout",), ("wanderer", "breakout", "holder")])
def test_daemon_on_whole_days_decides_and_fills_as_the_backtest(
    market: Path, tmp_path: Path, strategies: tuple[str, ...]
) -> None:
    pair = play(tmp_path, market, strategies)

    assert len(pair.rows("decision")[0]) == len(strategies) * (2 * 1_440 - 35)
    assert len(pair.rows("fill")[0]) > 200
    assert_same(pair)


@pytest.mark.parametrize("order", [("hourly", "breakout"), ("breakout", "hourly")])
def test_daemon_that_trades_one_instrument_by_the_hour_and_by_the_minute_fills_as_the_backtest(
    market: Path, tmp_path: Path, order: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = tmp_path / "catalog"
    shutil.copytree(market, catalog)
    assert argonaut("data", "resample", "--interval", "1-HOUR", "--catalog", catalog).code == 0
    hourly = WANDERER.replace('name = "wanderer"', 'name = "hourly"\ninterval = "1-HOUR"')
    monkeypatch.setitem(ALL, "hourly", hourly.replace("rebalance_bars = 15", "rebalance_bars = 2"))

    pair = play(tmp_path, catalog, order)

    fills = pair.rows("fill")[0]
    assert {fill["strategy"] for fill in fills} == {"hourly", "breakout"}
    assert_same(pair)


def test_daemon_on_bars_with_holes_decides_and_fills_as_the_backtest(
    torn_market: Path, tmp_path: Path
) -> None:
    pair = play(tmp_path, torn_market, ("wanderer", "breakout", "holder"))

    assert pair.engine["incomplete_panels"] > 40
    assert_same(pair)


def test_daemon_fills_what_was_decided_on_the_last_bar_and_the_engine_does_not(
    market: Path, tmp_path: Path
) -> None:
    # The wanderer draws at its first decision, on the 36th bar; the data end there.
    ends = "2024-01-01T00:36"
    hosts = {
        kind: write_bot(tmp_path, market, ("wanderer",), kind=kind, end=ends)
        for kind in ("backtest", "paper")
    }

    pair = Pair(hosts["backtest"], hosts["paper"], tmp_path)

    backtest, paper = pair.rows("fill")
    assert backtest == []
    assert {fill["ts_event"] for fill in paper} == {1_704_069_360 * 10**9 + 1}


@pytest.mark.parametrize(
    ("execution", "strategies"),
    [
        ("latency_ms = 250.0", ("wanderer", "breakout")),
    ],
)
def test_daemon_with_other_execution_decides_and_fills_as_the_backtest(
    market: Path, tmp_path: Path, execution: str, strategies: tuple[str, ...]
) -> None:
    hosts = {
        kind: write_bot(
            tmp_path,
            market,
            strategies,
            kind=kind,
            end="2024-01-01T12:00",
            more=f"\n[execution]\n{execution}\n",
        )
        for kind in ("backtest", "paper")
    }

    pair = Pair(hosts["backtest"], hosts["paper"], tmp_path)

    assert len(pair.rows("fill")[0]) > 20
    assert_same(pair)


def test_loss_limits_trip_at_the_same_bar_and_close_what_is_held_as_in_the_backtest(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight = "loss_readings = 2\nclose_at_loss_limit = true\n"
    limits = {
        "wanderer": "daily_loss_quote = 600.0\nsession_loss_quote = 1_000.0\n",
        "breakout": "drawdown_frac = 0.008\nstate_drawdown_quote = 150.0\n",
    }
    for name, limit in limits.items():
        loose = "daily_loss_quote = 20_000.0\nstate_drawdown_quote = 20_000.0\n"
        monkeypatch.setitem(ALL, name, ALL[name].replace(loose, limit + tight))
    account = "\n[account]\ndrawdown_frac = 0.0078\nclose_at_loss_limit = true\n"

    backtest, paper = (
        write_bot(tmp_path, market, tuple(limits), kind=kind, end="2024-01-02T03:30", more=account)
        for kind in ("backtest", "paper")
    )
    pair = Pair(backtest, paper, tmp_path)

    trips = [(row["strategy"], row["reason"]) for row in pair.rows("halt")[0]]
    of_one = [("breakout", "daily_loss"), ("breakout", "state_drawdown")]
    assert trips == [
        *of_one, ("wanderer", "daily_loss"), *of_one, ("wanderer", "session_loss"), ("account", "reducing")
    ]  # fmt: skip
    assert_same(pair)
    first = next(row["ts_event"] for row in pair.rows("halt")[0] if row["strategy"] == "wanderer")
    roles = {
        row["role"]
        for row in pair.rows("order")[1]
        if row["strategy"] == "wanderer" and first <= row["ts_event"] < MIDNIGHT_NS
    }
    assert roles == {"CLOSE"}
