"""The state of a training run as one file of plain arrays: no code in it, whole or not there.

Flow: ppo, pathwise → **checkpoints**.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from strategies.errors import DataError

FORMAT = "argonaut checkpoint 1"
_HEADER = "header.json"


def save_checkpoint(path: Path, state: Mapping[Any, Any]) -> None:
    """Write nested mappings and lists of tensors, arrays and plain values; a crash leaves what was there.

    Args:
        path: The file; its directory is made.
        state: Keys are text or whole numbers.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    arrays: dict[str, Any] = {}
    tree = _take_arrays(state, arrays)
    header = json.dumps({"format": FORMAT, "tree": tree}, sort_keys=True)
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **{_HEADER: np.array(header), **arrays})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Any:
    """Read what `save_checkpoint` wrote: arrays come back as they were, tensors on the CPU.

    Raises:
        DataError: If the file is missing, damaged or of another format.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays[_HEADER]))
            if header["format"] != FORMAT:
                raise DataError(f"{path}: expected the format {FORMAT!r}, found {header['format']!r}")
            return _put_arrays(header["tree"], arrays)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: expected a checkpoint, but it cannot be read: {error}; begin again, or take another"
        ) from error


def _take_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    """The value as JSON, each array replaced by its name."""
    if isinstance(value, Mapping):
        return {"map": [[key, _take_arrays(one, arrays)] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_take_arrays(one, arrays) for one in value]}
    if isinstance(value, torch.Tensor | np.ndarray):
        name = f"a{len(arrays)}"
        is_tensor = isinstance(value, torch.Tensor)
        arrays[name] = value.numpy(force=True) if isinstance(value, torch.Tensor) else value
        return {"tensor" if is_tensor else "array": name}
    return {"plain": value}


def _put_arrays(tree: Any, arrays: Mapping[str, Any]) -> Any:
    ((kind, value),) = tree.items()
    match kind:
        case "map":
            return {key: _put_arrays(one, arrays) for key, one in value}
        case "list":
            return [_put_arrays(one, arrays) for one in value]
        case "tensor":
            return torch.as_tensor(arrays[value])
        case "array":
            return arrays[value]
        case _:
            return value
