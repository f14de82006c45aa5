"""The process that opens an archive: stable-baselines3 loads it here, confined, and nowhere else.

Flow: standard input (the archive) → **unpacking** → standard output (numbers).

    python -P -m ml.foreign.unpacking < archive.zip > answer.npz

The answer is an NPZ without pickles: ``head``, JSON that says what the network is; ``weight_i`` and
``bias_i`` of each dense layer; ``low`` and ``high`` of a continuous action; and what stable-baselines3 itself
answers to some observations, ``observations`` (n, D) and ``actions`` (n, A). Or ``head`` alone, with an
``error``.
"""

import io
import json
import os
import sys
import warnings
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.distributions import (
    CategoricalDistribution,
    DiagGaussianDistribution,
    MultiCategoricalDistribution,
)
from stable_baselines3.common.policies import ActorCriticPolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor
from torch import nn

from ml.foreign.confinement import LARGEST_ARCHIVE, confine

ASKED = 500
"""Observations that stable-baselines3 is asked."""

_OF_TRAINING: dict[str, Any] = {
    "learning_rate": 0.0,
    "lr_schedule": float,
    "clip_range": float,
    "clip_range_vf": None,
    "rollout_buffer_class": None,
    "ep_info_buffer": None,
    "ep_success_buffer": None,
    "tensorboard_log": None,
    "_last_obs": None,
    "_last_original_obs": None,
    "_last_episode_starts": None,
}
"""What matters only to who goes on training is not unpickled at all."""
_MEMORY = 2 << 30
_PROCESSOR_SECS = 60
_SIDES = 3
"""Choices of a discrete action: short, flat, long."""


def main() -> None:
    """Read an archive from standard input, and say what is in it."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    archive = sys.stdin.buffer.read(LARGEST_ARCHIVE + 1)
    # Everything that loading needs is imported by loading: afterwards no module can be.
    answer_of(_rehearsal())
    confine(memory_bytes=_MEMORY, processor_secs=_PROCESSOR_SECS)
    sys.stdout.buffer.write(answer_of(archive))
    sys.stdout.buffer.flush()
    os._exit(0)  # tearing torch down asks for more than is allowed


def answer_of(archive: bytes) -> bytes:
    """What an archive holds, or why it cannot be said, as the module has it.

    The archive's pickles are run: `main` alone may ask this of one that a stranger made.
    """
    try:
        found = describe(archive)
    except Exception as error:  # noqa: BLE001 - what an archive raises is its own affair
        found = {"head": _text({"error": f"{type(error).__name__}: {error}"})}
    answer = io.BytesIO()
    np.savez(answer, allow_pickle=False, **found)
    return answer.getvalue()


def describe(archive: bytes) -> dict[str, Any]:
    """What an archive holds, as arrays; see the module.

    Raises:
        ValueError: If it is none of what can be converted.
    """
    with warnings.catch_warnings():
        # What cannot be unpickled is replaced by a default with a warning: another network would answer.
        warnings.filterwarnings("error", message="Could not deserialize")
        model = PPO.load(io.BytesIO(archive), custom_objects=_OF_TRAINING, device="cpu")
    policy = model.policy
    if type(policy) not in (ActorCriticPolicy, MultiInputActorCriticPolicy):
        raise ValueError(f"expected MlpPolicy or MultiInputPolicy, found {type(policy).__name__}")
    policy.set_training_mode(False)
    shapes = _observed(policy)
    layers, activation = _layers(policy)
    head = {"observed": shapes, "layers": len(layers), "activation": activation, **_answered(policy)}
    arrays: dict[str, Any] = {}
    for number, layer in enumerate(layers):
        arrays[f"weight_{number}"] = layer.weight.numpy(force=True)
        arrays[f"bias_{number}"] = layer.bias.numpy(force=True)
    if isinstance(policy.action_space, spaces.Box):
        arrays |= {"low": policy.action_space.low, "high": policy.action_space.high}
    return arrays | _asked(model, shapes) | {"head": _text(head)}


def _observed(policy: ActorCriticPolicy) -> list[tuple[str, list[int]]]:
    """Parts of an observation and their shapes, in the order in which they are joined; "" is the only one."""
    space, extractor = policy.observation_space, policy.pi_features_extractor
    if type(extractor) is FlattenExtractor and isinstance(space, spaces.Box):
        return [("", list(space.shape))]
    if type(extractor) is CombinedExtractor and isinstance(space, spaces.Dict):
        parts = dict(extractor.extractors.items())
        odd = [name for name, part in parts.items() if type(part) is not nn.Flatten]
        if not odd:
            return [(name, list(space[name].shape or ())) for name in parts]
        raise ValueError(f"expected parts that are read as they are, found an encoder for {odd}")
    raise ValueError(
        f"expected observations that are read as they are, found {type(extractor).__name__} of "
        f"{type(space).__name__}"
    )


def _layers(policy: ActorCriticPolicy) -> tuple[list[nn.Linear], str]:
    """Dense layers of the actor, and what stands between them."""
    dense, between = [], set()
    for layer in policy.mlp_extractor.policy_net:
        if type(layer) is nn.Linear:
            dense.append(layer)
        else:
            between.add(type(layer).__name__)
    if len(between) > 1 or not between <= {"Tanh", "ReLU"} or type(policy.action_net) is not nn.Linear:
        raise ValueError(f"expected dense layers with Tanh or ReLU between them, found {sorted(between)}")
    if len(policy.mlp_extractor.policy_net) != 2 * len(dense):
        raise ValueError("expected a dense layer and its activation by turns, found something else")
    return [*dense, policy.action_net], between.pop() if between else "Tanh"


def _answered(policy: ActorCriticPolicy) -> dict[str, Any]:
    space: Any = policy.action_space
    drawn = type(policy.action_dist)
    if drawn is DiagGaussianDistribution and not policy.squash_output:
        return {"discrete_dims": 0}
    choices: list[int] = []
    if drawn is CategoricalDistribution and space.start == 0:
        choices = [int(space.n)]
    elif drawn is MultiCategoricalDistribution and not space.start.any():
        choices = [int(number) for number in space.nvec]
    if choices and all(number == _SIDES for number in choices):
        return {"discrete_dims": len(choices)}
    raise ValueError(
        f"expected a continuous action, or a choice among {_SIDES} for each instrument (short, flat, long), "
        f"found {drawn.__name__} of {space}"
    )


def _asked(model: PPO, shapes: list[tuple[str, list[int]]]) -> dict[str, Any]:
    widths = [int(np.prod(shape)) for _, shape in shapes]
    flat = np.random.default_rng(0).standard_normal((ASKED, sum(widths)), dtype=np.float32)
    parts = {
        name: part.reshape(ASKED, *shape)
        for (name, shape), part in zip(shapes, np.split(flat, np.cumsum(widths)[:-1], axis=1), strict=True)
    }
    actions, _ = model.predict(cast("Any", parts.get("", parts)), deterministic=True)
    return {"observations": flat, "actions": np.asarray(actions, dtype=np.float32).reshape(ASKED, -1)}


class _Nowhere(gym.Env[Any, Any]):
    """A place to make a policy for; nobody ever acts in it."""

    action_space = spaces.Box(-1.0, 1.0, (2,))

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        self.observation_space = observation_space


def _rehearsal() -> bytes:
    """An archive of our own."""
    space = spaces.Dict({"portfolio": spaces.Box(-1.0, 1.0, (2,)), "window": spaces.Box(-1.0, 1.0, (2, 2))})
    archive = io.BytesIO()
    PPO("MultiInputPolicy", _Nowhere(space), n_steps=2, batch_size=2, device="cpu").save(archive)
    return archive.getvalue()


def _text(head: dict[str, Any]) -> Any:
    return np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)


if __name__ == "__main__":
    main()
