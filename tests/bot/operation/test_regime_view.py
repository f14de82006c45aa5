"""The names of regime states, from nothing but how much each moves."""

from typing import Any

import numpy as np
import pytest

from bot.operation.regime_view import regime_states
from strategies.regime import RegimeFilter
from strategies.regime_params import RegimeParams


def _filter(variances: list[Any]) -> RegimeFilter:
    count, features = len(variances), len(variances[0])
    return RegimeFilter(
        RegimeParams(
            initial_probs=np.full(count, 1 / count),
            transition_matrix=np.full((count, count), 1 / count),
            means=np.zeros((count, features)),
            covariances=np.array(variances),
        )
    )


@pytest.mark.parametrize(
    ("variances", "names"),
    [
        ([[4.0]], ["only"]),
        ([[4.0], [1.0]], ["wild", "calm"]),
        ([[4.0, 1.0], [9.0, 2.0], [1.0, 3.0]], ["middle", "wild", "calm"]),
        ([[4.0], [9.0], [1.0], [16.0]], ["middle 1", "middle 2", "calm", "wild"]),
    ],
)
def test_state_is_named_by_its_place_in_the_order_of_the_first_feature(
    variances: list[Any], names: list[str]
) -> None:
    rows = regime_states(_filter(variances))

    assert [row["name"] for row in rows] == names
    assert [row["deviation"] for row in rows] == [first[0] ** 0.5 for first in variances]


def test_full_covariances_are_read_by_their_diagonal() -> None:
    full = [[[4.0, 0.1], [0.1, 9.0]], [[1.0, 0.0], [0.0, 100.0]]]

    assert [row["name"] for row in regime_states(_filter(full))] == ["wild", "calm"]


def test_strategy_without_a_model_has_no_states() -> None:
    assert regime_states(None) == []
