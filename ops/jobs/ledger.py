"""Which runs there were and how they ended, on the disk before anything is done.

A scheduled run is a slot of its job (`ops.jobs.schedule`). It is claimed here first, durably, and at most
once an attempt; so a start that finds a claim without an end knows that the run was cut off, one that finds a
slot without a claim knows that it was missed, and no slot is ever run twice because of a restart.

Used by one thread of one process, the one that holds the state directory.
"""

import logging
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

LEDGER = "jobs.sqlite"
"""In the state directory."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    job TEXT PRIMARY KEY,
    schedule TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS runs (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    slot INTEGER,
    attempt INTEGER NOT NULL,
    who TEXT NOT NULL,
    state TEXT NOT NULL,
    claimed_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    exit_code INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    UNIQUE (job, slot, attempt)
) STRICT;
"""
_VERSION = 1

_LOG = logging.getLogger("argonaut.jobs")


class RunState(StrEnum):
    """What has become of a run."""

    QUEUED = "QUEUED"
    """Claimed, and waiting for another to end."""
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    """By an operator."""
    INTERRUPTED = "INTERRUPTED"
    """The daemon ended in the middle of it."""


OPEN = (RunState.QUEUED, RunState.RUNNING)
"""States of runs that have no end yet."""

SCHEDULER = "schedule"
"""Who asked for a run that was due."""


class Run(NamedTuple):
    """One attempt at one run of a job; times are seconds since 1970."""

    run_id: int
    job: str
    slot: int | None
    """What it is of; None of one that an operator asked for."""
    attempt: int
    """2 where the first was cut off."""
    who: str
    state: RunState
    claimed_at: float
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """For people and programs."""
        return self._asdict() | {"state": self.state.value}


class JobLedger:
    """The runs of a state directory.

    Args:
        path: Of the file, made if absent.

    Raises:
        sqlite3.Error: If it is damaged, or the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            path.chmod(0o600)
            self._db.execute("PRAGMA synchronous = FULL")
            (found,) = self._db.execute("PRAGMA quick_check").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if found != "ok" or version not in {0, _VERSION}:
                raise sqlite3.DatabaseError(
                    f"expected a ledger of version {_VERSION}, found {found} {version}"
                )
            self._db.executescript(_SCHEMA + f"PRAGMA user_version = {_VERSION};")
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def enrol(self, jobs: Mapping[str, str], now: float) -> None:
        """Remember since when jobs have had their schedules: slots before that were never due.

        Args:
            jobs: Schedule of each, as it was written.
        """
        self._db.executemany(
            "INSERT INTO jobs VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE "
            "SET schedule = excluded.schedule, since = excluded.since WHERE schedule != excluded.schedule",
            [(job, schedule, int(now)) for job, schedule in jobs.items()],
        )

    def newest_slot(self, job: str, now: float) -> int:
        """The newest slot up to now that was claimed, or when the job became known if that is later.

        What lies ahead of now was written while the clock was wrong, and holds nothing up: a slot is claimed
        once whatever this says, and a job that became known in the future is known since now.
        """
        (newest,) = self._db.execute(
            "SELECT max(min(since, ?2), "
            "(SELECT coalesce(max(slot), 0) FROM runs WHERE job = ?1 AND slot <= ?2)) "
            "FROM jobs WHERE job = ?1",
            (job, int(now)),
        ).fetchone()
        return int(newest)

    def claim(self, job: str, slot: int | None, attempt: int, who: str, now: float) -> Run | None:
        """Take a run on; None where that very attempt was claimed before.

        Args:
            slot: None for a run that an operator asks for; those are never the same.
        """
        row = self._db.execute(
            "INSERT OR IGNORE INTO runs (job, slot, attempt, who, state, claimed_at) "
            "VALUES (?, ?, ?, ?, ?, ?) RETURNING run_id",
            (job, slot, attempt, who, RunState.QUEUED, now),
        ).fetchone()
        return None if row is None else self.run(row[0])

    def begin(self, run_id: int, now: float) -> Run:
        """Note that a run begins."""
        self._db.execute(
            "UPDATE runs SET state = ?, started_at = ? WHERE run_id = ?", (RunState.RUNNING, now, run_id)
        )
        return self.run(run_id)

    def end(self, run_id: int, state: RunState, now: float, exit_code: int | None, detail: str) -> Run:
        """Note how a run has ended; the first word about that stands."""
        self._db.execute(
            "UPDATE runs SET state = ?, ended_at = ?, exit_code = ?, detail = ? "
            "WHERE run_id = ? AND ended_at IS NULL",
            (state, now, exit_code, detail, run_id),
        )
        return self.run(run_id)

    def unfinished(self) -> list[Run]:
        """Runs that have no end, oldest first."""
        return _runs(self._db.execute("SELECT * FROM runs WHERE ended_at IS NULL ORDER BY run_id"))

    def cut_off(self, now: float, states: Collection[RunState] = OPEN) -> list[Run]:
        """Runs of an earlier process that have no end, oldest first; they are noted as interrupted.

        Args:
            states: Only those that stood there.
        """
        found = [run for run in self.unfinished() if run.state in states]
        why = "the daemon ended in the middle of it"
        return [self.end(run.run_id, RunState.INTERRUPTED, now, None, why) for run in found]

    def run(self, run_id: int) -> Run:
        """One run.

        Raises:
            LookupError: If there is none of that number.
        """
        found = _runs(self._db.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,)))
        if not found:
            raise LookupError(f"no run {run_id}")
        return found[0]

    def newest(self, jobs: Iterable[str]) -> dict[str, Run]:
        """The newest run of each job that has had one."""
        found = (self.runs(1, job) for job in jobs)
        return {runs[0].job: runs[0] for runs in found if runs}

    def runs(self, limit: int, job: str | None = None) -> list[Run]:
        """The newest runs, of all jobs or of one, newest first."""
        rows = self._db.execute(
            "SELECT * FROM runs WHERE ?1 IS NULL OR job = ?1 ORDER BY run_id DESC LIMIT ?2", (job, limit)
        )
        return _runs(rows)

    def delete(self, run_id: int) -> None:
        """Take one run out; its number is never given again."""
        self._db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))

    def forget(self, before: float) -> None:
        """Take out what ended before a moment; the newest run and the newest slot of each job stay."""
        self._db.execute(
            "DELETE FROM runs WHERE ended_at < ? "
            "AND run_id < (SELECT max(run_id) FROM runs other WHERE other.job = runs.job) "
            "AND (slot IS NULL OR slot < (SELECT max(slot) FROM runs other WHERE other.job = runs.job))",
            (before,),
        )


def open_ledger(path: Path) -> JobLedger:
    """Open a ledger; a damaged one is kept aside, and another is begun.

    Raises:
        sqlite3.OperationalError: If the disk refuses.
    """
    try:
        return JobLedger(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # the disk, not what is on it
            raise
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        _LOG.error("%s is damaged (%s); kept as %s, another is begun", path, error, aside)
        return JobLedger(path)


def read_runs(path: Path, limit: int) -> list[Run]:
    """The newest runs in a ledger that another process may use; empty where there is no ledger.

    Raises:
        sqlite3.Error: If it is damaged.
    """
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        return _runs(db.execute("SELECT * FROM runs ORDER BY run_id DESC LIMIT ?", (limit,)))


def _runs(rows: Iterable[Sequence[Any]]) -> list[Run]:
    return [Run(*row)._replace(state=RunState(row[5])) for row in rows]
