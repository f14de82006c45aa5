"""A trained model as one immutable directory: what decides, what it was trained on, and how well it did.

    bundle/
      manifest.json   name, what the model reads and answers, and the SHA-256 of every other file
      policy.onnx     feature normaliser and network
      regime.npz      parameters of the regime model, where there is one
      features.json   the feature manifest that ``schema_sha256`` is of
      strategy.toml   the strategy that trades it
      training.json, lineage.json, scorecard.json
      drift.json      what its training data looked like, where that is known

The id of a bundle is the SHA-256 of its manifest, so it stands for every byte of it. Nothing in a bundle is
code: `ml.bundles` writes it, this module is the only one that reads it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strategies.config import StrategyConfig
from strategies.errors import ConfigError

FORMAT = "argonaut bundle 1"
"""Version of the layout and of the manifest."""

MANIFEST = "manifest.json"
POLICY = "policy.onnx"
REGIME = "regime.npz"
FEATURES = "features.json"
STRATEGY = "strategy.toml"
TRAINING = "training.json"
LINEAGE = "lineage.json"
SCORECARD = "scorecard.json"
DRIFT = "drift.json"

_REQUIRED = frozenset({POLICY, FEATURES, STRATEGY, TRAINING, LINEAGE, SCORECARD})
_KNOWN = _REQUIRED | {REGIME, DRIFT}
_LARGEST_MANIFEST = 1 << 20


@dataclass(frozen=True, slots=True)
class ModelSchema:
    """What a model reads and answers: a strategy that differs in any of it must not trade it."""

    symbols: tuple[str, ...]
    """Instruments without their venue, in the order of every vector."""
    interval: str
    """Of the bars, in Nautilus's words."""
    schema_sha256: str
    """Hash of the feature manifest."""
    action_map: str
    regime_columns: tuple[str, ...]
    """Feature columns that the regime model conditions on; empty without a regime model."""
    regime_symbol: str | None
    """Whose columns they are; None is the mean over all."""
    num_states: int
    """States of the belief that the policy is shown; 0 where it is shown none."""
    summary_of: str | None = None
    """Column whose next value the belief is summed up for; None where the belief itself is shown."""


def schema_of_model(config: StrategyConfig, schema_sha256: str, num_states: int) -> ModelSchema:
    """What a model for this strategy reads and answers.

    Args:
        config: The strategy.
        schema_sha256: Hash of its feature manifest.
        num_states: States of the belief that the policy is shown; 0 where it is shown none.
    """
    regime = config.regime
    return ModelSchema(
        symbols=tuple(_symbol(name) for name in config.instruments),
        interval=config.interval,
        schema_sha256=schema_sha256,
        action_map=config.allocation.action_map.value,
        regime_columns=() if regime is None else regime.columns,
        regime_symbol=None
        if regime is None or regime.instrument_id is None
        else _symbol(regime.instrument_id),
        num_states=num_states,
        summary_of=None if regime is None else regime.summary_of,
    )


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose every byte was checked."""

    path: Path
    """The directory itself, links resolved."""
    bundle_id: str
    """SHA-256 of the manifest, in hex."""
    name: str
    """Of the strategy that it was trained for."""
    schema: ModelSchema
    files: Mapping[str, str]
    """SHA-256 of each file, in hex."""

    @property
    def policy_path(self) -> Path:
        """The network."""
        return self.path / POLICY

    @property
    def regime_path(self) -> Path | None:
        """Parameters of the regime model; None where there is none."""
        return self.path / REGIME if REGIME in self.files else None

    def document(self, name: str) -> dict[str, Any]:
        """One of the JSON files.

        Raises:
            ConfigError: If it is not in the bundle, or has changed since the bundle was opened.
        """
        if name not in self.files:
            raise ConfigError(f"{self.path}: expected {name} in the bundle, found {sorted(self.files)}")
        content = _read(self.path / name)
        if hashlib.sha256(content).hexdigest() != self.files[name]:
            raise ConfigError(f"{self.path / name}: changed since the bundle was opened; restore it")
        return _parsed(self.path / name, content)


def open_bundle(path: Path) -> Bundle:
    """Read a bundle and check every byte of it.

    Args:
        path: The directory, or a link to it.

    Raises:
        ConfigError: If it is no bundle, a file is missing or changed, or there is one that it does not name.
    """
    try:
        root = path.resolve(strict=True)
        present = {one.name for one in root.iterdir()}
    except OSError as error:
        raise ConfigError(
            f"{path}: expected the directory of a bundle, but it cannot be read: {error.strerror}; "
            "train one with `argonaut train`, or correct the path"
        ) from error
    if MANIFEST not in present:
        raise ConfigError(f"{path}: expected a bundle, found no {MANIFEST}; is it the right directory?")
    content = _read(root / MANIFEST)
    name, schema, files = _manifest(root / MANIFEST, _parsed(root / MANIFEST, content))
    _check_names(path, present, set(files))
    for file, expected in files.items():
        found = hashlib.sha256(_read(root / file)).hexdigest()
        if found != expected:
            raise ConfigError(
                f"{path}: {file} is not what the manifest says (expected SHA-256 {expected[:12]}…, found "
                f"{found[:12]}…); a bundle is never edited: restore it or train again"
            )
    return Bundle(root, hashlib.sha256(content).hexdigest(), name, schema, files)


def require_schema(bundle: Bundle, wanted: ModelSchema) -> None:
    """Check that a bundle fits a strategy.

    Args:
        bundle: What was trained.
        wanted: What the strategy shows and expects.

    Raises:
        ConfigError: If anything differs; it names all that does.
    """
    differences = [
        f"{name}: expected {getattr(wanted, name)!r}, found {getattr(bundle.schema, name)!r}"
        for name in ModelSchema.__slots__
        if getattr(wanted, name) != getattr(bundle.schema, name)
    ]
    if differences:
        raise ConfigError(
            f"{bundle.path}: this model was trained for something else: {'; '.join(differences)}; use the "
            "bundle that was trained with this strategy file, or train it again"
        )


def _symbol(instrument_id: str) -> str:
    return instrument_id.rpartition(".")[0]


def _check_names(path: Path, present: set[str], listed: set[str]) -> None:
    missing, foreign = listed - present, present - listed - {MANIFEST}
    if missing or foreign:
        what = (
            f"{sorted(missing)} missing" if missing else f"{sorted(foreign)} that the manifest does not name"
        )
        raise ConfigError(f"{path}: expected the files of the manifest, found {what}; restore the bundle")


def _manifest(path: Path, document: Mapping[str, Any]) -> tuple[str, ModelSchema, dict[str, str]]:
    if document.get("format") != FORMAT:
        raise ConfigError(f"{path}: expected format {FORMAT!r}, found {document.get('format')!r}")
    try:
        schema = ModelSchema(
            **document["schema"]
            | {name: tuple(document["schema"][name]) for name in ("symbols", "regime_columns")}
        )
        files = {str(name): str(digest) for name, digest in document["files"].items()}
        name = str(document["name"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: expected a manifest with name, schema and files: {error!r}") from error
    if not _REQUIRED <= set(files) <= _KNOWN:
        raise ConfigError(
            f"{path}: expected the files {sorted(_REQUIRED)} and perhaps {sorted(_KNOWN - _REQUIRED)}, found "
            f"{sorted(files)}"
        )
    if bool(schema.regime_columns) is not (REGIME in files):
        raise ConfigError(f"{path}: expected {REGIME} exactly where the schema names regime columns")
    return name, schema, files


def _read(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise ConfigError(f"{path}: expected a plain file of a bundle")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    if len(content) > _LARGEST_MANIFEST:
        raise ConfigError(f"{path}: expected at most {_LARGEST_MANIFEST} bytes, found {len(content)}")
    try:
        document = json.loads(content)
    except ValueError as error:
        raise ConfigError(f"{path}: expected JSON, found {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(document).__name__}")
    return document
