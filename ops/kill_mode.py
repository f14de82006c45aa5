"""How far a kill goes."""

from enum import StrEnum


class KillMode(StrEnum):
    """How far a kill goes; a later one is stricter."""

    REDUCE_ONLY = "reduce-only"
    """Positions may only shrink."""
    HALT = "halt"
    """Nothing is decided that adds risk, and what works and could add some is cancelled."""
    FLATTEN = "flatten"
    """A halt that also closes every position."""
