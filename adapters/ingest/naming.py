"""What the names of files say about the bars in them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from adapters.errors import IngestError

_UNITS = {"s": "SECOND", "m": "MINUTE", "h": "HOUR", "d": "DAY"}
_NAME = re.compile(
    r"^(?:(?P<venue>[A-Z0-9]+)_)?(?P<symbol>[A-Z0-9.-]+?)[_-](?P<step>\d+)(?P<unit>[smhd])[_.-]"
)


class NamedSeries(NamedTuple):
    """What a file's name says about its bars; None where it says nothing."""

    symbol: str | None
    venue: str | None
    interval: str | None


def series_named_by(path: Path) -> NamedSeries:
    """Read symbol, venue and interval off names such as ``BINANCE_BTCUSDT_1m_2023.parquet``."""
    match = _NAME.match(path.name)
    if match is None:
        return NamedSeries(None, None, None)
    interval = f"{match['step']}-{_UNITS[match['unit']]}"
    return NamedSeries(match["symbol"], match["venue"], interval)


def parse_interval(text: str) -> str:
    """Write an interval in the engine's words: ``1m`` becomes ``1-MINUTE``."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    return f"{match[1]}-{_UNITS[match[2]]}" if match else text.upper()


def group_by_series(
    paths: Sequence[Path], *, symbol: str | None = None, venue: str | None = None, interval: str | None = None
) -> dict[tuple[str, str | None], list[Path]]:
    """Sort files by instrument id and interval, from what is given and else from their names.

    Raises:
        IngestError: If neither says what a file holds.
    """
    groups: dict[tuple[str, str | None], list[Path]] = {}
    for path in paths:
        named = series_named_by(path)
        found_symbol, found_venue = symbol or named.symbol, venue or named.venue
        if found_symbol is None or found_venue is None:
            raise IngestError(
                f"{path.name}: expected a name like BINANCE_BTCUSDT_1m_2023.parquet, found none that tells "
                f"{'the symbol' if found_symbol is None else 'the venue'}; give --symbol and --venue"
            )
        key = (f"{found_symbol}.{found_venue}", interval or named.interval)
        groups.setdefault(key, []).append(path)
    return groups
