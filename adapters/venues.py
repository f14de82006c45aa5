"""What venues can do for us beyond trading; declared here, used by whoever talks to them."""

from dataclasses import dataclass
from enum import StrEnum


class SwitchReach(StrEnum):
    """What one arming of a dead-man switch covers."""

    SYMBOL = "symbol"
    """The orders of one instrument: it has to be armed for each."""
    ACCOUNT = "account"
    """All orders of the account, those of other programs included."""


@dataclass(frozen=True, slots=True)
class DeadManSwitch:
    """A venue's promise to cancel our orders when it does not hear from us in time."""

    reach: SwitchReach
    min_timeout_secs: float
    """Shortest time-out that we ask for: three of the shortest periods that the venue recommends."""
    max_timeout_secs: float
    """Longest that we ask for: what the venue's own documentation uses."""
    is_one_shot: bool
    """Whether it is off once it has fired, so that orders sent later are unprotected until it is armed."""

    def timeout_secs(self, wanted_secs: float) -> float:
        """The time-out nearest to what is wanted that the venue takes."""
        return min(max(wanted_secs, self.min_timeout_secs), self.max_timeout_secs)


DEAD_MAN_SWITCHES: dict[str, DeadManSwitch | None] = {
    # Spot has none: we cancel on shutdown, and stops lie at the venue.
    "BINANCE": None,
    # countdownCancelAll, milliseconds, 0 disables; documented with 120 s, armed every 30 s.
    "BINANCE_FUTURES": DeadManSwitch(SwitchReach.SYMBOL, 90.0, 120.0, is_one_shot=True),
    # CancelAllOrdersAfter, seconds; documented with 60 s, armed every 15 to 30 s.
    "KRAKEN": DeadManSwitch(SwitchReach.ACCOUNT, 45.0, 60.0, is_one_shot=True),
}
"""By venue; one that is not listed promises nothing."""


def dead_man_switch(venue: str) -> DeadManSwitch | None:
    """The dead-man switch of a venue; None where there is none, and no protection may be claimed."""
    return DEAD_MAN_SWITCHES.get(venue)
