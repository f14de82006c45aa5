import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.cli.app import main
from tests.support.bars import bar_table, write_csv, write_parquet

type Captured = pytest.CaptureFixture[str]

BTC = "BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL"


def run(captured: Captured, *args: object) -> tuple[int, Any]:
    """Exit code and JSON document of ``argonaut data …``."""
    code = main(["data", *map(str, args), "--json"])
    return code, json.loads(captured.readouterr().out)


@pytest.fixture
def catalog(tmp_path: Path, capsys: Captured) -> Path:
    """A catalog of 100 minutes."""
    source = write_parquet(tmp_path / "BINANCE_BTCUSDT_1m_2023.parquet", bar_table(100))
    assert main(["data", "import", str(source), "--catalog", str(tmp_path / "catalog")]) == 0
    capsys.readouterr()
    return tmp_path / "catalog"


def test_import_takes_symbol_venue_and_interval_from_the_name(tmp_path: Path, capsys: Captured) -> None:
    source = write_parquet(tmp_path / "BINANCE_BTCUSDT_1m_2023.parquet", bar_table(100))
    code, document = run(capsys, "import", source, "--catalog", tmp_path / "catalog")

    assert code == 0
    (series,) = document["series"]
    assert (series["bar_type"], series["status"]) == (BTC, "imported")
    assert (series["rows_read"], series["rows_written"]) == (100, 100)
    assert (series["first_open"], series["last_open"]) == ("2023-01-01T00:00:00Z", "2023-01-01T01:39:00Z")


def test_import_takes_them_from_options_and_the_interval_from_the_data(
    tmp_path: Path, capsys: Captured
) -> None:
    parts = [
        write_csv(tmp_path / "a.csv", bar_table(60)),
        write_csv(tmp_path / "b.csv", bar_table(40, first=60)),
    ]
    code, document = run(
        capsys,
        "import",
        *parts,
        "--catalog",
        tmp_path / "catalog",
        "--symbol",
        "BTCUSDT",
        "--venue",
        "BINANCE",
    )

    assert code == 0
    assert [(one["bar_type"], one["rows_read"]) for one in document["series"]] == [(BTC, 100)]


def test_import_of_several_instruments_makes_a_series_of_each(tmp_path: Path, capsys: Captured) -> None:
    table = bar_table(10)
    table["volume"] = np.round(table["volume"], 4)
    sources = [
        write_parquet(tmp_path / f"BINANCE_{name}_1m_x.parquet", table) for name in ("BTCUSDT", "ETHUSDT")
    ]
    _, document = run(capsys, "import", *sources, "--catalog", tmp_path / "catalog")
    _, listed = run(capsys, "list", "--catalog", tmp_path / "catalog")

    assert [one["bar_type"][:7] for one in document["series"]] == ["BTCUSDT", "ETHUSDT"]
    assert [one["bar_type"][:7] for one in listed["series"]] == ["BTCUSDT", "ETHUSDT"]


def test_import_again_is_already_there(catalog: Path, capsys: Captured) -> None:
    code, document = run(
        capsys, "import", catalog.parent / "BINANCE_BTCUSDT_1m_2023.parquet", "--catalog", catalog
    )

    assert code == 0
    assert (document["series"][0]["status"], document["series"][0]["rows_written"]) == ("already_there", 0)


def test_import_of_other_bars_is_refused_until_replace(catalog: Path, capsys: Captured) -> None:
    source = write_parquet(catalog.parent / "BINANCE_BTCUSDT_1m_new.parquet", bar_table(100, seed=2))
    refused, error = run(capsys, "import", source, "--catalog", catalog)
    replaced, document = run(capsys, "import", source, "--catalog", catalog, "--replace")

    assert refused == 65
    assert "--replace" in error["error"]["message"]
    assert replaced == 0
    assert document["series"][0]["status"] == "replaced"


def test_import_of_bad_bars_names_row_value_and_advice(tmp_path: Path, capsys: Captured) -> None:
    table = bar_table(10)
    table["close"][3] = np.nan
    source = write_parquet(tmp_path / "BINANCE_BTCUSDT_1m_x.parquet", table)
    code = main(["data", "import", str(source), "--catalog", str(tmp_path / "catalog")])

    assert code == 65
    assert "row 4: close = nan: expected a number; drop the row" in capsys.readouterr().err
    assert not (tmp_path / "catalog").exists()


def test_import_knows_instruments_of_the_user(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "mine.toml").write_text(
        '[[instrument]]\nids = ["XY.Z"]\nkind = "spot"\nquote = "EUR"\ntick_size = "0.01"\n'
        'lot_size = "0.00001"\nmin_quantity = "1"\nmin_notional = "1"\nmaker_fee_bps = 1\n'
        "taker_fee_bps = 1\nshortable = false\n"
    )
    source = write_parquet(tmp_path / "Z_XY_1m_x.parquet", bar_table(10))
    arguments = ("import", source, "--catalog", tmp_path / "catalog")

    assert run(capsys, *arguments)[0] == 65
    assert run(capsys, *arguments, "--instruments", tmp_path / "mine.toml")[0] == 0


@pytest.mark.parametrize("option", ["--tick-size", "--lot-size"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "nan"])
def test_impossible_steps_are_refused_as_usage(
    tmp_path: Path, capsys: Captured, option: str, value: str
) -> None:
    source = write_parquet(tmp_path / "BINANCE_BTCUSDT_1m_x.parquet", bar_table(10))

    assert main(["data", "import", str(source), f"{option}={value}", "--catalog", str(tmp_path / "c")]) == 64


def test_list_tells_what_is_there(catalog: Path, capsys: Captured) -> None:
    code, document = run(capsys, "list", "--catalog", catalog)

    assert code == 0
    assert document["series"] == [
        {
            "bar_type": BTC,
            "rows": 100,
            "first_open": "2023-01-01T00:00:00Z",
            "last_open": "2023-01-01T01:39:00Z",
            "adjustment": "none",
            "vendor": "",
        }
    ]


def test_verify_of_good_bars_ends_in_zero(catalog: Path, capsys: Captured) -> None:
    code, document = run(capsys, "verify", "--catalog", catalog)

    assert code == 0
    assert document["clean"] is True


def test_verify_of_bars_with_a_gap_ends_in_one_and_says_where(tmp_path: Path, capsys: Captured) -> None:
    table = {name: np.delete(values, [40, 41]) for name, values in bar_table(100).items()}
    source = write_parquet(tmp_path / "BINANCE_BTCUSDT_1m_x.parquet", table)
    run(capsys, "import", source, "--catalog", tmp_path / "catalog")
    expected = {
        "kind": "gap",
        "first_open": "2023-01-01T00:40:00Z",
        "last_open": "2023-01-01T00:41:00Z",
        "bars": 2,
        "detail": "",
    }

    for arguments in (("--catalog", tmp_path / "catalog"), (source,)):
        code, document = run(capsys, "verify", *arguments)
        assert code == 1
        assert document["clean"] is False
        assert document["series"][0]["findings"] == [expected]


def test_verify_shows_a_table_to_people(tmp_path: Path, capsys: Captured) -> None:
    table = {name: np.delete(values, [40, 41]) for name, values in bar_table(100).items()}
    source = write_parquet(tmp_path / "bars.parquet", table)

    assert main(["data", "verify", str(source)]) == 1
    shown = capsys.readouterr().out
    assert "2 absent" in shown
    assert "2023-01-01 00:40" in shown


def test_manifest_has_the_hash_that_the_import_reported(catalog: Path, capsys: Captured) -> None:
    _, imported = run(
        capsys, "import", catalog.parent / "BINANCE_BTCUSDT_1m_2023.parquet", "--catalog", catalog
    )
    code, document = run(capsys, "manifest", "--catalog", catalog)

    assert code == 0
    assert document["series"][0]["content_sha256"] == imported["series"][0]["content_sha256"]
    assert document["series"][0]["files"][0]["name"] == "BINANCE_BTCUSDT_1m_2023.parquet"
    assert len(document["content_sha256"]) == 64


def test_generate_makes_the_same_bars_again_and_other_bars_of_another_seed(
    tmp_path: Path, capsys: Captured
) -> None:
    options = ("generate", "--days", "2", "--start", "2024-03-01", "--catalog")
    code, first = run(capsys, *options, tmp_path / "a", "--seed", "5")
    _, again = run(capsys, *options, tmp_path / "b", "--seed", "5")
    _, other = run(capsys, *options, tmp_path / "c", "--seed", "6")

    assert code == 0
    assert first["series"] == again["series"]
    assert [one["rows_written"] for one in first["series"]] == [2880, 2880]
    assert first["series"][0]["first_open"] == "2024-03-01T00:00:00Z"
    assert other["series"][0]["content_sha256"] != first["series"][0]["content_sha256"]
    assert run(capsys, *options, tmp_path / "a", "--seed", "5")[1]["series"][0]["status"] == "already_there"
    assert run(capsys, *options, tmp_path / "a", "--seed", "6")[0] == 65


@pytest.mark.parametrize("start", ["yesterday", "2024-13-01"])
def test_generate_from_an_impossible_day_is_refused_as_usage(
    tmp_path: Path, capsys: Captured, start: str
) -> None:
    assert main(["data", "generate", "--start", start, "--catalog", str(tmp_path)]) == 64


@pytest.mark.parametrize("command", ["list", "verify", "manifest"])
def test_missing_catalog_ends_in_65_and_says_what_to_do(
    tmp_path: Path, capsys: Captured, command: str
) -> None:
    code, document = run(capsys, command, "--catalog", tmp_path / "none")

    assert code == 65
    assert "argonaut data import" in document["error"]["message"]


@pytest.mark.parametrize("command", ["list", "verify", "manifest"])
def test_people_get_text(catalog: Path, capsys: Captured, command: str) -> None:
    assert main(["data", command, "--catalog", str(catalog)]) == 0
    assert "BTCUSDT.BINANCE-1-MINUTE" in capsys.readouterr().out


def test_empty_catalog_lists_nothing_and_says_so(tmp_path: Path, capsys: Captured) -> None:
    assert main(["data", "list", "--catalog", str(tmp_path)]) == 0
    assert "holds no bars yet" in capsys.readouterr().err
