"""The daemon under a supervisor: reads who it is from the environment, and keeps it told.

systemd sets ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` (sd_notify(3), sd_watchdog_enabled(3)).
They are taken out of the environment, so that no process that we start speaks in our name.
"""

import os
from collections.abc import Callable, MutableMapping
from pathlib import Path

from bot.chronicle import Chronicle
from bot.operation.control import Control
from ops.guardian import Reading
from ops.state_dir import JOURNAL
from ops.supervisor import Supervisor, Vitals, Watchdog
from strategies.errors import ConfigError

_START_SECS = 60.0
_CHECKED_BYTES_PER_SEC = 4_000_000
"""How fast the journal is checked at a start, on a slow machine."""
_STOP_SECS = 15.0
"""What the end takes beside orders: the node, the journal, the disk."""


class Supervision:
    """Tells the supervisor how the daemon is.

    Args:
        environ: Where it left its address; its variables are taken out.

    Raises:
        ConfigError: If the supervisor's variables make no sense.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        watchdog_usec, watchdog_pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        try:
            self.supervisor = Supervisor(address)
            is_watched = bool(watchdog_usec) and watchdog_pid in {"", str(os.getpid())}
            timeout_secs = int(watchdog_usec) / 1e6 if is_watched else None
        except ValueError as error:
            raise ConfigError(
                f"expected NOTIFY_SOCKET and WATCHDOG_USEC as systemd sets them, found: {error}; unset them"
            ) from error
        if timeout_secs is not None and timeout_secs <= 0.0:
            raise ConfigError(f"WATCHDOG_USEC: expected more than 0, found {watchdog_usec}; unset it")
        self.watchdog = Watchdog(timeout_secs, self.supervisor.alive)

    def starting(self, state_dir: Path) -> None:
        """The journal is about to be checked, which takes the longer the more of it there is."""
        folder = state_dir / JOURNAL
        size = sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0
        self.supervisor.status(f"starting: checking {size / 2**20:.0f} MiB of journal")
        self.supervisor.needs(_START_SECS + size / _CHECKED_BYTES_PER_SEC)

    def stopping(self, reason: str, orders_secs: float) -> None:
        """The orderly end has begun; orders may take so long."""
        self.supervisor.stopping(f"stopping: {reason}")
        self.supervisor.needs(orders_secs + _STOP_SECS)

    def after_beat(self, control: Control, chronicle: Chronicle) -> Callable[[Reading], None]:
        """What is to be done after each beat of the guardian.

        Args:
            control: Knows how trading stands.
            chronicle: Whose records have to reach the disk.
        """

        def beat(reading: Reading) -> None:
            journal = chronicle.journal
            self.watchdog.beat(Vitals(reading.monotonic_secs, journal.backlog, journal.durable_seq))
            state, reason = control.gate.state(), control.gate.reason()
            self.supervisor.status(f"trading {state.value}" + (f": {reason}" if reason else ""))

        return beat
