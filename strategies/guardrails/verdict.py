"""What the guardrails answer: one `Verdict` a trade, with the reason, the limit and the value that met it.

The names of the reasons are a public interface: journals, metrics and alerts carry them. A name is
never reused for another meaning, and a reason is only ever added.
"""

from enum import StrEnum
from typing import NamedTuple


class GuardrailReason(StrEnum):
    """Why a trade was approved as asked, cut or refused."""

    OK = "ok"
    SPREAD = "spread"
    CONFIDENCE = "confidence"
    POSITION_LIMIT = "position_limit"
    STATE_DRAWDOWN = "state_drawdown"
    DAILY_LOSS = "daily_loss"
    DAY_BUDGET = "day_budget"
    NOTIONAL_MIN = "notional_min"
    NOTIONAL_MAX = "notional_max"
    PRICE_BOUNDS = "price_bounds"
    SHORTS_DISABLED = "shorts_disabled"
    COOLDOWN = "cooldown"
    STALE_DATA = "stale_data"
    REJECT_RATE = "reject_rate"
    ORDER_RATE = "order_rate"
    PRICE_COLLAR = "price_collar"
    PARTICIPATION = "participation"
    EXPOSURE_GROSS = "exposure_gross"
    EXPOSURE_NET = "exposure_net"
    NAME_CAP = "name_cap"
    SECTOR_CAP = "sector_cap"
    DUPLICATE = "duplicate"
    UNRECONCILED = "unreconciled"
    NOT_ARMED = "not_armed"
    HALTED = "halted"
    REDUCING = "reducing"
    SESSION_LOSS = "session_loss"


class Verdict(NamedTuple):
    """The guardrails' answer to one trade."""

    reason: GuardrailReason
    """What cut or refused the trade; ``ok`` where nothing did."""
    approved: float
    """Signed base units: the sign of the request and never more of it, or 0."""
    limit: float
    """The limit that was met, in the unit of the reason (see the package docstring); NaN without a number."""
    value: float
    """What the trade would have made of it, in the same unit; NaN without a number."""

    @property
    def vetoed(self) -> bool:
        """Whether nothing of the trade may be sent."""
        return self.approved == 0.0
