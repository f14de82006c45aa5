"""Trainers on problems whose optimum is known; small budgets, one seed; the benchmark has five."""

from dataclasses import replace

from tests.support.known_answers.lessons import (
    ENVIRONMENTS,
    LESSONS,
    PLAIN,
    learned_by_gradients,
    learned_by_ppo,
)

REBALANCING, LIQUIDATION, REVERSION, GROWTH = LESSONS


def test_pathwise_gradients_sell_a_block_nearly_at_the_least_cost() -> None:
    # The best constant share of the rest reaches 0.92, selling evenly 0.70.
    lesson = replace(LIQUIDATION, pathwise=replace(LIQUIDATION.pathwise, total_timesteps=80_000))

    assert learned_by_gradients(lesson, seed=0) > 0.985


def test_pathwise_gradients_grow_a_fortune_nearly_as_fast_as_can_be() -> None:
    # Equal shares of all assets reach 0.70.
    lesson = replace(GROWTH, pathwise=replace(GROWTH.pathwise, total_timesteps=100_000))

    assert learned_by_gradients(lesson, seed=0) > 0.93


def test_ppo_sells_a_block_nearly_at_the_least_cost() -> None:
    lesson = replace(LIQUIDATION, ppo=replace(LIQUIDATION.ppo, total_timesteps=98_304))

    assert learned_by_ppo(lesson, seed=0) > 0.975


def test_ppo_trades_a_reverting_price_near_the_optimum() -> None:
    # Whoever never trades earns nothing; whoever always holds against the price pays more than there is.
    # Five seeds reached from 0.89 to 0.97.
    quick = replace(PLAIN, total_timesteps=245_760, gae_lambda=0.9, ent_coef=0.02)
    lesson = replace(REVERSION, ppo=quick, environments=ENVIRONMENTS)

    assert learned_by_ppo(lesson, seed=0) > 0.88
