"""All that the interface does with runs: takes them on, and hands out what they leave.

Flow: routes → **desk** → `ops.runs.queue`, `ops.runs.files`, reader process.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ops.one_thread import OneThread
from ops.refusals import RefusedError
from ops.runs.files import RunFile, files_of, files_to_zip, find_file, zipped
from ops.runs.folder import RunFolder
from ops.runs.queue import RunQueue
from ops.runs.sources import Sources

type Ask = Callable[[dict[str, Any]], Awaitable[bytes]]
"""``ask(question)``: answered as JSON by a process of its own."""

_TENSORBOARD = "output/tensorboard/"
_FILES = frozenset({"config", "strategy", "strategies"})
"""Options that name files."""


class Curves(NamedTuple):
    """What TensorBoard has of a run."""

    folder: Path
    etag: str
    """Another where any of its files is another."""


class RunDesk:
    """The runs of one daemon as the interface sees them.

    Args:
        state_dir: Where they lie.
        queue: Carries them out.
        sources: Which files they may name.
        ask: Answers what takes reading.
    """

    def __init__(self, state_dir: Path, queue: RunQueue, sources: Sources, ask: Ask) -> None:
        self._state_dir = state_dir
        self.queue = queue
        self._sources = sources
        self.ask = ask
        self._thread = OneThread("run-files")

    def close(self) -> None:
        """Read nothing any more."""
        self._thread.close()

    async def create(self, kind: str, options: dict[str, Any], *, who: str, reason: str) -> dict[str, Any]:
        """Take a run on; its files are found first.

        Raises:
            RefusedError: If there is no such file, too many runs wait, or the disk refuses.
        """
        named = {
            name: given if isinstance(given, list) else [given]
            for name, given in options.items()
            if name in _FILES
        }
        files = {name: [str(self._sources.find(one)) for one in given] for name, given in named.items()}
        request = {"options": options, "files": files, "who": who, "reason": reason}
        return await self.queue.create(kind, request, who)

    async def artifacts(self, run_id: int) -> list[dict[str, Any]]:
        """Every file of a run."""
        found = await self._off_loop(run_id, lambda folder: files_of(folder, self._state_dir))
        return [one.as_json() for one in found.values()]

    async def file(self, run_id: int, name: str) -> RunFile:
        """One file of a run.

        Raises:
            RefusedError: If there is none of that name.
        """
        return await self._off_loop(run_id, lambda folder: find_file(folder, self._state_dir, name))

    async def bundle(self, run_id: int, *, include_model: bool) -> Iterator[bytes]:
        """All files of a run as a ZIP file, piece by piece.

        Raises:
            RefusedError: If that is too much.
        """
        files = await self._off_loop(
            run_id, lambda folder: files_to_zip(folder, self._state_dir, include_model=include_model)
        )
        return zipped(files)

    async def curves(self, run_id: int) -> Curves:
        """What TensorBoard has of a training.

        Raises:
            RefusedError: If it has nothing.
        """
        found = await self._off_loop(run_id, lambda folder: files_of(folder, self._state_dir))
        events = [one for name, one in found.items() if name.startswith(_TENSORBOARD)]
        if not events:
            raise RefusedError(f"run {run_id} has written nothing for TensorBoard", is_unknown=True)
        stamps = "\n".join(f"{one.name} {one.etag}" for one in events)
        return Curves(events[0].path.parent, hashlib.sha256(stamps.encode()).hexdigest()[:32])

    async def _off_loop[T](self, run_id: int, call: Callable[[RunFolder], T]) -> T:
        await self.queue.run(run_id)
        folder = self.queue.folder(run_id)
        return await self._thread(call, folder)
