"""PPO of stable-baselines3 on our market, with our network, minibatches and passes; prints its speed.

``python benchmarks/competitors/stable_baselines_market.py KIND``, stable-baselines3 on the path. It gets our
compiled environment and not a loop over single ones, which would be slower.
"""

import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.ppo import CONFIG, best_secs, market, network
from ml.environment import MarketEnvironment
from ml.networks import NetworkConfig, PolicyKind, Shapes, make_encoder

ENVIRONMENTS = 8


class Market(VecEnv):
    """Our environment in their interface."""

    def __init__(self, environment: MarketEnvironment) -> None:
        self.environment = environment
        # They want bounds; no action comes near these.
        space = spaces.Box(-100.0, 100.0, environment.single_action_space.shape, np.float32)
        super().__init__(environment.num_envs, environment.single_observation_space, space)

    def reset(self) -> Any:
        return self.environment.reset(seed=self._seeds[0] or 0)[0]

    def step_async(self, actions: Any) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        seen, rewards, terminated, truncated, told = self.environment.step(self._actions)
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in rewards]
        for place in np.flatnonzero(ended):
            final = {name: value[place] for name, value in told["final_obs"].items()}
            infos[place] = {
                "terminal_observation": final,
                "TimeLimit.truncated": bool(truncated[place]),
            }
        return seen, rewards, ended, infos

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:  # noqa: ARG002 -- their names
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **given: Any) -> Any:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:  # noqa: ARG002
        return [False] * self.num_envs


class Encoder(BaseFeaturesExtractor):
    """Our encoder of the window beside the portfolio, as the head of our policy sees them."""

    def __init__(self, space: Any, config: NetworkConfig) -> None:
        lookback, instruments, features = space["window"].shape
        vector = space["portfolio"].shape[0]
        super().__init__(space, config.code + vector)
        self.encoder = make_encoder(config, Shapes(lookback, instruments, features, vector, instruments + 1))

    def forward(self, seen: Any) -> torch.Tensor:
        return torch.cat((self.encoder(seen["window"]), seen["portfolio"]), dim=1)


def main() -> None:
    kind = PolicyKind(sys.argv[1])
    torch.set_num_threads(1)
    config, shape = CONFIG, network(kind)
    environment = Market(market(ENVIRONMENTS, ENVIRONMENTS, observe_rows=False))
    hidden = list(shape.hidden)
    model = PPO(
        "MultiInputPolicy",
        environment,
        learning_rate=config.learning_rate,
        n_steps=config.num_steps // ENVIRONMENTS,
        batch_size=config.batch_size,
        n_epochs=config.update_epochs,
        policy_kwargs={
            "net_arch": {"pi": hidden, "vf": hidden},
            "features_extractor_class": Encoder,
            "features_extractor_kwargs": {"config": shape},
        },
        seed=0,
        device="cpu",
    )
    environment.reset()
    environment.step(np.zeros((ENVIRONMENTS, *environment.action_space.shape)))  # compiles it
    secs = best_secs(lambda: model.learn(config.num_steps, reset_num_timesteps=False))
    print(json.dumps({"steps_per_sec": config.num_steps / secs, "version": version("stable-baselines3")}))


if __name__ == "__main__":
    main()
