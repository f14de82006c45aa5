"""What a training tells of itself while it runs: one JSON line an update, and TensorBoard's files.

Flow: ppo → **tracking** → progress.jsonl, tensorboard/.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from ml.networks import Policy
from ml.ppo_config import Stats

PROGRESS = "progress.jsonl"
TENSORBOARD = "tensorboard"
_HISTOGRAM_EVERY = 10


class Tracker:
    """Writes the story of one run; a run that goes on continues it where its checkpoint stands.

    Args:
        run_dir: Directory of the run.
    """

    def __init__(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._path = run_dir / PROGRESS
        self._folder = run_dir / TENSORBOARD
        self._writer: Any = None
        self._updates = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def __call__(self, stats: Stats, policy: Policy, timesteps: int) -> None:
        """Write one update.

        Args:
            stats: What it did.
            policy: The network after it.
            timesteps: Samples of the whole training so far.
        """
        if self._writer is None:
            self._cut(timesteps)
            self._writer = SummaryWriter(str(self._folder), purge_step=timesteps)
        document = {name: _plain(value) for name, value in asdict(stats).items()}
        document["timesteps"] = timesteps
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document, sort_keys=True) + "\n")
        for name, value in document.items():
            if isinstance(value, float):
                self._writer.add_scalar(f"train/{name}", value, timesteps)
        for layer, norm in stats.grad_norms.items():
            self._writer.add_scalar(f"gradient_norm/{layer}", norm, timesteps)
        if self._updates % _HISTOGRAM_EVERY == 0:
            for layer, weight in policy.named_parameters():
                self._writer.add_histogram(f"weights/{layer}", weight.detach().cpu(), timesteps)
        self._updates += 1

    def _cut(self, timesteps: int) -> None:
        """Forget what an interrupted run wrote after its last checkpoint."""
        if not self._path.is_file():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["timesteps"] < timesteps]
        self._path.write_text("".join(kept), encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
