"""The optima that trainers are measured against, checked by brute force and by conditions of optimality."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from strategies.market import Floats
from tests.support.known_answers.growth import Growth
from tests.support.known_answers.liquidation import Liquidation
from tests.support.known_answers.rebalancing import Rebalancing
from tests.support.known_answers.reversion import Reversion
from tests.support.known_answers.tasks import Task, TaskEnvironment, discounted_worth

TASKS: list[Task] = [Rebalancing(), Liquidation(), Reversion(), Reversion(is_discrete=False), Growth()]


def riccati_gain(task: Rebalancing) -> Floats:
    """Trade per unit of (position, signals), by value iteration of the quadratic problem."""
    quick, lasting = task.decay
    # State (x, f1, f2) and trade u; x' = x + u.
    drift, push = np.diag([1.0, 1.0 - quick, 1.0 - lasting]), np.array([1.0, 0.0, 0.0])
    gain_now = np.array([[-task.risk, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])  # of (x', f1, f2)
    worth = np.zeros((3, 3))
    for _ in range(2_000):
        # Half of what (x', f) earns at once and later, with x' the position after the trade.
        now = task.gamma * gain_now + task.gamma * drift.T @ worth @ drift
        curve, slope = now[0, 0] - task.cost, now[0]
        gain = -slope / curve
        worth = now + np.outer(slope, gain)
    assert push @ worth @ push < 0.0
    return np.asarray(gain)


def test_rule_of_garleanu_and_pedersen_is_what_value_iteration_finds() -> None:
    task = Rebalancing()
    seen = torch.as_tensor(np.random.default_rng(0).standard_normal((20, 3)), dtype=torch.float32)
    scale = np.array([task._typical, *task.strength])

    trades = task.unit * task.best(seen)[:, 0].numpy()

    np.testing.assert_allclose(trades, (seen.numpy() * scale) @ riccati_gain(task), rtol=1e-6, atol=1e-9)


def test_path_of_almgren_and_chriss_costs_least() -> None:
    task = Liquidation()
    inner = task.steps - 1
    # The cost is quadratic in what is left at steps 1 to N - 1: its slope is zero where a linear system says.
    curve = np.diag(np.full(inner, 2.0 + task.risk))
    curve -= np.diag(np.ones(inner - 1), 1) + np.diag(np.ones(inner - 1), -1)
    best = np.linalg.solve(curve, np.eye(inner)[0])

    np.testing.assert_allclose(task.best_path, [1.0, *best, 0.0], rtol=1e-12)
    even = np.linspace(1.0, 0.0, task.steps + 1)
    assert task.cost(task.best_path) < task.cost(even)
    assert task.score(task.best) == pytest.approx(1.0, rel=1e-6)


def test_dynamic_programme_is_as_good_as_the_best_threshold_found_by_trial() -> None:
    # By symmetry and linearity the best rule turns to long below -b and to short above b, and else stays.
    task, rng = Reversion(), np.random.default_rng(0)
    price = np.empty((342, 4_000))
    price[0] = task.spread * rng.standard_normal(price.shape[1])
    for now, then in pairwise(price):
        then[:] = (1.0 - task.pull) * now + rng.standard_normal(len(now))

    def worth(band: float) -> float:
        held, total = np.zeros(price.shape[1]), 0.0
        for step, now in enumerate(price):
            after = np.where(now <= -band, 1.0, np.where(now >= band, -1.0, held))
            earned = -task.pull * now * after - task.cost * np.abs(after - held)
            held, total = after, total + task.gamma**step * float(earned.mean())
        return total

    tried = {band: worth(band) for band in np.arange(1.0, 4.0, 0.1)}
    grid, values, answers = task.solution
    flat = values[:, 1] @ (density := np.exp(-0.5 * (grid / task.spread) ** 2)) / density.sum()

    assert flat == pytest.approx(max(tried.values()), rel=0.02)
    turn = grid[(answers[:, 1] == -1.0).argmax()]
    assert turn == pytest.approx(max(tried, key=tried.__getitem__), abs=0.3)
    assert discounted_worth(replace(task, noise=0.0), task.best, lives=4_000, steps=342) == pytest.approx(
        flat, rel=0.02
    )


def test_dynamic_programme_without_costs_holds_against_the_price() -> None:
    # E|x| = spread · sqrt(2 / pi); each step earns pull · |x|.
    task = Reversion(cost=0.0)

    grid, values, _ = task.solution

    density = np.exp(-0.5 * (grid / task.spread) ** 2)
    expected = task.pull * task.spread * np.sqrt(2.0 / np.pi) / (1.0 - task.gamma)
    assert values[:, 1] @ density / density.sum() == pytest.approx(expected, rel=1e-3)


def test_growth_optimal_weights_meet_the_conditions_of_kuhn_and_tucker() -> None:
    # No asset, nor cash, has a marginal growth above that of what is held (Cover and Thomas, theorem 16.2.1):
    # E[(1 + R_n) / (1 + w · R)] <= 1 for each asset, with equality for what is held, and so for cash.
    task = Growth()

    for weights, outcomes in zip(task.optimum, task.returns, strict=True):
        wealth = 1.0 + outcomes @ weights
        margins = ((1.0 + outcomes) / wealth[:, None]).mean(axis=0)
        assert (margins <= 1.0 + 1e-5).all()
        np.testing.assert_allclose(margins[weights > 1e-4], 1.0, atol=1e-5)
        assert (1.0 / wealth).mean() <= 1.0 + 1e-5
        assert weights.sum() <= 1.0 + 1e-9
    # Corners teach little: in most states several assets, or assets and cash, share the fortune.
    assert ((task.optimum > 0.02) & (task.optimum < 0.98)).any(axis=1).sum() >= 4


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.name}, {len(task.choices)} choices")
def test_rule_that_is_best_scores_one_and_others_less(task: Task) -> None:
    def idle(vector: torch.Tensor) -> torch.Tensor:
        return torch.zeros((len(vector), 1 if task.choices else task.shapes.actions))

    assert task.score(task.best) == pytest.approx(1.0, abs=1e-6)
    assert task.score(idle) < 0.9


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.name}, {len(task.choices)} choices")
def test_task_as_an_environment_keeps_gymnasiums_contract(task: Task) -> None:
    environment = TaskEnvironment(task, 3)
    assert environment.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    seen, _ = environment.reset(seed=4)
    again, _ = TaskEnvironment(task, 3).reset(seed=4)
    np.testing.assert_array_equal(seen, again)
    environment.action_space.seed(0)
    limit = int(task.room(task.begin(1, torch.Generator()))[0])

    for step in range(1, limit + 1):
        seen, reward, terminated, truncated, infos = environment.step(environment.action_space.sample())
        assert environment.observation_space.contains(seen)
        assert np.isfinite(reward).all()
        assert (terminated | truncated).all() == (step == limit)
    assert np.stack(infos["final_obs"]).shape == seen.shape
    assert infos["_final_obs"].all()
