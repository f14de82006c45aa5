"""From an archive of stable-baselines3 to a bundle that trades."""

import hashlib
import json
from pathlib import Path

import pytest

from bot.cli.app import main
from bot.exit_codes import ExitCode
from bot.learning import importing
from ml.foreign.archive import read_answer
from ml.foreign.unpacking import answer_of
from ops.model_store import ModelStore
from strategies.bundle import DRIFT, LINEAGE, open_bundle
from tests.support.bundles import TWO_STATES
from tests.support.configs import write_configs
from tests.support.foreign import box, save, trained
from tests.support.markets import DAY_START_NS, MINUTE_NS, market

__all__ = ["market"]

HOST = """\
kind = "backtest"
strategies = ["strategies/foreign.toml"]

[data]
catalog = "catalog"

[venue]
name = "DEMO"
starting_balance = 1_000.0
"""
STRATEGY = """\
name = "foreign"
instruments = ["ALPHAUSDT.DEMO", "BETAUSDT.DEMO"]
capital_quote = 1_000.0

[features]
lookback = 4
columns = [{ kind = "log_return" }, { kind = "rsi" }]

[regime]
columns = ["log_return_1"]
instrument_id = "ALPHAUSDT.DEMO"

[policy]
kind = "bundle"
path = "../models/foreign"

[allocation]
action_map = "simplex_cash"
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = trained(box(4 * 2 * 2 + 9 + 2), box(3, limit=5.0))
    return save(model, tmp_path_factory.mktemp("foreign") / "ppo.zip")


@pytest.fixture(scope="module")
def regime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("regime") / "regime.npz"
    TWO_STATES.save(path)
    return path


def take_over(archive: Path, state_dir: Path, strategy: Path, *more: str) -> int:
    return main(
        ["models", "import", str(archive), "--strategy", str(strategy), *more, "--state-dir", str(state_dir)]
    )


def test_archive_becomes_a_bundle_that_a_backtest_trades(
    tmp_path: Path, archive: Path, regime: Path, market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = write_configs(tmp_path, host=HOST, foreign=STRATEGY)
    state_dir = tmp_path / "var"

    more = ("--regime", str(regime), "--learned-until", "2024-01-01T06:00", "--json")
    code = take_over(archive, state_dir, tmp_path / "strategies/foreign.toml", *more)

    answer = json.loads(capsys.readouterr().out)
    assert code == ExitCode.OK, answer
    bundle = open_bundle(Path(answer["path"]))
    imported = bundle.document(LINEAGE)["imported"]
    assert imported["from"] == "stable-baselines3"
    assert imported["archive_sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert DRIFT not in bundle.files
    assert [one.name for one in ModelStore(state_dir).entries()] == ["foreign"]
    args = [str(host), "--catalog", str(market), "--state-dir", str(state_dir), "--json"]
    assert main(["backtest", *args, "--strategy", str(bundle.path / "strategy.toml")]) == ExitCode.OK
    ran = json.loads(capsys.readouterr().out)
    assert ran["metrics"]["trade_count"] > 0
    assert main(["evaluate", str(host), str(bundle.path), *args[1:], "--no-baselines"]) == ExitCode.OK
    judged = json.loads(capsys.readouterr().out)
    assert judged["learned"] == {"start_ns": 0, "end_ns": DAY_START_NS + 360 * MINUTE_NS}
    assert judged["overlap"] is None


def test_archive_that_does_not_fit_leaves_the_store_empty(
    tmp_path: Path,
    archive: Path,
    regime: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The test above reads it as a stranger's; here it may be opened at once.
    monkeypatch.setattr(
        importing, "read_archive", lambda path: read_answer(path, answer_of(path.read_bytes()))
    )
    write_configs(tmp_path, host=HOST, foreign=STRATEGY.replace("lookback = 4", "lookback = 8"))

    strategy = tmp_path / "strategies/foreign.toml"
    assert take_over(archive, tmp_path / "var", strategy, "--regime", str(regime)) == ExitCode.CONFIG

    assert "observations: expected 43 numbers" in capsys.readouterr().err
    assert not list(tmp_path.glob("var/models/*/*"))


def test_archive_needs_its_strategy_and_the_regime_model_that_it_was_shown(
    tmp_path: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_configs(tmp_path, host=HOST, foreign=STRATEGY)

    assert main(["models", "import", str(archive), "--state-dir", str(tmp_path / "var")]) == ExitCode.CONFIG
    assert "--strategy" in capsys.readouterr().err
    assert take_over(archive, tmp_path / "var", tmp_path / "strategies/foreign.toml") == ExitCode.CONFIG
    assert "--regime" in capsys.readouterr().err
    more = ("models", "import", str(tmp_path), "--learned-until", "2024-01-01", "--state-dir", str(tmp_path))
    assert main(more) == ExitCode.CONFIG
    assert "leave --strategy, --regime and --learned-until out" in capsys.readouterr().err
