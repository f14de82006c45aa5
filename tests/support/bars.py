"""Small files of bars: written as a vendor would, good unless a test makes them bad."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from adapters.bars import BarColumns

MINUTE_NS = 60_000_000_000
START_NS = 1_672_531_200_000_000_000
"""2023-01-01 00:00 UTC."""
BTC_MINUTES = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"


def bar_table(count: int, *, first: int = 0, seed: int = 1) -> dict[str, npt.NDArray[Any]]:
    """Minutes of a random walk on a tick of 0.01, open-stamped.

    Args:
        count: Rows.
        first: Minutes after `START_NS` at which the first bar opens; the walk does not depend on it.
        seed: Of the walk.
    """
    length = first + count
    # Drawn row by row, so that a longer table begins with the shorter one.
    draws = np.random.default_rng(seed).random((length, 4))
    closes = 2_000_000 + np.cumsum(np.rint(draws[:, 0] * 400 - 200))
    opens = np.concatenate(([2_000_000], closes[:-1]))
    highs = np.maximum(opens, closes) + np.rint(draws[:, 1] * 100)
    lows = np.minimum(opens, closes) - np.rint(draws[:, 2] * 100)
    volumes = np.rint(draws[:, 3] * 10_000_000) + 1
    part = slice(first, length)
    return {
        "ts": START_NS + np.arange(first, length, dtype=np.int64) * MINUTE_NS,
        "open": opens[part] / 100,
        "high": highs[part] / 100,
        "low": lows[part] / 100,
        "close": closes[part] / 100,
        "volume": volumes[part] / 100_000,
    }


def write_parquet(path: Path, table: dict[str, npt.NDArray[Any]]) -> Path:
    """Write the columns of a table."""
    pq.write_table(pa.table(table), path)
    return path


def write_csv(path: Path, table: dict[str, npt.NDArray[Any]], *, header: bool = True) -> Path:
    """Write the columns of a table as text."""
    rows = zip(*(column.tolist() for column in table.values()), strict=True)
    lines = [",".join(map(repr, row)) for row in rows]
    path.write_text("\n".join(([",".join(table)] if header else []) + lines) + "\n")
    return path


def bar_columns(count: int, *, first: int = 0, seed: int = 1) -> BarColumns:
    """The bars of `bar_table` as exact integers, close-stamped."""
    table = bar_table(count, first=first, seed=seed)
    open_, high, low, close = (
        np.rint(table[name] * 100).astype(np.int64) for name in ("open", "high", "low", "close")
    )
    volume = np.rint(table["volume"] * 100_000).astype(np.int64)
    return BarColumns(table["ts"] + MINUTE_NS, open_, high, low, close, volume, 2, 5)
