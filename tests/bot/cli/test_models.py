"""Which model trades, decided where no daemon runs."""

from pathlib import Path

import pytest

from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.model_store import ModelStore
from tests.support.bundles import write_small_bundle

NAME = "two_trained"


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """Three models of a state directory, none of which trades yet."""
    store = ModelStore(tmp_path)
    return [store.add(write_small_bundle(tmp_path / "trained", seed=seed)).bundle_id for seed in range(3)]


def decide(state_dir: Path, *args: str) -> int:
    return main(["models", *args, "--state-dir", str(state_dir)])


def test_rollback_goes_back_from_the_model_that_is_named_and_asked_twice_stays_there(
    tmp_path: Path, ids: list[str]
) -> None:
    good, bad, _ = ids
    assert [decide(tmp_path, "promote", NAME, one) for one in (good, bad)] == [0, 0]

    assert decide(tmp_path, "rollback", NAME, bad[:8], "--reason", "it loses") == ExitCode.OK
    assert ModelStore(tmp_path).active_id(NAME) == good
    assert decide(tmp_path, "rollback", NAME, bad[:8]) == ExitCode.OK
    assert ModelStore(tmp_path).active_id(NAME) == good


def test_rollback_from_a_model_that_does_not_trade_changes_nothing(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, other = ids
    for one in (good, bad):
        decide(tmp_path, "promote", NAME, one)

    assert decide(tmp_path, "rollback", NAME, other) == ExitCode.CONFIG
    assert decide(tmp_path, "rollback", NAME) == ExitCode.USAGE

    assert "expected to go back from the one that is to trade" in capsys.readouterr().err
    assert ModelStore(tmp_path).active_id(NAME) == bad
