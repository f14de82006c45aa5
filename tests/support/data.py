"""Where the tests find real market data, which is not part of the repository."""

import os
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
"""Root of the repository."""


@cache
def data_directory() -> Path | None:
    """Directory that ``ARGONAUT_DATA`` names, else ``../shared/data`` beside the repository, if it exists."""
    named = os.environ.get("ARGONAUT_DATA")
    directory = Path(named) if named else ROOT.parent / "shared" / "data"
    return directory if directory.is_dir() else None


def shared_data(*parts: str) -> Path:
    """Path of a real data file; skips the calling test where there is no such data.

    Args:
        parts: Path below the data directory, for example ``"crypto_1m", "BINANCE_BTCUSDT_….parquet"``.
    """
    directory = data_directory()
    if directory is None:
        pytest.skip("no market data: set ARGONAUT_DATA or put it into ../shared/data")
    path = directory.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"market data has no {'/'.join(parts)}")
    return path
