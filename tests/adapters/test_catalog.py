from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters.bars import BarColumns
from adapters.catalog import Catalog, file_span, format_time, interval_ns_of, interval_of
from adapters.errors import CatalogError
from adapters.ingest.importer import Origin, store_bars
from adapters.instruments import find_spec, make_instrument
from tests.support.bars import BTC_MINUTES, MINUTE_NS, START_NS, bar_columns

BTC = find_spec("BTCUSDT.BINANCE")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """One series of 300 minutes in three files."""
    for first in (0, 100, 200):
        store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100, first=first), Origin())
    return Catalog(tmp_path)


def test_catalog_tells_what_it_holds(catalog: Catalog) -> None:
    assert catalog.bar_types() == (BTC_MINUTES,)
    assert catalog.instrument_ids() == ("BTCUSDT.BINANCE",)
    assert catalog.instrument("BTCUSDT.BINANCE") == make_instrument("BTCUSDT.BINANCE")
    assert catalog.span(BTC_MINUTES) == (START_NS + MINUTE_NS, START_NS + 300 * MINUTE_NS, 300)


@pytest.mark.parametrize(
    ("start", "end", "first_row", "count"),
    [
        (None, None, 0, 300),
        (0, 300, 0, 300),
        (1, 2, 1, 1),
        (99, 201, 99, 102),
        (-5, 1, 0, 1),
        (299, 999, 299, 1),
    ],
)
def test_span_is_open_at_its_start_and_closed_at_its_end(
    catalog: Catalog, start: int | None, end: int | None, first_row: int, count: int
) -> None:
    start_ns = None if start is None else START_NS + start * MINUTE_NS
    end_ns = None if end is None else START_NS + end * MINUTE_NS
    expected = bar_columns(300).select(slice(first_row, first_row + count))

    assert catalog.read_columns(BTC_MINUTES, start_ns, end_ns).equals(expected)
    assert catalog.read_bars(BTC_MINUTES, start_ns, end_ns) == expected.to_bars(BTC_MINUTES)
    assert np.array_equal(
        catalog.read_arrays(BTC_MINUTES, start_ns, end_ns).close, expected.to_arrays().close
    )


def test_chunks_are_the_bars_in_order_and_of_the_size_asked_for(catalog: Catalog) -> None:
    chunks = list(catalog.iter_chunks(BTC_MINUTES, START_NS, START_NS + 250 * MINUTE_NS, chunk_rows=30))

    assert [bar for chunk in chunks for bar in chunk] == bar_columns(250).to_bars(BTC_MINUTES)
    assert max(map(len, chunks)) == 30


def test_span_without_a_bar_is_refused_with_the_time_that_is_there(catalog: Catalog) -> None:
    late = START_NS + 300 * MINUTE_NS
    for read in (catalog.read_bars, catalog.read_columns, lambda *args: list(catalog.iter_chunks(*args))):
        with pytest.raises(CatalogError, match="found none; it holds 2023-01-01 00:01 to 2023-01-01 05:00"):
            read(BTC_MINUTES, late, None)


def test_gap_without_a_bar_is_refused_too(tmp_path: Path) -> None:
    for first in (0, 200):
        store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100, first=first), Origin())

    with pytest.raises(CatalogError, match=r"expected bars of .*, found none"):
        Catalog(tmp_path).read_bars(BTC_MINUTES, START_NS + 120 * MINUTE_NS, START_NS + 150 * MINUTE_NS)


@pytest.mark.parametrize(
    ("bars", "at", "expected"),
    [(1, 210, 210), (10, 210, 201), (11, 210, 100), (60, 150, 41), (1, 1, 1), (5, 0, 1), (999, 300, 1)],
)
def test_close_some_bars_back_counts_bars_and_no_silence(
    tmp_path: Path, bars: int, at: int, expected: int
) -> None:
    for first in (0, 200):
        store_bars(tmp_path, BTC, BTC_MINUTES, bar_columns(100, first=first), Origin())

    close = Catalog(tmp_path).close_back(BTC_MINUTES, bars, START_NS + at * MINUTE_NS)

    assert (close - START_NS) / MINUTE_NS == expected


def test_missing_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="found none; make one with `argonaut data import`"):
        Catalog(tmp_path / "none")


def test_empty_catalog_has_no_series_and_says_so(tmp_path: Path) -> None:
    empty = Catalog(tmp_path)

    assert empty.bar_types() == ()
    with pytest.raises(CatalogError, match="found an empty catalog"):
        empty.read_bars(BTC_MINUTES)
    with pytest.raises(CatalogError, match=r"expected instrument BTCUSDT\.BINANCE, found an empty catalog"):
        empty.instrument("BTCUSDT.BINANCE")


def test_instrument_without_bars_is_refused_with_those_that_have_some(catalog: Catalog) -> None:
    with pytest.raises(
        CatalogError, match=r"found BTCUSDT\.BINANCE-1.* name another catalog \(`\[data\] catalog`"
    ):
        catalog.read_bars("ETHUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")


@pytest.mark.parametrize("damage", ["truncated", "emptied", "overwritten", "not bars"])
def test_damaged_file_is_refused_by_name(catalog: Catalog, damage: str) -> None:
    file = catalog.bar_files(BTC_MINUTES)[1]
    content = file.read_bytes()
    if damage == "not bars":
        _write_other_table(file)
    else:
        file.write_bytes(
            {"truncated": content[: len(content) // 2], "emptied": b"", "overwritten": b"x" * 999}[damage]
        )

    with pytest.raises(CatalogError, match=f"{file.name}: expected a Parquet file of bars, found damage"):
        catalog.read_bars(BTC_MINUTES)


def _write_other_table(file: Path) -> None:
    import pyarrow as pa

    pq.write_table(pa.table({"a": [1]}), file)


def test_foreign_file_is_refused_by_name(catalog: Catalog) -> None:
    file = catalog.bar_files(BTC_MINUTES)[0]
    file.rename(file.with_name("part-0.parquet"))

    with pytest.raises(CatalogError, match=r"part-0\.parquet: expected a name like"):
        catalog.span(BTC_MINUTES)


def test_damaged_note_is_refused_by_name(catalog: Catalog) -> None:
    (catalog.path / "provenance" / f"{BTC_MINUTES}.json").write_text("{")

    with pytest.raises(CatalogError, match=r"\.json: expected a JSON object, found damage"):
        catalog.provenance(BTC_MINUTES)


def flat_columns(count: int) -> BarColumns:
    """More minutes than fit into one row group, at one price."""
    minutes, price = np.arange(1, count + 1), np.full(count, 100)
    return BarColumns(START_NS + minutes * MINUTE_NS, price, price, price, price, minutes, 2, 5)


def test_runs_outside_the_span_are_not_read(tmp_path: Path) -> None:
    """The first row group is spoilt; a span in the second must not touch it."""
    store_bars(tmp_path, BTC, BTC_MINUTES, flat_columns(131_072 + 100), Origin())
    catalog = Catalog(tmp_path)
    file = catalog.bar_files(BTC_MINUTES)[0]
    content = file.read_bytes()
    file.write_bytes(content[:4] + b"\xff" * 200 + content[204:])

    assert len(catalog.read_columns(BTC_MINUTES, START_NS + 131_100 * MINUTE_NS)) == 72
    with pytest.raises(CatalogError, match="found damage"):
        catalog.read_columns(BTC_MINUTES)


def test_runs_after_the_span_are_not_read_either(tmp_path: Path) -> None:
    store_bars(tmp_path, BTC, BTC_MINUTES, flat_columns(131_072 + 100), Origin())
    catalog = Catalog(tmp_path)
    file = catalog.bar_files(BTC_MINUTES)[0]
    at = pq.ParquetFile(file).metadata.row_group(1).column(0).data_page_offset
    content = file.read_bytes()
    file.write_bytes(content[:at] + b"\xff" * 50 + content[at + 50 :])

    assert len(catalog.read_columns(BTC_MINUTES, None, START_NS + 99 * MINUTE_NS)) == 99
    with pytest.raises(CatalogError, match="found damage"):
        catalog.read_columns(BTC_MINUTES)


def test_names_of_files_and_series_are_understood() -> None:
    name = Path("2023-01-01T00-01-00-000000000Z_2023-01-01T05-00-00-000000007Z.parquet")

    assert file_span(name) == (START_NS + MINUTE_NS, START_NS + 300 * MINUTE_NS + 7)
    assert interval_of(BTC_MINUTES) == "1-MINUTE"
    assert interval_ns_of("AAPL.XNAS-1-DAY-LAST-EXTERNAL") == 86_400 * 10**9
    assert format_time(START_NS) == "2023-01-01 00:00"
