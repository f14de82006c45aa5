"""Folds on a Ray cluster: the same work, the same files, other machines.

Only a configuration that asks for it imports this module, and Ray.
"""

import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from ml.walk_forward.folds import Fold
from ml.walk_forward.workers import Evaluate, Fit, run_fold
from strategies.errors import ConfigError

# Read when Ray is imported: it reports usage to its vendor unless told not to.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
try:
    import ray
except ImportError as error:
    raise ConfigError(
        'workers.kind = "ray" needs Ray, which is not installed: run `make learn`, or leave it out'
    ) from error


_PATIENCE_SECS = 5.0


class RayTasks:
    """A task for each fold, in a process that does nothing before or after it.

    Args:
        count: Folds at a time; the cluster may have more processors than that, or fewer, and then some wait.
        address: Of the cluster; None starts one on this machine, and ends it.

    Raises:
        ConfigError: If the cluster does not answer.
    """

    def __init__(self, count: int, address: str | None) -> None:
        self.count = count
        self._running: dict[Any, Fold] = {}
        if address and ":" in address:
            _require_answer(address)
        on_end = signal.getsignal(signal.SIGTERM)
        # One that we start runs what we run; another has to have Argonaut installed.
        ours = {"env_vars": {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}}
        try:
            ray.init(
                address=address or "local",
                num_cpus=None if address else count,
                runtime_env=None if address else ours,
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _no_cluster(address, error) from error
        finally:
            signal.signal(signal.SIGTERM, on_end)  # Ray takes it for itself
        # A fold that fails is told, not tried again: equal folds fail alike.
        self._task = ray.remote(num_cpus=1, max_calls=1, max_retries=0)(run_fold)

    def start(self, fold: Fold, home: Path, fit: Fit, evaluate: Evaluate) -> None:
        """See `Workers`."""
        self._running[self._task.remote(fold, home.resolve(), fit, evaluate)] = fold

    def ended(self, timeout_secs: float) -> list[Fold]:
        """See `Workers`."""
        done, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout_secs)
        return [self._running.pop(one) for one in done]

    def close(self) -> None:
        """See `Workers`."""
        for task in self._running:
            ray.cancel(task, force=True)
        self._running.clear()
        ray.shutdown()


def _require_answer(address: str) -> None:
    # Ray itself goes on asking for minutes.
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_SECS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str | None, error: Exception) -> ConfigError:
    return ConfigError(
        f"workers.address = {address!r}: expected a Ray cluster that answers: {error}; start one with `ray "
        "start --head`, or leave the address out"
    )
