"""The journal's head, told to people: what they were sent, nobody can take back.

Flow: journal's checkpoints → **anchor** → desk → channel. `argonaut audit verify --anchor HEAD` looks for it.
"""

from collections.abc import Callable

from ops.alerts.desk import Alert, Severity

_HOUR_NS = 3_600_000_000_000


class AlertAnchor:
    """Sends the head of the journal now and then; a checkpoint in between is not worth a message.

    Args:
        take: Of the desk.
        every_hours: Wall-clock hours between two messages.
    """

    def __init__(self, take: Callable[[Alert], None], every_hours: float) -> None:
        self._take = take
        self._every_ns = int(every_hours * _HOUR_NS)
        self._said_ns = 0

    def publish(self, seq: int, head: str, ts_ns: int) -> None:
        """Say that a record is durable, if it is time."""
        if ts_ns - self._said_ns < self._every_ns:
            return
        self._said_ns = ts_ns
        text = f"argonaut audit verify --anchor {head}"
        self._take(Alert(Severity.INFO, f"journal, record {seq}", text, f"anchor:{seq}", ts_ns))

    def close(self) -> None:
        """Nothing waits here; the desk delivers."""
