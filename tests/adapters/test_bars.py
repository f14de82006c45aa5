import hashlib
import struct
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import Bar, BarType, Price, Quantity

from adapters.bars import (
    BarColumns,
    as_engine_floats,
    bars_to_arrays,
    content_sha256,
    open_quotes,
)
from adapters.instruments import make_instrument
from tests.support.bars import BTC_MINUTES, MINUTE_NS, START_NS, bar_columns

HASH = {"interval": "1-MINUTE", "adjustment": "none"}


def test_columns_become_the_bars_that_the_engine_would_make() -> None:
    columns = BarColumns(
        np.array([START_NS + MINUTE_NS]),
        np.array([4_621_693]),
        np.array([4_627_108]),
        np.array([4_620_837]),
        np.array([4_625_000]),
        np.array([4_057_574]),
        price_precision=2,
        size_precision=5,
    )
    expected = Bar(
        BarType.from_str(BTC_MINUTES),
        Price.from_str("46216.93"),
        Price.from_str("46271.08"),
        Price.from_str("46208.37"),
        Price.from_str("46250.00"),
        Quantity.from_str("40.57574"),
        START_NS + MINUTE_NS,
        START_NS + MINUTE_NS,
    )

    assert columns.to_bars(BTC_MINUTES) == [expected]


def test_no_bars_become_an_empty_list() -> None:
    assert bar_columns(3).select(slice(0)).to_bars(BTC_MINUTES) == []


@given(
    units=st.lists(st.integers(1, 10**12), min_size=1, max_size=50),
    precision=st.integers(0, 8),
)
def test_floats_are_to_the_bit_those_of_the_engine(units: list[int], precision: int) -> None:
    expected = [float(Price.from_str(f"{unit / 10**precision:.{precision}f}")) for unit in units]

    assert as_engine_floats(np.array(units), precision).tolist() == expected


def test_arrays_equal_the_floats_of_the_bars() -> None:
    columns = bar_columns(500)
    from_bars = bars_to_arrays(columns.to_bars(BTC_MINUTES))
    arrays = columns.to_arrays()

    for name in ("ts_event", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(arrays, name), getattr(from_bars, name))


def test_columns_survive_the_table_of_the_catalog() -> None:
    columns = bar_columns(100)

    assert BarColumns.from_table(columns.to_table(BTC_MINUTES)).equals(columns)


def test_columns_survive_a_slice_of_the_table() -> None:
    columns = bar_columns(100)
    part = BarColumns.from_table(columns.to_table(BTC_MINUTES).slice(40, 10))

    assert part.equals(columns.select(slice(40, 50)))


def test_slice_at_the_precision_of_the_catalog_survives_too() -> None:
    """Sixteen decimals need no conversion, so the slice is still a window on the longer column."""
    finest = replace(bar_columns(100), price_precision=16, size_precision=16)
    part = BarColumns.from_table(finest.to_table(BTC_MINUTES).slice(40, 10))

    assert part.equals(finest.select(slice(40, 50)))


def test_bars_of_different_precision_are_not_joined() -> None:
    columns = bar_columns(2)
    finer = replace(columns, price_precision=3)

    with pytest.raises(ValueError, match="one precision"):
        BarColumns.concat([columns, finer])


def test_quote_stands_at_the_open_one_nanosecond_after_the_bar_opened() -> None:
    columns = bar_columns(200)
    instrument = make_instrument("BTCUSDT.BINANCE")
    quotes = open_quotes(columns.to_bars(BTC_MINUTES), MINUTE_NS, instrument)

    assert [quote.ts_event for quote in quotes] == (columns.ts_event - MINUTE_NS + 1).tolist()
    assert quotes == open_quotes(columns.to_arrays(), MINUTE_NS, instrument)
    for quote, ticks in zip(quotes, columns.open.tolist(), strict=True):
        assert quote.bid_price == quote.ask_price == Price.from_str(f"{ticks // 100}.{ticks % 100:02d}")
        assert (quote.ask_price.precision, quote.ask_size.precision) == (2, 5)
        assert quote.ts_event == quote.ts_init


def test_no_bars_make_no_quotes() -> None:
    assert open_quotes([], MINUTE_NS, make_instrument("BTCUSDT.BINANCE")) == []


def test_content_hash_is_that_of_the_documented_bytes() -> None:
    """Spelled out by hand: header, then the digests of six columns, 64-bit times and 128-bit values."""
    columns = bar_columns(3)
    digests = [hashlib.sha256(struct.pack("<3q", *columns.ts_event.tolist())).digest()]
    for name, decimals in (("open", 2), ("high", 2), ("low", 2), ("close", 2), ("volume", 5)):
        values = [unit * 10 ** (16 - decimals) for unit in getattr(columns, name).tolist()]
        digests.append(
            hashlib.sha256(b"".join(value.to_bytes(16, "little", signed=True) for value in values)).digest()
        )
    expected = hashlib.sha256(b"argonaut bars 1\n1-MINUTE\nnone\n" + b"".join(digests)).hexdigest()

    assert content_sha256([columns], **HASH) == expected


@given(cuts=st.lists(st.integers(1, 59), max_size=5))
def test_content_hash_does_not_depend_on_how_bars_are_cut(cuts: list[int]) -> None:
    columns = bar_columns(60)
    edges = [0, *sorted(set(cuts)), 60]
    parts = [columns.select(slice(*edge)) for edge in pairwise(edges)]

    assert content_sha256(parts, **HASH) == content_sha256([columns], **HASH)


@pytest.mark.parametrize("name", ["ts_event", "open", "high", "low", "close", "volume"])
def test_content_hash_changes_with_one_number(name: str) -> None:
    columns, changed = bar_columns(60), bar_columns(60)
    getattr(changed, name)[31] += 1

    assert content_sha256([changed], **HASH) != content_sha256([columns], **HASH)


def test_content_hash_changes_with_interval_and_adjustment() -> None:
    columns = bar_columns(60)
    hashes = {
        content_sha256([columns], interval=interval, adjustment=adjustment)
        for interval in ("1-MINUTE", "5-MINUTE")
        for adjustment in ("none", "split")
    }

    assert len(hashes) == 4
