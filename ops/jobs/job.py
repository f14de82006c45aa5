"""What a job is: a name, when it is due, and what is done; to add one, register one `Job`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ops.jobs.schedule import Schedule

type Work = Callable[[], Awaitable[str]]
"""Done on the daemon's loop, so it may wait but not compute; what it returns is for people."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process beside the trading loop may take."""

    timeout_secs: float = 3600.0
    """After which it is ended, with everything that it started."""
    memory_mib: int = 1024
    """Of data; what needs more gets a MemoryError."""
    nice: int = 10
    log_bytes: int = 1_000_000
    """Of its output; the middle of what exceeds it is left out."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program that does the job in a process of its own."""

    args: tuple[str, ...]
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of work.

    It may be done again from the start: whatever was cut off by a crash or a stop is run once more.
    """

    name: str
    schedule: Schedule
    does: Command | Work
    about: str
    """What it is for, in a line."""
