"""Data for a first run, where they cannot be made, and where they are nobody's business."""

from pathlib import Path

import pytest

from bot.config import load_host
from bot.embedded_data import ensure_catalog
from strategies.errors import ConfigError
from tests.support.bots import write_bot


def test_market_that_cannot_be_made_is_an_error_that_names_the_catalog_and_the_cause(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    catalog.write_text("in the way")
    host = load_host(write_bot(tmp_path / "host", catalog, kind="paper"))
    said: list[str] = []

    with pytest.raises(ConfigError, match=rf"{catalog}: expected to generate .* found: .*catalog"):
        ensure_catalog(host, said.append)
    assert len(said) == 1
    assert catalog.read_text() == "in the way"
