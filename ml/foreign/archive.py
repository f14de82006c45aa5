"""What a confined process says of an archive, read and checked.

Flow: archive → unpacking (confined) → **archive** → conversion.

The process that says it has run the archive's code, so it is believed like a stranger: bounded bytes,
arrays without pickles, shapes that fit together, finite numbers.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from ml.foreign.confinement import LARGEST_ANSWER, LARGEST_ARCHIVE, require_confinement
from strategies.errors import ConfigError
from strategies.market import Float32s

_LONGEST_SECS = 180
_MOST_LAYERS = 32
_LONGEST_WORDS = 600
_ACTIVATIONS = ("Tanh", "ReLU")
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    MemoryError,
    RecursionError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a stranger's bytes may raise."""


@dataclass(frozen=True, slots=True)
class ForeignPolicy:
    """An actor of dense layers, and what it answered where it came from."""

    observed: tuple[tuple[str, tuple[int, ...]], ...]
    """Parts of an observation and their shapes, in the order in which they are joined; "" is the only one."""
    weights: tuple[Float32s, ...]
    """Of each layer, shape (outputs, inputs)."""
    biases: tuple[Float32s, ...]
    activation: str
    """Between the layers: ``Tanh`` or ``ReLU``."""
    discrete_dims: int
    """Independent choices among short, flat and long; 0 for a continuous action."""
    low: Float32s | None
    """Where a continuous action is cut, shape (A,)."""
    high: Float32s | None
    observations: Float32s
    """Shape (n, D)."""
    actions: Float32s
    """What it answered to them, shape (n, A); of a discrete one the numbers of its choices."""
    archive_sha256: str = ""
    """Hash of the archive's bytes, as they were read."""


def read_archive(path: Path) -> ForeignPolicy:
    """Take over a policy that stable-baselines3's PPO saved.

    Args:
        path: The ``.zip``.

    Raises:
        ConfigError: If it cannot be read in confinement, holds something else, or what is said of it does
            not fit together.
    """
    if find_spec("stable_baselines3") is None:
        raise ConfigError(
            f"{path}: an archive of stable-baselines3 is read with that library: run `make learn`, then this "
            "again"
        )
    require_confinement()
    content = _content(path)
    policy = read_answer(path, _unpacked(path, content))
    return replace(policy, archive_sha256=hashlib.sha256(content).hexdigest())


def read_answer(path: Path, answer: bytes) -> ForeignPolicy:
    """Believe what was said of an archive as far as it fits together.

    Args:
        path: The archive, for messages.
        answer: What `ml.foreign.unpacking` wrote.

    Raises:
        ConfigError: If it does not.
    """
    head, arrays = _head_and_arrays(path, answer)
    try:
        policy = _policy(head, arrays)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path}: what is said of it does not fit together: {error}") from error
    values = [*policy.weights, *policy.biases, policy.observations, policy.actions]
    if not all(np.isfinite(one).all() for one in values):
        raise ConfigError(f"{path}: expected finite weights and actions, found NaN or infinity")
    return policy


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_ARCHIVE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: expected an archive of stable-baselines3: {error.strerror}") from error
    if len(content) > LARGEST_ARCHIVE:
        raise ConfigError(f"{path}: expected at most {LARGEST_ARCHIVE} bytes, found more")
    return content


def _unpacked(path: Path, content: bytes) -> bytes:
    # What stands in our environment, tokens for one, is none of its business.
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    alone = kept | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "ml.foreign.unpacking"]
    # Files, not pipes: the kernel stops a file that grows too large.
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as words:
        try:
            done = subprocess.run(  # noqa: S603 - a fixed command: this interpreter and a module of ours
                command,
                input=content,
                stdout=answer,
                stderr=words,
                check=False,
                timeout=_LONGEST_SECS,
                env=alone,
            )
        except subprocess.TimeoutExpired as error:
            raise ConfigError(f"{path}: not read within {_LONGEST_SECS} s; refused") from error
        answer.seek(0)
        words.seek(0)
        if done.returncode == 0:
            return answer.read(LARGEST_ANSWER + 1)
        said = words.read(1 << 16).decode(errors="replace").strip().splitlines()[-1:]
    raise ConfigError(
        f"{path}: the confined process that reads it ended with {done.returncode}"
        f"{': ' + _harmless(said[0]) if said else ''}; refused"
    )


@dataclass(frozen=True, slots=True)
class _Head:
    """What the process says the network is."""

    observed: tuple[tuple[str, tuple[int, ...]], ...] = ()
    layers: int = 0
    activation: str = ""
    discrete_dims: int = 0
    error: str = ""


def _head_and_arrays(path: Path, answer: bytes) -> tuple[_Head, dict[str, Float32s]]:
    try:
        with zipfile.ZipFile(io.BytesIO(answer)) as archive:
            if sum(one.file_size for one in archive.infolist()) > LARGEST_ANSWER:
                raise ValueError("more than it may hold")
        with np.load(io.BytesIO(answer), allow_pickle=False) as loaded:
            found: dict[str, Any] = {name: loaded[name] for name in loaded.files}
        head = TypeAdapter(_Head).validate_python(json.loads(bytes(found.pop("head"))))
        arrays = {name: np.asarray(array, dtype=np.float32) for name, array in found.items()}
    except _UNREADABLE as error:
        raise ConfigError(f"{path}: the process that reads it gave no answer that can be read") from error
    if head.error:
        raise ConfigError(
            f"{path}: expected a PPO policy of stable-baselines3 that reads numbers through dense layers: "
            f"{_harmless(head.error)}"
        )
    return head, arrays


def _policy(head: _Head, arrays: dict[str, Float32s]) -> ForeignPolicy:
    if not 1 <= head.layers <= _MOST_LAYERS or head.activation not in _ACTIVATIONS:
        raise ValueError(f"{head.layers} layers with {head.activation!r} between them")
    weights = tuple(arrays[f"weight_{number}"] for number in range(head.layers))
    biases = tuple(arrays[f"bias_{number}"] for number in range(head.layers))
    width = int(sum(np.prod(shape) for _, shape in head.observed))
    observations, actions = arrays["observations"], arrays["actions"]
    for weight, bias in zip(weights, biases, strict=True):
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise ValueError(f"a layer of {weight.shape} and {bias.shape} after {width} numbers")
        width = len(bias)
    answered = head.discrete_dims or width
    low, high = arrays.get("low"), arrays.get("high")
    if head.discrete_dims and width != 3 * head.discrete_dims:
        raise ValueError(f"{head.discrete_dims} choices of {width} logits")
    if not head.discrete_dims and not all(one is not None and one.shape == (width,) for one in (low, high)):
        raise ValueError(f"no bounds for an action of {width} numbers")
    if observations.shape[1:] != weights[0].shape[1:] or actions.shape != (len(observations), answered):
        raise ValueError(f"answers {actions.shape} to observations {observations.shape}")
    return ForeignPolicy(
        head.observed, weights, biases, head.activation, head.discrete_dims, low, high, observations, actions
    )


def _harmless(words: str) -> str:
    """Words of a stranger, on one line and without what a terminal would obey."""
    return "".join(one if one.isprintable() else " " for one in words)[:_LONGEST_WORDS]
