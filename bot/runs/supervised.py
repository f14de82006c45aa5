"""The runs of one daemon, put together: who carries them out, what they may name, who reads what they leave.

Flow: `ops.api` → **runs** → `bot.runs.process`, `bot.runs.reader`, each a process of its own.
"""

import sys
import time
from pathlib import Path

from bot.config import HostConfig
from ops.api.archive import Archive
from ops.api.following import Followers
from ops.api.runs import RunRoutes
from ops.jobs.job import Command, Limits
from ops.runs.confinement import may_make_code
from ops.runs.desk import RunDesk
from ops.runs.queue import RunQueue
from ops.runs.sources import Sources

_PATIENCE_SECS = 60.0
"""For a question that has to read bars or curves."""
_NEED_CODE = ("train", "walk-forward")
"""Runs that make code while they run: PyTorch compiles."""
_WHY_NOT = (
    "the daemon's sandbox (MemoryDenyWriteExecute) forbids the code that a training makes while it runs; "
    "train on the command line, or in a service of its own: argonaut install-service --train FILE"
)


class Runs:
    """What is asked for beside trading.

    Args:
        host: Whose folder has the configuration files, and whose catalog the bars.
        state_dir: Of the daemon, which holds it.
    """

    def __init__(self, host: HostConfig, state_dir: Path) -> None:
        config = host.settings.runs
        limits = Limits(
            timeout_secs=config.timeout_hours * 3600.0, memory_mib=config.memory_mib, nice=config.nice
        )
        # Without -P a folder where we were started would be taken for a package of ours that has its name.
        program = (sys.executable, "-P", "-m")
        root = str(state_dir.resolve())

        def command(folder: Path) -> Command:
            return Command((*program, "bot.runs.process", str(folder.resolve()), root), limits)

        impossible = {} if may_make_code() else dict.fromkeys(_NEED_CODE, _WHY_NOT)
        self._queue = RunQueue(
            state_dir, command, now=time.time, at_a_time=config.at_a_time, impossible=impossible
        )
        self._reader = Archive(
            state_dir,
            time.monotonic,
            patience_secs=_PATIENCE_SECS,
            command=(*program, "bot.runs.reader", root, str(host.catalog_path.resolve())),
            why_slow="there is much to read; ask for less, or again",
        )
        self._desk = RunDesk(state_dir, self._queue, Sources(host.path.parent, state_dir), self._reader.ask)
        self._followers = Followers(self._queue)
        self.routes = RunRoutes(self._desk, self._followers)
        """What the interface asks."""

    async def start(self) -> None:
        """Say of what was cut off that it was, and go on with what was waiting."""
        await self._queue.start()

    async def close(self) -> None:
        """End what runs, and every stream."""
        await self._followers.close()
        await self._queue.close()
        await self._reader.close()
        self._desk.close()
