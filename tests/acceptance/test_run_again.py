"""A run with models is run again from its own directory, when nothing else of them is left."""

import shutil
from pathlib import Path

import pytest

from bot.config.toml import toml_text
from bot.exit_codes import ExitCode
from strategies.config import ActionMap
from strategies.features import FeaturePipeline
from tests.support.bots import write_bot
from tests.support.bundles import TWO_STATES, strategy_with_bundle, write_small_bundle
from tests.support.command import Answer, argonaut
from tests.support.onnx_models import save_mlp


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strategies, a folder each: one trades a bundle, one a bare network and a regime model beside it."""
    place = tmp_path_factory.mktemp("models")
    bundle = write_small_bundle(place / "bundles")
    (place / "active").symlink_to(bundle.path)
    one = strategy_with_bundle("active")
    (place / "one.toml").write_text(toml_text(one.model_dump(mode="json")))

    pipeline = FeaturePipeline(one.features, 2)
    (place / "deep").mkdir()
    save_mlp(
        place / "deep" / "net.onnx",
        lookback=4,
        num_instruments=2,
        num_features=pipeline.num_features,
        num_states=2,
        schema_sha256=pipeline.schema_sha256,
        seed=3,
    )
    TWO_STATES.save(place / "deep" / "states.npz")
    other = strategy_with_bundle(
        name="two_bare",
        policy={"kind": "onnx", "path": "net.onnx"},
        regime={
            "columns": ("log_return_1",),
            "instrument_id": "ALPHAUSDT.DEMO",
            "params_path": "states.npz",
        },
        allocation={"action_map": ActionMap.SIMPLEX_CASH},
    )
    (place / "deep" / "other.toml").write_text(toml_text(other.model_dump(mode="json")))
    return place


def _backtest(host: Path, state_dir: Path, *options: str | Path) -> Answer:
    return argonaut("backtest", host, "--no-baselines", "--json", "--state-dir", state_dir, *options)


def _host(place: Path, market: Path) -> Path:
    host = write_bot(place, market, end="2024-01-01T03:00")
    text = host.read_text().replace('"breakout.toml"', '"one.toml", "deep/other.toml"')
    host.write_text(text)
    return host


def test_run_is_run_again_from_its_directory_after_its_models_are_gone(
    trained: Path, market: Path, tmp_path: Path
) -> None:
    place = tmp_path / "first"
    shutil.copytree(trained, place, symlinks=True)
    (place / "active").unlink()
    shutil.move(place / "bundles", place / "active_bundles")
    (place / "active").symlink_to(next((place / "active_bundles").iterdir()))
    first = _backtest(_host(place, market), tmp_path / "var")
    assert first.code == 0, first.err
    run_dir = Path(first.document()["run_dir"])
    shutil.rmtree(place)
    (run_dir / "config.toml").rename(run_dir / "backtest.toml")  # a run is named after its file

    again = _backtest(run_dir / "backtest.toml", tmp_path / "elsewhere")

    assert again.code == 0, again.err
    (run_dir / "backtest.toml").rename(run_dir / "config.toml")
    assert again.document()["run_id"] == first.document()["run_id"]
    assert again.document()["orders_sha256"] == first.document()["orders_sha256"]
    assert _contents(Path(again.document()["run_dir"])) == _contents(run_dir)
    assert sorted(name for name in _contents(run_dir) if name.count("/") == 2) == [
        "models/two_bare/policy.onnx",
        "models/two_bare/regime.npz",
    ]
    orders = (run_dir / "orders.csv").read_text()
    assert "two_bare" in orders
    assert "two_trained" in orders


def test_run_with_another_regime_model_of_the_same_name_is_another_run(
    trained: Path, market: Path, tmp_path: Path
) -> None:
    host = _host(trained, market)
    first = _backtest(host, tmp_path)
    changed = trained / "deep" / "states.npz"
    type(TWO_STATES)(
        TWO_STATES.initial_probs, TWO_STATES.transition_matrix, TWO_STATES.means, 2.0 * TWO_STATES.covariances
    ).save(changed)

    other = _backtest(host, tmp_path)

    changed.write_bytes(b"no parameters")
    broken = argonaut("config", "check", host)
    TWO_STATES.save(changed)
    assert first.code == other.code == 0
    # Parameters in a file are pinned as those that stand in the strategy file are.
    assert first.document()["pins"]["config_sha256"] != other.document()["pins"]["config_sha256"]
    assert broken.code == ExitCode.CONFIG
    assert "regime.params_path" in broken.err
    assert "expected regime parameters" in broken.err
    assert first.document()["run_id"] != other.document()["run_id"]


def test_run_whose_kept_model_was_changed_is_refused(trained: Path, market: Path, tmp_path: Path) -> None:
    first = _backtest(_host(trained, market), tmp_path)
    run_dir = Path(first.document()["run_dir"])
    policy = run_dir / "models" / "two_trained" / "bundle" / "policy.onnx"
    policy.write_bytes(policy.read_bytes() + b"\n")

    again = _backtest(run_dir / "config.toml", tmp_path)
    shown = argonaut("report", run_dir.name, "--state-dir", tmp_path)

    assert again.code == ExitCode.CONFIG
    assert "policy.onnx" in again.err
    assert shown.code != 0
    assert "expected the files that manifest.json names" in shown.err


def _contents(place: Path) -> dict[str, bytes]:
    files = (path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}
