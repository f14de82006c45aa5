"""The feature manifest with everything resolved, and the hash that stands for it.

A trained policy carries the hash of the features that it was trained on, and is refused on others. The hash
covers order, kinds, revisions, every parameter (also those left at their defaults), columns and lookback.
"""

import hashlib
import json
from dataclasses import dataclass

from strategies.config import FeaturesConfig
from strategies.errors import ConfigError
from strategies.features.registry import KernelSpec, kernel_types, resolve

FORMAT = 1
"""Version of the canonical JSON; a change of it changes every hash."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a pipeline computes, column by column."""

    specs: tuple[KernelSpec, ...]
    lookback: int
    """Rows of the observation window, in bars."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(column for spec in self.specs for column in spec.columns)

    def canonical_json(self) -> str:
        """The manifest as JSON with sorted keys and no spaces: the bytes that are hashed."""
        document = {
            "format": FORMAT,
            "lookback": self.lookback,
            "features": [
                {
                    "kind": spec.kind,
                    "revision": spec.revision,
                    "params": dict(spec.params),
                    "columns": list(spec.columns),
                }
                for spec in self.specs
            ],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def sha256(self) -> str:
        """The feature schema hash, in hex."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def read_manifest(config: FeaturesConfig, num_instruments: int) -> Manifest:
    """Resolve a configuration into kernels and columns.

    Args:
        config: The strategy's feature section.
        num_instruments: Width of the panels; it is not part of the hash.

    Raises:
        ConfigError: If a kernel or parameter is unknown or wrong, or two features have the same column.
    """
    types = kernel_types()
    specs = tuple(
        resolve(feature, f"features.columns[{position}]", types, num_instruments)
        for position, feature in enumerate(config.columns)
    )
    owners: dict[str, int] = {}
    for position, spec in enumerate(specs):
        for column in spec.columns:
            if column in owners:
                raise ConfigError(
                    f"features.columns[{position}]: column {column!r} is already given by "
                    f"features.columns[{owners[column]}]; remove one of them"
                )
            owners[column] = position
    return Manifest(specs, config.lookback)
