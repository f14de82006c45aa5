from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from adapters.bars import BarColumns
from adapters.catalog import Catalog
from adapters.errors import CatalogError
from adapters.ingest.importer import Origin, bar_type_of, store_bars
from adapters.ingest.sources import SourceBars, SourceFile
from adapters.ingest.verification import (
    FindingKind,
    SeriesReport,
    VerificationLimits,
    verify_catalog,
    verify_source,
)
from adapters.instruments import Calendar, build_instrument, find_spec
from tests.support.bars import BTC_MINUTES, MINUTE_NS, START_NS, bar_columns, bar_table

BTC = find_spec("BTCUSDT.BINANCE")
DAY_NS = 86_400 * 10**9


def verify(
    table: dict[str, np.ndarray], *, max_gap_bars: int = 0, min_zero_volume_bars: int = 3
) -> SeriesReport:
    values = {column: numbers for column, numbers in table.items() if column != "ts"}
    bars = SourceBars(SourceFile("bars.csv", "", len(table["ts"])), table["ts"], values)
    return verify_source(bars, MINUTE_NS, VerificationLimits(max_gap_bars, min_zero_volume_bars))


def found(report: SeriesReport) -> list[tuple[str, float, float, int]]:
    """Kind, first and last open in minutes after the start, and number of bars of each finding."""
    return [
        (
            one.kind.value,
            (one.first_open_ns - START_NS) / MINUTE_NS,
            (one.last_open_ns - START_NS) / MINUTE_NS,
            one.bars,
        )
        for one in report.findings
    ]


def without(table: dict[str, np.ndarray], *rows: int) -> dict[str, np.ndarray]:
    return {name: np.delete(values, rows) for name, values in table.items()}


def test_good_bars_give_no_finding() -> None:
    report = verify(bar_table(100))

    assert report.is_clean
    assert (report.rows, report.absent_bars, report.zero_volume_bars) == (100, 0, 0)
    assert (report.first_open_ns, report.last_open_ns) == (START_NS, START_NS + 99 * MINUTE_NS)


def test_gap_is_found_by_the_bars_that_are_not_there() -> None:
    report = verify(without(bar_table(100), 40, 41, 42, 70))

    assert found(report) == [("gap", 40, 42, 3), ("gap", 70, 70, 1)]
    assert report.absent_bars == 4


def test_gaps_that_are_normal_are_counted_but_no_finding() -> None:
    report = verify(without(bar_table(100), 40, 41, 42, 70), max_gap_bars=2)

    assert found(report) == [("gap", 40, 42, 3)]
    assert report.absent_bars == 4


def test_run_without_a_trade_is_found_from_three_bars_on() -> None:
    table = bar_table(100)
    table["volume"][[10, 11, 20, 21, 22, 97, 98, 99]] = 0.0
    report = verify(table)

    assert found(report) == [("zero_volume", 20, 22, 3), ("zero_volume", 97, 99, 3)]
    assert report.zero_volume_bars == 8
    assert len(verify(table, min_zero_volume_bars=2).findings) == 3


def test_repeated_bars_are_found() -> None:
    table = {name: np.insert(values, 41, values[40]) for name, values in bar_table(100).items()}

    assert found(verify(table)) == [("duplicate", 40, 40, 1)]


def test_disorder_is_found() -> None:
    table = {name: np.concatenate((values[50:], values[:50])) for name, values in bar_table(100).items()}

    assert found(verify(table)) == [("out_of_order", 0, 0, 1)]


def test_bar_off_the_interval_is_found() -> None:
    table = bar_table(100)
    table["ts"][40] += MINUTE_NS // 2

    assert ("off_grid", 40.5, 40.5, 1) in found(verify(table))


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("high_low", "high", 19_000.0),
        ("high_low", "low", 21_000.0),
        ("bad_price", "open", np.nan),
        ("bad_price", "close", np.inf),
        ("bad_price", "low", 0.0),
        ("bad_price", "low", -1.0),
        ("bad_volume", "volume", np.nan),
        ("bad_volume", "volume", -1.0),
    ],
)
def test_impossible_number_is_found(kind: str, column: str, value: float) -> None:
    table = bar_table(100)
    table[column][40:42] = value

    assert (kind, 40, 41, 2) in found(verify(table))


def test_weekend_is_no_gap_where_there_is_none_to_trade() -> None:
    """2023-01-02 was a Monday: three weeks of weekdays without the 9th, the 18th and the 19th."""
    days = np.array([2, 3, 4, 5, 6, 10, 11, 12, 13, 16, 17, 20])
    ones = np.ones(len(days))
    values = dict.fromkeys(("open", "high", "low", "close", "volume"), ones)
    bars = SourceBars(SourceFile("x", "", len(days)), START_NS + (days - 1) * DAY_NS, values)
    report = verify_source(bars, DAY_NS, VerificationLimits(1, 3, Calendar.WEEKDAYS))

    assert report.absent_bars == 3
    assert [(one.kind, one.bars) for one in report.findings] == [(FindingKind.GAP, 2)]
    assert report.findings[0].first_open_ns == START_NS + 17 * DAY_NS


def test_catalog_takes_its_limits_from_the_instrument(tmp_path: Path) -> None:
    bars = bar_columns(200).select(np.delete(np.arange(200), np.r_[20:40, 80:150]))
    for venue_spec in (BTC, find_spec("BTCUSDC.KRAKEN")):
        spec = replace(venue_spec, lot_size=BTC.lot_size)
        store_bars(tmp_path, spec, bar_type_of(spec.instrument_id, "1-MINUTE"), bars, Origin())
    binance, kraken = sorted(verify_catalog(Catalog(tmp_path)), key=lambda report: "KRAKEN" in report.series)

    assert found(binance) == [("gap", 20, 39, 20), ("gap", 80, 149, 70)]
    assert found(kraken) == [("gap", 80, 149, 70)]


def test_only_the_series_asked_for_are_verified(tmp_path: Path) -> None:
    store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(10), Origin())

    assert len(list(verify_catalog(Catalog(tmp_path), [BTC_MINUTES]))) == 1
    with pytest.raises(CatalogError, match="expected bars of X"):
        list(verify_catalog(Catalog(tmp_path), ["X.Y-1-MINUTE-LAST-EXTERNAL"]))


def test_empty_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="found an empty catalog"):
        list(verify_catalog(Catalog(tmp_path)))


def test_bars_that_are_not_those_imported_are_found(tmp_path: Path) -> None:
    store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100), Origin())
    store_bars(tmp_path / "other", BTC, BTC_MINUTES, changed(bar_columns(100)), Origin())
    file, other = (Catalog(root).bar_files(BTC_MINUTES)[0] for root in (tmp_path, tmp_path / "other"))
    file.write_bytes(other.read_bytes())
    (report,) = verify_catalog(Catalog(tmp_path))

    assert found(report) == [("changed", 0, 99, 100)]


def changed(bars: BarColumns) -> BarColumns:
    bars.volume[50] += 1
    return bars


def test_damaged_file_is_a_finding_and_the_others_are_still_verified(tmp_path: Path) -> None:
    for first in (0, 100):
        store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100, first=first), Origin())
    first_file, second = Catalog(tmp_path).bar_files(BTC_MINUTES)
    second.write_bytes(b"")
    (report,) = verify_catalog(Catalog(tmp_path))

    assert report.rows == 100
    assert ("damaged", 100, 199, 0) in found(report)
    first_file.write_bytes(b"")
    (report,) = verify_catalog(Catalog(tmp_path))
    assert [kind for kind, *_ in found(report)] == ["damaged", "damaged"]


def test_files_that_overlap_are_found(tmp_path: Path) -> None:
    store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100), Origin())
    store_bars(tmp_path / "other", BTC, BTC_MINUTES, bar_columns(50, first=80), Origin())
    (file,) = Catalog(tmp_path / "other").bar_files(BTC_MINUTES)
    file.rename(tmp_path / "data/bars" / BTC_MINUTES / file.name)
    (report,) = verify_catalog(Catalog(tmp_path))

    assert ("overlap", 80, 99, 20) in found(report)
    assert ("out_of_order", 80, 80, 1) in found(report)


def test_bars_with_other_decimals_than_the_instrument_are_found(tmp_path: Path) -> None:
    store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100), Origin())
    _write_instrument(tmp_path, Decimal("0.001"))
    (report,) = verify_catalog(Catalog(tmp_path))

    assert found(report) == [("precision", 0, 99, 100)]
    assert "expected (3, 5) as of the instrument, found (2, 5)" in report.findings[0].detail


def test_series_without_its_instrument_is_a_finding(tmp_path: Path) -> None:
    store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100), Origin())
    for file in (tmp_path / "data/currency_pair").rglob("*.parquet"):
        file.unlink()
    (report,) = verify_catalog(Catalog(tmp_path))

    assert [one.kind for one in report.findings] == [FindingKind.DAMAGED]
    assert "expected instrument BTCUSDT.BINANCE" in report.findings[0].detail


def _write_instrument(root: Path, tick_size: Decimal) -> None:
    from nautilus_trader.persistence import ParquetDataCatalog

    for file in (root / "data/currency_pair").rglob("*.parquet"):
        file.unlink()
    ParquetDataCatalog(str(root)).write_instruments([build_instrument(replace(BTC, tick_size=tick_size))])
