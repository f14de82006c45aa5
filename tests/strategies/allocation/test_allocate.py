"""The way from action to weights: gate, throttle, scale, and their bounds under any action."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.allocation import allocate
from strategies.config import ActionMap, AllocationConfig
from strategies.policies.protocol import Action

_FREE = AllocationConfig(max_step_change=100.0, rebalance_eps=0.0)
_WEIGHT = st.floats(min_value=-2.0, max_value=2.0)


def _wish(*weights: float) -> Action:
    return Action(weights)


def test_allocate_hold_leaves_everything() -> None:
    weights = allocate(Action.hold(2), [0.4, -0.1], AllocationConfig())

    assert np.isnan(weights).all()


def test_allocate_throttle_spreads_the_step_over_all_changes_by_hand() -> None:
    config = AllocationConfig(max_step_change=0.08, rebalance_eps=0.02)

    weights = allocate(_wish(0.4, 0.0), [0.1, 0.1], config)

    # Changes of +0.3 and -0.1 shrink by 0.08 / 0.4.
    assert weights == pytest.approx([0.16, 0.08])


def test_allocate_change_within_the_step_is_taken_exactly() -> None:
    weights = allocate(
        _wish(0.13, 0.07), [0.1, 0.1], AllocationConfig(max_step_change=0.08, rebalance_eps=0.02)
    )

    assert weights == (0.13, 0.07)


def test_allocate_gate_leaves_small_changes_but_lets_exits_through() -> None:
    config = AllocationConfig(max_step_change=1.0, rebalance_eps=0.02)

    weights = allocate(_wish(0.119, 0.121, 0.0, 0.0, math.nan), [0.1, 0.1, 0.001, 0.0, 0.3], config)

    # Too small; large enough; an exit however small; nothing to leave; left on purpose.
    assert np.isnan(weights).tolist() == [True, False, False, True, True]
    assert weights[1:3] == (0.121, 0.0)


def test_allocate_gate_looks_at_the_wish_and_not_at_the_throttled_step() -> None:
    config = AllocationConfig(max_step_change=0.08, rebalance_eps=0.02)
    current = np.zeros(10)

    for _ in range(11):
        step = allocate(_wish(*[0.1] * 10), current.tolist(), config)
        current = np.where(np.isnan(step), current, step)

    # A step moves each name by 0.008 only, less than the gate; it ends within the gate of the wish.
    assert current.min() > 0.1 - 0.02


def test_allocate_exit_under_the_throttle_ends_at_exactly_zero() -> None:
    config = AllocationConfig(max_step_change=0.08, rebalance_eps=0.02)
    current, path = [0.2], []

    for _ in range(3):
        current = list(allocate(_wish(0.0), current, config))
        path += current

    assert path == pytest.approx([0.12, 0.04, 0.0])
    assert current == [0.0]


def test_allocate_scale_comes_before_the_throttle() -> None:
    config = AllocationConfig(max_step_change=0.08, rebalance_eps=0.0)
    current = [0.0]

    for _ in range(10):
        step = allocate(_wish(0.4), current, config, lambda weights: [0.5 * weight for weight in weights])
        current = [have if math.isnan(new) else new for new, have in zip(step, current, strict=True)]

    # Scaled after the throttle it would stall at max_step · s / (1 - s) = 0.08.
    assert current == pytest.approx([0.2])


def test_allocate_scale_above_one_stays_under_the_caps() -> None:
    config = AllocationConfig(max_step_change=9.0, invest_max=0.6, name_cap_frac=0.25)
    action = Action((0.0, 0.0, 0.0), ActionMap.SIMPLEX_CASH)

    weights = allocate(action, [0.0, 0.0], config, lambda wanted: [9.0 * weight for weight in wanted])

    uncapped = AllocationConfig(max_step_change=9.0, invest_max=0.6)
    invested = allocate(action, [0.0, 0.0], uncapped, lambda wanted: [9.0 * weight for weight in wanted])

    assert weights == (0.25, 0.25)
    assert invested == pytest.approx([0.3, 0.3])


def test_allocate_is_the_identity_for_a_wish_without_limits() -> None:
    assert allocate(_wish(0.25, -0.5), [0.0, 0.0], _FREE) == (0.25, -0.5)


@given(data=st.data(), max_step=st.floats(1e-3, 3.0), eps=st.floats(0.0, 0.5), name_cap=st.floats(0.05, 2.0))
def test_allocate_turnover_is_bounded_and_weights_move_towards_the_wish(
    data: st.DataObject, max_step: float, eps: float, name_cap: float
) -> None:
    current = data.draw(st.lists(_WEIGHT, min_size=1, max_size=6))
    wish = data.draw(
        st.lists(_WEIGHT | st.just(0.0) | st.just(math.nan), min_size=len(current), max_size=len(current))
    )
    config = AllocationConfig(max_step_change=max_step, rebalance_eps=eps, name_cap_frac=name_cap)

    weights = allocate(_wish(*wish), current, config)

    moves = [
        (new, have, want)
        for new, have, want in zip(weights, current, wish, strict=True)
        if not math.isnan(new)
    ]
    assert math.fsum(abs(new - have) for new, have, _ in moves) <= max_step + 1e-12
    for new, have, want in moves:
        goal = min(max(want, -name_cap), name_cap)
        assert min(have, goal) - 1e-12 <= new <= max(have, goal) + 1e-12
        assert abs(goal - have) >= eps or goal == 0.0


@given(
    logits=st.lists(st.floats(-50.0, 50.0), min_size=2, max_size=6),
    action_map=st.sampled_from([ActionMap.SIMPLEX_CASH, ActionMap.TANH_LEVERAGE]),
    name_cap=st.floats(0.05, 1.0),
)
def test_allocate_from_cash_stays_under_every_cap(
    logits: list[float], action_map: ActionMap, name_cap: float
) -> None:
    config = AllocationConfig(max_step_change=100.0, name_cap_frac=name_cap)
    count = len(logits) - (action_map is ActionMap.SIMPLEX_CASH)

    weights = np.nan_to_num(allocate(Action(tuple(logits), action_map), [0.0] * count, config))

    is_simplex = action_map is ActionMap.SIMPLEX_CASH
    assert np.abs(weights).max() <= name_cap
    assert np.abs(weights).sum() <= (config.invest_max if is_simplex else config.gross_leverage_cap) + 1e-12
    assert not is_simplex or weights.min() >= 0.0


def _aged(*values: float, time_stop_bars: int = 20) -> Action:
    return Action(values, time_stop_bars=time_stop_bars)


def test_allocate_position_at_its_time_stop_is_left_in_one_step_whatever_else_is_throttled() -> None:
    config = AllocationConfig(max_step_change=0.1, rebalance_eps=0.02)

    weights = allocate(_aged(math.nan, 0.5), [-0.9, 0.1], config, bars_held=[20, 3])

    # The second moves by its whole budget of 0.1; the first leaves all of its 0.9.
    assert weights == pytest.approx((0.0, 0.2))


@pytest.mark.parametrize(("bars_held", "left"), [(0, False), (19, False), (20, True), (21, True)])
def test_allocate_time_stop_closes_from_its_age_on(bars_held: int, left: bool) -> None:
    (weight,) = allocate(_aged(math.nan), [0.01], AllocationConfig(), bars_held=[bars_held])

    # 0.01 is less than what is otherwise worth a trade.
    assert (weight == 0.0) is left


def test_allocate_time_stop_beats_what_the_policy_asks_for_and_zero_is_never() -> None:
    config = AllocationConfig(max_step_change=2.0)

    assert allocate(_aged(0.9), [0.5], config, bars_held=[30]) == (0.0,)
    assert allocate(_aged(0.9, time_stop_bars=0), [0.5], config, bars_held=[30]) == (0.9,)
