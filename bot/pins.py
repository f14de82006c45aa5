"""What a run is pinned to: everything that could change its result, by hash or version."""

import functools
import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from adapters.bars import BarColumns, content_sha256
from adapters.catalog import Catalog, interval_of
from bot.config import HostConfig
from bot.market_data import bar_types_of

_PACKAGES = ("adapters", "bot", "ml", "ops", "strategies")
_LIBRARIES = ("nautilus_trader", "numpy", "onnxruntime", "pyarrow")
_ROOT = Path(__file__).resolve().parent.parent


def read_series(host: HostConfig, catalog: Catalog) -> dict[str, BarColumns]:
    """The bars that a run of the host sees, by series.

    Raises:
        CatalogError: If there are none, or the catalog is damaged.
    """
    data = host.settings.data
    return {name: catalog.read_columns(name, data.start_ns, data.end_ns) for name in bar_types_of(host)}


def pins_of(
    host: HostConfig,
    catalog: Catalog,
    series: Mapping[str, BarColumns],
    *,
    policies: Mapping[str, str],
    regimes: Mapping[str, str],
) -> dict[str, Any]:
    """Pin a run: equal pins, equal bytes.

    Args:
        host: Configuration, strategies included.
        catalog: Where the bars come from; its notes tell their adjustment.
        series: The very bars, by series.
        policies: Policy id by strategy.
        regimes: Hash of the regime model's parameters by strategy.
    """
    return {
        "argonaut": version("argonaut"),
        "code_sha256": code_sha256(),
        "config_sha256": host.sha256,
        "data": {
            name: {
                "content_sha256": content_sha256(
                    [columns], interval=interval_of(name), adjustment=_adjustment(catalog, name)
                ),
                "rows": len(columns),
                "first_ns": int(columns.ts_event[0]),
                "last_ns": int(columns.ts_event[-1]),
            }
            for name, columns in series.items()
        },
        "libraries": {name: version(name) for name in _LIBRARIES},
        "policies": dict(policies),
        "python": platform.python_version(),
        "regimes": dict(regimes),
        "strategies": {loaded.config.name: loaded.sha256 for loaded in host.strategies},
    }


def run_id_of(host: HostConfig, pins: Mapping[str, Any]) -> str:
    """Name of a run: the host file's, and a hash of the pins, so equal runs have one name."""
    digest = hashlib.sha256(json.dumps(pins, sort_keys=True).encode()).hexdigest()
    return f"{host.path.stem}-{digest[:12]}"


@functools.cache
def code_sha256(*packages: str) -> str:
    """Hash of our own source, or of some packages of it, as it was when first asked."""
    digest = hashlib.sha256()
    for package in packages or _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(f"{path.relative_to(_ROOT).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _adjustment(catalog: Catalog, name: str) -> str:
    return str((catalog.provenance(name) or {}).get("adjustment", "unknown"))
