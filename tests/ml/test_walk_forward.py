"""Walk-forward: which folds, side by side, resumed, and all of them together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.evaluation import Bootstrap, Calendar, EquityCurve
from ml.evaluation.regimes import RegimeMetrics, StateMetrics, joined_regimes
from ml.walk_forward import Fold, FoldError, FoldOutcome, Window, plan_folds, summarise, walk_forward
from ml.walk_forward.summary import chained
from strategies.errors import ConfigError, DataError
from strategies.tape import FillRecord
from tests.support.fold_runs import HOUR_NS, Judge, Trainer, curve_of

DAY_NS = 24 * HOUR_NS
HOURLY = Calendar.crypto(HOUR_NS)
QUICK = Bootstrap(resamples=100)


def fold_at(number: int) -> Fold:
    start = number * 10 * HOUR_NS
    return Fold(number, start - 5 * HOUR_NS, start - HOUR_NS, start, start + HOUR_NS)


FOLDS = (fold_at(1), fold_at(2), fold_at(3))


# ---- which folds


def test_windows_of_days_count_dates_with_bars_whatever_their_bars() -> None:
    # Days 0, 1, 3, 4, 5 with 2, 3, 1, 2 and 2 hourly closes; midnight belongs to the day that ends.
    hours = [23, 24, 25, 30, 48, 73, 100, 120, 121, 140]
    times = HOUR_NS * np.array(hours)

    folds = plan_folds(times, Window(train=2, test=1, unit="days", horizon_bars=0))

    spans = [(f.train_start_ns, f.train_end_ns, f.test_start_ns, f.test_end_ns) for f in folds]
    assert [tuple(int(t // HOUR_NS) for t in span) for span in spans] == [
        (23, 48, 73, 73),
        (25, 73, 100, 120),
        (73, 120, 121, 140),
    ]


def test_windows_of_bars_leave_out_what_a_label_reaches_and_the_embargo() -> None:
    times = HOUR_NS * np.arange(1, 31)

    (fold, *_) = plan_folds(times, Window(train=10, test=5, unit="bars", horizon_bars=2, embargo_bars=3))

    # Rows 0 to 9 are before the test; rows 7 to 9 are the embargo, which covers what the labels reach.
    assert fold == Fold(1, HOUR_NS, 7 * HOUR_NS, 11 * HOUR_NS, 15 * HOUR_NS)


def test_history_without_room_for_a_fold_is_refused() -> None:
    with pytest.raises(DataError, match="expected at least train_days"):
        plan_folds(DAY_NS * np.arange(1, 100), Window(252, 63, "days"))


# ---- the loop


def run(directory: Path, judge: Judge, **pins: str) -> tuple[FoldOutcome, ...]:
    return walk_forward(
        FOLDS, directory, fit=Trainer(directory.with_suffix(".log")), evaluate=judge, pins=pins
    )


def test_interrupted_walk_forward_goes_on_where_it_was(tmp_path: Path) -> None:
    directory, mended = tmp_path / "walk", tmp_path / "mended"
    judge = Judge(failing=2, mended=mended)

    with pytest.raises(FoldError, match=r"fold-002: ValueError: planted failure\n.*run it again to go on"):
        run(directory, judge)
    mended.touch()
    outcomes = run(directory, judge)

    assert [outcome.curve.equity[-1] for outcome in outcomes] == [101.0, 102.0, 103.0]
    # Every fold was trained once: the second was judged again, not trained again.
    trained = directory.with_suffix(".log").read_text().split()
    assert sorted(trained) == ["1", "2", "3"]
    assert not (directory / "fold-002" / "failure.txt").exists()


def test_worker_that_dies_is_named(tmp_path: Path) -> None:
    with pytest.raises(FoldError, match="fold-001: its process died without a word"):
        run(tmp_path / "walk", Judge(dying=1))


def test_directory_of_another_plan_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "walk", Judge(), data="one")

    with pytest.raises(ConfigError, match="those of another walk-forward"):
        run(tmp_path / "walk", Judge(), data="two")


def test_directory_in_which_one_runs_is_refused(tmp_path: Path) -> None:
    def check_wanted() -> None:
        with pytest.raises(ConfigError, match="expected no other walk-forward to run in it"):
            run(directory, Judge())

    directory = tmp_path / "walk"
    told: list[tuple[int, int]] = []
    walk_forward(
        FOLDS[:1],
        directory,
        fit=Trainer(tmp_path / "log"),
        evaluate=Judge(),
        pins={},
        progress=lambda done, total: told.append((done, total)),
        check_wanted=check_wanted,
    )

    assert told[-1] == (1, 1)


def test_interrupt_ends_the_workers(tmp_path: Path) -> None:
    def check_wanted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walk_forward(
            FOLDS,
            tmp_path / "walk",
            fit=Trainer(tmp_path / "log"),
            evaluate=Judge(),
            pins={},
            check_wanted=check_wanted,
        )

    assert not list((tmp_path / "walk").glob("*/.outcome*"))


# ---- outcomes


REGIMES = RegimeMetrics(
    (StateMetrics(0, 6, 0.6, 3.0, 0.7, 5.0), StateMetrics(1, 4, 0.4, None, 0.3, -2.0)), ((4, 1), (1, 3))
)


def test_outcome_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    fill = FillRecord(7, "alpha", "A.X", "o1", "t1", "BUY", 2.0, 50.0, 0.1, "TAKER")
    outcome = FoldOutcome(curve_of(0, [101.0, 99.0]), {"flat": curve_of(0, [100.0, 100.0])}, [fill], REGIMES)

    outcome.save(tmp_path / "outcome.npz")
    again = FoldOutcome.load(tmp_path / "outcome.npz")

    assert again.curve.equity.tolist() == [101.0, 99.0]
    assert list(again.baselines) == ["flat"]
    assert (again.fills, again.regimes) == ([fill], REGIMES)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:100],
        lambda data: b"",
        lambda data: data.replace(b"argonaut fold 1", b"argonaut fold 9"),
    ],
)
def test_damaged_outcome_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "outcome.npz"
    FoldOutcome(curve_of(0, [101.0])).save(path)
    path.write_bytes(spoil(path.read_bytes()))

    with pytest.raises(DataError, match="expected the outcome of a fold"):
        FoldOutcome.load(path)


# ---- all together, by hand


def test_folds_in_a_row_compound() -> None:
    first = EquityCurve(
        100.0, np.array([1, 2]), np.array([110.0, 120.0]), np.array([1.0, 2.0]), np.array([50.0, 0.0])
    )
    second = EquityCurve(
        200.0, np.array([3, 4]), np.array([200.0, 150.0]), np.array([0.0, 4.0]), np.array([20.0, 10.0])
    )

    found = chained([first, second])

    # The second is scaled by 120 / 200.
    assert found.equity.tolist() == [110.0, 120.0, 120.0, 90.0]
    assert found.fees == pytest.approx([1.0, 2.0, 2.0, 4.4])
    assert found.gross_exposure == pytest.approx([50.0, 0.0, 12.0, 6.0])


def test_after_a_ruin_nothing_is_earned_any_more() -> None:
    found = chained([curve_of(0, [50.0, -1.0]), curve_of(DAY_NS, [110.0, 120.0])])

    assert found.equity.tolist() == [50.0, -1.0, -1.0, -1.0]


def test_summary_by_hand() -> None:
    buy = FillRecord(0, "alpha", "A.X", "o1", "t1", "BUY", 1.0, 50.0, 0.0, "TAKER")
    sell = replace_fill(buy, side="SELL", price=60.0, client_order_id="o2", trade_id="t2")
    gains = [
        curve_of(fold.test_start_ns, equity)
        for fold, equity in zip(FOLDS, ([100.0, 110.0], [80.0, 88.0], [100.0, 120.0]), strict=True)
    ]
    flat = [curve_of(fold.test_start_ns, [100.0, 100.0]) for fold in FOLDS]
    outcomes = [
        FoldOutcome(gain, {"flat": still}, fills, REGIMES)
        for gain, still, fills in zip(gains, flat, ([buy, sell], [], [buy, sell]), strict=True)
    ]

    found = summarise(FOLDS, outcomes, HOURLY, bootstrap=QUICK)

    assert found.profitable_frac == pytest.approx(2 / 3)
    assert found.worst_drawdown_frac == pytest.approx(0.2)
    assert found.account.final_equity_quote == pytest.approx(100 * 1.1 * 0.88 * 1.2)
    assert found.account.activity is not None
    # One trade of 10 at the start, one of 10 · 1.1 · 0.88 when so much was left.
    assert found.account.net_trades is not None
    assert found.account.net_trades.average_trade_quote.value == pytest.approx((10 + 9.68) / 2)
    assert found.baselines["flat"].net.pnl_quote == 0.0
    assert found.versus["flat"].excess_return_frac.value == pytest.approx(1.1 * 0.88 * 1.2 - 1)
    assert found.regimes is not None
    assert [state.bars for state in found.regimes.states] == [18, 12]
    assert found.as_json()["folds"][1]["total_return_frac"]["value"] == pytest.approx(-0.12)


def replace_fill(fill: FillRecord, **changes: object) -> FillRecord:
    return fill._replace(**changes)  # type: ignore[arg-type]


def test_regimes_of_several_spans_add_up() -> None:
    other = RegimeMetrics(
        (StateMetrics(0, 10, 0.5, 2.0, 0.4, 1.0), StateMetrics(1, 10, 0.5, 5.0, 0.6, 3.0)), ((5, 5), (4, 5))
    )

    found = joined_regimes([REGIMES, other])

    # State 0 stayed 6 / 3 + 10 / 2 = 7 times; beliefs are weighted by the 10 and 20 bars of their spans.
    assert found is not None
    assert found.states[0] == StateMetrics(0, 16, 16 / 30, 16 / 7, (0.7 * 10 + 0.4 * 20) / 30, 6.0)
    assert found.transitions == ((9, 6), (5, 8))


def test_regimes_of_other_numbers_of_states_do_not_add_up() -> None:
    assert joined_regimes([REGIMES, replace(REGIMES, states=REGIMES.states[:1])]) is None


def test_folds_with_other_baselines_are_refused() -> None:
    outcomes = [
        FoldOutcome(curve_of(0, [1.0])),
        FoldOutcome(curve_of(0, [1.0]), {"flat": curve_of(0, [1.0])}),
    ]

    with pytest.raises(DataError, match="the same baselines"):
        summarise(FOLDS[:2], outcomes, HOURLY)
