"""Where the models lie that a strategy names.

What is in a model is pinned by its own hash; the hash of a configuration leaves its place out, so that a run
whose models were moved is still the same run.
"""

from collections.abc import Mapping
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
