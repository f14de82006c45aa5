"""Data for a first run: generated markets that a host file names and no catalog holds are made."""

from collections.abc import Callable

from adapters.ingest.importer import Origin, store_bars
from adapters.synthetic import SyntheticConfig, generate_market
from bot.config import HostConfig
from bot.market_data import bar_types_of

VENUE = "DEMO"


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
    symbols = dict.fromkeys(
        name.split(".")[0] for loaded in host.strategies for name in loaded.config.instruments
    )
    config = SyntheticConfig(symbols=tuple(symbols), venue=VENUE)
    say(f"no bars in {root} yet: generating {config.days} days of a synthetic market, seed {config.seed}")
    market = generate_market(config)
    for name, columns in market.bars.items():
        store_bars(root, market.specs[name], name, columns, Origin(vendor="synthetic"))
