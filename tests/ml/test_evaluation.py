import json
from dataclasses import replace
from math import sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml.evaluation import (
    Bootstrap,
    Calendar,
    EquityCurve,
    equity_curve,
    evaluate_run,
    match_fills,
    total_curve,
)
from ml.evaluation import statistics as formulas
from ml.evaluation.book import Dealings, book_metrics
from ml.evaluation.bootstrap import (
    Statistic,
    block_length,
    estimate_of_sums,
    expanded_tail,
    resample_indices,
)
from ml.evaluation.comparison import compare
from ml.evaluation.curve import cut
from ml.evaluation.regimes import regime_metrics
from strategies.market import Floats
from strategies.tape import DecisionRecord, EquityRecord, FillRecord, MemoryTape, OrderRecord
from tests.support.runs import example_run

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
DAILY = Calendar.us_equity(DAY)
QUICK = Bootstrap(resamples=200)


def curve_of(equity: list[float] | Floats, interval: int = DAY, initial: float = 100.0) -> EquityCurve:
    values = np.asarray(equity, dtype=np.float64)
    nothing = np.zeros(len(values))
    return EquityCurve(initial, interval * np.arange(1, len(values) + 1), values, nothing, nothing)


def random_curve(num_bars: int, seed: int = 3, interval: int = DAY, scale: float = 0.01) -> EquityCurve:
    steps = np.random.default_rng(seed).normal(0.0003, scale, num_bars)
    return curve_of(100.0 * np.exp(np.cumsum(steps)), interval)


def fill(side: str, quantity: float, price: float, **changes: object) -> FillRecord:
    made = FillRecord(0, "alpha", "BTCUSDT.BINANCE", "O1", "T1", side, quantity, price, 0.0, "TAKER")
    return made._replace(**changes)  # type: ignore[arg-type]


def equity_record(ts: int, strategy: str, equity: float, exposure: float = 0.0) -> EquityRecord:
    return EquityRecord(ts, strategy, equity, equity, exposure, exposure, 0.0, 0.0, 0.0, 0.0)


# ---- calendar and periods


@pytest.mark.parametrize(
    ("calendar", "bars"),
    [
        (Calendar.crypto(MINUTE), 525_600.0),
        (Calendar.crypto(HOUR), 8760.0),
        (Calendar.crypto(DAY), 365.0),
        (Calendar.us_equity(MINUTE), 252 * 390.0),
        (Calendar.us_equity(DAY), 252.0),
    ],
)
def test_calendar_counts_the_bars_of_a_year(calendar: Calendar, bars: float) -> None:
    assert calendar.bars_per_year == bars


def test_calendar_without_sessions_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a positive bar interval"):
        Calendar(MINUTE, days_per_year=0.0)


@pytest.mark.parametrize(
    ("num_bars", "interval", "unit", "periods", "per_year"),
    [
        (60 * 1440, MINUTE, "day", 60, 365.0),
        (59 * 1440, MINUTE, "hour", 59 * 24, 8760.0),
        (3600, SECOND, "minute", 60, 525_600.0),
        (500, MINUTE, "bar", 500, 525_600.0),
        (30, DAY, "bar", 30, 365.0),
    ],
)
def test_cut_takes_the_coarsest_period_that_leaves_enough(
    num_bars: int, interval: int, unit: str, periods: int, per_year: float
) -> None:
    found = cut(curve_of(np.full(num_bars, 100.0), interval), Calendar.crypto(interval))

    assert (found.unit, len(found), found.per_year) == (unit, periods, per_year)


def test_cut_of_equity_hours_annualises_by_the_seven_clock_hours_that_a_session_touches() -> None:
    minutes = np.arange(14 * 60 + 31, 21 * 60 + 1)
    ts = np.concatenate([(day * 1440 + minutes) * MINUTE for day in range(20)])
    flat = np.full(len(ts), 100.0)
    found = cut(EquityCurve(100.0, ts, flat, 0 * flat, 0 * flat), Calendar.us_equity(MINUTE))

    assert (found.unit, len(found), found.per_year) == ("hour", 20 * 7, 252 * 7)


def test_period_return_counts_the_bar_that_closes_at_midnight_to_the_day_before() -> None:
    equity = np.full(60 * 24, 100.0)
    equity[23:] = 110.0
    found = cut(curve_of(equity, HOUR), Calendar.crypto(HOUR))

    assert found.log_return[:2] == pytest.approx([np.log(1.1), 0.0])


@given(
    steps=st.lists(st.floats(-0.3, 0.3), min_size=61, max_size=200),
    days=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_drawdown_over_periods_equals_drawdown_over_bars(steps: list[float], days: int) -> None:
    equity = 100.0 * np.exp(np.cumsum(np.repeat(steps, days)))
    curve = curve_of(equity, DAY // days)
    found = cut(curve, Calendar.crypto(DAY // days))
    deepest = formulas.max_drawdown(found.log_return, found.log_high, found.log_low, found.log_drawdown)
    path = np.concatenate([[100.0], equity])
    brute = max(1.0 - path[j] / path[: j + 1].max() for j in range(len(path)))

    assert float(deepest) == pytest.approx(brute, abs=1e-12)


# ---- formulas, by hand


RETURNS = np.array([0.01, -0.02, 0.03, 0.0])


def test_sharpe_equals_the_hand_calculation() -> None:
    # mean 0.005; deviations 0.005, -0.025, 0.025, -0.005; sum of squares 0.0013 over 3
    assert float(formulas.sharpe(RETURNS, 252.0)) == pytest.approx(0.005 / sqrt(0.0013 / 3) * sqrt(252))


def test_sortino_equals_the_hand_calculation() -> None:
    # the only loss is 0.02, over four periods: √(0.0004 / 4) = 0.01
    assert float(formulas.sortino(RETURNS, 252.0)) == pytest.approx(0.5 * sqrt(252))


@pytest.mark.parametrize("level", [0.0, 0.001])
def test_ratios_of_constant_returns_are_undefined_where_there_is_no_risk(level: float) -> None:
    constant = np.full(50, level)

    assert np.isnan(formulas.sharpe(constant, 252.0))
    assert np.isnan(formulas.sortino(constant, 252.0))


def test_book_of_a_known_path_has_the_drawdowns_of_the_hand_calculation() -> None:
    found = book_metrics(curve_of([120.0, 90.0, 130.0, 117.0]), None, DAILY, QUICK)

    assert found.net.max_drawdown_frac.value == pytest.approx(0.25)
    assert found.net.average_drawdown_frac == pytest.approx((0 + 0.25 + 0 + 0.1) / 4)
    assert found.net.longest_drawdown_secs == 2 * 86_400
    assert found.net.total_return_frac.value == pytest.approx(0.17)


def test_drawdown_counts_from_the_capital_where_the_first_bar_already_loses() -> None:
    found = book_metrics(curve_of([90.0, 95.0]), None, DAILY, QUICK).net

    assert found.max_drawdown_frac.value == pytest.approx(0.1)
    assert found.average_drawdown_frac == pytest.approx(0.075)


def test_growth_of_a_year_that_doubles_is_one_hundred_percent() -> None:
    equity = 100.0 * 2.0 ** (np.arange(1, 253) / 252.0)
    found = book_metrics(curve_of(equity), None, DAILY, QUICK)

    assert found.net.cagr_frac.value == pytest.approx(1.0)


def test_growth_under_a_week_is_not_scaled_to_a_year() -> None:
    found = book_metrics(random_curve(6 * 24, interval=HOUR), None, Calendar.crypto(HOUR), QUICK)

    assert found.net.cagr_frac == Statistic(None)
    assert found.net.total_return_frac.value is not None


def test_figures_of_a_long_run_equal_those_that_pandas_finds_on_daily_returns() -> None:
    curve = random_curve(200 * 24, interval=HOUR, scale=0.004)
    found = book_metrics(curve, None, Calendar.crypto(HOUR), QUICK).net
    prices = pd.Series(np.concatenate([[100.0], curve.equity]), index=pd.RangeIndex(0, 200 * 24 + 1))
    daily = prices.iloc[::24].pct_change().dropna()

    assert found.volatility_annual.value == pytest.approx(daily.std() * sqrt(365))
    assert found.sharpe.value == pytest.approx(daily.mean() / daily.std() * sqrt(365))
    assert found.max_drawdown_frac.value == pytest.approx(-(prices / prices.cummax() - 1).min())
    assert found.calmar.value == pytest.approx(found.cagr_frac.value / found.max_drawdown_frac.value)  # type: ignore[operator]


# ---- intervals


def test_interval_of_a_mean_agrees_with_the_normal_theory() -> None:
    values = np.random.default_rng(5).normal(0.0, 1.0, 4000)
    found = estimate_of_sums(values[:, None], formulas.hit_rate, Bootstrap(resamples=2000))
    width = 2 * 1.96 * values.std() / sqrt(4000)

    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_high - found.ci_low == pytest.approx(width, rel=0.15)
    assert found.ci_low < values.mean() < found.ci_high


def test_interval_widens_where_neighbours_move_together() -> None:
    independent = np.random.default_rng(6).normal(0.0, 1.0, 3000)
    together = np.repeat(independent[:300], 10)
    shuffled = np.random.default_rng(7).permutation(together)
    widths = []
    for values in (together, shuffled):
        found = estimate_of_sums(values[:, None], formulas.hit_rate, Bootstrap())
        assert found.ci_low is not None
        assert found.ci_high is not None
        widths.append(found.ci_high - found.ci_low)

    assert widths[0] > 2 * widths[1]


def test_estimate_from_block_sums_equals_resampling_every_observation() -> None:
    columns = np.random.default_rng(8).normal(size=(1000, 2)) ** 2
    found = estimate_of_sums(columns, formulas.profit_factor, QUICK)
    means = columns[resample_indices(1000, QUICK)].mean(axis=1)
    # 100 blocks of 10: Student's t with 99 degrees of freedom, a little farther out than 2.5 %.
    tail = stats.norm.cdf(-np.sqrt(100 / 99) * stats.t.ppf(0.975, 99))
    low, high = np.quantile(means[:, 0] / means[:, 1], (tail, 1.0 - tail))

    assert block_length(1000) == 10
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))


@pytest.mark.parametrize("blocks", [4, 5, 8, 15, 40, 200, 5_000])
@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_tail_is_that_of_students_t_with_a_degree_for_each_block_but_one(blocks: int, level: float) -> None:
    exact = np.sqrt(blocks / (blocks - 1)) * stats.t.ppf(0.5 + level / 2, blocks - 1)

    assert -stats.norm.ppf(expanded_tail(blocks, level)) == pytest.approx(exact, rel=0.01)


def test_resamples_consist_of_whole_blocks_on_a_circle() -> None:
    indices = resample_indices(64, QUICK)
    steps = np.diff(indices, axis=1) % 64
    inside = np.arange(63) % block_length(64) != block_length(64) - 1

    assert np.all(steps[:, inside] == 1)
    assert np.all(np.bincount(indices.ravel(), minlength=64) > 0)


def test_intervals_are_the_same_twice_and_others_under_another_seed() -> None:
    curve = random_curve(300)
    first, again = (book_metrics(curve, None, DAILY, QUICK) for _ in range(2))
    other = book_metrics(curve, None, DAILY, replace(QUICK, seed=8))

    assert first == again
    assert first.net.sharpe.value == other.net.sharpe.value
    assert first.net.sharpe.ci_low != other.net.sharpe.ci_low


@pytest.mark.parametrize("num_bars", [1, 2, 9])
def test_ratios_of_a_run_too_short_for_an_interval_are_withheld(num_bars: int) -> None:
    found = book_metrics(random_curve(num_bars), None, DAILY, QUICK).net

    assert (found.sharpe, found.sortino, found.calmar) == (Statistic(None),) * 3
    assert found.total_return_frac.value is not None


@given(num_bars=st.integers(1, 80), seed=st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_ratio_never_stands_without_its_interval(num_bars: int, seed: int) -> None:
    found = book_metrics(random_curve(num_bars, seed), None, DAILY, Bootstrap(resamples=100)).net

    for ratio in (found.sharpe, found.sortino, found.calmar):
        assert (ratio.value is None) == (ratio.ci_low is None) == (ratio.ci_high is None)


# ---- curves


def test_curve_of_a_book_that_did_nothing_has_no_ratios_and_no_drawdown() -> None:
    found = book_metrics(curve_of(np.full(100, 100.0)), Dealings([], [], 0), DAILY, QUICK)

    assert found.net.sharpe == Statistic(None)
    assert found.net.max_drawdown_frac == Statistic(0.0, 0.0, 0.0)
    assert found.net.longest_drawdown_secs == 0.0
    assert found.net_trades is not None
    assert found.net_trades.hit_rate == Statistic(None)


def test_ruined_book_lost_everything_and_says_when() -> None:
    found = book_metrics(curve_of([50.0, 10.0, -5.0, 40.0]), None, DAILY, QUICK)

    assert found.ruined_ts == 3 * DAY
    assert found.net.total_return_frac == Statistic(-1.0)
    assert found.net.max_drawdown_frac == Statistic(1.0)
    assert found.net.sharpe == Statistic(None)


def test_book_that_is_ruined_on_its_first_bar_is_still_measured() -> None:
    found = book_metrics(curve_of([-1.0, -1.0]), None, DAILY, QUICK)

    assert (found.ruined_ts, found.net.total_return_frac) == (DAY, Statistic(-1.0))


@pytest.mark.parametrize(
    ("ts", "equity", "complaint"),
    [([], [], "at least one bar"), ([2, 1], [1.0, 1.0], "ascending"), ([1, 2], [1.0, np.nan], "finite")],
)
def test_damaged_curve_is_refused(ts: list[int], equity: list[float], complaint: str) -> None:
    values = np.array(equity, dtype=np.float64)
    with pytest.raises(ValueError, match=complaint):
        EquityCurve(1.0, np.array(ts, dtype=np.int64), values, values, values)


def test_account_is_the_sum_of_books_with_the_last_mark_where_one_is_silent() -> None:
    records = [
        equity_record(1, "alpha", 101.0),
        equity_record(2, "beta", 52.0),
        equity_record(3, "alpha", 104.0),
    ]
    alpha, beta = equity_curve(records, "alpha", 100.0), equity_curve(records, "beta", 50.0)
    total = total_curve([alpha, beta], unallocated_quote=10.0)

    assert total.initial == 160.0
    assert total.ts_event.tolist() == [1, 2, 3]
    assert total.equity.tolist() == [101 + 50 + 10, 101 + 52 + 10, 104 + 52 + 10]


def test_gross_figures_add_the_costs_back() -> None:
    net = curve_of([99.0, 103.0])
    curve = EquityCurve(100.0, net.ts_event, net.equity, np.array([2.0, 3.0]), net.gross_exposure)
    found = book_metrics(curve, None, DAILY, QUICK)

    assert found.gross.total_return_frac.value == pytest.approx(0.06)
    assert found.costs.total_quote == 3.0
    assert found.costs.drag_frac == pytest.approx(0.03)


# ---- round trips


def test_trade_matches_the_oldest_lot_first() -> None:
    fills = [
        fill("BUY", 1.0, 100.0, ts_event=0, client_order_id="O1", fee=1.0),
        fill("BUY", 1.0, 110.0, ts_event=10 * SECOND, client_order_id="O2", fee=2.0),
        fill("SELL", 1.5, 120.0, ts_event=20 * SECOND, client_order_id="O3", fee=3.0),
    ]
    found = match_fills(fills)
    (trade,) = found.trades

    assert trade.quantity == 1.5
    assert trade.entry_price == pytest.approx((100 + 0.5 * 110) / 1.5)
    assert trade.gross_pnl == pytest.approx(20 + 0.5 * 10)
    assert trade.fees == pytest.approx(1 + 0.5 * 2 + 3)
    assert trade.net_pnl == pytest.approx(25 - 5)
    assert trade.hold_secs == pytest.approx((1.0 * 20 + 0.5 * 10) / 1.5)
    assert trade.return_bps == pytest.approx(1e4 * 20 / 155)
    assert found.open_positions == 1
    assert found.positions[-1].quantity == 0.5
    assert found.positions[-1].entry_price == 110.0


def test_short_trade_earns_when_the_price_falls() -> None:
    (trade,) = match_fills([fill("SELL", 2.0, 50.0), fill("BUY", 2.0, 40.0, client_order_id="O2")]).trades

    assert (trade.side, trade.gross_pnl) == ("SHORT", 20.0)


def test_order_that_turns_a_position_closes_one_trade_and_opens_the_rest() -> None:
    fills = [
        fill("BUY", 1.0, 100.0),
        fill("SELL", 3.0, 110.0, client_order_id="O2", fee=3.0),
        fill("BUY", 2.0, 105.0, client_order_id="O3"),
    ]
    long, short = match_fills(fills).trades

    assert (long.side, long.quantity, long.gross_pnl, long.fees) == ("LONG", 1.0, 10.0, 1.0)
    assert (short.side, short.quantity, short.gross_pnl, short.fees) == ("SHORT", 2.0, 10.0, 2.0)


def test_partial_fills_of_one_closing_order_are_one_trade() -> None:
    fills = [
        fill("BUY", 0.3, 100.0),
        fill("SELL", 0.1, 101.0, client_order_id="O2", ts_event=5 * SECOND),
        fill("SELL", 0.2, 104.0, client_order_id="O2", ts_event=9 * SECOND),
    ]
    found = match_fills(fills)
    (trade,) = found.trades

    assert trade.exit_price == pytest.approx(103.0)
    assert trade.exit_ts == 9 * SECOND
    assert found.open_positions == 0
    assert found.positions[-1].quantity == 0.0


def test_books_of_two_strategies_in_one_instrument_are_kept_apart() -> None:
    found = match_fills([fill("BUY", 1.0, 100.0), fill("SELL", 1.0, 110.0, strategy="beta")])

    assert (found.trades, found.open_positions) == ((), 2)


def test_trade_knows_the_role_of_the_order_that_closed_it() -> None:
    nan = float("nan")
    order = OrderRecord(0, "alpha", "X", "", "O2", "SELL", 1.0, "STOP_MARKET", "STOP", nan, nan, "FILLED", "")
    found = match_fills([fill("BUY", 1.0, 100.0), fill("SELL", 1.0, 90.0, client_order_id="O2")], [order])

    assert found.trades[0].exit_role == "STOP"


@pytest.mark.parametrize("change", [{"quantity": 0.0}, {"price": -1.0}, {"side": "HOLD"}])
def test_impossible_fill_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected BUY or SELL of a positive quantity"):
        match_fills([fill("BUY", 1.0, 1.0)._replace(**change)])  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BUY", "SELL"]), st.integers(1, 500), st.integers(1, 900), st.integers(0, 9)
        ),
        min_size=1,
        max_size=40,
    )
)
@settings(max_examples=150, deadline=None)
def test_profits_of_trades_and_open_lots_equal_the_money_that_moved(
    rows: list[tuple[str, int, int, int]],
) -> None:
    fills = [
        fill(side, lots * 1e-3, price / 7, fee=fee / 10, client_order_id=f"O{at}", ts_event=at)
        for at, (side, lots, price, fee) in enumerate(rows)
    ]
    found = match_fills(fills)
    signed = [(1 if f.side == "BUY" else -1) * f.quantity for f in fills]
    cash = -sum(quantity * f.price for quantity, f in zip(signed, fills, strict=True))
    last = found.positions[-1]
    open_cost = last.quantity * last.entry_price if last.quantity else 0.0
    traded = sum(trade.gross_pnl for trade in found.trades)

    assert last.quantity == pytest.approx(sum(signed), abs=1e-9)
    assert traded == pytest.approx(cash + open_cost, abs=1e-6)
    assert traded == pytest.approx(last.realised_gross, abs=1e-6)
    if last.quantity == 0.0:
        assert sum(t.fees for t in found.trades) == pytest.approx(sum(f.fee for f in fills), abs=1e-6)


def test_trade_figures_equal_the_hand_calculation() -> None:
    fills = []
    for at, price in enumerate((110.0, 95.0, 120.0, 100.0)):
        fills += [
            fill("BUY", 1.0, 100.0, client_order_id=f"B{at}", ts_event=2 * at, fee=0.5),
            fill("SELL", 1.0, price, client_order_id=f"S{at}", ts_event=2 * at + 1, fee=0.5),
        ]
    dealings = Dealings(match_fills(fills).trades, fills, 0)
    exposed = replace(curve_of([100.0, 150.0]), gross_exposure=np.array([0.0, 75.0]))
    found = book_metrics(exposed, dealings, DAILY, QUICK)
    assert found.net_trades is not None
    assert found.gross_trades is not None
    assert found.activity is not None

    # gross 10, -5, 20, 0; each trade costs 1: net 9, -6, 19, -1
    assert found.net_trades.hit_rate.value == 0.5
    assert found.net_trades.profit_factor.value == pytest.approx(28 / 7)
    assert found.gross_trades.profit_factor.value == pytest.approx(30 / 5)
    assert found.net_trades.average_trade_quote.value == pytest.approx(21 / 4)
    assert found.net_trades.average_trade_bps.value == pytest.approx(525.0)
    assert (found.net_trades.best_trade_quote, found.net_trades.worst_trade_quote) == (19.0, -6.0)
    assert found.activity.traded_notional_quote == pytest.approx(825.0)
    assert found.activity.turnover == pytest.approx(825 / 125)
    assert found.activity.turnover_annual == pytest.approx(825 / 125 * 252 / 2)
    assert found.activity.time_in_market_frac == 0.5
    assert found.activity.average_exposure_frac == pytest.approx(0.25)


# ---- regimes and comparison


def test_profit_is_credited_to_the_state_that_was_believed_before_it() -> None:
    nothing = ((), (), 0.0, (), ())
    decisions = [
        DecisionRecord(ts, "alpha", "", state, (1.0 - state, float(state)), *nothing)
        for ts, state in ((1, 0), (2, 0), (3, 1))
    ]
    records = [
        equity_record(ts, "alpha", equity) for ts, equity in ((1, 100.0), (2, 103.0), (3, 101.0), (4, 108.0))
    ]
    found = regime_metrics(decisions, equity_curve(records, "alpha", 100.0))
    assert found is not None

    assert [state.pnl_quote for state in found.states] == [3.0 - 2.0, 7.0]
    assert [state.bars for state in found.states] == [2, 1]
    assert [state.average_stay_bars for state in found.states] == [2.0, 1.0]
    assert found.transitions == ((1, 1), (0, 0))


def test_book_equals_itself_as_baseline() -> None:
    curve = random_curve(120)
    found = compare(curve, curve, DAILY, QUICK)

    assert found.excess_return_frac == Statistic(0.0, 0.0, 0.0)
    assert found.correlation == pytest.approx(1.0)


def test_book_that_always_gains_more_than_its_baseline_is_better_beyond_chance() -> None:
    baseline = random_curve(120)
    better = curve_of(baseline.equity * 1.002 ** np.arange(1, 121))
    found = compare(better, baseline, DAILY, QUICK)

    assert found.excess_return_frac.ci_low is not None
    assert found.excess_return_frac.ci_low > 0
    assert found.sharpe_difference.ci_low is not None
    assert found.sharpe_difference.ci_low > 0


# ---- a whole run


def test_scorecard_of_a_run_is_json_and_adds_up() -> None:
    run = example_run(1500)
    document = json.loads(json.dumps(run.evaluation.as_json(), allow_nan=False))
    books = document["strategies"].values()

    assert (
        document["trade_count"] == len(run.evaluation.matched.trades) == sum(b["trade_count"] for b in books)
    )
    assert document["pnl_quote"] == pytest.approx(sum(book["pnl_quote"] for book in books))
    assert set(document["sharpe"]) == {"value", "ci_low", "ci_high"}
    assert set(document["baselines"]) == set(document["versus"]) == {"buy_and_hold", "flat"}
    assert document["gross"]["pnl_quote"] == pytest.approx(
        document["pnl_quote"] + document["costs"]["total_quote"]
    )


def test_scorecard_of_a_strategy_without_equity_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one bar"):
        evaluate_run(MemoryTape(), capital_quote={"alpha": 1.0}, calendar=DAILY)
