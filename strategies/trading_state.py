"""What may be traded at all: one word for all of a bot, a venue, a strategy or an instrument."""

from enum import StrEnum


class TradingState(StrEnum):
    """What may be traded. Neither REDUCING nor HALTED ever adds risk, and neither holds a reduction."""

    ACTIVE = "ACTIVE"
    """Everything that the limits leave room for."""
    REDUCING = "REDUCING"
    """Reductions only: a loss limit latched, or an operator asked for it."""
    HALTED = "HALTED"
    """Reductions only, so that a flatten on command gets through; after a fault or by hand."""
