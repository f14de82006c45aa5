"""A policy of stable-baselines3 as a bundle: ``argonaut models import ARCHIVE.zip --strategy FILE``.

Flow: archive + strategy file → ml.foreign → **importing** → bundle.

What it was trained on is not in the archive: the bundle's lineage says so, it is not watched for drift, and
it is evaluated only on bars after those that its owner says it has seen.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from bot.pins import code_sha256
from ml.bundles import BundleContents, write_bundle
from ml.foreign import Reading, foreign_onnx, read_archive
from strategies.belief_summary import num_beliefs
from strategies.bundle import Bundle, schema_of_model
from strategies.config import StrategyConfig
from strategies.errors import ConfigError
from strategies.features import FeaturePipeline
from strategies.regime_params import RegimeParams


def import_archive(
    archive: Path,
    strategy: StrategyConfig,
    directory: Path,
    *,
    regime_path: Path | None = None,
    learned_until_ns: int | None = None,
) -> Bundle:
    """Read an archive in confinement, convert its policy, and write a bundle once both answer alike.

    Args:
        archive: What `stable_baselines3.PPO.save` wrote.
        strategy: What it was trained for; its policy is of the kind ``bundle``.
        directory: Where the bundle's directory is made.
        regime_path: Parameters of the strategy's regime model, where it has one.
        learned_until_ns: Close of the last bar that it has seen, UTC nanoseconds; None where nobody knows.

    Raises:
        ConfigError: If the archive cannot be read safely, or does not fit the strategy.
    """
    regime = _regime(strategy, regime_path)
    pipeline = FeaturePipeline(strategy.features, len(strategy.instruments))
    num_states = regime.num_states if regime and strategy.shows_beliefs else 0
    reading = Reading(
        lookback=strategy.features.lookback,
        num_instruments=len(strategy.instruments),
        num_features=pipeline.num_features,
        num_beliefs=num_beliefs(strategy, num_states),
        action_map=strategy.allocation.action_map,
        schema_sha256=pipeline.schema_sha256,
    )
    try:
        found = read_archive(archive)
        policy = foreign_onnx(found, reading)
    except ConfigError as error:
        if str(error).startswith(str(archive)):
            raise
        raise ConfigError(f"{archive}: {error}") from error
    return write_bundle(
        directory,
        BundleContents(
            strategy=strategy,
            schema=schema_of_model(strategy, pipeline.schema_sha256, num_states),
            features_json=pipeline.manifest.canonical_json(),
            policy=policy,
            regime=regime,
            training={},
            lineage=_lineage(found.archive_sha256),
            scorecard=_scorecard(learned_until_ns),
            drift=None,
        ),
    )


def _regime(strategy: StrategyConfig, path: Path | None) -> RegimeParams | None:
    if strategy.regime is None:
        if path is not None:
            raise ConfigError(f"{path}: strategy {strategy.name} has no regime model; leave it out")
        return None
    if path is None:
        raise ConfigError(
            f"strategy {strategy.name} has a regime model, and an archive of stable-baselines3 brings none: "
            "name the .npz that it was trained with (--regime)"
        )
    given = strategy.regime.model_copy(update={"params_path": str(path.resolve())})
    return RegimeParams.from_config(given, path.parent)


def _lineage(archive_sha256: str) -> dict[str, Any]:
    return {
        "argonaut": version("argonaut"),
        "code_sha256": code_sha256("ml", "strategies"),
        "imported": {
            "from": "stable-baselines3",
            "archive_sha256": archive_sha256,
            "read_with": version("stable-baselines3"),
        },
        "parent": None,
    }


def _scorecard(learned_until_ns: int | None) -> dict[str, Any]:
    if learned_until_ns is None:
        return {}
    seen = {"first_ns": 0, "last_ns": learned_until_ns}
    return {"spans": {"learn": seen, "select": seen}}
