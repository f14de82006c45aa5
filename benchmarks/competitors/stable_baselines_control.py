"""A control problem by stable-baselines3, with our network, minibatches and passes; prints the return.

``python benchmarks/competitors/stable_baselines_control.py CartPole-v1 SEED``, stable-baselines3 on the path.
"""

import json
import sys
import time
from importlib.metadata import version

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from tests.support.known_answers.lessons import CONTROL_ENVIRONMENTS, CONTROLS, NETWORK, mean_return


def main() -> None:
    name, seed = sys.argv[1], int(sys.argv[2])
    (control,) = (one for one in CONTROLS if one.name == name)
    config = control.ppo
    torch.set_num_threads(1)
    begun = time.process_time()
    environment = make_vec_env(name, CONTROL_ENVIRONMENTS, seed=seed)
    if config.scale_reward:
        environment = VecNormalize(environment, norm_obs=False, gamma=config.gamma)
    hidden = list(NETWORK.hidden)
    model = PPO(
        "MlpPolicy",
        environment,
        learning_rate=lambda left: config.learning_rate * left,
        n_steps=config.num_steps // CONTROL_ENVIRONMENTS,
        batch_size=config.batch_size,
        n_epochs=config.update_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_coef,
        ent_coef=config.ent_coef,
        vf_coef=0.5 * config.vf_coef,  # theirs is not halved
        max_grad_norm=config.max_grad_norm,
        policy_kwargs={"net_arch": {"pi": hidden, "vf": hidden}},
        seed=seed,
        device="cpu",
    )
    model.learn(config.total_timesteps)
    spent = time.process_time() - begun
    reached = mean_return(name, lambda seen: model.predict(seen, deterministic=True)[0])
    print(json.dumps({"return": reached, "cpu_secs": spent, "version": version("stable-baselines3")}))


if __name__ == "__main__":
    main()
