from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from adapters.bars import BarColumns
from adapters.catalog import Catalog
from adapters.errors import BadBarsError, IngestError, OverlapError
from adapters.ingest.importer import Adjustment, ImportStatus, Origin, bar_type_of, import_files, store_bars
from adapters.ingest.manifest import build_manifest
from adapters.instruments import find_spec, make_instrument, spec_of
from tests.support.bars import BTC_MINUTES, MINUTE_NS, START_NS, bar_columns, bar_table, write_parquet

BTC = find_spec("BTCUSDT.BINANCE")


def store(root: Path, bars: BarColumns, *, replacing: bool = False) -> ImportStatus:
    return store_bars(root, BTC, BTC_MINUTES, bars, Origin(), replace=replacing).status


def held(root: Path) -> BarColumns:
    return Catalog(root).read_columns(BTC_MINUTES)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_import_writes_what_the_engine_itself_would_write(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    engine = ParquetDataCatalog(str(tmp_path / "engine"))
    bars = bar_columns(500).to_bars(BTC_MINUTES)
    by_engine = engine.write_bars(bars)
    engine.write_instruments([make_instrument("BTCUSDT.BINANCE")])
    store(tmp_path / "ours", bar_columns(500))
    ours = ParquetDataCatalog(str(tmp_path / "ours"))

    assert set(files(tmp_path / "engine")) <= set(files(tmp_path / "ours"))
    assert by_engine in files(tmp_path / "ours")
    assert ours.query_bars([BTC_MINUTES]) == engine.query_bars([BTC_MINUTES]) == bars
    assert ours.instruments() == engine.instruments()
    schemas = [Catalog(tmp_path / name).bar_files(BTC_MINUTES)[0] for name in ("engine", "ours")]
    assert len({str(_schema(path)) for path in schemas}) == 1


def _schema(path: Path) -> object:
    import pyarrow.parquet as pq

    return pq.read_schema(path)


def test_import_reads_files_of_one_series_as_its_parts(tmp_path: Path) -> None:
    late = write_parquet(tmp_path / "late.parquet", bar_table(40, first=60))
    early = write_parquet(tmp_path / "early.parquet", bar_table(60))
    result = import_files([late, early], tmp_path / "catalog", BTC, vendor="someone")

    assert (result.status, result.rows_read, result.rows_written) == (ImportStatus.IMPORTED, 100, 100)
    assert (result.first_ns, result.last_ns) == (START_NS + MINUTE_NS, START_NS + 100 * MINUTE_NS)
    assert held(tmp_path / "catalog").equals(bar_columns(100))
    note = Catalog(tmp_path / "catalog").provenance(BTC_MINUTES)
    assert note is not None
    assert note["vendor"] == "someone"
    assert [file["name"] for file in note["files"]] == ["early.parquet", "late.parquet"]


def test_import_of_the_same_bars_again_changes_no_byte(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(100))
    before = files(tmp_path)

    assert store(tmp_path, bar_columns(100)) is ImportStatus.ALREADY_THERE
    assert store(tmp_path, bar_columns(40, first=30)) is ImportStatus.ALREADY_THERE
    assert store(tmp_path, bar_columns(100), replacing=True) is ImportStatus.ALREADY_THERE
    assert files(tmp_path) == before


def test_import_of_later_and_earlier_bars_extends_the_series(tmp_path: Path) -> None:
    for count, first in ((20, 40), (40, 60), (40, 0)):
        store(tmp_path, bar_columns(count, first=first))

    assert held(tmp_path).equals(bar_columns(100))


def test_overlap_that_agrees_adds_only_what_is_new(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(20, first=10))
    store(tmp_path, bar_columns(20, first=50))
    result = store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100), Origin())

    assert (result.status, result.rows_read, result.rows_written) == (ImportStatus.EXTENDED, 100, 60)
    assert len(Catalog(tmp_path).bar_files(BTC_MINUTES)) == 5
    assert held(tmp_path).equals(bar_columns(100))
    assert ParquetDataCatalog(str(tmp_path)).query_bars([BTC_MINUTES]) == bar_columns(100).to_bars(
        BTC_MINUTES
    )


def test_overlap_that_differs_is_refused_with_the_time_concerned(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(100))
    before = files(tmp_path)
    other = bar_columns(150)
    other.close[[40, 45]] += 1

    with pytest.raises(OverlapError, match=r"2 that differ.*00:41 to 2023-01-01 00:46.*--replace") as refusal:
        store(tmp_path, other)

    assert refusal.value.first_ns == START_NS + 41 * MINUTE_NS
    assert refusal.value.last_ns == START_NS + 46 * MINUTE_NS
    assert files(tmp_path) == before


def test_overlap_in_which_bars_are_missing_or_added_is_refused(tmp_path: Path) -> None:
    with_gap = bar_columns(100).select(np.delete(np.arange(100), [50, 51]))
    store(tmp_path / "full", bar_columns(100))
    store(tmp_path / "gap", with_gap)

    with pytest.raises(OverlapError, match="2 that differ"):
        store(tmp_path / "full", with_gap)
    with pytest.raises(OverlapError, match="2 that differ"):
        store(tmp_path / "gap", bar_columns(100))


def test_replacing_takes_the_place_of_what_lies_between_first_and_last(tmp_path: Path) -> None:
    for first in (0, 40, 80):
        store(tmp_path, bar_columns(40, first=first))
    other = bar_columns(60, first=30, seed=2)

    assert store(tmp_path, other, replacing=True) is ImportStatus.REPLACED
    assert held(tmp_path).equals(BarColumns.concat([bar_columns(30), other, bar_columns(30, first=90)]))


def test_replacing_with_fewer_bars_leaves_a_gap(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(100))
    with_gap = bar_columns(100).select(np.delete(np.arange(100), [50, 51]))
    store(tmp_path, with_gap, replacing=True)

    assert held(tmp_path).equals(with_gap)


def test_refused_bars_leave_no_catalog_behind(tmp_path: Path) -> None:
    table = bar_table(10)
    table["close"][3] = np.nan

    with pytest.raises(BadBarsError):
        import_files([write_parquet(tmp_path / "bars.parquet", table)], tmp_path / "catalog", BTC)

    assert not (tmp_path / "catalog").exists()


def test_content_hash_of_an_import_is_that_of_the_manifest(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(60))
    result = store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(40, first=60), Origin())

    assert result.content_sha256 == build_manifest(Catalog(tmp_path)).series[0].content_sha256


def test_other_tick_than_that_of_the_bars_held_is_refused(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(60))
    finer = replace(BTC, tick_size=Decimal("0.001"))

    with pytest.raises(
        IngestError, match=r"expected tick 0\.01 and lot 0\.00001 as in the catalog, found 0\.001"
    ):
        import_files(
            [write_parquet(tmp_path / "b.parquet", bar_table(10, first=60))],
            tmp_path,
            finer,
            interval="1-MINUTE",
        )
    with pytest.raises(IngestError, match="expected the tick and lot"):
        import_files([write_parquet(tmp_path / "b.parquet", bar_table(10))], tmp_path, finer, replace=True)


def test_other_tick_is_refused_while_another_interval_has_the_old_one(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(60))
    hours = bar_table(5)
    hours["ts"] = START_NS + np.arange(5) * 60 * MINUTE_NS

    with pytest.raises(IngestError, match="import into another catalog"):
        import_files(
            [write_parquet(tmp_path / "b.parquet", hours)], tmp_path, replace(BTC, tick_size=Decimal("0.001"))
        )


def test_other_tick_comes_with_a_whole_new_series(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(60))
    finer = replace(BTC, tick_size=Decimal("0.001"))
    import_files([write_parquet(tmp_path / "b.parquet", bar_table(60))], tmp_path, finer, replace=True)

    assert held(tmp_path).price_precision == 3
    assert spec_of(Catalog(tmp_path).instrument("BTCUSDT.BINANCE")) == finer


def test_other_fees_take_effect_though_the_bars_are_there(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(60))
    dearer = replace(BTC, taker_fee_bps=20.0)
    result = store_bars(tmp_path, dearer, BTC_MINUTES, bar_columns(60), Origin())

    assert result.status is ImportStatus.ALREADY_THERE
    assert spec_of(Catalog(tmp_path).instrument("BTCUSDT.BINANCE")) == dearer


def test_other_adjustment_than_that_of_the_bars_held_is_refused(tmp_path: Path) -> None:
    store(tmp_path, bar_columns(60))

    with pytest.raises(IngestError, match='expected adjustment "none" as in the catalog, found "split"'):
        store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(9, first=60), Origin(adjustment=Adjustment.SPLIT))


@pytest.mark.parametrize("interval", ["7-MINUTE", "1-FORTNIGHT", "MINUTE", ""])
def test_interval_that_the_engine_does_not_have_is_refused(interval: str) -> None:
    with pytest.raises(IngestError, match=f'interval "{interval}": expected a number'):
        bar_type_of("BTCUSDT.BINANCE", interval)


def test_progress_ends_with_everything_done(tmp_path: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    import_files(
        [write_parquet(tmp_path / "bars.parquet", bar_table(300))],
        tmp_path / "catalog",
        BTC,
        on_progress=lambda what, done, total: seen.update({what: (done, total)}),
    )

    assert seen["writing"] == (300, 300)
    assert seen["hashing"] == (1, 1)
