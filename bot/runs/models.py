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

FOLDER = "models"
"""In a run's directory."""


@dataclass(frozen=True, slots=True)
class KeptModels:
    """What is kept, and where."""

    paths: Mapping[str, ModelPaths]
    """By strategy: where its models lie in the run's directory."""
    files: Mapping[str, bytes]
    """By place in the run's directory."""
    policies: Mapping[str, str]
    """Policy id of each strategy whose policy is kept."""
    regimes: Mapping[str, str]
    """Hash of the parameters of each strategy whose regime model is kept by itself."""


def read_models(host: HostConfig) -> KeptModels:
    """Read what a run is about to trade: a model that is promoted meanwhile takes nothing from it.

    Raises:
        ConfigError: If a model cannot be read.
    """
    paths: dict[str, dict[str, str]] = {}
    files: dict[str, bytes] = {}
    policies: dict[str, str] = {}
    regimes: dict[str, str] = {}
    for loaded in host.strategies:
        name, named = loaded.config.name, model_paths(loaded.config)
        kept = paths.setdefault(name, {})
        folder = f"{FOLDER}/{name}"
        if POLICY_PATH in named:
            policies[name], place, found = _policy(loaded, loaded.path.parent / named[POLICY_PATH])
            kept[POLICY_PATH] = f"{folder}/{place}"
            files |= {f"{folder}/{file}": content for file, content in found.items()}
        if PARAMS_PATH in named and loaded.params_sha256 is not None:
            regimes[name] = loaded.params_sha256
            kept[PARAMS_PATH] = f"{folder}/regime.npz"
            files[kept[PARAMS_PATH]] = _read(loaded.path.parent / named[PARAMS_PATH])
    return KeptModels(paths, files, policies, regimes)


def require_traded(models: KeptModels, run: EngineRun) -> None:
    """Check that a run traded what was read for it.

    Raises:
        ConfigError: If a model was replaced in between.
    """
    for kept, traded in ((models.policies, run.policies), (models.regimes, run.regimes)):
        for name, expected in kept.items():
            if traded[name] != expected:
                raise ConfigError(
                    f"strategy {name}: a model was replaced just when the run began (expected "
                    f"{expected[:12]}, found {traded[name][:12]}); run the backtest again"
                )


def _policy(loaded: LoadedStrategy, source: Path) -> tuple[str, str, dict[str, bytes]]:
    """Its id, its place, and its files by name."""
    if loaded.config.policy.kind != "bundle":
        content = _read(source)
        return sha256(content).hexdigest(), "policy.onnx", {"policy.onnx": content}
    bundle = open_bundle(source)
    files = {name: _read(bundle.path / name) for name in (MANIFEST, *bundle.files)}
    return bundle.bundle_id, "bundle", {f"bundle/{name}": content for name, content in files.items()}


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{source}: expected a model, but it cannot be read: {error.strerror}; correct the path"
        ) from error
