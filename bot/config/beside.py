"""Sections of the host file about what is done beside trading; no hash that pins a run is of them."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ops.jobs.schedule import OFF, parse_schedule
from strategies.config import Positive, Section


class AlertsConfig(Section):
    """Messages to people. Where they go is a secret, and so in no configuration: docs/ALERTS.md. Not part of
    the hash that pins the run.
    """

    hosts: tuple[str, ...] = ()
    """Hosts that ``json`` and ``mailto`` addresses may name."""
    quiet_secs: Positive = 300.0
    """For so long the same cause is not sent again."""
    most_per_minute: Annotated[int, Field(ge=1, le=60)] = 6
    """Messages; what exceeds them goes together in the next."""
    anchor_hours: Positive = 24.0
    """How often the head of the journal is sent."""


def _is_schedule(text: str) -> str:
    parse_schedule(text)
    return text


Timetable = Annotated[str, AfterValidator(_is_schedule)]
"""See `ops.jobs.schedule.parse_schedule`."""


class JobsConfig(Section):
    """Work beside trading, each at times of its own: five crontab fields in UTC (days of the week by name),
    "every 6h", or "off". Not part of the hash that pins the run. ``argonaut jobs``.
    """

    daily_summary: Timetable = "0 0 * * *"
    """A message to people about the day."""
    replay: Timetable = "0 1 * * *"
    """Decide the newest session again, as ``argonaut replay`` does; fails on a difference."""
    verify_data: Timetable = "15 2 * * *"
    """Check the catalog, as ``argonaut data verify`` does."""
    backup: Timetable = "30 2 * * *"
    """Copy the state directory, as ``argonaut backup`` does."""
    backup_dir: str | None = None
    """Folder for backups, relative to this file, best on another disk; None is ``backups/`` in the state
    directory."""
    backups_kept: Annotated[int, Field(ge=1, le=1000)] = 3
    """How many of the newest backups stay."""
    cleanup: Timetable = "45 2 * * *"
    """Delete old backtests, logs and reports, as ``argonaut cleanup --delete`` does."""
    mark_journal: Timetable = "30 3 * * *"
    """Check what the journal has gained and note it for the next start, as ``argonaut audit mark`` does."""
    kill_drill: Timetable = "0 3 * * sun"
    """Paper only: rehearse a kill, as ``argonaut drill kill`` does; trading stands still for seconds."""
    retrain: Timetable = "off"
    """Train a new model, as ``argonaut train`` does; nothing trades it before it is promoted. A service has
    ``argonaut-retrain.timer`` for it, because its own sandbox allows no training."""
    training: str | None = None
    """Training file of ``retrain``, relative to this file."""

    @model_validator(mode="after")
    def _retraining_has_a_file(self) -> "JobsConfig":
        if self.retrain != OFF and self.training is None:
            raise ValueError('retrain needs a training file: set training = "training.toml"')
        return self


class RunsConfig(Section):
    """What may be asked for over the HTTP interface: backtests, trainings, walk-forwards, fits. Each is a
    process of its own. Not part of the hash that pins the run. ``argonaut runs``.
    """

    at_a_time: Annotated[int, Field(ge=1, le=8)] = 1
    """Runs at a time; others wait."""
    memory_mib: Annotated[int, Field(ge=256, le=1_048_576)] = 8_192
    """That each may take; what needs more fails, and nothing else does."""
    timeout_hours: Annotated[float, Field(gt=0.0, le=720.0)] = 24.0
    """After which one is ended; a training and a walk-forward go on where they stood when asked for again."""
    nice: Annotated[int, Field(ge=0, le=19)] = 15
    """How far behind trading they stand for the processor; 19 is last."""


class LogsConfig(Section):
    """The daemon's log, ``logs/argonaut.jsonl`` in the state directory. Not part of the hash that pins the
    run. ``argonaut logs``.
    """

    file_mib: Annotated[float, Field(ge=0.01, le=1_024.0)] = 10.0
    """Size at which a file is put aside and another begun."""
    files_kept: Annotated[int, Field(ge=1, le=100)] = 5
    """How many that were put aside stay."""
