from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import CryptoPerpetual, CurrencyPair, Equity, Quantity

from adapters.errors import InstrumentError
from adapters.instruments import (
    InstrumentKind,
    build_instrument,
    find_spec,
    load_instruments,
    make_instrument,
    spec_of,
    with_steps,
)

ENTRY = """
[[instrument]]
ids = ["XYZEUR.KRAKEN"]
kind = "spot"
base = "XYZ"
quote = "EUR"
tick_size = "0.05"
lot_size = "0.1"
min_quantity = "0.5"
min_notional = "5"
maker_fee_bps = -1.0
taker_fee_bps = 2.5
shortable = true
"""


def write_table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_spot_pair_carries_the_rules_of_the_table() -> None:
    instrument = make_instrument("BTCUSDT.BINANCE")

    assert isinstance(instrument, CurrencyPair)
    assert (instrument.price_precision, instrument.size_precision) == (2, 5)
    assert str(instrument.price_increment) == "0.01"
    assert str(instrument.size_increment) == "0.00001"
    assert instrument.min_quantity == Quantity.from_str("0.00001")
    assert instrument.info["taker_fee_bps"] == 10.0


def test_perpetual_and_share_become_their_own_types() -> None:
    perpetual = make_instrument("BTCUSDT-PERP.BINANCE")
    share = make_instrument("AAPL.XNAS")

    assert isinstance(perpetual, CryptoPerpetual)
    assert perpetual.margin_init == Decimal("0.05")
    assert isinstance(share, Equity)
    assert (share.price_precision, share.size_precision) == (2, 0)


@pytest.mark.parametrize("instrument_id", [name for name in load_instruments() if not name.startswith("*")])
def test_every_instrument_of_the_table_survives_the_engine_type(instrument_id: str) -> None:
    spec = find_spec(instrument_id)

    assert spec_of(build_instrument(spec)) == spec


def test_wildcard_gives_a_share_of_any_symbol() -> None:
    spec = find_spec("ZZZZ.XNYS")

    assert (spec.instrument_id, spec.base, spec.kind) == ("ZZZZ.XNYS", "ZZZZ", InstrumentKind.EQUITY)
    assert spec_of(build_instrument(spec)) == spec


def test_unknown_instrument_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InstrumentError, match=r'did you mean "BTCUSDT.BINANCE"\?.*--instruments FILE'):
        find_spec("BTCUSD.BINANCE")


def test_instrument_without_venue_is_refused() -> None:
    with pytest.raises(InstrumentError, match=r"expected SYMBOL\.VENUE"):
        find_spec("BTCUSDT")


def test_table_of_the_user_adds_to_the_built_in_one(tmp_path: Path) -> None:
    table = load_instruments(write_table(tmp_path / "mine.toml", ENTRY))

    assert find_spec("XYZEUR.KRAKEN", table).tick_size == Decimal("0.05")
    assert find_spec("XYZEUR.KRAKEN", table).price_precision == 2
    assert find_spec("BTCUSDT.BINANCE", table).lot_size == Decimal("0.00001")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('tick_size = "0.05"', "tick_size = 0.05", "tick_size = 0.05: expected a decimal in quotes"),
        ('tick_size = "0.05"', 'tick_size = "0"', "above 0"),
        ('tick_size = "0.05"', 'tik_size = "0.05"', 'tik_size: unknown key; did you mean "tick_size"?'),
        ('quote = "EUR"', "", "expected quote, found none"),
        ('kind = "spot"', 'kind = "swap"', "kind = 'swap': expected one of \"spot\""),
        ("taker_fee_bps = 2.5", 'taker_fee_bps = "2.5"', "expected basis points"),
        ("shortable = true", "shortable = 1", "shortable = 1: expected a bool"),
        ("shortable = true", "shortable = true\nmax_gap_bars = -1", "max_gap_bars = -1"),
        ('ids = ["XYZEUR.KRAKEN"]', 'ids = "XYZEUR.KRAKEN"', "expected a list"),
        ('ids = ["XYZEUR.KRAKEN"]', 'ids = ["A.B", "A.B"]', '"A.B" is described twice'),
        ("[[instrument]]", "[[instruments]]", r"expected [[instrument]] entries only"),
        ("[[instrument]]", "[[instrument", "found a syntax error"),
    ],
)
def test_wrong_table_is_refused_by_key_and_value(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write_table(tmp_path / "mine.toml", ENTRY.replace(old, new))

    with pytest.raises(InstrumentError) as refusal:
        load_instruments(path)

    assert message in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstrumentError, match="expected a table of instruments"):
        load_instruments(tmp_path / "none.toml")


def test_steps_given_by_hand_replace_those_of_the_table() -> None:
    spec = with_steps(find_spec("AAPL.XNAS"), Decimal("0.000001"), Decimal(100))

    assert (spec.tick_size, spec.lot_size, spec.min_quantity) == (
        Decimal("0.000001"),
        Decimal(100),
        Decimal(100),
    )
