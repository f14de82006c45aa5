"""From a catalog and a strategy file to what the learning plane works on.

Flow: catalog → **research** → datasets → trainers.

The only module of `bot` that brings the learning plane and the catalog together: `ml` knows no catalog, so
bars and their provenance are handed to it here.
"""

from adapters.catalog import Catalog
from bot.config import LoadedStrategy
from bot.market_data import bar_type
from ml.datasets import Dataset, Provenance, make_dataset
from strategies.errors import ConfigError


def dataset_of(
    loaded: LoadedStrategy, catalog: Catalog, start_ns: int | None = None, end_ns: int | None = None
) -> Dataset:
    """The bars that a strategy trades on, with the features that it sees.

    Args:
        loaded: The strategy.
        catalog: Where the bars lie.
        start_ns: Bars that close after this, UTC nanoseconds; None for the first.
        end_ns: Bars that close by this, UTC nanoseconds; None for the last.

    Raises:
        CatalogError: If bars are missing or damaged.
        ConfigError: If a feature is unknown or wrong, or the series were adjusted in different ways.
        DataError: If a bar is malformed.
    """
    config = loaded.config
    names = {name: bar_type(name, config.interval) for name in config.instruments}
    series = {name: catalog.read_arrays(kind, start_ns, end_ns) for name, kind in names.items()}
    return make_dataset(series, config.features, _provenance(config.interval, catalog, list(names.values())))


def _provenance(interval: str, catalog: Catalog, bar_types: list[str]) -> Provenance:
    notes = [catalog.provenance(name) or {} for name in bar_types]
    adjustments = {str(note.get("adjustment", "unknown")) for note in notes}
    if len(adjustments) != 1:
        raise ConfigError(
            f"expected series with one adjustment, found {sorted(adjustments)}; import them the same way"
        )
    vendors = sorted({str(note.get("vendor", "unknown")) for note in notes})
    files = [str(file["sha256"]) for note in notes for file in note.get("files", ())]
    return Provenance(interval, adjustments.pop(), "+".join(vendors), tuple(files))
