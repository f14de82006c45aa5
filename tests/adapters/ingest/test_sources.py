import gzip
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.errors import IngestError
from adapters.ingest.naming import group_by_series, parse_interval, series_named_by
from adapters.ingest.sources import read_source, usual_interval
from tests.support.bars import MINUTE_NS, START_NS, bar_table, write_csv, write_parquet

# First rows of Binance Vision's spot file BTCUSDT-1m-2022-01-01 and of its 2025 form in microseconds.
VISION = (
    "1640995200000,46216.93000000,46271.08000000,46208.37000000,46250.00000000,40.57574000,1640995259999,"
    "1875978.44269790,796,27.26086000,1260270.37206270,0\n"
    "1640995260000,46250.00000000,46344.23000000,46234.39000000,46312.76000000,42.38106000,1640995319999,"
    "1961908.27328950,973,28.92522000,1339049.49591330,0\n"
)
VISION_MICROS = VISION.replace("1640995200000,", "1640995200000000,").replace(
    "1640995260000,", "1640995260000000,"
)
VISION_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore\n"
)
KRAKEN = "1672531200,16535.97,16535.97,16522.66,16522.66,0.01429883,2\n"


def test_parquet_is_read_as_it_is(tmp_path: Path) -> None:
    table = bar_table(50)
    bars = read_source(write_parquet(tmp_path / "bars.parquet", table))

    assert np.array_equal(bars.ts_open, table["ts"])
    assert all(np.array_equal(bars.values[name], table[name]) for name in bars.values)
    assert (bars.file.name, bars.file.rows) == ("bars.parquet", 50)


def test_csv_reads_as_the_parquet_of_the_same_bars(tmp_path: Path) -> None:
    parquet = read_source(write_parquet(tmp_path / "bars.parquet", bar_table(50)))
    csv = read_source(write_csv(tmp_path / "bars.csv", bar_table(50)))
    packed = tmp_path / "bars.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "bars.csv").read_bytes()))

    for bars in (csv, read_source(packed)):
        assert np.array_equal(bars.ts_open, parquet.ts_open)
        assert all(np.array_equal(bars.values[name], parquet.values[name]) for name in bars.values)


@pytest.mark.parametrize("text", [VISION, VISION_MICROS, VISION_HEADER + VISION])
def test_binance_vision_is_read_with_and_without_header(tmp_path: Path, text: str) -> None:
    path = tmp_path / "BTCUSDT-1m-2022-01-01.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BTCUSDT-1m-2022-01-01.csv", text)
    bars = read_source(path)

    assert bars.ts_open.tolist() == [1_640_995_200 * 10**9, 1_640_995_260 * 10**9]
    assert bars.values["high"].tolist() == [46271.08, 46344.23]
    assert bars.values["volume"].tolist() == [40.57574, 42.38106]


def test_kraken_seconds_are_read_by_position(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(KRAKEN)
    bars = read_source(tmp_path / "bars.csv")

    assert bars.ts_open.tolist() == [START_NS]
    assert bars.values["close"].tolist() == [16522.66]


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("2023-01-01T00:00:00Z", START_NS),
        ("2023-01-01 00:00:00", START_NS),
        ("2023-01-01", START_NS),
        ("2023-01-01T01:00:00+01:00", START_NS),
        ("-1357084800", -1_357_084_800 * 10**9),
        ("-1357084800000000000", -1_357_084_800 * 10**9),
    ],
)
def test_times_are_read_in_the_usual_forms(tmp_path: Path, text: str, expected_ns: int) -> None:
    (tmp_path / "bars.csv").write_text(f"time,open,high,low,close,volume\n{text},1,1,1,1,0\n")

    assert read_source(tmp_path / "bars.csv").ts_open.tolist() == [expected_ns]


def test_timestamps_of_parquet_are_read_in_any_unit(tmp_path: Path) -> None:
    columns = {name: pa.array(values) for name, values in bar_table(3).items()}
    for unit in ("s", "ms", "us", "ns"):
        columns["ts"] = columns["ts"].cast(pa.timestamp("ns")).cast(pa.timestamp(unit))
        pq.write_table(pa.table(columns), tmp_path / f"{unit}.parquet")

        assert read_source(tmp_path / f"{unit}.parquet").ts_open[0] == START_NS
        columns["ts"] = pa.array(bar_table(3)["ts"])


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="found none that can be read"):
        read_source(tmp_path / "none.parquet")


@pytest.mark.parametrize("name", ["bars.parquet", "bars.csv", "bars.zip", "bars.csv.gz"])
@pytest.mark.parametrize("content", [b"", b"PAR1 not really", b"\x00\xff\x00\xff\n\x00"])
def test_damaged_file_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(IngestError, match=f"^{name}: "):
        read_source(tmp_path / name)


def test_truncated_parquet_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "bars.parquet", bar_table(500))
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(IngestError, match=r"bars\.parquet: expected Parquet or CSV, found damage"):
        read_source(path)


def test_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="found no rows"):
        read_source(write_parquet(tmp_path / "bars.parquet", bar_table(0)))


@pytest.mark.parametrize("column", ["ts", "open", "volume"])
def test_missing_column_is_named_beside_those_found(tmp_path: Path, column: str) -> None:
    table = bar_table(3)
    del table[column]

    with pytest.raises(IngestError, match=f"expected a column {column}, found .*; rename the columns"):
        read_source(write_parquet(tmp_path / "bars.parquet", table))


def test_empty_time_is_refused_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text("ts,open,high,low,close,volume\n1672531200,1,1,1,1,0\n,1,1,1,1,0\n")

    with pytest.raises(IngestError, match="row 2: ts is empty"):
        read_source(tmp_path / "bars.csv")


def test_times_as_fractions_are_refused(tmp_path: Path) -> None:
    table = bar_table(3)
    table["ts"] = table["ts"].astype(np.float64)

    with pytest.raises(IngestError, match="ts is double: expected integers since 1970"):
        read_source(write_parquet(tmp_path / "bars.parquet", table))


def test_text_in_a_price_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text("ts,open,high,low,close,volume\n1672531200,1,n/a!,1,1,0\n")

    with pytest.raises(IngestError, match="n/a!"):
        read_source(tmp_path / "bars.csv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BINANCE_BTCUSDT_1m_20220101_20230630.parquet", ("BTCUSDT", "BINANCE", "1-MINUTE")),
        ("BINANCEUM_BTCUSDT-PERP_1m_202303.parquet", ("BTCUSDT-PERP", "BINANCEUM", "1-MINUTE")),
        ("BTCUSDT-4h-2025-01.zip", ("BTCUSDT", None, "4-HOUR")),
        ("XNAS_AAPL_1d_2020.csv", ("AAPL", "XNAS", "1-DAY")),
        ("AAPL.parquet", (None, None, None)),
        ("bars_1m_x.parquet", (None, None, None)),
    ],
)
def test_names_of_files_say_what_is_in_them(
    name: str, expected: tuple[str | None, str | None, str | None]
) -> None:
    assert series_named_by(Path(name)) == expected


def test_files_are_grouped_by_instrument_and_what_is_given_wins() -> None:
    paths = [Path(name) for name in ("BINANCE_A_1m_1.csv", "BINANCE_B_1m_1.csv", "BINANCE_A_1m_2.csv")]

    assert group_by_series(paths) == {
        ("A.BINANCE", "1-MINUTE"): [paths[0], paths[2]],
        ("B.BINANCE", "1-MINUTE"): [paths[1]],
    }
    assert group_by_series(paths, symbol="C", venue="X", interval="1-HOUR") == {("C.X", "1-HOUR"): paths}


def test_file_whose_name_says_nothing_needs_symbol_and_venue() -> None:
    with pytest.raises(IngestError, match=r"bars\.csv: .* the symbol; give --symbol and --venue"):
        group_by_series([Path("bars.csv")])


@pytest.mark.parametrize(
    ("text", "expected"), [("1m", "1-MINUTE"), ("4h", "4-HOUR"), ("1-day", "1-DAY"), ("5-MINUTE", "5-MINUTE")]
)
def test_intervals_are_written_in_the_words_of_the_engine(text: str, expected: str) -> None:
    assert parse_interval(text) == expected


@pytest.mark.parametrize(
    ("minutes", "expected"), [(1, "1-MINUTE"), (15, "15-MINUTE"), (60, "1-HOUR"), (1440, "1-DAY")]
)
def test_interval_is_the_commonest_distance(tmp_path: Path, minutes: int, expected: str) -> None:
    table = bar_table(20)
    table["ts"] = START_NS + (table["ts"] - START_NS) * minutes
    table["ts"][15:] += 7 * minutes * MINUTE_NS

    assert usual_interval(read_source(write_parquet(tmp_path / "bars.parquet", table))) == expected


def test_interval_of_a_single_bar_has_to_be_given(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="give it with --interval"):
        usual_interval(read_source(write_parquet(tmp_path / "bars.parquet", bar_table(1))))
