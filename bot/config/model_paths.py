"""Where the models lie that a strategy names.

The hash of a configuration leaves their places out, so that a run whose models were moved is still the same
run. What is in them is pinned: a policy by its id, parameters of a regime model as if they stood in the file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strategies.config import StrategyConfig

type ModelPaths = Mapping[str, str]
"""Paths by dotted key, relative to the strategy file."""

POLICY_PATH = "policy.path"
PARAMS_PATH = "regime.params_path"


def model_paths(config: StrategyConfig) -> dict[str, str]:
    """What a strategy names; empty where nothing of it lies in a file."""
    named = {
        POLICY_PATH: getattr(config.policy, "path", None),
        PARAMS_PATH: None if config.regime is None else config.regime.params_path,
    }
    return {key: path for key, path in named.items() if path is not None}


def params_sha256(config: StrategyConfig, base_dir: Path) -> str | None:
    """Hash of the regime parameters in the file that a strategy names; None where it names none.

    Raises:
        ConfigError: If there is no such file, or no parameters in it.
    """
    named = model_paths(config).get(PARAMS_PATH)
    if named is None:
        return None
    from strategies.regime_params import load_regime_params  # few name such a file, and it needs numpy

    return load_regime_params(base_dir / named).sha256


def without_model_paths(config: StrategyConfig) -> dict[str, Any]:
    """A strategy as plain JSON values, its models' places left open."""
    return with_model_paths(config.model_dump(mode="json"), dict.fromkeys(model_paths(config)))


def with_model_paths(strategy: Mapping[str, Any], paths: Mapping[str, str | None]) -> dict[str, Any]:
    """A strategy as plain JSON values, its models in other places."""
    changed = dict(strategy)
    for key, path in paths.items():
        section, name = key.split(".")
        changed[section] = changed[section] | {name: path}
    return changed
