"""Carries out what somebody asked for, one after the other, so that trading never notices.

    QUEUED → RUNNING → SUCCEEDED | FAILED | CANCELLED | INTERRUPTED

Flow: route → **queue** → ledger → process under a warden (`ops.jobs`) → folder of the run → routes.

A run is in the ledger, durably, before anything is done. A start finds what was RUNNING when the daemon ended
and says so (INTERRUPTED): nothing is begun again by itself, for somebody wanted it once. What was QUEUED
still is.
"""

import asyncio
import hashlib
import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ops.jobs.job import Command
from ops.jobs.launching import Launch, in_words, launch
from ops.jobs.ledger import OPEN, JobLedger, Run, RunState, open_ledger
from ops.one_thread import OneThread
from ops.refusals import RefusedError
from ops.retention import Old, delete_runs
from ops.runs.folder import FOLDER, LEDGER, PROGRESS, REQUEST, RESULT, LogPiece, RunFolder
from ops.state_lock import try_lock

MOST_WAITING = 20
"""Runs that may wait for their turn."""
_REMEMBERED_SECS = 400 * 86_400.0
_ALL = 1_000_000
_NEVER_DELETED = "model"

_LOG = logging.getLogger("argonaut.runs")


class Glance(NamedTuple):
    """How a run stands."""

    run: Run
    progress: Any
    said: LogPiece


class RunQueue:
    """The runs of one daemon, on its loop; files and ledger have a thread of their own.

    Args:
        state_dir: Held by this process.
        command: What carries the request in a folder out.
        at_a_time: Runs at a time.
        now: Wall clock, seconds since 1970.
        impossible: Kinds of runs that could only fail where this process runs, and why.
        launch: Runs a command to its end.
    """

    def __init__(
        self,
        state_dir: Path,
        command: Callable[[Path], Command],
        *,
        now: Callable[[], float],
        at_a_time: int = 1,
        impossible: Mapping[str, str] = MappingProxyType({}),
        launch: Launch = launch,
    ) -> None:
        self._impossible = impossible
        self._state_dir = state_dir
        self._command = command
        self._now = now
        self._launch = launch
        self._turn = asyncio.Semaphore(at_a_time)
        self._taking = asyncio.Lock()
        self._off_loop = OneThread("runs")
        self._opened: JobLedger | None = None
        self._is_up = asyncio.Event()
        self._fault = ""
        self._tasks: dict[int, asyncio.Task[None]] = {}

    # -- its own life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Say of what was cut off that it was, and go on with what was waiting; never raises."""
        try:
            waiting = await self._off_loop(self._open)
        except (OSError, sqlite3.Error) as error:
            self._fault = f"no run can be kept: {type(error).__name__}: {error}"
            _LOG.exception("no run can be kept")
            waiting = []
        for run in waiting:
            self._take_on(run)
        self._is_up.set()

    async def close(self) -> None:
        """Stop; what runs is ended, what waits goes on waiting for the next start."""
        self._fault = "the daemon stops"
        self._is_up.set()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._opened is not None:
            await self._off_loop(self._opened.close)
        self._off_loop.close()

    # -- an operator's part ------------------------------------------------------------------------

    async def create(self, kind: str, request: dict[str, Any], who: str) -> dict[str, Any]:
        """Take a run on.

        Args:
            kind: What is to be done.
            request: All that it depends on, as JSON.
            who: For the ledger.

        Raises:
            RefusedError: If too many wait, the disk refuses, or such a run could only fail here.
        """
        if kind in self._impossible:
            raise RefusedError(self._impossible[kind])
        async with self._taking:
            await self._up()
            if len(self._tasks) > MOST_WAITING:
                raise RefusedError(
                    f"expected at most {MOST_WAITING} runs that wait, found {len(self._tasks) - 1}; cancel "
                    "one, or ask again later",
                    retry_after_secs=60.0,
                )
            run = await self._off_loop(self._claim, kind, request, who)
            self._take_on(run)
        return run.as_json()

    async def runs(self, limit: int, kind: str | None = None) -> list[dict[str, Any]]:
        """The newest runs, newest first."""
        await self._up()
        found = await self._off_loop(self._ledger.runs, limit, kind)
        return [run.as_json() for run in found]

    async def show(self, run_id: int) -> dict[str, Any]:
        """A run with all that is known of it."""
        return await self._off_loop(self._document, await self.run(run_id))

    async def run(self, run_id: int) -> Run:
        """A run as the ledger has it.

        Raises:
            RefusedError: If there is none of that number.
        """
        await self._up()
        try:
            return await self._off_loop(self._ledger.run, run_id)
        except LookupError as error:
            raise RefusedError(f"{error}; argonaut runs list shows them", is_unknown=True) from error

    async def cancel(self, run_id: int, who: str) -> dict[str, Any]:
        """End a run, with all that it has started, or let it never begin.

        Raises:
            RefusedError: If it has ended, or there is none.
        """
        run = await self.run(run_id)
        task = self._tasks.get(run_id)
        if task is None:
            raise RefusedError(f"run {run_id} has ended: {run.state}")
        task.cancel()
        await asyncio.wait({task})
        detail = f"cancelled by {who}"
        ended = await self._off_loop(self._ledger.end, run_id, RunState.CANCELLED, self._now(), None, detail)
        return ended.as_json()

    async def delete(self, run_id: int) -> dict[str, Any]:
        """Take a run and its output away; never a model.

        Raises:
            RefusedError: If it has not ended, something uses its output, or there is none.
        """
        run = await self.run(run_id)
        if run_id in self._tasks:
            raise RefusedError(f"run {run_id} is {run.state}; cancel it first")
        try:
            await self._off_loop(self._remove, run)
        except (OSError, sqlite3.Error) as error:
            raise RefusedError(f"the disk refused: {error}; some of the run may be gone") from error
        return run.as_json()

    async def glance(self, run_id: int, log_at: int) -> Glance:
        """How a run stands, and what it has said since."""
        run = await self.run(run_id)
        folder = self.folder(run_id)
        is_over = has_ended(run)
        return await self._off_loop(
            lambda: Glance(run, folder.read(PROGRESS), folder.said(log_at, is_over=is_over))
        )

    def folder(self, run_id: int) -> RunFolder:
        """Where a run's files lie."""
        return RunFolder.of(self._state_dir, run_id)

    # -- one run -----------------------------------------------------------------------------------

    def _take_on(self, run: Run) -> None:
        task = asyncio.create_task(self._carry_out(run), name=f"run {run.run_id}")
        self._tasks[run.run_id] = task
        task.add_done_callback(lambda done: self._forget_task(run, done))

    async def _carry_out(self, run: Run) -> None:
        folder = self.folder(run.run_id)
        async with self._turn:
            await self._off_loop(self._ledger.begin, run.run_id, self._now())
            exit_code: int | None = None
            try:
                exit_code = await self._launch(self._command(folder.path), folder.log)
                state = RunState.FAILED if exit_code else RunState.SUCCEEDED
                detail = await self._off_loop(_reason, folder, exit_code) if exit_code else ""
            except Exception as error:  # noqa: BLE001 - what cannot be started has failed, and nothing else has
                _LOG.exception("run %d failed", run.run_id)
                state, detail = RunState.FAILED, f"{type(error).__name__}: {error}"
            ended = await self._off_loop(self._ledger.end, run.run_id, state, self._now(), exit_code, detail)
        (_LOG.info if state is RunState.SUCCEEDED else _LOG.warning)(
            "run %s", state.value.lower(), extra={"run": ended.as_json()}
        )

    def _forget_task(self, run: Run, done: asyncio.Task[None]) -> None:
        del self._tasks[run.run_id]
        if not done.cancelled() and (error := done.exception()) is not None:
            _LOG.error("the end of run %d is not in the ledger: %s", run.run_id, error)

    async def _up(self) -> None:
        await self._is_up.wait()  # whoever asks in the first moments of a daemon gets an answer, too
        if self._fault:
            raise RefusedError(self._fault)

    @property
    def _ledger(self) -> JobLedger:
        assert self._opened is not None, "whoever asks has checked that it is there"
        return self._opened

    # -- off the loop ------------------------------------------------------------------------------

    def _open(self) -> list[Run]:
        self._opened = ledger = open_ledger(self._state_dir / LEDGER)
        now = self._now()
        ledger.cut_off(now, [RunState.RUNNING])
        for run in ledger.runs(_ALL):
            if run.ended_at is not None and run.ended_at < now - _REMEMBERED_SECS:
                self._forget(run)
        delete_runs(self._state_dir / FOLDER, [])  # what an earlier deletion has left
        waiting = []
        for run in ledger.unfinished():
            if self.folder(run.run_id).read(REQUEST) is None:
                why = "the daemon ended before its request was written; ask again"
                ledger.end(run.run_id, RunState.FAILED, now, None, why)
            else:
                waiting.append(run)
        return waiting

    def _claim(self, kind: str, request: dict[str, Any], who: str) -> Run:
        try:
            run = self._ledger.claim(kind, None, 1, who, self._now())
            assert run is not None, "what somebody asks for is never the same run"
            folder = self.folder(run.run_id)
            try:
                folder.path.mkdir(mode=0o700, parents=True)
                folder.write(REQUEST, {"kind": kind, **request})
            except OSError as error:
                self._ledger.end(run.run_id, RunState.FAILED, self._now(), None, str(error))
                raise
            return run
        except (OSError, sqlite3.Error) as error:
            raise RefusedError(f"the disk refused the run: {error}; free space, then ask again") from error

    def _document(self, run: Run) -> dict[str, Any]:
        folder = self.folder(run.run_id)
        try:
            digest = hashlib.sha256((folder.path / REQUEST).read_bytes()).hexdigest()
        except OSError:
            digest = None
        return {
            "run": run.as_json(),
            "request": folder.read(REQUEST),
            "request_sha256": digest,
            "progress": folder.read(PROGRESS),
            "outputs": {
                name: str(path.relative_to(self._state_dir.resolve()))
                for name, path in folder.outputs(self._state_dir).items()
            },
            "result": folder.read(RESULT),
        }

    def _remove(self, run: Run) -> None:
        """Its output, where no other run and no link has it; then the run itself."""
        outputs = self.folder(run.run_id).outputs(self._state_dir)
        others = [one for one in self._ledger.runs(_ALL) if one.run_id != run.run_id]
        used = {path for one in others for path in self.folder(one.run_id).outputs(self._state_dir).values()}
        for name, path in outputs.items():
            if name == _NEVER_DELETED or path in used or _is_pointed_at(path):
                continue
            lock = try_lock(path)
            if lock is None:
                raise RefusedError(f"{path.name} is being written by another process; wait for its end")
            with lock:
                delete_runs(path.parent, [Old(path, 0.0, 0)])
        self._forget(run)

    def _forget(self, run: Run) -> None:
        folder = self.folder(run.run_id).path
        self._ledger.delete(run.run_id)
        if folder.is_dir():
            delete_runs(folder.parent, [Old(folder, 0.0, 0)])


def _reason(folder: RunFolder, exit_code: int) -> str:
    result = folder.read(RESULT)
    error = result.get("error") if isinstance(result, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message) if message else in_words(exit_code)


def _is_pointed_at(path: Path) -> bool:
    return any(one.is_symlink() and one.resolve() == path for one in path.parent.iterdir())


def has_ended(run: Run) -> bool:
    """Whether nothing more will become of a run."""
    return run.state not in OPEN
