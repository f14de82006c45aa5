"""What a daemon does beside trading: its jobs, each registered here, and how they reach the operator.

To add one: a `Job` in `jobs_of`, and its schedule in `bot.config.JobsConfig`.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from adapters.catalog import interval_ns_of
from bot.config import HostConfig, HostKind
from bot.exit_codes import ExitCode
from bot.market_data import bar_types_of
from bot.program import PROGRAM
from ops.alerts import Severity
from ops.jobs.job import Command, Job, Limits, Work
from ops.jobs.ledger import Run, RunState
from ops.jobs.schedule import parse_schedule
from ops.jobs.scheduler import JobScheduler
from ops.latch import Recorder
from ops.metrics import Sample
from ops.refusals import RefusedError

BACKUPS = "backups"
_MINUTE, _HOUR = 60.0, 3600.0
_LOOK_AT_SECS = 30.0
_BARS_OF_A_DRILL = 3

_LOG = logging.getLogger("argonaut.jobs")

type Say = Callable[[Severity, str, str, str], None]
"""``say(severity, title, text, key)``: tell people."""


def jobs_of(host: HostConfig, state_dir: Path, summarise: Work) -> list[Job]:
    """The jobs of a host, in the order in which they are listed.

    Args:
        host: What runs.
        state_dir: Of the daemon.
        summarise: Tells people about the day.
    """
    config = host.settings.jobs

    def verb(*args: object, limits: Limits) -> Command:
        return Command((*PROGRAM, *map(str, args), "--state-dir", str(state_dir.resolve())), limits)

    series = [word for name in bar_types_of(host) for word in ("--bar-type", name)]
    verify = verb(
        "data", "verify", "--catalog", host.catalog_path.resolve(), *series, limits=Limits(2 * _HOUR)
    )
    backups = (host.backup_path or state_dir / BACKUPS).resolve()
    backup = verb("backup", "--into", backups, "--keep", config.backups_kept, limits=Limits(1 * _HOUR))
    replay = verb("replay", limits=Limits(2 * _HOUR, memory_mib=2048))
    cleanup = verb("cleanup", "--delete", limits=Limits(10 * _MINUTE))
    mark = verb("audit", "mark", limits=Limits(1 * _HOUR))
    jobs = [
        Job("daily-summary", parse_schedule(config.daily_summary), summarise, "Tell people about the day."),
        Job("replay", parse_schedule(config.replay), replay, "Decide the newest session again."),
        Job("verify-data", parse_schedule(config.verify_data), verify, "Check the bars that are traded on."),
        Job("backup", parse_schedule(config.backup), backup, "Copy the state directory."),
        Job("cleanup", parse_schedule(config.cleanup), cleanup, "Delete old backtests, logs and reports."),
        Job(
            "mark-journal",
            parse_schedule(config.mark_journal),
            mark,
            "Check the journal, for the next start.",
        ),
    ]
    if host.settings.kind is HostKind.PAPER:
        drill = verb("drill", "kill", "--watch", _drill_secs(host), limits=Limits(10 * _MINUTE))
        jobs.append(Job("kill-drill", parse_schedule(config.kill_drill), drill, "Rehearse a kill."))
    if host.training_path is not None:
        limits = Limits(timeout_secs=12 * _HOUR, memory_mib=8192, nice=15)
        train = verb("train", host.training_path.resolve(), limits=limits)
        jobs.append(Job("retrain", parse_schedule(config.retrain), train, "Train a new model."))
    return jobs


def _drill_secs(host: HostConfig) -> float:
    """How long a drill has to wait to have seen decisions."""
    speed = host.settings.replay.speed
    bar_secs = max(map(interval_ns_of, bar_types_of(host))) / 1e9
    return _LOOK_AT_SECS + (0.0 if speed == "max" else min(5 * _MINUTE, _BARS_OF_A_DRILL * bar_secs / speed))


class DaemonJobs:
    """The jobs of one daemon as its operator, its metrics and its alerts see them.

    Args:
        jobs: What there is to do.
        state_dir: Of the daemon, which holds it.
        record: Writes commands down before they act.
        say: Tells people.
    """

    def __init__(self, jobs: list[Job], state_dir: Path, *, record: Recorder, say: Say) -> None:
        self._scheduler = JobScheduler(jobs, state_dir, now=time.time, told=self._tell)
        self._names = [job.name for job in jobs]
        self._record = record
        self._say = say
        self._fault = ""
        self._is_up = asyncio.Event()

    async def start(self) -> None:
        """Go by the clock from now on; where the disk refuses, people are told and trading goes on."""
        try:
            await self._scheduler.start()
        except (OSError, sqlite3.Error) as error:
            self._fault = f"no job runs: {type(error).__name__}: {error}"
            _LOG.exception("no job runs")
            self._say(Severity.PAGE, "no job runs", self._fault, "jobs")
        self._is_up.set()

    async def close(self) -> None:
        """End what runs; the next start takes it up."""
        await self._scheduler.close()

    # -- the operator's routes, see `ops.api.jobs` ---------------------------------------------------

    async def jobs(self) -> list[dict[str, Any]]:
        """Every job."""
        await self._up()
        return await self._scheduler.jobs()

    async def runs(self, limit: int) -> list[dict[str, Any]]:
        """The newest runs."""
        await self._up()
        return await self._scheduler.runs(limit)

    async def log(self, run_id: int) -> dict[str, Any]:
        """A run and what it has said."""
        await self._up()
        return await self._scheduler.log(run_id)

    async def run(self, name: str, *, who: str, reason: str) -> dict[str, Any]:
        """Run a job now."""
        await self._up()
        self._note("run-job", f"job:{name}", who, reason)
        return (await self._scheduler.run_now(name, who)).as_json()

    async def cancel(self, run_id: int, *, who: str, reason: str) -> dict[str, Any]:
        """End a run."""
        await self._up()
        self._note("cancel-job", f"run:{run_id}", who, reason)
        return (await self._scheduler.cancel(run_id, who)).as_json()

    # -- metrics and alerts --------------------------------------------------------------------------

    def samples(self) -> Iterator[Sample]:
        """What a scrape reads."""
        running = {run.job for run in self._scheduler.running()}
        for name in self._names:
            newest, due_at = self._scheduler.newest.get(name), self._scheduler.due_at.get(name)
            yield Sample("job_running", float(name in running), (name,))
            yield Sample("job_failed", float(newest is not None and _is_bad(newest)), (name,))
            if due_at is not None:
                yield Sample("job_due_timestamp_seconds", due_at, (name,))
            if newest is not None and newest.ended_at is not None and newest.started_at is not None:
                yield Sample("job_last_end_timestamp_seconds", newest.ended_at, (name,))
                yield Sample("job_last_duration_seconds", newest.ended_at - newest.started_at, (name,))
        for (name, state), count in self._scheduler.outcomes.items():
            yield Sample("job_runs", count, (name, state.value.lower()))

    def _tell(self, run: Run) -> None:
        if not _is_bad(run):
            return
        code = "" if run.exit_code is None else f" ({_code_name(run.exit_code)})"
        text = f"{run.detail}{code}; argonaut jobs log {run.run_id}"
        self._say(Severity.INFO, f"job {run.job} failed", text, f"job:{run.job}:{run.run_id}")

    def _note(self, command: str, scope: str, who: str, reason: str) -> None:
        self._record("control", {"command": command, "scope": scope, "who": who, "reason": reason})

    async def _up(self) -> None:
        await self._is_up.wait()  # whoever asks in the first moments of a daemon gets an answer, too
        if self._fault:
            raise RefusedError(self._fault)


def _is_bad(run: Run) -> bool:
    """Whether a run has ended otherwise than it should, and will not be taken up again."""
    return run.state is RunState.FAILED or (run.state is RunState.INTERRUPTED and run.attempt > 1)


def _code_name(exit_code: int) -> str:
    return ExitCode(exit_code).name if exit_code in list(ExitCode) else "no exit code of ours"
