"""Small real bundles, written without a trainer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ml.bundles import BundleContents, write_bundle
from strategies.bundle import Bundle, schema_of_model
from strategies.config import ActionMap, StrategyConfig
from strategies.features import FeaturePipeline
from strategies.regime_params import RegimeParams
from tests.support.onnx_models import save_mlp

TWO_STATES = RegimeParams(
    initial_probs=np.array([0.5, 0.5]),
    transition_matrix=np.array([[0.95, 0.05], [0.10, 0.90]]),
    means=np.array([[0.0], [0.0]]),
    covariances=np.array([[1e-8], [1e-6]]),
)


def strategy_with_bundle(path: str = ".", **changes: Any) -> StrategyConfig:
    """A strategy of two instruments with a regime model, whose policy is a bundle; ``changes`` replace."""
    document: dict[str, Any] = {
        "name": "two_trained",
        "instruments": ("ALPHAUSDT.DEMO", "BETAUSDT.DEMO"),
        "capital_quote": 10_000.0,
        "features": {"lookback": 4, "columns": ({"kind": "log_return"}, {"kind": "rsi"})},
        "regime": {"columns": ("log_return_1",), "instrument_id": "ALPHAUSDT.DEMO"},
        "policy": {"kind": "bundle", "path": path},
        "allocation": {"action_map": ActionMap.SIMPLEX_CASH},
    }
    return StrategyConfig.model_validate(document | changes)


def write_small_bundle(
    parent: Path, *, seed: int = 0, drift: Mapping[str, Any] | None = None, **scorecard: Any
) -> Bundle:
    """A bundle for `strategy_with_bundle` whose network is drawn at random."""
    strategy = strategy_with_bundle()
    pipeline = FeaturePipeline(strategy.features, 2)
    parent.mkdir(parents=True, exist_ok=True)
    onnx = parent / f".policy-{seed}.onnx"
    save_mlp(
        onnx,
        lookback=4,
        num_instruments=2,
        num_features=pipeline.num_features,
        num_states=2,
        schema_sha256=pipeline.schema_sha256,
        seed=seed,
    )
    policy = onnx.read_bytes()
    onnx.unlink()
    nothing: Mapping[str, Any] = {}
    return write_bundle(
        parent,
        BundleContents(
            strategy=strategy,
            schema=schema_of_model(strategy, pipeline.schema_sha256, 2),
            features_json=pipeline.manifest.canonical_json(),
            policy=policy,
            regime=TWO_STATES,
            training=nothing,
            lineage={"parent": None},
            scorecard=scorecard,
            drift=drift or nothing,
        ),
    )
