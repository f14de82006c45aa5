"""``argonaut walk-forward``: a bundle for each fold, judged on bars after all that it learned from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters.catalog import Catalog
from bot.cli.app import main
from bot.config import load_strategy
from bot.exit_codes import ExitCode
from bot.runs.spans import bar_times, since, warm_up_start
from ml.evaluation import EquityCurve
from strategies.errors import DataError
from tests.support.data import ROOT
from tests.support.markets import DAY_START_NS, MINUTE_NS, market

__all__ = ["market"]

STRATEGY = ROOT / "configs" / "strategies" / "ppo_hmm_demo.toml"
TRAINING = f"""\
host = "{ROOT}/configs/paper.toml"
strategy = "{STRATEGY}"

[generate]
seed = 11
days = 2

[network]
kind = "mlp"
hidden = [8]
code = 4
dropout = 0.0

[environment]
num_envs = 8
num_clocks = 4
horizon_bars = 64

[ppo]
total_timesteps = 512
num_steps = 32

[regime]
num_restarts = 0

[drift]
window_bars = 30
period_bars = 60
num_stretches = 50
"""

type Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *args: object) -> tuple[int, Any]:
    """Exit code and JSON document of ``argonaut walk-forward …``."""
    code = main(["walk-forward", *map(str, args), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_bars_before_the_test_warm_up_so_that_it_begins_with_a_decision(market: Path) -> None:
    config = load_strategy(STRATEGY).config
    times = bar_times(config, Catalog(market))

    start = warm_up_start(config, times, DAY_START_NS + 1_000 * MINUTE_NS)

    # The z-score of 120 volumes is warm at bar 120, and the window of 32 rows is full 31 bars later: bars
    # 850 to 1000 are played, and what closes at 849 is not.
    assert start == "2024-01-01T14:09:59+00:00"


def test_test_span_that_begins_before_the_warm_up_is_refused(market: Path) -> None:
    config = load_strategy(STRATEGY).config
    times = bar_times(config, Catalog(market))

    with pytest.raises(DataError, match="expected 150 bars before the test to warm up, found 99"):
        warm_up_start(config, times, DAY_START_NS + 100 * MINUTE_NS)


def test_curve_of_a_test_span_begins_with_what_was_there_before_it() -> None:
    curve = EquityCurve(
        100.0, np.array([1, 2, 3]), np.array([101.0, 102.0, 103.0]), np.array([1.0, 2.0, 4.0]), np.zeros(3)
    )

    found = since(curve, 3)

    assert (found.initial, found.equity.tolist(), found.fees.tolist()) == (102.0, [103.0], [2.0])


def test_fold_is_trained_on_its_past_and_judged_on_what_follows(capsys: Captured, tmp_path: Path) -> None:
    training = tmp_path / "training.toml"
    training.write_text(TRAINING)
    args = (training, "--train-bars", 2_000, "--test-bars", 600, "--no-baselines", "--state-dir", tmp_path)

    code, document = run(capsys, *args)

    assert code == ExitCode.OK, document
    (fold,) = document["folds"]
    directory = Path(document["directory"])
    (lineage,) = directory.glob("fold-001/model/*/lineage.json")
    (scorecard,) = directory.glob("fold-001/model/*/scorecard.json")
    (run_dir,) = directory.glob("fold-001/runs/*")
    spans = json.loads(scorecard.read_text())["spans"]
    # What is learned from and what selects end before the test begins.
    assert json.loads(lineage.read_text())["data"]["first_ns"] == fold["train_start_ns"]
    assert max(spans["learn"]["last_ns"], spans["select"]["last_ns"]) < fold["test_start_ns"]
    # The first decision falls on the first close of the test, the last on its last.
    decided = pq.read_table(run_dir / "decisions.parquet").column("ts_event").to_pylist()
    assert (decided[0], decided[-1]) == (fold["test_start_ns"], fold["test_end_ns"])
    assert (document["start_ts"], document["end_ts"]) == (fold["test_start_ns"], fold["test_end_ns"])
    assert (directory / "report.html").read_text().startswith("<!doctype html>")
    assert json.loads((directory / "report.json").read_text())["folds"] == document["folds"]

    # The same again finds all of it done, and says the same.
    before = (directory / "fold-001" / "outcome.npz").stat().st_mtime_ns
    assert run(capsys, *args) == (code, document)
    assert (directory / "fold-001" / "outcome.npz").stat().st_mtime_ns == before


def test_half_a_window_of_bars_is_refused(capsys: Captured, tmp_path: Path) -> None:
    code, document = run(capsys, tmp_path / "none.toml", "--train-bars", 100)

    assert code == ExitCode.CONFIG
    assert "--train-bars and --test-bars together" in document["error"]["message"]
