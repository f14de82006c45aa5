"""Steps a second of PPO beside stable-baselines3: same market, network, minibatches and passes; and memory.

A step is one bar of one portfolio, its share of the updates included. Both run on one thread; ours lives
through the market with sixteen portfolios a clock, theirs with eight portfolios on clocks of their own.
"""

import gc
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.competitors.throwaway import beside_ours, run_beside_ours
from benchmarks.figures import Figure, in_fresh_process, report
from ml.environment import EpisodeConfig, MarketEnvironment
from ml.networks import NetworkConfig, PolicyKind
from ml.ppo import PPO
from ml.ppo_config import PPOConfig
from strategies.config import ActionMap, AllocationConfig, CostConfig
from tests.support.market_data import random_dataset, rules_for

ASSETS, FEATURES, LOOKBACK = 5, 8, 64
CLOCKS, GROUP = 4, 16
LEAST_UPDATES, LEAST_SECS = 3, 20.0
CONFIG = PPOConfig(num_steps=4_096, batch_size=1_024, update_epochs=10, total_timesteps=10**9)
TARGETS = {PolicyKind.MLP: 6.0, PolicyKind.WINDOW_CNN: 8.0, PolicyKind.WINDOW_LSTM: 15.0}
MEMORY_LIMIT_MIB = 2_048.0


def measure() -> list[Figure]:
    """Ours and theirs by turns, then the memory of a run on a long history."""
    figures = []
    with tempfile.TemporaryDirectory() as directory:
        theirs: Path | str
        try:
            theirs = beside_ours(Path(directory), ("stable-baselines3",))
        except subprocess.CalledProcessError as error:
            theirs = f"stable-baselines3 could not be installed: {(error.stderr or '').strip()[-120:]}"
        for kind, target in TARGETS.items():
            figures.append(_beside(kind, target, theirs))
    memory = in_fresh_process("benchmarks.training_memory")
    return [
        *figures,
        Figure("PPO, memory of training", memory["mib"], "MiB", memory["how"], MEMORY_LIMIT_MIB),
    ]


def _beside(kind: PolicyKind, target: float, theirs: Path | str) -> Figure:
    how = (
        f"{ASSETS} assets, {FEATURES} features, window {LOOKBACK}, rollouts of {CONFIG.num_steps:,}, "
        f"minibatches of {CONFIG.batch_size:,}, {CONFIG.update_epochs} passes; "
        f"processor time of the quickest update of {LEAST_SECS:g} s"
    )
    name, unit = f"PPO, {kind}, a step", "µs"
    ours = 1e6 / steps_per_second(kind)
    if isinstance(theirs, str):
        return Figure(name, ours, unit, f"{how}; {theirs}", target)
    other = run_beside_ours(theirs, "stable_baselines_market.py", kind.value)
    reference = 1e6 / other["steps_per_sec"]
    label = f"stable-baselines3 {other['version']}"
    return Figure(name, ours, unit, how, target, reference, label, is_at_least=True)


def market(num_envs: int, num_clocks: int, *, observe_rows: bool) -> MarketEnvironment:
    """Random walks with as many random features as a strategy would have."""
    dataset = random_dataset(ASSETS, 5_000, lookback=LOOKBACK)
    shape = (*dataset.features.shape[:2], FEATURES)
    features = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    names = tuple(f"feature_{number}" for number in range(FEATURES))
    return MarketEnvironment(
        replace(dataset, features=features, columns=names),
        rules_for(ASSETS),
        allocation=AllocationConfig(action_map=ActionMap.SIMPLEX_CASH),
        costs=CostConfig(),
        episode=EpisodeConfig(horizon_bars=1_000),
        num_envs=num_envs,
        num_clocks=num_clocks,
        observe_rows=observe_rows,
    )


def network(kind: PolicyKind) -> NetworkConfig:
    """The default network, without dropout, which theirs does not have."""
    return NetworkConfig(kind=kind, dropout=0.0)


def steps_per_second(kind: PolicyKind) -> float:
    """Samples a second of processor time, updates included."""
    run = PPO(market(CLOCKS * GROUP, CLOCKS, observe_rows=True), network(kind), CONFIG)
    run.update()  # compiles the environment
    gc.collect()
    return CONFIG.num_steps / best_secs(run.update)


def best_secs(update: Callable[[], object]) -> float:
    """Processor time of the quickest of several updates, seconds."""
    taken: list[float] = []
    while len(taken) < LEAST_UPDATES or sum(taken) < LEAST_SECS:
        begun = time.process_time()
        update()
        taken.append(time.process_time() - begun)
    return min(taken)


if __name__ == "__main__":
    report(measure)
