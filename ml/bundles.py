"""Writes bundles: immutable, complete or not there, the same bytes for the same model.

Flow: training → **bundles** → strategies.bundle (the only reader).
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from strategies.bundle import (
    DRIFT,
    FEATURES,
    FORMAT,
    LINEAGE,
    MANIFEST,
    POLICY,
    REGIME,
    SCORECARD,
    STRATEGY,
    TRAINING,
    Bundle,
    ModelSchema,
    open_bundle,
)
from strategies.config import BundlePolicyConfig, StrategyConfig
from strategies.errors import ConfigError
from strategies.regime_params import RegimeParams


@dataclass(frozen=True, slots=True)
class BundleContents:
    """All that goes into a bundle."""

    strategy: StrategyConfig
    """Its policy is of the kind ``bundle``; the path becomes that of the bundle itself."""
    schema: ModelSchema
    features_json: str
    """The feature manifest, as `strategies.features.manifest.Manifest.canonical_json` has it."""
    policy: bytes
    """ONNX."""
    regime: RegimeParams | None
    training: Mapping[str, Any]
    """The training configuration in force."""
    lineage: Mapping[str, Any]
    """Where the model comes from: parent, data, code, versions."""
    scorecard: Mapping[str, Any]
    """How well it did on bars that it never saw."""
    drift: Mapping[str, Any] | None
    """Reference of the drift monitor; None where nobody knows the training data: it is not watched then."""


def write_bundle(parent: Path, contents: BundleContents) -> Bundle:
    """Write a bundle into a directory that is named after its id.

    Args:
        parent: Where the bundle's directory is made.
        contents: What goes into it.

    Returns:
        The bundle, read back and checked; the one that is there, if equal contents were written before.

    Raises:
        ConfigError: If the strategy cannot be written as TOML, or another bundle has the name.
        OSError: If the disk refuses; nothing is left behind.
    """
    parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=parent, prefix=".partial-"))
    try:
        _fill(partial, contents)
        bundle_id = hashlib.sha256((partial / MANIFEST).read_bytes()).hexdigest()
        place = parent / bundle_id[:12]
        if not place.exists():
            partial.chmod(0o755)
            partial.rename(place)
            _sync(parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    bundle = open_bundle(place)
    if bundle.bundle_id != bundle_id:
        raise ConfigError(f"{place}: another bundle has this name; move it away")
    return bundle


def strategy_toml(strategy: StrategyConfig) -> str:
    """A strategy file with every default written out."""
    return tomli_w.dumps(_without_none(strategy.model_dump(mode="json")))


def _fill(directory: Path, contents: BundleContents) -> None:
    files = {
        POLICY: contents.policy,
        FEATURES: contents.features_json.encode() + b"\n",
        STRATEGY: strategy_toml(_trading(contents.strategy)).encode(),
        TRAINING: _json(contents.training),
        LINEAGE: _json(contents.lineage),
        SCORECARD: _json(contents.scorecard),
    }
    if contents.drift is not None:
        files[DRIFT] = _json(contents.drift)
    for name, content in files.items():
        _write(directory / name, content)
    if contents.regime is not None:
        contents.regime.save(directory / REGIME)
        files[REGIME] = (directory / REGIME).read_bytes()
        _sync(directory / REGIME)
    manifest = {
        "format": FORMAT,
        "name": contents.strategy.name,
        "schema": _schema_json(contents.schema),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    _write(directory / MANIFEST, _json(manifest))
    _sync(directory)


def _schema_json(schema: ModelSchema) -> dict[str, Any]:
    """Without what came later and is not in use, so that bundles of before keep their ids."""
    document = asdict(schema)
    if schema.summary_of is None:
        del document["summary_of"]
    return document


def _trading(strategy: StrategyConfig) -> StrategyConfig:
    policy = strategy.policy
    if not isinstance(policy, BundlePolicyConfig):
        raise ConfigError(
            f'strategy {strategy.name}: expected policy.kind = "bundle", found {policy.kind!r}: only such a '
            "policy is trained"
        )
    return strategy.model_copy(update={"policy": policy.model_copy(update={"path": "."})})


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(below) for name, below in value.items() if below is not None}
    if isinstance(value, list):
        return [_without_none(below) for below in value]
    return value


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
