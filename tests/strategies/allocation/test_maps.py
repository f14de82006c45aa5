"""What the numbers of an action mean, by hand and for any number a network may answer."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.allocation.maps import cap_weights, simplex_cash, wanted_weights
from strategies.config import ActionMap, AllocationConfig
from strategies.errors import DataError

_LOGITS = st.floats(min_value=-1e300, max_value=1e300)


def test_simplex_cash_equal_logits_split_half_of_the_limit() -> None:
    # sigmoid(0) = 1/2 of 0.7, over two instruments.
    assert simplex_cash([5.0, 5.0, 0.0], 0.7) == pytest.approx([0.175, 0.175])


def test_simplex_cash_follows_softmax_and_gate_by_hand() -> None:
    # softmax(ln 3, 0) = (3/4, 1/4); sigmoid(ln 4) = 4/5.
    weights = simplex_cash([math.log(3.0), 0.0, math.log(4.0)], 0.5)

    assert weights == pytest.approx([0.3, 0.1])


@given(logits=st.lists(_LOGITS, min_size=2, max_size=8), invest_max=st.floats(min_value=0.0, max_value=1.0))
def test_simplex_cash_weights_are_never_negative_and_sum_to_invest_max_at_most(
    logits: list[float], invest_max: float
) -> None:
    weights = simplex_cash(logits, invest_max)

    assert len(weights) == len(logits) - 1
    assert all(weight >= 0.0 for weight in weights)
    assert math.fsum(weights) <= invest_max + 1e-12
    in_order = sorted(zip(logits[:-1], weights, strict=True))
    assert all(low[1] <= high[1] for low, high in pairwise(in_order))


def test_tanh_leverage_over_the_cap_shrinks_all_names_alike() -> None:
    config = AllocationConfig(gross_leverage_cap=1.5)
    logits = [math.atanh(0.9), math.atanh(-0.9), math.atanh(0.6), math.atanh(0.0)]

    raw = wanted_weights(logits, ActionMap.TANH_LEVERAGE, 4, config)
    weights = cap_weights(raw, ActionMap.TANH_LEVERAGE, config)

    # Gross 2.4 onto 1.5: each times 0.625.
    assert weights == pytest.approx([0.5625, -0.5625, 0.375, 0.0])


def test_tanh_leverage_under_the_cap_is_left_alone() -> None:
    config = AllocationConfig(gross_leverage_cap=1.5)

    raw = wanted_weights([math.atanh(0.5), math.atanh(-0.25)], ActionMap.TANH_LEVERAGE, 2, config)

    assert cap_weights(raw, ActionMap.TANH_LEVERAGE, config) == pytest.approx([0.5, -0.25])


@given(
    logits=st.lists(_LOGITS, min_size=1, max_size=8),
    gross_cap=st.floats(min_value=0.01, max_value=8.0),
    name_cap=st.floats(min_value=0.01, max_value=2.0),
)
def test_tanh_leverage_stays_under_gross_and_name_cap(
    logits: list[float], gross_cap: float, name_cap: float
) -> None:
    config = AllocationConfig(gross_leverage_cap=gross_cap, name_cap_frac=name_cap)

    raw = wanted_weights(logits, ActionMap.TANH_LEVERAGE, len(logits), config)
    weights = cap_weights(raw, ActionMap.TANH_LEVERAGE, config)

    assert math.fsum(map(abs, weights)) <= gross_cap + 1e-12
    assert max(map(abs, weights)) <= name_cap
    assert all(weight * logit >= 0.0 for weight, logit in zip(weights, logits, strict=True))


def test_name_cap_bounds_both_sides_and_keeps_nan() -> None:
    config = AllocationConfig(name_cap_frac=0.3)

    capped = cap_weights([0.5, -0.5, 0.2, math.nan], ActionMap.WEIGHTS, config)

    assert capped[:3] == [0.3, -0.3, 0.2]
    assert math.isnan(capped[3])


@pytest.mark.parametrize(
    ("action_map", "values"),
    [(ActionMap.WEIGHTS, [0.1]), (ActionMap.SIMPLEX_CASH, [0.1, 0.2]), (ActionMap.TANH_LEVERAGE, [0.1] * 3)],
)
def test_action_of_the_wrong_length_is_refused(action_map: ActionMap, values: list[float]) -> None:
    with pytest.raises(ValueError, match=f"{action_map} action has .* values here, found {len(values)}"):
        wanted_weights(values, action_map, 2, AllocationConfig())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("action_map", [ActionMap.SIMPLEX_CASH, ActionMap.TANH_LEVERAGE])
def test_logit_that_is_not_finite_skips_the_decision(action_map: ActionMap, bad: float) -> None:
    values = [0.0] * (2 + (action_map is ActionMap.SIMPLEX_CASH))
    values[1] = bad

    with pytest.raises(DataError, match="finite logits"):
        wanted_weights(values, action_map, 2, AllocationConfig())


def test_infinite_weight_skips_the_decision() -> None:
    with pytest.raises(DataError, match="finite or NaN"):
        wanted_weights([math.inf, 0.0], ActionMap.WEIGHTS, 2, AllocationConfig())
