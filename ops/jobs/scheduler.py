"""Carries jobs out when they are due, each slot once, over crashes and restarts.

Flow: clock → slots → **ledger** → run on the loop, or under a warden → ledger → metrics, alerts.

APScheduler keeps the time. What is due is decided by the ledger alone: its own job stores would forget a run
that a crash cut off, and drop one that was overdue at a start.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from ops.jobs.job import Command, Job
from ops.jobs.launching import Launch, in_words, launch
from ops.jobs.ledger import LEDGER, SCHEDULER, JobLedger, Run, RunState, open_ledger
from ops.jobs.run_logs import log_path, read_log
from ops.one_thread import OneThread
from ops.refusals import RefusedError

_LOOK_SECS = 60
"""A clock that was set, or a machine that slept, is noticed after this time."""
_REMEMBERED_SECS = 400 * 86_400.0
_LATEST_BYTES = 2_000

_LOG = logging.getLogger("argonaut.jobs")
logging.getLogger("apscheduler").setLevel(logging.WARNING)


class JobScheduler:
    """The jobs of one daemon, on its loop; the ledger has a thread of its own.

    Args:
        jobs: By different names.
        state_dir: Where ledger and logs lie; held by this process.
        now: Wall clock, seconds since 1970.
        told: Gets every run that has ended.
        launch: Runs a command to its end.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        state_dir: Path,
        *,
        now: Callable[[], float],
        told: Callable[[Run], None] = lambda _: None,
        launch: Launch = launch,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._state_dir = state_dir
        self._now = now
        self._told = told
        self._launch = launch
        self._off_loop = OneThread("jobs")
        self._clockwork = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        self._opened: JobLedger | None = None
        self._looking = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._claimed: dict[str, int] = {}
        self._running: dict[int, tuple[Run, asyncio.Task[None]]] = {}
        self.newest: dict[str, Run] = {}
        """The newest run of each job that has had one."""
        self.due_at: dict[str, int] = {}
        """First slot of each job that is not claimed yet, seconds since 1970; absent where none comes."""
        self.outcomes: dict[tuple[str, RunState], int] = {}
        """Runs that have ended since the start, by job and state."""

    # -- its own life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what was cut off, catch up on what was missed, and go by the clock from now on.

        Raises:
            sqlite3.Error: If the disk refuses the ledger.
        """
        self._opened = await self._off_loop(open_ledger, self._state_dir / LEDGER)
        now = self._now()
        schedules = {job.name: job.schedule.text for job in self._jobs.values()}
        await self._off_loop(self._ledger.enrol, schedules, now)
        cut_off = await self._off_loop(self._ledger.cut_off, now)
        await self._off_loop(self._ledger.forget, now - _REMEMBERED_SECS)
        self.newest = await self._off_loop(self._ledger.newest, list(self._jobs))
        for job in self._jobs.values():
            self._note_claim(job, await self._off_loop(self._ledger.newest_slot, job.name, now))
        await self.look()
        for run in cut_off:
            self._note_end(run)
            if run.attempt == 1 and run.job in self._jobs and not self._is_running(run.job):
                await self._take_on(self._jobs[run.job], run.slot, 2, run.who)
        for job in self._jobs.values():
            if job.schedule.trigger is not None:
                self._clockwork.add_job(self.look, job.schedule.trigger, id=job.name)
        self._clockwork.add_job(self.look, IntervalTrigger(seconds=_LOOK_SECS, timezone=UTC), id="look")
        self._clockwork.start()

    async def close(self) -> None:
        """Stop; what is running is ended, and taken up by the next start as after a crash."""
        if self._clockwork.running:
            self._clockwork.shutdown(wait=False)
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._opened is not None:
            await self._off_loop(self._opened.close)
        self._off_loop.close()

    async def look(self) -> None:
        """Take on whatever is due; of several slots that were missed, the newest stands for all."""
        async with self._looking:
            now = self._now()
            for job in self._jobs.values():
                if self._claimed[job.name] > now:  # the clock was ahead
                    self._note_claim(job, await self._off_loop(self._ledger.newest_slot, job.name, now))
                slot = job.schedule.newest_by(int(now))
                if slot is None or slot <= self._claimed[job.name] or self._is_running(job.name):
                    continue
                await self._take_on(job, slot, 1, SCHEDULER)

    # -- an operator's part ------------------------------------------------------------------------

    async def run_now(self, name: str, who: str) -> Run:
        """Run a job whatever its schedule says.

        Raises:
            RefusedError: If there is none of that name, or it runs.
        """
        if name not in self._jobs:
            raise RefusedError(f"{name}: expected one of {', '.join(self._jobs)}", is_unknown=True)
        async with self._looking:
            running = next((run for run, _ in self._running.values() if run.job == name), None)
            if running is not None:
                raise RefusedError(
                    f"{name} is under way (run {running.run_id}); wait for it, or argonaut jobs cancel "
                    f"{running.run_id}"
                )
            run = await self._take_on(self._jobs[name], None, 1, who)
        assert run is not None, "what an operator asks for is never the same run"
        return run

    async def cancel(self, run_id: int, who: str) -> Run:
        """End a run.

        Raises:
            RefusedError: If it is not under way.
        """
        if run_id not in self._running:
            raise RefusedError(
                f"run {run_id} is not under way; argonaut jobs list shows which is", is_unknown=True
            )
        _, task = self._running[run_id]
        task.cancel()
        await asyncio.wait({task})
        run = await self._off_loop(
            self._ledger.end, run_id, RunState.CANCELLED, self._now(), None, f"cancelled by {who}"
        )
        if self.newest.get(run.job) != run:  # it may have ended by itself just then
            self._note_end(run)
        return run

    async def jobs(self) -> list[dict[str, Any]]:
        """Every job with its schedule, what is next, and its newest run."""
        running = {run.job: run for run, _ in self._running.values()}
        newest = self.newest | running
        said = {name: await self._off_loop(self._latest_words, run) for name, run in running.items()}
        return [
            {
                "name": job.name,
                "about": job.about,
                "schedule": job.schedule.text,
                "due_at": self.due_at.get(job.name),
                "newest": None if job.name not in newest else newest[job.name].as_json(),
                "progress": said.get(job.name, ""),
            }
            for job in self._jobs.values()
        ]

    async def runs(self, limit: int) -> list[dict[str, Any]]:
        """The newest runs, newest first."""
        return [run.as_json() for run in await self._off_loop(self._ledger.runs, limit)]

    async def log(self, run_id: int) -> dict[str, Any]:
        """A run, and what it has said so far.

        Raises:
            RefusedError: If there is none of that number.
        """
        try:
            run = await self._off_loop(self._ledger.run, run_id)
        except LookupError as error:
            raise RefusedError(
                f"{error}; argonaut jobs list --runs 50 shows them", is_unknown=True
            ) from error
        return {"run": run.as_json(), "log": await self._off_loop(read_log, self._state_dir, run)}

    def running(self) -> list[Run]:
        """Runs that are under way or wait for their turn."""
        return [run for run, _ in self._running.values()]

    # -- one run -----------------------------------------------------------------------------------

    async def _take_on(self, job: Job, slot: int | None, attempt: int, who: str) -> Run | None:
        run = await self._off_loop(self._ledger.claim, job.name, slot, attempt, who, self._now())
        if slot is not None:
            self._note_claim(job, max(slot, self._claimed[job.name]))
        if run is None:
            return None
        task = asyncio.create_task(self._carry_out(job, run), name=f"job {job.name}")
        self._running[run.run_id] = (run, task)
        task.add_done_callback(lambda done: self._forget_task(run, done))
        return run

    async def _carry_out(self, job: Job, run: Run) -> None:
        if isinstance(job.does, Command):
            async with self._turn:  # one at a time: they are heavy, and trading comes first
                await self._see_through(job, run)
        else:
            await self._see_through(job, run)

    async def _see_through(self, job: Job, run: Run) -> None:
        begun = await self._off_loop(self._ledger.begin, run.run_id, self._now())
        self._running[run.run_id] = (begun, self._running[run.run_id][1])
        exit_code: int | None = None
        try:
            if isinstance(job.does, Command):
                log = log_path(self._state_dir, run)
                log.parent.mkdir(mode=0o700, exist_ok=True)
                exit_code = await self._launch(job.does, log)
                state = RunState.FAILED if exit_code else RunState.SUCCEEDED
                detail = in_words(exit_code) if exit_code else ""
            else:
                state, detail = RunState.SUCCEEDED, await job.does()
        except Exception as error:  # noqa: BLE001 - a job that breaks has failed, and nothing else has
            _LOG.exception("job %s failed", job.name)
            state, detail = RunState.FAILED, f"{type(error).__name__}: {error}"
        self._note_end(
            await self._off_loop(self._ledger.end, run.run_id, state, self._now(), exit_code, detail)
        )

    def _forget_task(self, run: Run, done: asyncio.Task[None]) -> None:
        del self._running[run.run_id]
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            _LOG.error("run %d of %s is not in the ledger: %s", run.run_id, run.job, error)
        if self._clockwork.running:
            self._clockwork.add_job(self.look)  # a slot may have passed meanwhile

    def _note_claim(self, job: Job, slot: int) -> None:
        self._claimed[job.name] = slot
        following = job.schedule.next_after(slot)
        if following is None:
            self.due_at.pop(job.name, None)
        else:
            self.due_at[job.name] = following

    def _note_end(self, run: Run) -> None:
        self.newest[run.job] = run
        self.outcomes[run.job, run.state] = self.outcomes.get((run.job, run.state), 0) + 1
        (_LOG.info if run.state is RunState.SUCCEEDED else _LOG.warning)(
            "job %s", run.state.value.lower(), extra={"run": run.as_json()}
        )
        try:
            self._told(run)
        except Exception:  # noqa: BLE001 - who only looks on stands in nobody's way
            _LOG.exception("the end of a job was not told")

    def _is_running(self, name: str) -> bool:
        return any(run.job == name for run, _ in self._running.values())

    @property
    def _ledger(self) -> JobLedger:
        assert self._opened is not None, "it is opened before anything is taken on"
        return self._opened

    # -- off the loop ------------------------------------------------------------------------------

    def _latest_words(self, run: Run) -> str:
        lines = read_log(self._state_dir, run, _LATEST_BYTES).split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
