"""The real files: what is known about them from their sources must come out of import and verification."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters.catalog import Catalog, format_time
from adapters.errors import BadBarsError
from adapters.ingest.importer import Adjustment, import_files
from adapters.ingest.verification import verify_catalog
from adapters.instruments import find_spec, with_steps
from tests.support.data import shared_data

BINANCE = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


def crypto(name: str) -> Path:
    return shared_data("crypto_1m", name)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The three Binance series, 18 months of minutes."""
    root = tmp_path_factory.mktemp("catalog")
    for symbol in BINANCE:
        import_files(
            [crypto(f"BINANCE_{symbol}_1m_20220101_20230630.parquet")], root, find_spec(f"{symbol}.BINANCE")
        )
    return Catalog(root)


def test_outage_of_march_2023_is_found_in_every_series(catalog: Catalog) -> None:
    """Binance stopped spot trading on 2023-03-24; no bar opened from 12:40 to 13:59."""
    for report in verify_catalog(catalog):
        found = [
            (one.kind.value, format_time(one.first_open_ns), format_time(one.last_open_ns), one.bars)
            for one in report.findings
        ]

        assert ("gap", "2023-03-24 12:40", "2023-03-24 13:59", 80) in found
        assert ("zero_volume", "2023-03-24 11:28", "2023-03-24 12:39", 72) in found
        assert len(found) == (3 if "SOL" in report.series else 2)


@pytest.mark.parametrize(
    ("symbol", "rows", "absent", "zero_volume"),
    [("BTCUSDT", 786_160, 80, 72), ("ETHUSDT", 786_160, 80, 72), ("SOLUSDT", 786_159, 81, 137)],
)
def test_counts_are_those_that_the_source_states(
    catalog: Catalog, symbol: str, rows: int, absent: int, zero_volume: int
) -> None:
    (report,) = verify_catalog(catalog, [f"{symbol}.BINANCE-1-MINUTE-LAST-EXTERNAL"])

    assert (report.rows, report.absent_bars, report.zero_volume_bars) == (rows, absent, zero_volume)


def test_stored_prices_are_exactly_those_of_the_file(catalog: Catalog) -> None:
    table = pq.read_table(crypto("BINANCE_SOLUSDT_1m_20220101_20230630.parquet"))
    columns = catalog.read_columns("SOLUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")

    assert np.array_equal(columns.ts_event, table["ts"].to_numpy() + 60_000_000_000)
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(columns, name) / 100, table[name].to_numpy())
    assert np.array_equal(columns.volume / 1000, table["volume"].to_numpy())


def test_month_of_bars_is_the_month_of_their_opens(catalog: Catalog) -> None:
    start, end = (int(datetime(2023, month, 1, tzinfo=UTC).timestamp()) * 10**9 for month in (1, 2))

    assert len(catalog.read_bars("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL", start, end)) == 31 * 1440


@pytest.mark.parametrize("name", ["BINANCEUM_BTCUSDT-PERP_1m_202303", "BINANCEUM_ETHUSDT-PERP_1m_202303"])
def test_perpetuals_traded_through_the_outage(tmp_path: Path, name: str) -> None:
    venue, symbol = name.split("_")[:2]
    import_files([crypto(f"{name}.parquet")], tmp_path, find_spec(f"{symbol}.{venue}"))
    (report,) = verify_catalog(Catalog(tmp_path))

    assert report.is_clean
    assert report.rows == 31 * 1440


def test_sparse_market_is_judged_by_its_own_measure(tmp_path: Path) -> None:
    import_files([crypto("KRAKEN_BTCUSDC_1m_2023Q1.parquet")], tmp_path, find_spec("BTCUSDC.KRAKEN"))
    (report,) = verify_catalog(Catalog(tmp_path))

    assert report.absent_bars == 72_883
    assert [(format_time(one.first_open_ns), one.bars) for one in report.findings] == [
        ("2023-02-22 00:07", 87)
    ]


def test_prices_off_the_tick_are_refused_by_their_rows(tmp_path: Path) -> None:
    path = crypto("BITFINEX_BTCUSD_1m_2018H1.parquet")
    spec = find_spec("BTCUSD.BITFINEX")
    with pytest.raises(BadBarsError, match=r"row 87: open = 13628\.74880531 .* --round-prices"):
        import_files([path], tmp_path, spec)

    assert import_files([path], tmp_path, spec, round_prices=True).prices_rounded > 0


def test_daily_share_prices_keep_their_sessions(tmp_path: Path) -> None:
    """Closed: 11 to 14 September 2001; a holiday and a funeral in January 2007; a storm in October 2012."""
    spec = with_steps(find_spec("AAPL.XNAS"), Decimal("0.000001"), None)
    path = shared_data("us_equity_daily", "AAPL.parquet")
    result = import_files([path], tmp_path, spec, adjustment=Adjustment.SPLIT)
    (report,) = verify_catalog(Catalog(tmp_path))

    assert result.bar_type == "AAPL.XNAS-1-DAY-LAST-EXTERNAL"
    assert [(format_time(one.last_open_ns)[:10], one.bars) for one in report.findings] == [
        ("2001-09-16", 4),
        ("2007-01-02", 2),
        ("2012-10-30", 2),
    ]


def test_binance_vision_days_agree_with_the_long_file(catalog: Catalog, tmp_path: Path) -> None:
    day = shared_data("raw", "binance_vision", "spot_BTCUSDT-1m-2023-03-24.zip")
    import_files([day], tmp_path, find_spec("BTCUSDT.BINANCE"))
    bar_type = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"
    span = Catalog(tmp_path).span(bar_type)

    assert (
        Catalog(tmp_path)
        .read_columns(bar_type)
        .equals(catalog.read_columns(bar_type, span.first_ns - 1, span.last_ns))
    )
