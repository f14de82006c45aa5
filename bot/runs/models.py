"""The models of a run, kept in its directory: it can be run again when they are gone from where they lay."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bot.backtest import EngineRun
from bot.config import HostConfig, LoadedStrategy
from bot.config.model_paths import PARAMS_PATH, POLICY_PATH, ModelPaths, model_paths
from strategies.bundle import MANIFEST, open_bundle
from strategies.errors import ConfigError
from strategies.regime_params import load_regime_params

FOLDER = "models"
"""In a run's directory."""


@dataclass(frozen=True, slots=True)
class KeptModels:
    """What is kept, and where."""

    paths: Mapping[str, ModelPaths]
    """By strategy: where its models lie in the run's directory."""
    files: Mapping[str, bytes]
    """By place in the run's directory."""


def kept_models(host: HostConfig, run: EngineRun) -> KeptModels:
    """Read the very models that a run has traded.

    Raises:
        ConfigError: If one is not what it was when the run began.
    """
    paths: dict[str, dict[str, str]] = {}
    files: dict[str, bytes] = {}
    for loaded in host.strategies:
        named = model_paths(loaded.config)
        kept = paths.setdefault(loaded.config.name, {})
        for key, read in ((POLICY_PATH, _policy), (PARAMS_PATH, _params)):
            if key not in named:
                continue
            source = loaded.path.parent / named[key]
            place, found = read(loaded, source, run)
            kept[key] = f"{FOLDER}/{loaded.config.name}/{place}"
            files |= {f"{FOLDER}/{loaded.config.name}/{name}": content for name, content in found.items()}
    return KeptModels(paths, files)


def _policy(loaded: LoadedStrategy, source: Path, run: EngineRun) -> tuple[str, dict[str, bytes]]:
    traded = run.policies[loaded.config.name]
    if loaded.config.policy.kind != "bundle":
        content = source.read_bytes()
        _require(sha256(content).hexdigest() == traded, source)
        return "policy.onnx", {"policy.onnx": content}
    bundle = open_bundle(source)
    files = {name: (bundle.path / name).read_bytes() for name in (MANIFEST, *bundle.files)}
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    _require(hashes == {MANIFEST: traded, **bundle.files}, source)
    return "bundle", {f"bundle/{name}": content for name, content in files.items()}


def _params(loaded: LoadedStrategy, source: Path, run: EngineRun) -> tuple[str, dict[str, bytes]]:
    _require(load_regime_params(source).sha256 == run.regimes[loaded.config.name], source)
    return "regime.npz", {"regime.npz": source.read_bytes()}


def _require(is_same: bool, source: Path) -> None:
    if not is_same:
        raise ConfigError(
            f"{source}: expected the model that the run began with, found another; run the backtest again, "
            "and do not replace its models meanwhile"
        )
