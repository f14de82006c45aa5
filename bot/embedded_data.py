"""Data for a first run: generated markets that a host file names and no catalog holds are made."""

from collections.abc import Callable
from pathlib import Path

from adapters.ingest.importer import Origin, store_bars
from adapters.synthetic import SyntheticConfig, generate_market
from bot.config import HostConfig
from bot.market_data import bar_types_of

VENUE = "DEMO"
_DEFAULT = SyntheticConfig()


def ensure_catalog(host: HostConfig, say: Callable[[str], None]) -> None:
    """Generate the embedded market unless the catalog holds the host's series already.

    Hosts of any other venue are left alone: their bars have to be imported.

    Args:
        host: The host that is about to run.
        say: Takes a line for a person.
    """
    root = host.catalog_path
    wanted = bar_types_of(host)
    held = {path.name for path in (root / "data" / "bars").glob("*")} if root.is_dir() else set()
    if host.settings.venue.name != VENUE or held.issuperset(wanted):
        return
    say(f"no bars in {root} yet: generating {_DEFAULT.days} days of a synthetic market, seed {_DEFAULT.seed}")
    store_generated(root, host, seed=_DEFAULT.seed, days=_DEFAULT.days)


def store_generated(root: Path, host: HostConfig, *, seed: int, days: int) -> None:
    """Generate the symbols that a host's strategies trade, and put them into a catalog.

    Args:
        root: The catalog.
        host: Of the venue `VENUE`.
        seed: Equal seeds, equal markets.
        days: Length of the market.
    """
    symbols = dict.fromkeys(
        name.split(".")[0] for loaded in host.strategies for name in loaded.config.instruments
    )
    market = generate_market(SyntheticConfig(symbols=tuple(symbols), venue=VENUE, seed=seed, days=days))
    for name, columns in market.bars.items():
        store_bars(root, market.specs[name], name, columns, Origin(vendor="synthetic"))
