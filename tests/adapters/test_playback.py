"""Several series played in step, in stretches short enough to have many of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import catalog as catalog_module
from adapters import playback
from adapters.catalog import Catalog
from adapters.errors import CatalogError
from adapters.ingest.importer import Origin, store_bars
from adapters.playback import Playback, instrument_id_of
from adapters.synthetic import SyntheticConfig, generate_market
from tests.support.markets import ALPHA, BETA, DAY_START_NS, MINUTE_NS, store_market

MINUTES = 600


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Two series; the second begins later, ends earlier and has gaps of its own."""

    def keep(name: str, minutes: Any) -> Any:
        if name == ALPHA:
            return (minutes < MINUTES) & ((minutes < 200) | (minutes >= 333))
        return (minutes >= 50) & (minutes < 500) & (minutes % 7 != 3)

    root = tmp_path_factory.mktemp("playback") / "catalog"
    store_market(root, keep=keep)
    return Catalog(root)


def close_ns(minute: int) -> int:
    return DAY_START_NS + minute * MINUTE_NS


def play(
    catalog: Catalog, names: tuple[str, ...] = (ALPHA, BETA), start: int | None = None, end: int | None = None
) -> tuple[list[playback.Stretch], dict[str, list[Any]], dict[str, list[Any]]]:
    stretches = list(Playback(catalog, names, start, end).stretches())
    bars = {name: [b for one in stretches for b in one.series[at][0]] for at, name in enumerate(names)}
    quotes = {name: [q for one in stretches for q in one.series[at][1]] for at, name in enumerate(names)}
    return stretches, bars, quotes


def shorten(monkeypatch: pytest.MonkeyPatch, stretch: int, run: int = 131_072) -> None:
    monkeypatch.setattr(playback, "STRETCH_ROWS", stretch)
    monkeypatch.setattr(catalog_module, "_CHUNK_ROWS", run)


@pytest.mark.parametrize(("stretch", "run"), [(1, 10), (7, 13), (64, 50), (100_000, 131_072)])
def test_playback_gives_every_bar_once_whatever_the_stretch(
    monkeypatch: pytest.MonkeyPatch, full: Catalog, stretch: int, run: int
) -> None:
    expected = {name: full.read_bars(name) for name in (ALPHA, BETA)}
    shorten(monkeypatch, stretch, run)

    _, bars, _ = play(full)

    assert bars == expected


@pytest.mark.parametrize("stretch", [1, 7, 64])
def test_playback_cuts_all_series_at_one_instant(
    monkeypatch: pytest.MonkeyPatch, full: Catalog, stretch: int
) -> None:
    shorten(monkeypatch, stretch)

    stretches, _, _ = play(full)

    ends = [one.end_ns for one in stretches]
    assert ends == sorted(set(ends))
    for before, one in zip([0, *ends], stretches, strict=False):
        stamps = [bar.ts_event for bars, _ in one.series for bar in bars]
        assert all(before < stamp <= one.end_ns for stamp in stamps)
        assert max(stamps) == one.end_ns


def test_playback_stretch_is_whole_where_every_series_has_every_close(full: Catalog) -> None:
    alike, _, _ = play(full, start=close_ns(56), end=close_ns(59))
    gap, _, _ = play(full, start=close_ns(56), end=close_ns(61))
    late, _, _ = play(full, start=close_ns(40), end=close_ns(52))
    alone, _, _ = play(full, (BETA,))

    assert [one.is_whole for one in alike + alone] == [True, True]
    assert [one.is_whole for one in gap + late] == [False, False]


def test_playback_holds_no_more_than_a_stretch_of_each_series(
    monkeypatch: pytest.MonkeyPatch, full: Catalog
) -> None:
    shorten(monkeypatch, 40, 32)

    stretches, _, _ = play(full)

    assert len(stretches) >= MINUTES // 40 - 4
    assert max(len(bars) for one in stretches for bars, _ in one.series) <= 40


def test_playback_reads_no_further_ahead_than_it_has_played(
    monkeypatch: pytest.MonkeyPatch, full: Catalog
) -> None:
    shorten(monkeypatch, 16, 16)
    read = 0
    original = Catalog.iter_columns

    def counting(self: Catalog, bar_type: str) -> Any:
        nonlocal read
        for columns in original(self, bar_type):
            read += len(columns)
            yield columns

    monkeypatch.setattr(Catalog, "iter_columns", counting)

    next(Playback(full, (ALPHA, BETA), None, None).stretches())

    assert read == 32


def test_playback_quote_of_a_bar_is_at_its_open_a_nanosecond_after_the_last_close(
    monkeypatch: pytest.MonkeyPatch, full: Catalog
) -> None:
    shorten(monkeypatch, 7)

    _, bars, quotes = play(full)

    for name in (ALPHA, BETA):
        assert [quote.ts_event for quote in quotes[name]] == [
            bar.ts_event - MINUTE_NS + 1 for bar in bars[name]
        ]
        assert all(
            quote.bid_price == quote.ask_price == bar.open
            for quote, bar in zip(quotes[name], bars[name], strict=True)
        )


def test_playback_bars_lie_in_the_span_open_at_its_start(
    monkeypatch: pytest.MonkeyPatch, full: Catalog
) -> None:
    shorten(monkeypatch, 11)

    _, bars, _ = play(full, start=close_ns(60), end=close_ns(100))

    assert bars == {name: full.read_bars(name, close_ns(60), close_ns(100)) for name in (ALPHA, BETA)}
    assert (bars[ALPHA][0].ts_event, bars[ALPHA][-1].ts_event) == (close_ns(61), close_ns(100))


@settings(max_examples=25)
@given(
    stretch=st.integers(5, 90),
    run=st.integers(30, 90),
    start=st.integers(50, 480),
    length=st.integers(15, 300),
)
def test_playback_equals_what_the_catalog_reads(
    full: Catalog, stretch: int, run: int, start: int, length: int
) -> None:
    span = (close_ns(start), close_ns(start + length))
    expected = {
        name: [bar for bar in full.read_bars(name) if span[0] < bar.ts_event <= span[1]]
        for name in (ALPHA, BETA)
    }
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch, stretch, run)

        _, bars, _ = play(full, start=span[0], end=span[1])

    assert bars == expected


def test_playback_goes_over_files_of_one_series_in_time_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    market = generate_market(SyntheticConfig(days=1, symbols=("ALPHAUSDT",)))
    for part in (slice(400, 600), slice(0, 200), slice(200, 400)):
        store_bars(tmp_path / "c", market.specs[ALPHA], ALPHA, market.bars[ALPHA].select(part), Origin())
    shorten(monkeypatch, 90)

    _, bars, _ = play(Catalog(tmp_path / "c"), (ALPHA,))

    assert [bar.ts_event for bar in bars[ALPHA]] == [close_ns(minute) for minute in range(1, 601)]


def test_playback_without_a_bar_in_the_span_is_refused_at_once(full: Catalog) -> None:
    with pytest.raises(CatalogError, match=r"BETAUSDT.DEMO.* found none"):
        Playback(full, (ALPHA, BETA), close_ns(550), close_ns(580))


def test_playback_of_a_series_that_is_not_there_names_what_is(full: Catalog) -> None:
    with pytest.raises(CatalogError, match=r"expected bars of GAMMA.*ALPHAUSDT"):
        Playback(full, ("GAMMAUSDT.DEMO-1-MINUTE-LAST-EXTERNAL",), None, None)


@pytest.mark.parametrize(
    ("bar_type", "expected"),
    [(ALPHA, "ALPHAUSDT.DEMO"), ("BTCUSDT-PERP.BINANCE-5-MINUTE-LAST-EXTERNAL", "BTCUSDT-PERP.BINANCE")],
)
def test_instrument_of_a_series_is_its_name_less_four_parts(bar_type: str, expected: str) -> None:
    assert instrument_id_of(bar_type) == expected


def test_generated_market_of_the_tests_starts_when_they_say(full: Catalog) -> None:
    assert int(np.min(full.read_arrays(ALPHA).ts_event)) == close_ns(1)
