"""A training that is over in seconds."""

from typing import Any

from ml.drift import DriftSettings
from ml.hmm import HmmSettings
from ml.networks import NetworkConfig, PolicyKind
from ml.ppo_config import PPOConfig
from ml.training import Task
from ml.training_config import EnvironmentConfig, TrainingConfig
from strategies.config import ActionMap, CostConfig, StrategyConfig
from tests.support.market_data import name_of, rules_for

LOOKBACK = 8


def small_strategy(**changes: Any) -> StrategyConfig:
    """Two assets of `tests.support.market_data` with a regime model; ``changes`` replace sections."""
    return StrategyConfig.model_validate(
        {
            "name": "small",
            "instruments": (name_of(0), name_of(1)),
            "capital_quote": 100_000.0,
            "features": {"lookback": LOOKBACK, "columns": ({"kind": "log_return"},)},
            "regime": {"columns": ("log_return_1",)},
            "policy": {"kind": "bundle", "path": "."},
            "allocation": {"action_map": ActionMap.SIMPLEX_CASH},
        }
        | changes
    )


def small_config(**changes: Any) -> TrainingConfig:
    """Four updates of a tiny network; ``changes`` replace sections."""
    return TrainingConfig.model_validate(
        {
            "host": "host.toml",
            "strategy": "small.toml",
            "regime": HmmSettings(num_states=2, num_restarts=1),
            "network": NetworkConfig(kind=PolicyKind.MLP, hidden=(8,), code=4, channels=4),
            "environment": EnvironmentConfig(num_envs=8, num_clocks=4, horizon_bars=64),
            "ppo": PPOConfig(
                total_timesteps=512,
                num_steps=128,
                batch_size=64,
                update_epochs=2,
                learning_rate=1e-2,
                eval_every=128,
            ),
            "drift": DriftSettings(window_bars=20, period_bars=20, num_stretches=50, false_alarm_prob=0.5),
        }
        | changes
    )


def small_task(strategy: StrategyConfig | None = None, config: TrainingConfig | None = None) -> Task:
    """What `ml.training.train_model` takes besides the bars."""
    return Task(strategy or small_strategy(), rules_for(2), CostConfig(), config or small_config(), 525_600.0)
