"""What a policy is, and what it answers."""

from math import nan
from typing import NamedTuple, Protocol

from strategies.config import ActionMap
from strategies.observation import Observation


class Action(NamedTuple):
    """What a policy wants, before allocation and sizing."""

    values: tuple[float, ...]
    """N numbers, or N + 1 for `ActionMap.SIMPLEX_CASH`, whose last entry is the gate."""
    action_map: ActionMap = ActionMap.WEIGHTS
    """How ``values`` become weights. As weights, NaN leaves an instrument as it is."""
    confidence: float = 1.0
    """0..1; the guardrails refuse to add risk below their minimum."""
    edge_bps: tuple[float, ...] | None = None
    """Expected return of each instrument in basis points, N."""
    stops: tuple[float, ...] | None = None
    """Price of each protective stop, N, quote currency; NaN where there is none."""
    targets: tuple[float, ...] | None = None
    """Price of each profit target, N, quote currency; NaN where there is none."""
    time_stop_bars: int = 0
    """Age, in bars, at which whatever is held is closed in one step, whatever ``values`` say; 0 is never. It
    counts for this decision: a policy that means it says it every time."""

    @classmethod
    def hold(cls, num_instruments: int) -> "Action":
        """Leave every position as it is.

        Args:
            num_instruments: N.
        """
        return cls((nan,) * num_instruments)


class Policy(Protocol):
    """Turns observations into actions; the same observations in the same order give the same actions."""

    name: str
    """The kind of policy, as the configuration names it."""
    required_columns: tuple[str, ...]
    """Feature columns that it reads by name."""
    policy_id: str
    """SHA-256, in hex, of what decides: a file's bytes, or the canonical configuration of a rule."""

    def act(self, observation: Observation) -> Action:
        """Answer one observation; uses what was known at ``observation.ts_event`` only."""

    def reset(self) -> None:
        """Forget all observations; what follows is as after construction."""
