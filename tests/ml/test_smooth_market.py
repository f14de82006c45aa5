"""The differentiable market against the environment: equal worth for equal actions, and its true slope."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from ml.environment import BaseReward, EpisodeConfig, MarketEnvironment, RewardConfig
from ml.smooth_market import SmoothMarket
from strategies.config import ActionMap, AllocationConfig, CostConfig
from strategies.errors import ConfigError
from strategies.market import Floats
from tests.support.market_data import random_dataset, rules_for

ASSETS, PORTFOLIOS = 3, 4
COSTS = CostConfig(commission_per_unit=0.002, half_spread_bps=1.5, impact_k=20.0, borrow_annual_frac=0.5)
REWARD = RewardConfig(w_volatility=0.1, w_leverage=0.01)


def market(
    action_map: ActionMap,
    *,
    shortable: bool = True,
    step: float = 3.0,
    eps: float = 0.02,
    reward: RewardConfig = REWARD,
    min_hold_bars: int = 0,
    rows: int = 120,
) -> MarketEnvironment:
    """Lots of a millionth: rounding to them is what the smooth market leaves out."""
    return MarketEnvironment(
        random_dataset(ASSETS, rows, seed=3, missing_frac=0.1),
        rules_for(ASSETS, shortable=shortable, lot_size="0.000001", min_notional="0"),
        allocation=AllocationConfig(
            action_map=action_map, max_step_change=step, rebalance_eps=eps, name_cap_frac=0.6
        ),
        costs=COSTS,
        reward=reward,
        episode=EpisodeConfig(randomize_start=False, min_hold_bars=min_hold_bars),
        num_envs=PORTFOLIOS,
        observe_rows=True,
    )


def wishes(action_map: ActionMap, steps: int, seed: int = 0) -> Floats:
    """Actions that stay, jump, and now and then ask for nothing, shape (steps, E, A)."""
    rng = np.random.default_rng(seed)
    width = ASSETS + (action_map is ActionMap.SIMPLEX_CASH)
    wish, asked = rng.standard_normal((PORTFOLIOS, width)), []
    for _ in range(steps):
        if rng.random() < 0.2:
            wish = 2.0 * rng.standard_normal((PORTFOLIOS, width))
        values = wish + 0.1 * rng.standard_normal(wish.shape)
        if action_map is ActionMap.WEIGHTS:
            values = np.clip(values, -1.0, 1.0)
            values[rng.random(wish.shape) < 0.2] = 0.0
        asked.append(values)
    return np.stack(asked)


@pytest.mark.parametrize(
    ("action_map", "shortable", "pace"), list(product(ActionMap, (False, True), ((0.08, 0), (3.0, 5))))
)
def test_smooth_market_is_the_environment_where_lots_are_small(
    action_map: ActionMap, shortable: bool, pace: tuple[float, int]
) -> None:
    environment = market(action_map, shortable=shortable, step=pace[0], min_hold_bars=pace[1])
    smooth, generator = SmoothMarket(environment), torch.Generator()
    state = smooth.begin(PORTFOLIOS, generator)
    environment.reset(seed=0)

    for action in wishes(action_map, 80):
        state, reward, _ = smooth.step(state, torch.as_tensor(action), generator)
        seen, paid, _, _, _ = environment.step(action)
        np.testing.assert_allclose(state["equity"].numpy(), environment.equity, rtol=1e-8)
        np.testing.assert_allclose(reward.numpy(), paid, atol=1e-8)
        np.testing.assert_allclose(smooth.vector(state).numpy(), seen["portfolio"], atol=1e-6)
    assert np.ptp(environment.equity) > 10.0


@pytest.mark.parametrize(
    ("action_map", "shortable", "base"),
    [
        (ActionMap.SIMPLEX_CASH, False, BaseReward.LOG_NAV),
        (ActionMap.TANH_LEVERAGE, True, BaseReward.LOG_NAV),
        (ActionMap.WEIGHTS, True, BaseReward.DELTA_NAV),
    ],
)
def test_gradient_is_the_slope_of_what_the_environment_pays(
    action_map: ActionMap, shortable: bool, base: BaseReward
) -> None:
    # No gate: it is the one thing whose gradient is meant to differ.
    reward = RewardConfig(base, w_volatility=0.1, w_leverage=0.01)
    environment = market(action_map, shortable=shortable, eps=0.0, reward=reward, step=0.8)
    smooth, generator = SmoothMarket(environment), torch.Generator()
    # Wishes that are neither cut nor nothing: at these corners there is no slope.
    smooth_map = ActionMap.TANH_LEVERAGE if action_map is ActionMap.WEIGHTS else action_map
    asked = np.clip(0.3 * wishes(smooth_map, 8, seed=1), -0.9, 0.9)

    def paid(actions: Floats) -> Floats:
        environment.reset(seed=0)
        return np.asarray(sum(environment.step(action)[1] for action in actions))

    actions = torch.tensor(asked, requires_grad=True)
    state, total = smooth.begin(PORTFOLIOS, generator), torch.zeros(())
    for action in actions:
        state, earned, _ = smooth.step(state, action, generator)
        total = total + earned.sum()
    total.backward()  # type: ignore[no-untyped-call]

    assert actions.grad is not None
    nudge = 1e-4
    for step, name in product(range(len(asked)), range(asked.shape[2])):
        up, down = asked.copy(), asked.copy()
        up[step, :, name] += nudge
        down[step, :, name] -= nudge
        slope = (paid(up) - paid(down)) / (2.0 * nudge)
        np.testing.assert_allclose(actions.grad[step, :, name].numpy(), slope, rtol=0.02, atol=2e-6)


def test_change_under_the_gate_is_not_made_but_lets_its_gradient_through() -> None:
    environment = market(ActionMap.TANH_LEVERAGE, eps=0.5)
    smooth, generator = SmoothMarket(environment), torch.Generator()
    action = torch.full((PORTFOLIOS, ASSETS), 0.1, requires_grad=True)

    state, reward, _ = smooth.step(smooth.begin(PORTFOLIOS, generator), action, generator)
    reward.sum().backward()  # type: ignore[no-untyped-call]

    assert not state["position"].any()
    assert action.grad is not None
    assert (action.grad != 0.0).any()


def test_portfolio_that_is_ruined_stays_finite_and_says_so() -> None:
    environment = market(ActionMap.TANH_LEVERAGE)
    smooth, generator = SmoothMarket(environment), torch.Generator()
    state = smooth.begin(PORTFOLIOS, generator)
    state = state | {name: torch.zeros_like(state[name]) for name in ("cash", "equity", "last_equity")}
    action = torch.ones((PORTFOLIOS, ASSETS), requires_grad=True)

    state, reward, terminated = smooth.step(state, action, generator)
    (reward.sum() + smooth.vector(state).sum()).backward()  # type: ignore[no-untyped-call]

    assert terminated.all()
    assert not state["position"].any()
    assert action.grad is not None
    assert torch.isfinite(action.grad).all()


def test_environments_without_gradients_are_refused() -> None:
    given: dict[str, Any] = {
        "dataset": random_dataset(1, 50),
        "instruments": rules_for(1),
        "allocation": AllocationConfig(),
        "costs": COSTS,
        "observe_rows": True,
    }

    with pytest.raises(ConfigError, match="set is_discrete = False"):
        SmoothMarket(MarketEnvironment(**given, is_discrete=True))
    with pytest.raises(ConfigError, match="log_nav or delta_nav"):
        SmoothMarket(MarketEnvironment(**given, reward=RewardConfig(BaseReward.DIFFERENTIAL_SHARPE)))
