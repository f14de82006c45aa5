"""The market environment: Gymnasium's contract, rewards by hand, episodes, what the default reward wants."""

import math
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from ml.environment import BaseReward, DrawdownTerm, EpisodeConfig, MarketEnvironment, RewardConfig
from strategies.config import ActionMap, AllocationConfig, CostConfig
from strategies.errors import ConfigError, DataError
from tests.support.market_data import priced_dataset, random_dataset, rules_for

FREE = CostConfig(taker_fee_bps=0.0, half_spread_bps=0.0, impact_k=0.0)
QUICK = AllocationConfig(max_step_change=10.0, rebalance_eps=0.0)
BARE = RewardConfig(w_drawdown=0.0, w_turnover=0.0)


def market(closes: list[float], opens: list[float] | None = None, **changes: Any) -> MarketEnvironment:
    """One asset from the second of these prices on, weights, no costs; ``changes`` replace arguments."""
    dataset = priced_dataset(np.array([opens or closes]).T.astype(float), np.array([closes]).T.astype(float))
    given: dict[str, Any] = {
        "allocation": QUICK,
        "costs": FREE,
        "reward": BARE,
        "episode": EpisodeConfig(start_cash=1_000.0, randomize_start=False),
        "cash_buffer_frac": 0.0,
    }
    return MarketEnvironment(dataset, rules_for(1, lot_size="0.000001", min_notional="0"), **given | changes)


def random_market(**changes: Any) -> MarketEnvironment:
    given: dict[str, Any] = {
        "allocation": AllocationConfig(action_map=ActionMap.SIMPLEX_CASH),
        "costs": CostConfig(),
        "episode": EpisodeConfig(horizon_bars=20),
        "num_envs": 6,
    }
    return MarketEnvironment(random_dataset(2, 200), rules_for(2), **given | changes)


def test_decision_at_a_close_fills_at_the_next_open_and_is_marked_at_the_next_close() -> None:
    env = market([100.0, 100.0, 121.0, 121.0], [100.0, 100.0, 110.0, 121.0])
    env.reset(seed=0)

    _, rewards, *_ = env.step([[1.0]])

    # 10 units are bought at 110 on credit of nothing: 1000 / 100 = 10 units cost 1100, cash -100.
    assert env.positions[0, 0] == pytest.approx(10.0)
    assert env.equity[0] == pytest.approx(-100.0 + 10 * 121.0)
    assert rewards[0] == pytest.approx(math.log(1_110.0 / 1_000.0))


def test_costs_are_those_of_the_one_model() -> None:
    costs = CostConfig(commission_per_unit=0.01, taker_fee_bps=10.0, half_spread_bps=5.0, impact_k=8.0)
    dataset = priced_dataset(np.full((4, 1), 100.0), np.full((4, 1), 100.0), volume=20.0)
    env = MarketEnvironment(
        dataset,
        rules_for(1, lot_size="0.000001", min_notional="0"),
        allocation=QUICK,
        costs=costs,
        episode=EpisodeConfig(start_cash=1_000.0, randomize_start=False),
        cash_buffer_frac=0.0,
    )
    env.reset(seed=0)

    env.step([[0.5]])

    # 5 units of 100: 0.05 commission, 0.5 fee, 0.25 half spread, 8 · sqrt(5/20) = 4 bps = 0.2 impact.
    assert env.equity[0] == pytest.approx(999.0)


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (BARE, math.log(0.95)),
        (RewardConfig(BaseReward.DELTA_NAV, w_drawdown=0.0, w_turnover=0.0), -0.05),
        # Drawdown goes from 0 to 5 %; 50 % of equity was traded.
        (RewardConfig(w_drawdown=0.1, w_turnover=0.0), math.log(0.95) - 0.1 * 0.05),
        (RewardConfig(w_drawdown=0.0, w_turnover=0.01), math.log(0.95) - 0.01 * 0.5),
        # Exposure is 450 of 950.
        (RewardConfig(w_drawdown=0.0, w_turnover=0.0, w_leverage=1.0), math.log(0.95) - 450 / 950),
        # Half-life of 64 bars: the variance is (1 - 2^(-1/64)) · 0.05².
        (
            RewardConfig(w_drawdown=0.0, w_turnover=0.0, w_volatility=1.0),
            math.log(0.95) - 0.05 * math.sqrt(1 - 2 ** (-1 / 64)),
        ),
    ],
)
def test_rewards_by_hand(reward: RewardConfig, expected: float) -> None:
    env = market([100.0, 100.0, 90.0, 90.0], [100.0, 100.0, 100.0, 90.0], reward=reward)
    env.reset(seed=0)

    _, rewards, *_ = env.step([[0.5]])

    assert rewards[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("term", "second"), [(DrawdownTerm.INCREMENT, -0.1 * (0.0 - 0.05)), (DrawdownTerm.LEVEL, 0.0)]
)
def test_drawdown_penalty_on_the_increment_is_paid_back_when_the_loss_is_made_good(
    term: DrawdownTerm, second: float
) -> None:
    reward = RewardConfig(w_drawdown=0.1, w_turnover=0.0, drawdown_term=term)
    # Down 10 % and back up to where it was: equity 1000, 950, 1000 with half of it invested.
    env = market([100.0, 100.0, 90.0, 100.0, 100.0], [100.0, 100.0, 100.0, 90.0, 100.0], reward=reward)
    env.reset(seed=0)
    env.step([[0.5]])

    _, rewards, *_ = env.step([[np.nan]])

    assert rewards[0] - math.log(1_000 / 950) == pytest.approx(second, abs=1e-9)


def test_differential_sharpe_is_the_derivative_of_the_running_ratio() -> None:
    # Moody and Saffell: with moments A, B before, D = (B·dA - A·dB / 2) / (B - A²)^1.5.
    reward = RewardConfig(BaseReward.DIFFERENTIAL_SHARPE, w_drawdown=0.0, w_turnover=0.0, sharpe_rate=0.1)
    env = market([100.0, 100.0, 102.0, 100.98], [100.0, 100.0, 100.0, 102.0], reward=reward)
    env.reset(seed=0)
    _, first, *_ = env.step([[1.0]])

    # Equity 1000, 1020, 1009.8: returns 0.02 and -0.01. A = 0.002, B = 0.00004 after the first.
    _, second, *_ = env.step([[np.nan]])

    mean, square = 0.002, 0.00004
    expected = (square * (-0.01 - mean) - 0.5 * mean * (0.0001 - square)) / (square - mean**2) ** 1.5
    assert first[0] == 0.0
    assert second[0] == pytest.approx(expected, rel=1e-9)


def total_rewards(weight: float, reward: RewardConfig) -> float:
    """Mean sum of rewards over a year of days: 8 % drift, 16 % volatility, a constant weight."""
    sums = []
    for seed in range(40):
        dataset = random_dataset(1, 255, seed, volatility=0.01, drift=0.08 / 252 - 0.5 * 0.01**2)
        env = MarketEnvironment(
            dataset,
            rules_for(1),
            allocation=QUICK,
            costs=CostConfig(),
            reward=reward,
            episode=EpisodeConfig(randomize_start=False),
        )
        env.reset(seed=0)
        ended, total = False, 0.0
        while not ended:
            action = weight if env.positions[0, 0] == 0.0 else np.nan
            _, rewards, _, truncated, _ = env.step([[action]])
            total, ended = total + rewards[0], bool(truncated[0])
        sums.append(total)
    return float(np.mean(sums))


def test_default_reward_pays_for_holding_drift_rather_than_cash() -> None:
    assert total_rewards(0.0, RewardConfig()) == 0.0
    assert total_rewards(0.7, RewardConfig()) > 0.01


def test_drawdown_penalty_on_the_level_makes_cash_optimal() -> None:
    assert total_rewards(0.7, RewardConfig(drawdown_term=DrawdownTerm.LEVEL)) < -0.1


def test_environment_keeps_the_contract_of_gymnasium() -> None:
    env = random_market()

    seen, _ = env.reset(seed=3)

    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.observation_space.contains(seen)
    for _ in range(45):
        seen, rewards, terminated, truncated, infos = env.step(env.action_space.sample())
        assert env.observation_space.contains(seen)
        assert (rewards.shape, terminated.shape, truncated.shape) == ((6,), (6,), (6,))
        assert ("final_obs" in infos) == bool((terminated | truncated).any())


def test_window_of_an_observation_ends_with_the_bar_that_closed() -> None:
    env = random_market()
    seen, _ = env.reset(seed=3)

    for _ in range(5):
        for e, row in enumerate(env.rows):
            np.testing.assert_array_equal(seen["window"][e], env.dataset.features[row - 3 : row + 1])
        seen, *_ = env.step(np.zeros((6, 3)))


def test_rows_lead_to_the_windows_that_are_handed_out_otherwise() -> None:
    whole, bare = random_market(), random_market(observe_rows=True)
    seen, _ = whole.reset(seed=3)
    rows, _ = bare.reset(seed=3)

    np.testing.assert_array_equal(bare.windows[rows["row"] - 3], seen["window"])
    assert bare.observation_space.contains(rows)


def test_portfolios_of_one_clock_stand_at_one_bar_and_different_clocks_do_not() -> None:
    env = random_market(num_clocks=2)
    env.reset(seed=1)

    for _ in range(50):
        rows = env.rows
        assert (rows[:3] == rows[0]).all()
        assert (rows[3:] == rows[3]).all()
        assert rows[0] != rows[3]
        env.step(np.zeros((6, 3)))


def test_episode_is_cut_after_its_horizon_and_begins_anew_with_fresh_cash() -> None:
    env = random_market(episode=EpisodeConfig(horizon_bars=5, start_cash=500.0))
    env.reset(seed=1)

    for step in range(1, 11):
        _, _, terminated, truncated, infos = env.step(np.ones((6, 3)))
        assert truncated.all() == (step % 5 == 0)
        assert not terminated.any()
    assert (env.equity == 500.0).all()
    assert (infos["final_equity"] != 500.0).all()
    assert infos["final_obs"]["portfolio"][0, 7:].sum() > 0.0


def test_ruin_ends_an_episode_for_good_and_the_book_begins_anew_at_the_clock_of_its_group() -> None:
    env = market(
        [100.0, 100.0, 1.0, 100.0, 100.0],
        [100.0, 100.0, 100.0, 1.0, 100.0],
        num_envs=2,
        num_clocks=1,
    )
    env.reset(seed=0)

    _, _, terminated, truncated, _ = env.step([[1.0], [0.0]])

    assert terminated.tolist() == [True, False]
    assert not truncated.any()
    assert env.equity.tolist() == [1_000.0, 1_000.0]
    assert env.rows.tolist() == [2, 2]


def test_position_is_left_alone_for_the_bars_it_must_be_held() -> None:
    episode = EpisodeConfig(start_cash=1_000.0, randomize_start=False, min_hold_bars=3)
    env = market([100.0] * 8, episode=episode)
    env.reset(seed=0)
    held = []

    for action in (0.5, 0.0, 0.0, 0.0):
        env.step([[action]])
        held.append(env.positions[0, 0])

    assert held == pytest.approx([5.0, 5.0, 5.0, 0.0])


def test_what_cannot_be_shorted_is_not() -> None:
    dataset = priced_dataset(np.full((5, 1), 100.0), np.full((5, 1), 100.0))
    env = MarketEnvironment(
        dataset,
        rules_for(1, shortable=False),
        allocation=QUICK,
        costs=FREE,
        episode=EpisodeConfig(randomize_start=False),
    )
    env.reset(seed=0)

    env.step([[-1.0]])

    assert env.positions[0, 0] == 0.0


def test_short_position_pays_for_what_it_borrows() -> None:
    costs = CostConfig(taker_fee_bps=0.0, half_spread_bps=0.0, impact_k=0.0, borrow_annual_frac=0.365)
    env = market([100.0] * 5, costs=costs)
    env.reset(seed=0)

    env.step([[-1.0]])

    # 1000 short for a minute: 1000 · 0.365 / (365 · 1440).
    assert 1_000.0 - env.equity[0] == pytest.approx(1.0 / 1_440.0)


def test_discrete_actions_are_short_flat_and_long() -> None:
    env = market([100.0] * 6, is_discrete=True)
    env.reset(seed=0)
    held = []

    for action in (2, 1, 0):
        env.step([action])
        held.append(env.positions[0, 0])

    assert held == pytest.approx([10.0, 0.0, -10.0])
    assert str(env.single_action_space) == "Discrete(3)"


def test_environment_goes_on_from_a_snapshot_bit_for_bit() -> None:
    env = random_market()
    env.reset(seed=5)
    actions = np.random.default_rng(0).standard_normal((60, 6, 3))
    for action in actions[:30]:
        env.step(action)
    state = env.snapshot()
    expected = [env.step(action)[:2] for action in actions[30:]]

    other = random_market()
    other.reset(seed=99)
    other.restore(state)

    for action, (seen, rewards) in zip(actions[30:], expected, strict=True):
        ours, paid, *_ = other.step(action)
        np.testing.assert_array_equal(paid, rewards)
        for key, value in seen.items():
            np.testing.assert_array_equal(ours[key], value)


def test_equal_seeds_give_equal_lives() -> None:
    first, second = random_market(), random_market()

    for env in (first, second):
        env.reset(seed=8)

    assert first.rows.tolist() == second.rows.tolist()
    first.reset(seed=9)
    assert first.rows.tolist() != second.rows.tolist()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_action_that_is_no_number_is_refused_and_nothing_moves(bad: float) -> None:
    env = random_market()
    env.reset(seed=1)
    rows = env.rows

    with pytest.raises(DataError, match="expected finite actions"):
        env.step(np.full((6, 3), bad))
    with pytest.raises(DataError, match="expected actions of shape"):
        env.step(np.zeros((6, 2)))
    assert env.rows.tolist() == rows.tolist()


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_clocks = 4"):
        random_market(num_clocks=4)
    with pytest.raises(ConfigError, match="expected the rules of"):
        MarketEnvironment(random_dataset(2, 50), rules_for(1), allocation=QUICK, costs=FREE)
    with pytest.raises(ConfigError, match="discrete actions are weights"):
        random_market(is_discrete=True)
    with pytest.raises(ConfigError, match="one seed"):
        random_market().reset(seed=[1, 2])
    with pytest.raises(DataError, match="expected 500 bars in a row"):
        random_market(episode=EpisodeConfig(horizon_bars=500))


def test_features_that_fail_in_the_middle_are_no_part_of_an_episode() -> None:
    dataset = random_dataset(2, 100)
    dataset.features[50] = np.nan
    env = MarketEnvironment(
        dataset,
        rules_for(2),
        allocation=QUICK,
        costs=FREE,
        episode=EpisodeConfig(horizon_bars=30),
        num_envs=64,
    )
    env.reset(seed=0)

    starts = env.rows

    # A window of 4 is broken at rows 50 to 53, and the last of 30 decisions is 29 rows after the start.
    assert ((starts + 29 < 50) | (starts > 53)).all()
    assert (starts > 53).any()
    assert (starts < 20).any()
