"""What the daemon tells whoever supervises it, in systemd's own words, and when it keeps quiet.

Flow: reading of the guardian's beat → **watchdog** → datagram → systemd.

The watchdog is about this process alone: its loop, its disk, its writer. It is fed from the trading loop, so
a loop that stands still feeds nothing, and neither does one whose records do not reach the disk. Then systemd
ends the process and starts it again, which is the one path of start-up and crash recovery. A feed that says
nothing is no reason: a venue that is out for ten minutes would use up every start that systemd allows, and
leave the bot down with its positions when the venue is back. The guardian holds new risk back meanwhile.

Source:
    sd_notify(3) and systemd.service(5), WatchdogSec=.
"""

import logging
import socket
from collections.abc import Callable
from typing import NamedTuple

_LOG = logging.getLogger(__name__)

_MICROSECONDS = 1_000_000
_PINGS_PER_TIMEOUT = 4.0
"""systemd asks for two; a beat may come late."""


class Supervisor:
    """Whoever started us and wants to be told how we are; silent where nobody does.

    What cannot be told is lost: a supervisor that does not listen must not end a bot that trades.

    Args:
        address: Its datagram socket: a path, or ``@`` and a name in the abstract namespace; empty for nobody.

    Raises:
        ValueError: If the address is neither.
    """

    def __init__(self, address: str = "") -> None:
        if address and address[0] not in "/@":
            raise ValueError(f"NOTIFY_SOCKET: expected a path or @name, found {address!r}")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._status = ""

    def ready(self, status: str) -> None:
        """Start-up is done; the watchdog counts from now on."""
        self._status = ""  # what was said while it was under way is said again
        self._tell(READY="1", STATUS=status)

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._tell(STOPPING="1", STATUS=status)

    def alive(self) -> None:
        """Feed the watchdog."""
        self._tell(WATCHDOG="1")

    def needs(self, secs: float) -> None:
        """What is under way, start or stop, may take so much longer from now."""
        self._tell(EXTEND_TIMEOUT_USEC=str(round(secs * _MICROSECONDS)))

    def status(self, line: str) -> None:
        """Say in one line what goes on; said again only when it has changed."""
        if line != self._status:
            self._tell(STATUS=line)

    def _tell(self, **fields: str) -> None:
        if not self._address:
            return
        self._status = fields.get("STATUS", self._status)
        lines = "\n".join(f"{key}={' '.join(value.splitlines())}" for key, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
                mouth.setblocking(False)
                mouth.sendto(lines.encode(), self._address)
        except OSError as error:
            self._status = ""
            _LOG.warning("the supervisor did not take %s: %s", ", ".join(fields), error)


class Vitals(NamedTuple):
    """Whether the process makes progress, at one beat."""

    monotonic_secs: float
    records_waiting: int
    """Records of the journal that are not on the disk yet."""
    records_durable: int
    """Number of the last one that is."""


class Watchdog:
    """Feeds a supervisor's watchdog as long as loop, disk and writer make progress.

    Args:
        timeout_secs: After which the supervisor acts; None where it does not watch.
        feed: Called when it is time to feed.
    """

    def __init__(self, timeout_secs: float | None, feed: Callable[[], None]) -> None:
        self._timeout_secs = timeout_secs
        self._feed = feed
        self._fed_at = float("-inf")
        self._durable = -1
        self._durable_at = float("-inf")
        self.hunger = ""
        """Why it is not fed; empty while it is."""

    def beat(self, vitals: Vitals) -> None:
        """Feed it if it is time to, and if there is progress; called at every beat of the loop."""
        now = vitals.monotonic_secs
        if vitals.records_durable != self._durable or not vitals.records_waiting:
            self._durable, self._durable_at = vitals.records_durable, now
        if self._timeout_secs is None:
            return
        hunger = self._lacking(vitals)
        if hunger and not self.hunger:
            _LOG.error("the watchdog is not fed any more: %s", hunger)
        self.hunger = hunger
        if not hunger and now - self._fed_at >= self._timeout_secs / _PINGS_PER_TIMEOUT:
            self._fed_at = now
            self._feed()

    def _lacking(self, vitals: Vitals) -> str:
        assert self._timeout_secs is not None
        waited = vitals.monotonic_secs - self._durable_at
        if waited > self._timeout_secs / 2:
            return f"{vitals.records_waiting} records have waited {waited:.1f} s for the disk"
        return ""
