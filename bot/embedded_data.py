"""Data for a first run: generated markets that a host file names and no catalog holds are made."""

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from bot.config import HostConfig
from bot.market_data import bar_types_of
from bot.program import PROGRAM
from strategies.errors import ConfigError

VENUE = "DEMO"


def ensure_catalog(host: HostConfig, say: Callable[[str], None]) -> None:
    """Generate the embedded market unless the catalog holds the host's series already.

    Hosts of any other venue are left alone: their bars have to be imported. It takes a process of its own:
    a daemon would go on holding the memory that it takes.

    Args:
        host: The host that is about to run.
        say: Takes a line for a person.

    Raises:
        ConfigError: If it could not be made; the catalog is as it was, or holds whole series.
    """
    root = host.catalog_path
    wanted = bar_types_of(host)
    held = {path.name for path in (root / "data" / "bars").glob("*")} if root.is_dir() else set()
    if host.settings.venue.name != VENUE or held.issuperset(wanted):
        return
    say(f"no bars in {root} yet: generating a synthetic market, as argonaut data generate does")
    symbols = [f"--symbol={symbol}" for symbol in _symbols(host)]
    command = [*PROGRAM, "data", "generate", f"--catalog={root}", *symbols]
    # Ctrl-C is for us: what is half made would only have to be made again.
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, check=False, start_new_session=True
    )
    if done.returncode != 0:
        found = done.stderr.strip() or f"it ended with {done.returncode}"
        raise ConfigError(f"{root}: expected to generate a synthetic market there, found: {found}")


def store_generated(root: Path, host: HostConfig, *, seed: int, days: int) -> None:
    """Generate the symbols that a host's strategies trade, and put them into a catalog.

    Args:
        root: The catalog.
        host: Of the venue `VENUE`.
        seed: Equal seeds, equal markets.
        days: Length of the market.
    """
    from adapters.ingest.importer import Origin, store_bars
    from adapters.synthetic import SyntheticConfig, generate_market

    symbols = tuple(_symbols(host))
    market = generate_market(SyntheticConfig(symbols=symbols, venue=VENUE, seed=seed, days=days))
    for name, columns in market.bars.items():
        store_bars(root, market.specs[name], name, columns, Origin(vendor="synthetic"))


def _symbols(host: HostConfig) -> Iterable[str]:
    return dict.fromkeys(
        name.split(".")[0] for loaded in host.strategies for name in loaded.config.instruments
    )
