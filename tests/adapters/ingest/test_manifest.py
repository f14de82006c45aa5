from pathlib import Path

import numpy as np
import pytest

from adapters.catalog import Catalog
from adapters.errors import CatalogError
from adapters.ingest.importer import Adjustment, Origin, bar_type_of, import_files, store_bars
from adapters.ingest.manifest import Manifest, build_manifest
from adapters.instruments import find_spec
from tests.support.bars import (
    BTC_MINUTES,
    MINUTE_NS,
    START_NS,
    bar_columns,
    bar_table,
    write_csv,
    write_parquet,
)

BTC = find_spec("BTCUSDT.BINANCE")


def manifest_of(root: Path) -> Manifest:
    return build_manifest(Catalog(root))


def test_manifest_says_what_was_imported(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "bars.parquet", bar_table(100))
    import_files([source], tmp_path / "catalog", BTC, vendor="someone", adjustment=Adjustment.SPLIT)
    (series,) = manifest_of(tmp_path / "catalog").series

    assert (series.symbol, series.venue, series.interval) == ("BTCUSDT", "BINANCE", "1-MINUTE")
    assert (series.adjustment, series.vendor, series.rows) == ("split", "someone", 100)
    assert (series.first_open_ns, series.last_open_ns) == (START_NS, START_NS + 99 * MINUTE_NS)
    assert [(file["name"], file["rows"]) for file in series.files] == [("bars.parquet", 100)]


def test_same_bars_have_the_same_hash_whatever_way_they_came(tmp_path: Path) -> None:
    import_files([write_parquet(tmp_path / "bars.parquet", bar_table(100))], tmp_path / "a", BTC, vendor="x")
    import_files([write_csv(tmp_path / "late.csv", bar_table(70, first=30))], tmp_path / "b", BTC)
    import_files([write_csv(tmp_path / "early.csv", bar_table(30), header=False)], tmp_path / "b", BTC)

    assert len(Catalog(tmp_path / "b").bar_files(BTC_MINUTES)) == 2
    assert manifest_of(tmp_path / "a").content_sha256 == manifest_of(tmp_path / "b").content_sha256


def test_other_bars_interval_or_adjustment_have_another_hash(tmp_path: Path) -> None:
    other = bar_columns(100)
    other.volume[99] += 1
    hours = bar_columns(100)
    hours.ts_event[:] = START_NS + np.arange(1, 101) * 60 * MINUTE_NS
    hour_type = bar_type_of("BTCUSDT.BINANCE", "1-HOUR")
    cases = [
        (BTC_MINUTES, bar_columns(100), Adjustment.NONE),
        (BTC_MINUTES, bar_columns(99), Adjustment.NONE),
        (BTC_MINUTES, other, Adjustment.NONE),
        (BTC_MINUTES, bar_columns(100), Adjustment.SPLIT),
        (hour_type, hours, Adjustment.NONE),
        (hour_type, bar_columns(100), Adjustment.NONE),
    ]
    for number, (bar_type, bars, adjustment) in enumerate(cases):
        store_bars(tmp_path / str(number), BTC, bar_type, bars, Origin(adjustment=adjustment))
    manifests = [manifest_of(tmp_path / str(number)) for number in range(len(cases))]

    assert len({one.content_sha256 for one in manifests}) == len(cases)
    assert len({one.series[0].content_sha256 for one in manifests}) == len(cases)


def test_series_are_sorted_and_can_be_chosen(tmp_path: Path) -> None:
    for name in ("ETHUSDT.BINANCE", "BTCUSDT.BINANCE"):
        spec = find_spec("BTCUSDT.BINANCE") if name[0] == "B" else find_spec(name)
        bars = bar_columns(10)
        store_bars(tmp_path, spec, bar_type_of(name, "1-MINUTE"), bars, Origin())
    both, one = manifest_of(tmp_path), build_manifest(Catalog(tmp_path), [BTC_MINUTES])

    assert [series.symbol for series in both.series] == ["BTCUSDT", "ETHUSDT"]
    assert [series.symbol for series in one.series] == ["BTCUSDT"]
    assert both.content_sha256 != one.content_sha256


def test_empty_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="found an empty catalog"):
        manifest_of(tmp_path)
