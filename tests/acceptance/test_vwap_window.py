"""Orders that are worked over a window: equal parts at the opens to come, and nothing known before it."""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.bars import BarColumns
from adapters.catalog import Catalog
from adapters.ingest.importer import Origin, store_bars
from adapters.synthetic import SyntheticConfig, generate_market
from tests.support.bots import write_bot
from tests.support.command import run_script
from tests.support.data import ROOT
from tests.support.markets import ALPHA, DAY_START_NS, MINUTE_NS

type Rows = dict[str, list[dict[str, Any]]]
type Played = tuple[Path, Rows]

_CUT = 300
"""Minute from which on the second market differs."""
_EXECUTION = """
[execution]
fill_policy = "vwap_window"
vwap_minutes = 10
"""


def _play(directory: Path, changed_from: int | None) -> Played:
    market, catalog = generate_market(SyntheticConfig(seed=7, days=1)), directory / "catalog"
    for name, bars in market.bars.items():
        kept = _changed(bars, changed_from)
        store_bars(catalog, market.specs[name], name, kept, Origin(vendor="synthetic"))
    host = write_bot(directory, catalog, ("wanderer",), end="2024-01-01T06:00", more=_EXECUTION)
    records = directory / "records.json"
    run_script(ROOT / "tests" / "acceptance" / "engine_run.py", {"host": str(host), "records": str(records)})
    rows: Rows = json.loads(records.read_text())
    return catalog, rows


def _changed(bars: BarColumns, changed_from: int | None) -> BarColumns:
    if changed_from is None:
        return bars
    # What comes after the cut comes in another order: prices that exist, at other times.
    rows = np.arange(len(bars))
    rows[changed_from:] = rows[changed_from:][::-1]
    return replace(bars.select(rows), ts_event=bars.ts_event)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return _play(tmp_path_factory.mktemp("plain"), None)


def test_window_order_fills_in_equal_parts_each_at_the_open_of_its_own_bar(
    plain: Played,
) -> None:
    catalog, rows = plain
    parts = defaultdict(list)
    for fill in rows["fill"]:
        if fill["instrument_id"] == "ALPHAUSDT.DEMO":
            parts[fill["client_order_id"]].append(fill)
    bars = Catalog(catalog).read_arrays(ALPHA)
    opens = dict(zip((bars.ts_event - MINUTE_NS).tolist(), bars.open.tolist(), strict=True))
    sizes = [len(fills) for fills in parts.values()]

    assert len(parts) > 5
    assert sizes.count(10) >= len(sizes) - 1, "all but one that the data's end cut short"
    for fills in parts.values():
        times = [fill["ts_event"] - 1 for fill in fills]
        assert times == [times[0] + number * MINUTE_NS for number in range(len(times))]
        assert [fill["price"] for fill in fills] == [opens[time] for time in times]
        quantities = [fill["quantity"] for fill in fills]
        assert max(quantities) - min(quantities) <= 1.1e-5, "a lot at the most"


def test_window_order_knows_nothing_of_the_bars_to_come(plain: Played, tmp_path: Path) -> None:
    _, other = _play(tmp_path, _CUT)
    cut_ns = DAY_START_NS + _CUT * MINUTE_NS
    for kind in ("decision", "equity"):
        both = (plain[1][kind], other[kind])
        ours, theirs = ([row for row in rows if row["ts_event"] <= cut_ns] for rows in both)

        assert ours == theirs
        assert len(ours) > 200
    assert plain[1]["equity"] != other["equity"]
