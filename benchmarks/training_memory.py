"""Memory of a training run on 18 months of one-minute bars of three instruments.

``python -m benchmarks.training_memory`` makes the bars up; with file names behind it, it reads them from
Parquet files with the columns ts (UTC nanoseconds), open, high, low, close and volume.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.figures import QUICK
from benchmarks.scenario import FEATURES
from ml.datasets import Bars, Dataset, Provenance, make_dataset
from ml.environment import EpisodeConfig, MarketEnvironment
from ml.networks import NetworkConfig
from ml.ppo import PPO
from ml.ppo_config import PPOConfig
from strategies.config import ActionMap, AllocationConfig, CostConfig, FeatureConfig, FeaturesConfig
from tests.support.market_data import MINUTE_NS, START_NS, name_of, rules_for

MINUTES = 50_000 if QUICK else 786_240
"""18 months."""
INSTRUMENTS = 3


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]]
    series = {name_of(place): read(path) for place, path in enumerate(files)} or made_up()
    features = FeaturesConfig(lookback=64, columns=tuple(FeatureConfig(kind=kind) for kind in FEATURES))
    dataset = make_dataset(series, features, Provenance("1-MINUTE"))
    before = peak_mib()
    train(dataset)
    kind = "real" if files else "made-up"
    how = (
        f"peak RSS of reading {len(dataset):,} {kind} bars of {dataset.num_instruments} instruments, "
        f"{dataset.num_features} features ({before:,.0f} MiB), and training a window_cnn on them"
    )
    print(json.dumps({"mib": peak_mib(), "how": how}))


def read(path: Path) -> Bars:
    """Bars of one file."""
    table = pq.read_table(path)
    columns = (table.column(name).to_numpy() for name in ("ts", "open", "high", "low", "close", "volume"))
    return Bars(*columns)


def made_up() -> dict[str, Bars]:
    """Random walks."""
    rng, series = np.random.default_rng(0), {}
    for place in range(INSTRUMENTS):
        close = 100.0 * np.exp(np.cumsum(0.0005 * rng.standard_normal(MINUTES)))
        opening = np.concatenate([close[:1], close[:-1]])
        ts_event = START_NS + MINUTE_NS * np.arange(1, MINUTES + 1)
        high, low = np.maximum(opening, close), np.minimum(opening, close)
        series[name_of(place)] = Bars(ts_event, opening, high, low, close, rng.exponential(5e3, MINUTES))
    return series


def train(dataset: Dataset) -> None:
    """Three updates: everything that a run allocates has been allocated by then."""
    environment = MarketEnvironment(
        dataset,
        rules_for(dataset.num_instruments),
        allocation=AllocationConfig(action_map=ActionMap.SIMPLEX_CASH),
        costs=CostConfig(),
        episode=EpisodeConfig(horizon_bars=1_440),
        num_envs=64,
        num_clocks=4,
        observe_rows=True,
    )
    run = PPO(environment, NetworkConfig(), PPOConfig())
    for _ in range(3):
        run.update()


def peak_mib() -> float:
    """Most memory that this process has had in RAM."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
