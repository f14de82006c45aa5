"""Splits: by hand, against skfolio, and no test label ever in the training set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.splits import (
    TimeRange,
    combinatorial_purged,
    custom_ranges,
    eighty_twenty,
    last_year,
    purged_walk_forward,
    rolling_walk_forward,
    stress_windows,
)
from strategies.errors import DataError

DAY_NS = 86_400 * 10**9
JAN_2020_NS = 1_577_836_800 * 10**9
DAYS = JAN_2020_NS + DAY_NS * np.arange(1, 1_097)
"""Daily closes from 2020-01-02 00:00 to 2023-01-01 00:00."""


def ends_of(count: int, horizon: int) -> np.ndarray:
    return np.minimum(np.arange(count) + horizon, count - 1)


def test_purged_walk_forward_by_hand() -> None:
    # 12 rows, 3 blocks of 4; labels look 1 row ahead: of rows 0..3 row 3 shares row 4 with the first test.
    splits = purged_walk_forward(ends_of(12, 1), num_folds=2, embargo_bars=0)

    assert [(s.train.tolist(), s.test.tolist()) for s in splits] == [
        ([0, 1, 2], [4, 5, 6, 7]),
        ([0, 1, 2, 3, 4, 5, 6], [8, 9, 10, 11]),
    ]


def test_embargo_of_a_walk_forward_is_a_gap_before_the_test() -> None:
    splits = purged_walk_forward(ends_of(12, 1), num_folds=2, embargo_bars=2, train_bars=5)

    assert [s.train.tolist() for s in splits] == [[0, 1], [3, 4, 5]]


def test_rolling_walk_forward_moves_by_the_test_span() -> None:
    splits = rolling_walk_forward(ends_of(20, 0), train_bars=8, test_bars=4)

    assert [(s.train[0], s.train[-1], s.test[0], s.test[-1]) for s in splits] == [
        (0, 7, 8, 11),
        (4, 11, 12, 15),
        (8, 15, 16, 19),
    ]


@pytest.mark.parametrize(("horizon", "embargo"), [(0, 0), (3, 0), (3, 4), (0, 5)])
def test_combinatorial_purged_agrees_with_skfolio(horizon: int, embargo: int) -> None:
    from skfolio.model_selection import CombinatorialPurgedCV  # takes seconds to import

    # A label that looks h rows ahead shares a bar with labels up to h rows away on either side.
    theirs = CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=horizon, embargo_size=embargo)
    expected = {
        tuple(np.concatenate(test).tolist()): train.tolist()
        for train, test in theirs.split(np.zeros((120, 1)))
    }

    ours = combinatorial_purged(np.arange(120) + horizon, num_folds=6, num_test_folds=2, embargo_bars=embargo)

    assert {tuple(s.test.tolist()): s.train.tolist() for s in ours} == expected
    assert len(expected) == 15


@given(
    count=st.integers(60, 200),
    reach=st.integers(0, 6),
    embargo=st.integers(0, 4),
    seed=st.integers(0, 99),
)
def test_no_split_trains_on_a_bar_that_a_test_label_uses(
    count: int, reach: int, embargo: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ends = np.minimum(np.arange(count) + rng.integers(0, reach + 1, count), count - 1)
    splits = [
        *purged_walk_forward(ends, num_folds=3, embargo_bars=embargo),
        *combinatorial_purged(ends, num_folds=4, num_test_folds=2, embargo_bars=embargo),
        eighty_twenty(ends, embargo_bars=embargo),
    ]

    for split in splits:
        trained, tested = np.zeros(count, bool), np.zeros(count, bool)
        for row in split.train:
            trained[row : ends[row] + 1] = True
        for row in split.test:
            tested[row : ends[row] + 1] = True
        assert not (trained & tested).any()
        after = split.test[:-1][np.diff(split.test) > 1]
        for last in after:
            assert not np.isin(np.arange(last + 1, last + 1 + embargo), split.train).any()


def test_last_year_tests_on_the_last_365_days() -> None:
    split = last_year(DAYS, ends_of(len(DAYS), 0), embargo_bars=0)

    assert len(split.test) == 365
    assert split.train.tolist() == list(range(len(DAYS) - 365))


def test_eighty_twenty_cuts_at_four_fifths() -> None:
    split = eighty_twenty(ends_of(100, 0), embargo_bars=5)

    assert (split.train[-1], split.test[0], len(split.test)) == (74, 80, 20)


def test_custom_ranges_take_the_rows_of_their_dates() -> None:
    split = custom_ranges(
        DAYS,
        ends_of(len(DAYS), 1),
        TimeRange("train", "2020-01-02", "2021-01-01"),
        TimeRange("test", "2021-01-01", "2021-02-01"),
    )

    # 2020 had 366 days, so closes from 2 January to 31 December are 365; the last label reaches the test.
    assert (split.train[0], len(split.train), len(split.test)) == (0, 364, 31)


def test_custom_ranges_that_overlap_are_refused() -> None:
    with pytest.raises(DataError, match="not to overlap"):
        custom_ranges(
            DAYS,
            ends_of(len(DAYS), 0),
            TimeRange("train", "2020-01-01", "2021-02-01"),
            TimeRange("test", "2021-01-01", "2021-06-01"),
        )


def test_stress_windows_are_tested_on_and_everything_else_is_trained_on() -> None:
    covid = TimeRange("covid", "2020-02-20", "2020-04-01")
    luna = TimeRange("luna", "2022-05-05", "2022-05-20")

    splits = stress_windows(DAYS, ends_of(len(DAYS), 0), (covid, luna), embargo_bars=3)

    assert [(s.name, len(s.test), len(s.train)) for s in splits] == [
        ("covid", 41, len(DAYS) - 41 - 3),
        ("luna", 15, len(DAYS) - 15 - 3),
    ]


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (TimeRange("x", "2030-01-01", "2031-01-01"), "no data"),
        (TimeRange("x", "2021-01-01", "2021-01-01"), "expected an end after"),
        (TimeRange("x", "yesterday", "2021-01-01"), "ISO date"),
    ],
)
def test_windows_that_cannot_be_are_refused(window: TimeRange, message: str) -> None:
    with pytest.raises(DataError, match=message):
        window.rows(DAYS)


def test_splits_with_too_few_rows_are_refused() -> None:
    ends = ends_of(20, 3)

    with pytest.raises(DataError, match="nothing is left to train on"):
        purged_walk_forward(ends, num_folds=4, embargo_bars=5)
    with pytest.raises(DataError, match="expected 2 to 20 blocks"):
        purged_walk_forward(ends, num_folds=30)
    with pytest.raises(DataError, match="at least train_bars"):
        rolling_walk_forward(ends, train_bars=18, test_bars=3)
    with pytest.raises(DataError, match="num_test_folds = 5"):
        list(combinatorial_purged(ends, num_folds=5, num_test_folds=5))
