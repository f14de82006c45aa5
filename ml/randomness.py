"""Torch's generators as a run's own: what draws elsewhere changes nothing here, nor we there."""

from types import TracebackType

import torch
from torch import Tensor


class OwnRandomness:
    """Inside ``with``, torch draws from this run's generators; outside from whatever it drew from before.

    Args:
        seed: Equal seeds, equal draws.
    """

    def __init__(self, seed: int) -> None:
        outside = _states()
        torch.manual_seed(seed)
        self.states = _states()
        """State of the generators: of the CPU, then of each GPU; set it to go on from there."""
        _set_states(outside)

    def __enter__(self) -> None:
        self._outside = _states()
        _set_states(self.states)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.states = _states()
        _set_states(self._outside)


def _states() -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]


def _set_states(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])
