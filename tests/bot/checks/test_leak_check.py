"""``argonaut leak-check`` on strategies of ours: clean ones, and what it says of those that are not."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import bot.checks.leak_check
from adapters.catalog import Catalog
from bot.checks.leak_check import decision_claims
from bot.cli.app import main
from bot.config import load_strategy
from bot.exit_codes import ExitCode
from ml.datasets import panels
from ml.leaks import LeakSettings, find_leaks
from strategies.market import Panel
from tests.support.configs import STRATEGY, write_configs
from tests.support.data import ROOT
from tests.support.markets import market

__all__ = ["market"]

DEMO = ROOT / "configs" / "strategies" / "donchian_regime_demo.toml"
FEATURE = 'kind = "log_return"\nparams = { period = 1 }'
EQUAL = STRATEGY.replace('kind = "donchian"\nlookback = 20', 'kind = "equal"')

type Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *args: object) -> tuple[int, Any]:
    """Exit code and JSON document of ``argonaut leak-check …``."""
    code = main(["leak-check", *map(str, args), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_demo_strategy_knows_no_future(capsys: Captured, market: Path) -> None:
    code, document = run(capsys, DEMO, "--catalog", market, "--bars", 700, "--cuts", 2)

    (report,) = document["strategies"]
    assert code == ExitCode.OK
    assert report["is_clean"]
    stages = {"regime", "observation", "decisions", "features", "labels", "splits", "normaliser"}
    assert set(report["claims"]) == stages
    assert report["warm_up"][0]["column"] == "log_return_1"


def test_feature_that_tells_where_the_data_began_is_a_finding(
    capsys: Captured,
    market: Path,
    tmp_path: Path,
) -> None:
    host = write_configs(tmp_path, one=EQUAL.replace(FEATURE, 'kind = "session_vwap"'))

    code, document = run(capsys, host, "--catalog", market, "--bars", 1_000, "--cuts", 1)

    (report,) = document["strategies"]
    assert code == ExitCode.FINDINGS
    assert not report["is_clean"]
    assert "take a longer span" in report["warm_up"][0]["finding"]


def test_decisions_that_see_the_next_bar_are_found(
    monkeypatch: pytest.MonkeyPatch,
    market: Path,
) -> None:
    loaded, catalog = load_strategy(DEMO), Catalog(market)
    claims = decision_claims(loaded, bot.checks.leak_check._rules(loaded, catalog))
    newest = bot.checks.leak_check._newest(loaded, catalog, 400)

    def early(*args: Any) -> Iterator[Panel]:
        """Each time with the bars of the next."""
        given = list(panels(*args))
        for panel, following in pairwise(given):
            yield Panel(
                panel.ts_event, tuple(bar and bar._replace(ts_event=panel.ts_event) for bar in following.bars)
            )

    monkeypatch.setattr("bot.checks.leak_check.panels", early)
    leaks = find_leaks(claims, newest, LeakSettings(num_cuts=2))

    assert {"regime", "observation"} <= {leak.stage for leak in leaks}
    assert {leak.least_reach_bars for leak in leaks} == {1}


def test_too_few_bars_are_refused(capsys: Captured, market: Path, tmp_path: Path) -> None:
    long = STRATEGY.replace(FEATURE, 'kind = "sma"\nparams = { period = 2000 }')
    host = write_configs(tmp_path, one=long)

    code, document = run(capsys, host, "--catalog", market)

    assert code == ExitCode.DATA
    assert "expected at least 4016 bars, twice the warm-up, found 2880" in document["error"]["message"]
