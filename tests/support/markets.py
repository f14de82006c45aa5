"""Catalogs for tests: made-up markets, whole or with bars taken out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from adapters.bars import BarColumns
from adapters.ingest.importer import Origin, store_bars
from adapters.synthetic import SyntheticConfig, generate_market

MINUTE_NS = 60_000_000_000
ALPHA = "ALPHAUSDT.DEMO-1-MINUTE-LAST-EXTERNAL"
BETA = "BETAUSDT.DEMO-1-MINUTE-LAST-EXTERNAL"
DAY_START_NS = 1_704_067_200_000_000_000
"""Open of the first generated bar, 2024-01-01 00:00 UTC."""

type Keep = Callable[[str, npt.NDArray[np.int64]], npt.NDArray[np.bool_]]
"""``keep(bar_type, minutes)``: which bars stay; minutes count from the first bar."""


def store_market(
    root: Path, *, days: int = 1, seed: int = 7, keep: Keep | None = None
) -> dict[str, BarColumns]:
    """Put a generated market of two symbols into a catalog.

    Returns:
        The bars by bar type.
    """
    market = generate_market(SyntheticConfig(seed=seed, days=days))
    stored = {}
    for name, bars in market.bars.items():
        kept = bars if keep is None else bars.select(keep(name, np.arange(len(bars))))
        store_bars(root, market.specs[name], name, kept, Origin(vendor="synthetic"))
        stored[name] = kept
    return stored


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalog of two generated days; do not write to it."""
    root = tmp_path_factory.mktemp("market") / "catalog"
    store_market(root, days=2)
    return root


@pytest.fixture(scope="session")
def long_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalog of two generated weeks: bars enough for a daemon that a slow machine asks many things."""
    root = tmp_path_factory.mktemp("long") / "catalog"
    store_market(root, days=14)
    return root


@pytest.fixture(scope="session")
def torn_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalog of a day in which each symbol misses bars that the other has, and both miss some."""

    def keep(name: str, minutes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        own = minutes % 97 != (13 if name == ALPHA else 29)
        alone = (minutes < 700) | (minutes >= 720) if name == BETA else minutes >= 0
        kept: npt.NDArray[np.bool_] = own & alone & ((minutes < 900) | (minutes >= 980))
        return kept

    root = tmp_path_factory.mktemp("torn") / "catalog"
    store_market(root, keep=keep)
    return root
