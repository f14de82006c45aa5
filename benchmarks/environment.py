"""Steps a second of the market environment: 64 portfolios of 5 assets on one core, features excluded."""

import time

import numpy as np

from ml.environment import EpisodeConfig, MarketEnvironment
from strategies.config import ActionMap, AllocationConfig, CostConfig
from tests.support.market_data import random_dataset, rules_for


def steps_per_second(num_envs: int, num_assets: int, seconds: float = 1.0) -> float:
    """Steps of single portfolios a second of processor time."""
    environment = MarketEnvironment(
        random_dataset(num_assets, 5_000, lookback=64),
        rules_for(num_assets),
        allocation=AllocationConfig(action_map=ActionMap.SIMPLEX_CASH),
        costs=CostConfig(),
        episode=EpisodeConfig(horizon_bars=1_000),
        num_envs=num_envs,
        observe_rows=True,
    )
    environment.reset(seed=0)
    actions = np.random.default_rng(0).standard_normal((256, num_envs, num_assets + 1))
    environment.step(actions[0])  # compiles
    done, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < seconds:
        for action in actions:
            environment.step(action)
        done += len(actions) * num_envs
    return done / elapsed


def main() -> None:
    for num_envs, num_assets in ((8, 5), (64, 5), (256, 5), (64, 1)):
        rate = steps_per_second(num_envs, num_assets)
        print(f"{num_envs:4} portfolios x {num_assets} assets: {rate / 1e6:5.2f} million steps a second")


if __name__ == "__main__":
    main()
