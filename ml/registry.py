"""Which trainings there were, where they stand and what became of them: one SQLite file.

    QUEUED → RUNNING → SUCCEEDED | FAILED | CANCELLED

A run is named after all that it depends on, so the same training has the same name and is not done twice.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from strategies.errors import ConfigError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  run_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  created_ns INTEGER NOT NULL,
  started_ns INTEGER,
  ended_ns INTEGER,
  code_sha256 TEXT NOT NULL,
  data_sha256 TEXT NOT NULL,
  config_sha256 TEXT NOT NULL,
  run_dir TEXT NOT NULL,
  bundle_id TEXT,
  message TEXT NOT NULL DEFAULT ''
) STRICT
"""
_COLUMNS = (
    "run_id",
    "name",
    "state",
    "created_ns",
    "started_ns",
    "ended_ns",
    "code_sha256",
    "data_sha256",
    "config_sha256",
    "run_dir",
    "bundle_id",
    "message",
)


class RunState(StrEnum):
    """Where a training stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


_NEXT = {
    RunState.QUEUED: {RunState.RUNNING, RunState.CANCELLED, RunState.FAILED},
    # A process that died leaves RUNNING behind; whoever goes on with the training starts it once more.
    RunState.RUNNING: {RunState.RUNNING, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED},
    RunState.SUCCEEDED: {RunState.RUNNING},
    RunState.FAILED: {RunState.RUNNING},
    RunState.CANCELLED: {RunState.RUNNING},
}


@dataclass(frozen=True, slots=True)
class Run:
    """One training."""

    run_id: str
    name: str
    """Of the strategy."""
    state: RunState
    created_ns: int
    """UTC nanoseconds; so are the others."""
    started_ns: int | None
    ended_ns: int | None
    code_sha256: str
    data_sha256: str
    config_sha256: str
    run_dir: str
    bundle_id: str | None
    """What came out of it."""
    message: str
    """Why it failed."""


class Registry:
    """The trainings of one state directory.

    Args:
        path: The file; made where there is none.

    Raises:
        ConfigError: If it is no registry.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as connection:
            connection.execute(_SCHEMA)

    def queue(self, run: Run) -> Run:
        """Note a training, or find it; one that is known keeps what is known of it."""
        values = [getattr(run, name) for name in _COLUMNS]
        marks = ", ".join("?" * len(_COLUMNS))
        with self._connected() as connection:
            connection.execute(
                f"INSERT OR IGNORE INTO runs ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608 - names of ours
                values,
            )
        return self.get(run.run_id)

    def move(
        self, run_id: str, state: RunState, now_ns: int, *, message: str = "", bundle_id: str | None = None
    ) -> Run:
        """Take a training to its next state.

        Raises:
            ConfigError: If there is no such training, or the state cannot follow.
        """
        found = self.get(run_id)
        if state not in _NEXT[found.state]:
            raise ConfigError(f"run {run_id}: {state} cannot follow {found.state}")
        with self._connected() as connection:
            connection.execute(
                "UPDATE runs SET state = ?, message = ?, bundle_id = COALESCE(?, bundle_id), "
                "started_ns = CASE WHEN ? = 'RUNNING' THEN ? ELSE started_ns END, "
                "ended_ns = CASE WHEN ? = 'RUNNING' THEN NULL ELSE ? END WHERE run_id = ?",
                (state, message, bundle_id, state, now_ns, state, now_ns, run_id),
            )
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        """One training.

        Raises:
            ConfigError: If it is not there.
        """
        found = [run for run in self.runs() if run.run_id == run_id]
        if not found:
            raise ConfigError(
                f"run {run_id}: expected one of the trainings in {self._path}, found no such one"
            )
        return found[0]

    def runs(self) -> list[Run]:
        """All trainings, the newest first."""
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM runs ORDER BY created_ns DESC, run_id"  # noqa: S608 - as above
            ).fetchall()
        named = (dict(zip(_COLUMNS, row, strict=True)) for row in rows)
        return [Run(**one | {"state": RunState(one["state"])}) for one in named]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=10.0)
            try:
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self._path}: expected the registry of trainings, but it cannot be used: {error}; move "
                "it away to begin a new one"
            ) from error
