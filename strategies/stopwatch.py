"""Moments of a decision, for whoever has a clock: the stages themselves have none."""

from collections.abc import Callable
from enum import StrEnum


class Lap(StrEnum):
    """Moments that a stopwatch is told of, in the order in which they come."""

    BAR = "bar"
    """Bars have arrived: time runs from here."""
    FEATURES = "features"
    """The stage of that name is done, and so on below."""
    REGIME = "regime"
    DECISION = "decision"
    """The bars are to be decided on: time runs from here."""
    OBSERVATION = "observation"
    POLICY = "policy"
    SIZING = "sizing"
    """Allocation and sizing."""
    GUARDRAILS = "guardrails"
    """Guardrails and order planning."""
    RECORD = "record"
    """The whole decision is done."""


type Stopwatch = Callable[[Lap], None]
"""Told of each moment; whoever wants to know how long a stage takes has the clock."""


def no_stopwatch(_lap: Lap) -> None:
    """Nobody wants to know."""
