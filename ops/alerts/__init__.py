"""Messages to people, within seconds, of what cannot wait for the next scrape.

Flow: latch, journal, clock → `Alert` → **desk** (once, not too many) → delivery (its own process) → channel.
"""

from ops.alerts.anchor import AlertAnchor
from ops.alerts.channels import Channel, read_channels
from ops.alerts.delivery import Outcome, deliver
from ops.alerts.desk import Alert, AlertDesk, Severity

__all__ = [
    "Alert",
    "AlertAnchor",
    "AlertDesk",
    "Channel",
    "Outcome",
    "Severity",
    "deliver",
    "read_channels",
]
