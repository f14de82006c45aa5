"""What of a daemon is worth a message to a person, and what each latch leaves behind for the morning after.

Flow: latch, start, stop, clock → **alerting** → desk → channels; `incidents/` in the state directory.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.config import HostConfig
from bot.exit_codes import ExitCode
from bot.operation.day_summary import DaySummary
from ops.alerts import Alert, AlertAnchor, AlertDesk, Channel, Severity, deliver, read_channels
from ops.disk import LocalDisk
from strategies.delivery import Written

INCIDENTS = "incidents"
_LAST_WORDS_SECS = 5.0
_NOTED = frozenset({"hold", "note"})

_LOG = logging.getLogger("argonaut.alerts")


def channels_of(host: HostConfig, state_dir: Path, environment: Mapping[str, str]) -> list[Channel]:
    """Where the alerts of a host go.

    Raises:
        ConfigError: If the file of addresses is not what it should be.
    """
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    hosts = host.settings.alerts.hosts
    return read_channels(Path(credentials) if credentials else None, state_dir, hosts)


class Alerting:
    """Alerts of one daemon, on its loop; without a channel they are lines in the log.

    Args:
        host: What runs.
        state_dir: Where incidents are filed.
        channels: Where messages go.
        status: The daemon's state in one document, or why there is none.
    """

    def __init__(
        self, host: HostConfig, state_dir: Path, channels: list[Channel], status: Callable[[], dict[str, Any]]
    ) -> None:
        config, self._status = host.settings.alerts, status
        self._state_dir = state_dir
        self._task: asyncio.Task[None] | None = None
        self._day: DaySummary | None = None
        self._filing: set[asyncio.Task[None]] = set()
        self.channels = channels
        self.desk = AlertDesk(
            lambda title, body: deliver(channels, title, body),
            sender=f"argonaut {host.settings.kind.value} {host.settings.venue.name}",
            quiet_secs=config.quiet_secs,
            most_per_minute=config.most_per_minute,
            monotonic=time.monotonic,
        )
        self.anchor = AlertAnchor(self._take, config.anchor_hours)

    def start(self) -> None:
        """Send from now on what was taken and is taken; the first summary counts from here."""
        self._day = DaySummary(self._status(), datetime.now(UTC))
        self._task = asyncio.create_task(self.desk.run())

    async def close(self) -> None:
        """Send the last words, for a few seconds at most."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(self.desk.flush(), *self._filing), _LAST_WORDS_SECS)

    def say(self, severity: Severity, title: str, text: str, key: str) -> None:
        """Tell a person."""
        self._take(Alert(severity, title, text, key, time.time_ns()))

    def say_end(
        self, session: str, reason: str, code: ExitCode, holdings: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Tell a person how the daemon ended: at once, unless all is as it should be."""
        held = {name: positions for name, positions in holdings.items() if positions}
        severity = Severity.INFO if code is ExitCode.OK else Severity.PAGE
        text = f"{reason}; exit code {code.value} ({code.name}), {f'holds {held}' if held else 'flat'}"
        self.say(severity, "stopped", text, f"stop:{session}")

    def say_missed(self, written: Written, strategy: str) -> None:
        """Tell a person that the disk was too slow for an order; once in a while, however many there are."""
        what = {
            Written.EXPIRED: "an order was dropped: its intent was not on the disk in time",
            Written.LATE: "an order that takes risk away left before its intent was on the disk",
        }[written]
        text = f"{strategy}: {what}; look for what else writes to that disk, and at its health"
        self.say(Severity.PAGE, "disk too slow", text, f"missed:{written.value}:{strategy}")

    def note(self, kind: str, fields: Mapping[str, Any]) -> None:
        """A change of the latch (``latch``) is worth a message and a report; a flatten that failed, one."""
        answer = fields.get("answer") or {}
        if fields.get("command") == "flatten" and answer.get("state") == "NOT_FLAT":
            text = f"{answer['detail']}; look at the venue, then: argonaut flatten --reason …"
            self.say(Severity.PAGE, "NOT FLAT", text, f"not-flat:{time.time_ns()}")
        if kind != "latch" or "restriction" not in fields:
            return
        restriction, serial = fields["restriction"], fields["serial"]
        what = f"{restriction['scope']} is {restriction['state']}"
        if fields["action"] in _NOTED:
            text = f"{restriction['reason']} ({restriction['who']}); {self._file_incident(restriction)}"
            self.say(Severity.PAGE, what, text, f"latch:{serial}")  # each change is one of its own
        elif fields["action"] == "lift":
            what = f"{restriction['scope']} was resumed"
            self.say(Severity.INFO, what, restriction["reason"], f"lift:{restriction['scope']}:{serial}")

    async def summarise(self) -> str:
        """Tell a person how things stand; the text of it."""
        if self._day is None:
            raise RuntimeError("a summary was asked for before the daemon was ready")
        text = self._day.next(self._status(), datetime.now(UTC))
        self.say(Severity.INFO, "daily summary", text, f"summary:{time.time_ns()}")
        return text

    def _take(self, alert: Alert) -> None:
        _LOG.warning("%s: %s", alert.title, alert.text, extra={"severity": alert.severity.value})
        if self.channels:
            self.desk.take(alert)

    def _file_incident(self, restriction: Mapping[str, Any]) -> Path:
        """Have it written down how things stand; where."""
        now = datetime.now(UTC)
        path = self._state_dir / INCIDENTS / f"{now:%Y%m%dT%H%M%S.%f}Z.md"

        def describe() -> None:
            # Only now: whoever restricts trading goes on at once, to cancel what has to be cancelled.
            text = _incident(now, restriction, self._status())
            task = asyncio.create_task(asyncio.to_thread(_write, path, text))
            self._filing.add(task)
            task.add_done_callback(self._filing.discard)

        asyncio.get_running_loop().call_soon(describe)
        return path


def _incident(now: datetime, restriction: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    return (
        f"# {restriction['scope']} is {restriction['state']}\n\n{now.isoformat()}\n\n"
        f"- why: {restriction['reason']}\n- by: {restriction['who']} ({restriction['origin']})\n\n"
        "What happened before: `argonaut audit show --last 50`. Once the cause is gone:\n"
        f"`argonaut resume --scope {restriction['scope']} --reason …`\n\n"
        f"```json\n{json.dumps(status, indent=2, default=str)}\n```\n"
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        LocalDisk().replace(path, text.encode())
    except OSError as error:
        _LOG.error("no report of the incident could be filed: %s", error)
