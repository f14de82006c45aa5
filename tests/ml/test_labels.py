"""Labels by hand."""

import numpy as np
import pytest

from ml.labels import Touch, forward_return, return_sign, triple_barrier
from strategies.errors import DataError


def test_forward_return_is_the_log_of_the_later_price_over_the_present_one() -> None:
    labels = forward_return(np.array([100.0, 110.0, 99.0, 198.0]), horizon=2)

    # The logarithms of 0.99 and 1.8.
    assert labels.values[:2] == pytest.approx([-0.01005033585, 0.58778666490], abs=1e-10)
    assert np.isnan(labels.values[2:]).all()
    assert labels.ends.tolist() == [2, 3, 2, 3]


def test_return_sign_counts_a_move_above_the_threshold_only() -> None:
    labels = return_sign(np.array([100.0, 102.0, 101.5, 98.0, 98.0]), horizon=1, threshold=0.01)

    # 1.98 %, -0.49 %, -3.5 %, 0 %
    np.testing.assert_array_equal(labels.values, [1.0, 0.0, -1.0, 0.0, np.nan])


def test_triple_barrier_takes_the_first_touch_and_the_lower_in_doubt() -> None:
    close = np.array([100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0])
    high = np.array([100.0, 101.0, 102.0, 100.5, 103.0, 100.0, 100.0])
    low = np.array([100.0, 99.5, 99.5, 97.0, 97.5, 99.5, 99.0])

    labels = triple_barrier(high, low, close, width=np.full(7, 0.02), horizon=2)

    # Barriers 102 and 98. Row 0: bar 2 touches 102. Row 1: bar 2 first. Row 2: bar 3 touches 98.
    # Row 3: bar 4 spans both. Row 4: neither in bars 5 and 6. Rows 5 and 6: no future.
    expected = [Touch.UPPER, Touch.UPPER, Touch.LOWER, Touch.LOWER, Touch.NONE, np.nan, np.nan]
    np.testing.assert_array_equal(labels.values, expected)
    assert labels.ends.tolist() == [2, 2, 3, 4, 6, 5, 6]


def test_triple_barrier_of_unequal_distances_and_unknown_width() -> None:
    close = np.array([100.0, 100.0, 100.0])
    high, low = np.array([100.0, 101.0, 100.0]), np.array([100.0, 99.0, 99.0])

    labels = triple_barrier(high, low, close, width=np.array([0.01, np.nan, 0.01]), horizon=1, lower=2.0)

    np.testing.assert_array_equal(labels.values, [Touch.UPPER, np.nan, np.nan])
    assert labels.ends.tolist() == [1, 1, 2]


@pytest.mark.parametrize("horizon", [0, 3])
def test_horizon_that_does_not_fit_is_refused(horizon: int) -> None:
    with pytest.raises(DataError, match="expected 1 to 2"):
        forward_return(np.array([1.0, 2.0, 3.0]), horizon)


def test_impossible_inputs_of_labels_are_refused() -> None:
    good = np.array([1.0, 2.0, 3.0])

    with pytest.raises(DataError, match="positive prices"):
        forward_return(np.array([1.0, np.nan, 3.0]), 1)
    with pytest.raises(DataError, match="at least 0"):
        return_sign(good, 1, -0.1)
    with pytest.raises(DataError, match="one length"):
        triple_barrier(good, good, good, width=np.zeros(2), horizon=1)
    with pytest.raises(DataError, match="widths of at least 0"):
        triple_barrier(good, good, good, width=-good, horizon=1)
