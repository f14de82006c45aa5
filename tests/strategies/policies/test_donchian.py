"""The Donchian breakout by hand: entries, stops, targets, time stop and the filters before an entry."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strategies.config import ActionMap, DonchianPolicyConfig
from strategies.errors import ConfigError
from strategies.policies import Policy, make_policy
from strategies.regime import RegimeBelief
from tests.support.observations import make_observation

COLUMNS = ("rsi_14", "donchian_upper_55", "donchian_lower_55", "atr_14")
CALM = [50.0, 110.0, 90.0, 2.0]
"""Channel 90 to 110, average true range 2."""


def _policy(
    num_instruments: int = 1, num_states: int = 0, columns: tuple[str, ...] = COLUMNS, **rule: Any
) -> Policy:
    return make_policy(
        DonchianPolicyConfig(kind="donchian", **rule),
        columns=columns,
        num_instruments=num_instruments,
        num_states=num_states,
        num_beliefs=num_states,
        schema_sha256="",
        base_dir=Path(),
        action_map=ActionMap.WEIGHTS,
    )


def _numbers(array: Any) -> list[float]:
    assert array is not None
    return [float(value) for value in array]


def test_donchian_close_above_the_channel_buys_with_stop_and_target() -> None:
    action = _policy().act(make_observation([CALM], [111.0]))

    # Stop 2 ATR = 4 below the close, target 2.5 stop distances = 10 above it.
    assert _numbers(action.values) == [1.0]
    assert _numbers(action.stops) == [107.0]
    assert _numbers(action.targets) == [121.0]
    assert action.time_stop_bars == 20
    assert action.action_map is ActionMap.WEIGHTS


@pytest.mark.parametrize("close", [110.0, 100.0, 90.0, 89.0])
def test_donchian_close_not_above_the_channel_leaves_all_as_it_is(close: float) -> None:
    action = _policy().act(make_observation([CALM], [close]))

    assert math.isnan(action.values[0])
    assert action.stops is None


def test_donchian_short_allowed_close_below_the_channel_sells_mirrored() -> None:
    action = _policy(allow_short=True).act(make_observation([CALM], [89.0]))

    assert _numbers(action.values) == [-1.0]
    assert _numbers(action.stops) == [93.0]
    assert _numbers(action.targets) == [79.0]


def test_donchian_short_whose_target_is_below_zero_has_none() -> None:
    action = _policy(allow_short=True).act(make_observation([[50.0, 30.0, 12.0, 2.4]], [11.0]))

    assert _numbers(action.stops) == [pytest.approx(15.8)]
    assert math.isnan(_numbers(action.targets)[0])


def test_donchian_each_instrument_is_decided_alone_at_its_share() -> None:
    action = _policy(num_instruments=3, weight=0.6).act(
        make_observation(
            [CALM, CALM, CALM], [100.0, 112.0, 111.0], positions=[0.0, 0.0, 5.0], bars_held=[0, 0, 3]
        )
    )

    assert np.isnan(action.values).tolist() == [True, False, True]
    assert action.values[1] == pytest.approx(0.2)
    assert action.stops is not None
    assert np.isnan(action.stops).tolist() == [True, False, True]


def test_donchian_position_is_left_alone_and_its_time_stop_named_every_time() -> None:
    action = _policy().act(make_observation([CALM], [150.0], positions=[-2.0], bars_held=[25]))

    assert math.isnan(action.values[0])
    assert action.time_stop_bars == 20


def test_donchian_channel_parameters_choose_the_columns() -> None:
    columns = ("atr_5", "donchian_upper_20", "donchian_lower_20")
    policy = _policy(columns=columns, lookback=20, atr_period=5, stop_atr=1.0, target_r=3.0)

    action = policy.act(make_observation([[2.0, 110.0, 90.0]], [111.0]))

    assert policy.required_columns == ("donchian_upper_20", "donchian_lower_20", "atr_5")
    assert (_numbers(action.stops), _numbers(action.targets)) == ([109.0], [117.0])


@pytest.mark.parametrize(
    ("row", "close"),
    [
        ([50.0, 4.0, 3.0, 0.1], 4.9),  # below the minimum price
        ([50.0, 110.0, 90.0, math.nan], 111.0),  # no stop without a volatility
        ([50.0, 110.0, 90.0, 0.0], 111.0),
        ([50.0, 110.0, 90.0, 60.0], 111.0),  # the stop would lie below zero
        ([50.0, math.nan, math.nan, 2.0], 111.0),
        ([50.0, 110.0, 90.0, 2.0], math.nan),
    ],
)
def test_donchian_breakout_that_cannot_be_protected_or_is_too_cheap_is_not_bought(
    row: list[float], close: float
) -> None:
    action = _policy().act(make_observation([row], [close]))

    assert math.isnan(action.values[0])


@pytest.mark.parametrize(
    ("belief", "enters"),
    [
        (RegimeBelief((0.9, 0.1), 0, 0.469), True),
        (RegimeBelief((0.5, 0.5), 0, 1.0), False),  # too uncertain
        (RegimeBelief((0.1, 0.9), 1, 0.469), False),  # blocked state
        (None, False),  # no belief, no entry
    ],
)
def test_donchian_regime_decides_over_entries(belief: RegimeBelief | None, enters: bool) -> None:
    policy = _policy(num_states=2, max_entropy_bits=0.8, blocked_states=(1,))

    action = policy.act(make_observation([CALM], [111.0], belief=belief))

    assert bool(np.isfinite(action.values[0])) is enters


def test_donchian_regime_never_keeps_a_position_open_past_its_time() -> None:
    policy = _policy(num_states=2, blocked_states=(1,))
    blocked = RegimeBelief((0.0, 1.0), 1, 0.0)

    action = policy.act(make_observation([CALM], [111.0], positions=[1.0], bars_held=[20], belief=blocked))

    assert action.time_stop_bars == 20


def test_donchian_policy_id_changes_with_every_parameter() -> None:
    rules: list[dict[str, Any]] = [
        {},
        {"stop_atr": 2.5},
        {"target_r": 3.0},
        {"weight": 0.5},
        {"min_price": 1.0},
    ]

    assert len({_policy(**rule).policy_id for rule in rules}) == len(rules)
    assert _policy().policy_id == _policy().policy_id


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": COLUMNS[:-1]}, r"expected the feature columns \['atr_14'\]"),
        ({"max_entropy_bits": 0.5}, "append_beliefs = true"),
        ({"blocked_states": (1,)}, "append_beliefs = true"),
        ({"num_states": 2, "blocked_states": (2,)}, r"blocked_states: expected 0 to 1, found \[2\]"),
    ],
)
def test_donchian_that_does_not_fit_the_strategy_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _policy(**arguments)
