"""A run keeps the models that it traded, or says that they were replaced meanwhile."""

from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.config import HostConfig, load_host
from bot.config.toml import toml_text
from bot.runs.models import read_models, require_traded
from strategies.errors import ConfigError
from tests.support.bots import write_bot
from tests.support.bundles import TWO_STATES, strategy_with_bundle, write_small_bundle


@pytest.fixture
def host(tmp_path: Path) -> HostConfig:
    bundle = write_small_bundle(tmp_path / "models")
    bundle.path.rename(tmp_path / "bundle")
    (tmp_path / "net.onnx").write_bytes(b"a network")
    TWO_STATES.save(tmp_path / "states.npz")
    regime = {"columns": ("log_return_1",), "params_path": "states.npz"}
    bare = strategy_with_bundle(name="bare", policy={"kind": "onnx", "path": "net.onnx"}, regime=regime)
    (tmp_path / "one.toml").write_text(toml_text(strategy_with_bundle("bundle").model_dump(mode="json")))
    (tmp_path / "two.toml").write_text(toml_text(bare.model_dump(mode="json")))
    path = write_bot(tmp_path, tmp_path / "catalog", ("holder",))
    path.write_text(path.read_text().replace('"holder.toml"', '"one.toml", "two.toml", "holder.toml"'))
    return load_host(path)


def traded(host: HostConfig, **changes: str) -> Any:
    """What a run says of what it traded."""
    place = host.path.parent
    policies = {
        "two_trained": sha256((place / "bundle" / "manifest.json").read_bytes()).hexdigest(),
        "bare": sha256((place / "net.onnx").read_bytes()).hexdigest(),
        "holder": "a rule",
    }
    regimes = {"two_trained": TWO_STATES.sha256, "bare": TWO_STATES.sha256}
    return SimpleNamespace(
        policies=policies | {name: value for name, value in changes.items() if name in policies},
        regimes=regimes | ({"bare": changes["regime"]} if "regime" in changes else {}),
    )


def test_every_model_is_kept_where_the_configuration_of_the_run_will_name_it(host: HostConfig) -> None:
    kept = read_models(host)

    require_traded(kept, traded(host))
    assert kept.paths == {
        "two_trained": {"policy.path": "models/two_trained/bundle"},
        "bare": {"policy.path": "models/bare/policy.onnx", "regime.params_path": "models/bare/regime.npz"},
        "holder": {},
    }
    place = host.path.parent
    assert kept.files["models/bare/policy.onnx"] == b"a network"
    assert kept.files["models/bare/regime.npz"] == (place / "states.npz").read_bytes()
    names = {name.rpartition("/")[2] for name in kept.files if name.startswith("models/two_trained/bundle/")}
    assert names == {path.name for path in (place / "bundle").iterdir()}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"two_trained": "0" * 64}, "two_trained"),
        ({"bare": "0" * 64}, "bare"),
        ({"regime": "0" * 64}, "bare"),
    ],
)
def test_model_that_was_replaced_before_the_run_opened_it_is_refused(
    host: HostConfig, change: dict[str, str], name: str
) -> None:
    with pytest.raises(ConfigError, match=f"strategy {name}: a model was replaced"):
        require_traded(read_models(host), traded(host, **change))


def test_model_that_is_replaced_later_takes_nothing_from_the_run(host: HostConfig) -> None:
    kept, run = read_models(host), traded(host)
    (host.path.parent / "net.onnx").write_bytes(b"another")

    require_traded(kept, run)

    assert kept.files["models/bare/policy.onnx"] == b"a network"


def test_model_that_is_not_there_is_named(host: HostConfig) -> None:
    (host.path.parent / "net.onnx").unlink()

    with pytest.raises(ConfigError, match=r"net\.onnx: expected a model, but it cannot be read"):
        read_models(host)
