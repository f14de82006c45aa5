"""Features: what the bars say, as numbers, one bar at a time.

Flow: market → **features** → regime → observation → policies → allocation → sizing → guardrails → orders.

A strategy's manifest (`FeaturesConfig`) lists kernels with parameters; `FeaturePipeline` runs them over the
panels. Batch is a fold of the stream (`fold`), so training and trading see the same numbers to the bit.
To add a feature, add one file to `kernels/` and name its ``KIND`` in the manifest.
"""

from strategies.features.pipeline import FeaturePipeline, FeatureVector, fold
from strategies.features.registry import kernel_types

__all__ = ["FeaturePipeline", "FeatureVector", "fold", "kernel_types"]
