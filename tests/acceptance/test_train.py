"""From a training file to orders, by the commands that a person types."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bot.exit_codes import ExitCode
from tests.support.bots import write_bot
from tests.support.command import Answer, argonaut, argonaut_command, environment
from tests.support.data import ROOT
from tests.support.learners import TRAINING, write_training
from tests.support.pairs import Pair, assert_same


@pytest.fixture(scope="module")
def trained(market: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """Directory of the training, and what the command answered."""
    directory = tmp_path_factory.mktemp("training")
    config = write_training(directory, market)
    answer = argonaut("train", config, "--state-dir", directory / "var", "--json")
    assert answer.code == 0, answer.err[-3000:]
    return directory, answer


def test_trained_bundle_trades_in_backtest_and_daemon_and_both_decide_alike(
    trained: tuple[Path, Answer], market: Path, tmp_path: Path
) -> None:
    strategy = Path(trained[1].document()["bundle"]) / "strategy.toml"
    hosts = {}
    for kind in ("backtest", "paper"):
        host = write_bot(tmp_path, market, ("holder",), kind=kind, end="2024-01-01T12:00")
        text = host.read_text()
        (line,) = (line for line in text.splitlines() if line.startswith("strategies = "))
        host.write_text(text.replace(line, f'strategies = ["{strategy}"]'))
        hosts[kind] = host

    pair = Pair(hosts["backtest"], hosts["paper"], tmp_path)

    decisions = pair.rows("decision")[0]
    assert len(decisions) > 600
    assert len({tuple(decision["action"]) for decision in decisions}) > 600
    assert {decision["regime_state"] for decision in decisions} == {0, 1}
    assert len(pair.rows("fill")[0]) > 20
    assert_same(pair)


def test_training_that_was_done_is_not_done_again(trained: tuple[Path, Answer]) -> None:
    directory, answer = trained

    again = argonaut("train", directory / "training.toml", "--state-dir", directory / "var", "--json")

    assert again.document() == answer.document() | {"is_new": False}


def test_training_leaves_its_story_and_the_newest_model_is_linked(trained: tuple[Path, Answer]) -> None:
    directory, answer = trained
    run_dir = directory / "var" / "training" / answer.document()["run_id"]

    lines = [json.loads(line) for line in (run_dir / "progress.jsonl").read_text().splitlines()]
    assert [line["timesteps"] for line in lines] == [1_024, 2_048, 3_072, 4_096]
    assert list((run_dir / "tensorboard").glob("events.*"))
    latest = directory / "var" / "models" / "learner" / "latest"
    assert latest.resolve() == Path(answer.document()["bundle"])


def test_models_can_be_listed_shown_promoted_and_imported_elsewhere(
    trained: tuple[Path, Answer], tmp_path: Path
) -> None:
    bundle, bundle_id = (trained[1].document()[key] for key in ("bundle", "bundle_id"))

    def models(*args: object) -> Answer:
        return argonaut("models", *args, "--state-dir", tmp_path, "--json")

    assert models("list").document() == {"models": []}
    assert models("rollback", "learner", "abcd").code == ExitCode.CONFIG
    assert models("import", bundle).document()["bundle_id"] == bundle_id
    assert models("promote", "learner", bundle_id[:5]).code == 0
    shown = models("show", "learner", "active").document()
    assert (shown["bundle_id"], shown["lineage"]["parent"]) == (bundle_id, None)
    (listed,) = models("list").document()["models"]
    assert (listed["pointers"], listed["judged"]) == (["active"], shown["scorecard"]["judged"]["policy"])

    (tmp_path / "models" / "learner" / "active" / "regime.npz").write_bytes(b"")
    damaged = models("list")
    assert damaged.code == ExitCode.FINDINGS
    assert "regime.npz is not what the manifest says" in damaged.document()["models"][0]["problem"]


def test_interrupted_training_is_cancelled_and_the_same_command_goes_on(market: Path, tmp_path: Path) -> None:
    long = TRAINING.replace("total_timesteps = 4_096", "total_timesteps = 40_960")
    config = write_training(tmp_path, market, long)
    command = argonaut_command("train", config, "--state-dir", tmp_path / "var", "--json")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "var").glob("training/*/ppo/last.npz")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, said

    again = argonaut("train", config, "--state-dir", tmp_path / "var", "--json")

    assert again.code == 0, again.err
    assert "going on with learner-" in again.err
    run_dir = tmp_path / "var" / "training" / again.document()["run_id"]
    told = [json.loads(line)["timesteps"] for line in (run_dir / "progress.jsonl").read_text().splitlines()]
    assert told == list(range(1_024, 40_961, 1_024))


def test_training_file_with_a_misspelt_key_is_refused_with_a_suggestion(market: Path, tmp_path: Path) -> None:
    config = write_training(tmp_path, market, TRAINING.replace("total_timesteps", "total_timestep"))

    answer = argonaut("train", config, "--state-dir", tmp_path / "var", "--json")

    assert answer.code == ExitCode.CONFIG
    assert 'did you mean "total_timesteps"?' in answer.document()["error"]["message"]
    assert not (tmp_path / "var").exists()
