"""Where in a feature row the regime model finds what it conditions on.

Flow: features → **places** → regime.
"""

from strategies.config import StrategyConfig
from strategies.errors import ConfigError


def regime_places(config: StrategyConfig, columns: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Of each column that the model reads, its places in the flat feature row, of which the mean counts.

    Args:
        columns: Of the feature manifest, of one instrument; a row has those of all, one after the other.

    Raises:
        ConfigError: If the model names a column or an instrument that is not there.
    """
    if config.regime is None:
        return ()
    missing = [name for name in config.regime.columns if name not in columns]
    if missing:
        raise ConfigError(
            f"strategy {config.name}: regime.columns names {missing}, "
            f"but the feature manifest produces {list(columns)}; add the feature or correct the name"
        )
    instrument_id = config.regime.instrument_id
    if instrument_id is not None and instrument_id not in config.instruments:
        raise ConfigError(
            f"strategy {config.name}: regime.instrument_id is {instrument_id!r}, "
            f"expected one of the strategy's instruments {list(config.instruments)}"
        )
    rows = [
        row * len(columns) for row, name in enumerate(config.instruments) if instrument_id in (None, name)
    ]
    return tuple(tuple(row + columns.index(name) for row in rows) for name in config.regime.columns)
