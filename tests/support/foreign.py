"""Archives as stable-baselines3 saves them, good and hostile."""

import base64
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from torch import nn

from ml.foreign import Reading
from strategies.config import ActionMap


def reading(**changes: Any) -> Reading:
    """A strategy of two instruments that shows four rows of three features and two states."""
    shapes: dict[str, Any] = {
        "lookback": 4,
        "num_instruments": 2,
        "num_features": 3,
        "num_beliefs": 2,
        "action_map": ActionMap.SIMPLEX_CASH,
        "schema_sha256": "5" * 64,
    }
    return Reading(**shapes | changes)


class Market(gym.Env[Any, Any]):
    """Shows what it is asked to show; nothing that is done in it matters."""

    def __init__(self, observed: spaces.Space[Any], actions: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observed, actions


def box(*shape: int, limit: float = 10.0) -> spaces.Box:
    """Numbers up to a limit."""
    return spaces.Box(-limit, limit, shape, np.float32)


PARTS = spaces.Dict({"window": box(4, 2, 3), "portfolio": box(9), "beliefs": box(2)})
FLAT = box(4 * 2 * 3 + 9 + 2)


def trained(observed: spaces.Space[Any], actions: spaces.Space[Any], **policy: Any) -> PPO:
    """A policy whose weights are not small, as after a training."""
    kind = "MultiInputPolicy" if isinstance(observed, spaces.Dict) else "MlpPolicy"
    model = PPO(
        kind,
        Market(observed, actions),
        n_steps=2,
        batch_size=2,
        seed=1,
        device="cpu",
        policy_kwargs={"net_arch": [16, 8]} | policy,
    )
    with torch.no_grad():
        for weight in model.policy.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return model


def save(model: PPO, path: Path) -> Path:
    """As a user does."""
    model.save(path)
    return path


class Halved(nn.Tanh):
    """What a user wrote, and nobody else has."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half of it."""
        return super().forward(x) * 0.5


class Deed:
    """Does something when it is unpickled."""

    def __init__(self, do: Callable[..., Any], *args: Any) -> None:
        self.do, self.args = do, args

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What a pickle runs."""
        return self.do, self.args


def poison(archive: Path, deed: Deed) -> Path:
    """Put a deed into an archive that is otherwise good, where a user would not look."""
    with zipfile.ZipFile(archive) as good:
        members = {name: good.read(name) for name in good.namelist()}
    data = json.loads(members["data"])
    data["policy_kwargs"] = {":type:": "dict", ":serialized:": base64.b64encode(pickle.dumps(deed)).decode()}
    members["data"] = json.dumps(data).encode()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bad:
        for name, member in members.items():
            bad.writestr(name, member)
    archive.write_bytes(content.getvalue())
    return archive
