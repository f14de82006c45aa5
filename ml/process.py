"""How a process trains fastest: one thread, and memory that stays with it.

Flow: **process** → ppo, pathwise.
"""

import ctypes

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's malloc.h."""
_KEPT_BYTES, _LARGEST_BLOCK_BYTES = 256 * 1024**2, 32 * 1024**2


def prepare_process() -> None:
    """Set up the calling process for the many small steps of training.

    More threads halve the speed of networks as small as ours. And each step frees what the next one asks for
    again: glibc would give it back to the kernel, and every page of it be faulted in anew: up to a quarter
    of the time of a recurrent network. Other C libraries are left as they are.
    """
    torch.set_num_threads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK_BYTES)
