from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import BadBarsError
from adapters.ingest.checks import check_bars
from adapters.ingest.sources import SourceBars, SourceFile
from adapters.instruments import find_spec
from tests.support.bars import MINUTE_NS, START_NS, bar_columns, bar_table

BTC = find_spec("BTCUSDT.BINANCE")


def source(table: dict[str, np.ndarray], name: str = "bars.csv") -> SourceBars:
    values = {column: numbers for column, numbers in table.items() if column != "ts"}
    return SourceBars(SourceFile(name, "", len(table["ts"])), table["ts"], values)


def refusal(table: dict[str, np.ndarray]) -> BadBarsError:
    with pytest.raises(BadBarsError) as refused:
        check_bars([source(table)], BTC, MINUTE_NS)
    return refused.value


@pytest.mark.parametrize(
    ("bar", "kind"),
    [
        ((100.0, 105.0, 95.0, 106.0), "high_too_low"),
        ((106.0, 105.0, 95.0, 100.0), "high_too_low"),
        ((100.0, 105.0, 95.0, 94.0), "low_too_high"),
        ((94.0, 105.0, 95.0, 100.0), "low_too_high"),
        ((100.0, 95.0, 105.0, 100.0), "high_too_low"),
    ],
)
def test_range_that_contradicts_its_bar_is_refused(bar: tuple[float, ...], kind: str) -> None:
    table = bar_table(3)
    for name, price in zip(("open", "high", "low", "close"), bar, strict=True):
        table[name][1] = price

    assert kind in [problem.kind for problem in refusal(table).problems]


def test_good_bars_become_exact_and_close_stamped() -> None:
    checked = check_bars([source(bar_table(100))], BTC, MINUTE_NS)

    assert checked.columns.equals(bar_columns(100))
    assert checked.columns.ts_event[0] == START_NS + MINUTE_NS
    assert (checked.prices_rounded, checked.volumes_rounded) == (0, 0)


def test_parts_are_joined_in_time_order() -> None:
    parts = [source(bar_table(40, first=60), "late.csv"), source(bar_table(60), "early.csv")]

    assert check_bars(parts, BTC, MINUTE_NS).columns.equals(bar_columns(100))


@pytest.mark.parametrize(
    ("kind", "column", "value", "expected"),
    [
        ("price_not_finite", "open", np.nan, "a number"),
        ("price_not_finite", "close", np.inf, "a number"),
        ("price_not_positive", "low", 0.0, "a price above 0"),
        ("price_not_positive", "low", -5.0, "a price above 0"),
        ("price_off_tick", "low", 15_000.001, "a multiple of the tick 0.01 of BTCUSDT.BINANCE"),
        ("price_too_large", "high", 1e15, "2^53 ticks"),
        ("high_too_low", "high", 15_000.0, "at least open, low and close"),
        ("low_too_high", "low", 25_000.0, "at most open and close"),
        ("volume_not_finite", "volume", np.nan, "a number"),
        ("volume_negative", "volume", -0.5, "0 or more"),
        ("volume_too_large", "volume", 1e12, "2^53 lots"),
    ],
)
def test_wrong_number_is_refused_with_its_row_and_value(
    kind: str, column: str, value: float, expected: str
) -> None:
    table = bar_table(100)
    table[column][41] = value
    problem = next(problem for problem in refusal(table).problems if problem.kind == kind)

    assert (problem.source, problem.row, problem.column, problem.count) == ("bars.csv", 42, column, 1)
    assert expected in problem.expected
    assert f"row 42: {column} = {value!r}: expected" in str(problem)


@pytest.mark.parametrize(
    ("kind", "row", "shift_minutes", "found"),
    [
        ("duplicate", 42, -1, "2023-01-01 00:40:00"),
        ("out_of_order", 42, -10, "2023-01-01 00:31:00"),
        ("off_grid", 42, 0.5, "2023-01-01 00:41:30"),
        ("time_absurd", 42, -1.5e8, ""),
    ],
)
def test_wrong_time_is_refused_with_its_row_and_value(
    kind: str, row: int, shift_minutes: float, found: str
) -> None:
    table = bar_table(100)
    table["ts"][41] += int(shift_minutes * MINUTE_NS)
    problem = next(problem for problem in refusal(table).problems if problem.kind == kind)

    assert (problem.row, problem.column) == (row, "ts")
    assert found in problem.value


def test_hours_given_as_minutes_are_refused_with_the_true_distance() -> None:
    table = bar_table(100)
    table["ts"] = START_NS + (table["ts"] - START_NS) * 60
    (problem,) = refusal(table).problems

    assert problem.kind == "interval_mismatch"
    assert "60 s after the one before, found 3600 s" in problem.expected


def test_every_kind_of_fault_is_listed_at_once_with_its_count() -> None:
    table = bar_table(100)
    table["close"][[3, 5, 7]] = np.nan
    table["volume"][9] = -1.0
    refused = refusal(table)

    assert [(problem.kind, problem.row, problem.count) for problem in refused.problems] == [
        ("price_not_finite", 4, 3),
        ("volume_negative", 10, 1),
    ]
    assert "(and 2 more)" in str(refused)


def test_fault_in_a_later_part_is_found_in_its_own_file() -> None:
    bad = bar_table(40, first=60)
    bad["close"][9] = np.nan

    with pytest.raises(BadBarsError, match=r"^late\.csv: row 10: close"):
        check_bars([source(bar_table(60), "early.csv"), source(bad, "late.csv")], BTC, MINUTE_NS)


def test_parts_that_repeat_bars_are_refused() -> None:
    with pytest.raises(BadBarsError, match=r"late\.csv: row 1: ts"):
        check_bars(
            [source(bar_table(61), "early.csv"), source(bar_table(40, first=60), "late.csv")], BTC, MINUTE_NS
        )


def test_gaps_are_no_fault() -> None:
    table = {name: np.delete(values, slice(10, 50)) for name, values in bar_table(100).items()}

    assert len(check_bars([source(table)], BTC, MINUTE_NS).columns) == 60


def test_prices_off_the_tick_are_rounded_if_asked() -> None:
    table = bar_table(3)
    table["low"][1] = 12_345.6789
    checked = check_bars([source(table)], BTC, MINUTE_NS, round_prices=True)

    assert checked.columns.low[1] == 1_234_568
    assert checked.prices_rounded == 1


def test_tick_that_is_no_power_of_ten_holds_its_multiples_only() -> None:
    quarter = replace(BTC, tick_size=Decimal("0.25"))
    table = {name: np.round(values * 4) / 4 for name, values in bar_table(50).items() if name != "ts"}
    table = {"ts": bar_table(50)["ts"], **table}

    assert check_bars([source(table)], quarter, MINUTE_NS).columns.close[0] % 25 == 0
    table["low"][1] = 15_000.10
    with pytest.raises(BadBarsError, match=r"low = 15000.1: expected a multiple of the tick 0.25"):
        check_bars([source(table)], quarter, MINUTE_NS)
    assert check_bars([source(table)], quarter, MINUTE_NS, round_prices=True).columns.low[1] == 1_500_000


def test_price_that_would_round_to_nothing_is_refused() -> None:
    table = bar_table(3)
    table["low"][1] = 0.001

    with pytest.raises(BadBarsError, match=r"at least one tick of 0\.01"):
        check_bars([source(table)], BTC, MINUTE_NS, round_prices=True)


def test_volumes_finer_than_the_lot_are_rounded_and_counted() -> None:
    table = bar_table(4)
    table["volume"][:3] = [946.037065, 0.000001, 0.0]
    checked = check_bars([source(table)], BTC, MINUTE_NS)

    # The second traded, so it must not look as if it had not.
    assert checked.columns.volume[:3].tolist() == [94_603_706, 1, 0]
    assert checked.volumes_rounded == 2


@given(ticks=st.lists(st.integers(1, 2**50), min_size=1, max_size=30))
def test_every_price_on_the_tick_is_taken_exactly(ticks: list[int]) -> None:
    prices = np.array([float(f"{tick // 100}.{tick % 100:02d}") for tick in ticks])
    table = {
        "ts": START_NS + np.arange(len(ticks), dtype=np.int64) * MINUTE_NS,
        **dict.fromkeys(("open", "high", "low", "close"), prices),
        "volume": np.ones(len(ticks)),
    }

    assert check_bars([source(table)], BTC, MINUTE_NS).columns.close.tolist() == ticks
