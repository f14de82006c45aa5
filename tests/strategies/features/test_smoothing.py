"""Sums and deviations that slide without drift."""

import math
from collections import deque
from fractions import Fraction
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.features.smoothing import SlidingMoments, SlidingSum

values = st.one_of(
    st.floats(-1e35, 1e35, allow_subnormal=False).filter(lambda x: x == 0.0 or abs(x) > 1e-40),
    st.sampled_from([0.0, 1e-12, 0.1, 1e15, 1e35]),
)


@given(st.lists(values, min_size=1, max_size=60), st.integers(1, 9))
def test_sum_of_a_window_is_the_exact_one_rounded_once(stream: list[float], length: int) -> None:
    sliding, window = SlidingSum(length), deque[float](maxlen=length)

    for x in stream:
        window.append(x)
        assert sliding.push(x) == fsum(window)


def test_what_was_huge_leaves_nothing_behind() -> None:
    sliding = SlidingSum(2)
    stream = (1e35, -3.0, 0.1, 0.2)

    sums = [sliding.push(x) for x in stream]

    # 1e35 - 3 is 1e35 in floating point; a running sum of floats would end at 3.3.
    assert sums == [1e35, 1e35, -2.9, 0.1 + 0.2]


def test_million_bars_later_the_sum_is_still_exact() -> None:
    sliding = SlidingSum(3)

    for step in range(1_000_000):
        total = sliding.push(0.1 * (step % 7))

    assert total == fsum(0.1 * (step % 7) for step in range(999_997, 1_000_000))


@given(st.lists(st.floats(1e-12, 1e15), min_size=1, max_size=60), st.integers(1, 9))
def test_moments_of_a_window_are_the_exact_ones(stream: list[float], length: int) -> None:
    sliding, window = SlidingMoments(length), deque([0.0] * length, maxlen=length)

    for x in stream:
        window.append(x)
        mean, deviation = sliding.push(x)
        exact = [Fraction(value) for value in window]

        exact_mean = sum(exact) / length
        variance = sum((value - exact_mean) ** 2 for value in exact) / length
        assert mean == pytest.approx(float(exact_mean), rel=1e-15)
        assert deviation == pytest.approx(math.sqrt(variance), rel=1e-15)


def test_deviation_of_equal_values_is_nothing_whatever_was_before() -> None:
    sliding = SlidingMoments(3)

    deviations = [sliding.push(x)[1] for x in (1e15, 1e-12, 0.1, 0.1, 0.1)]

    assert deviations[-1] == 0.0 < deviations[-2]
