"""What stops even a reduction: a trade that is no trade, or that would not reduce after all."""

import math

from strategies.guardrails.proposal import Finding, Proposal
from strategies.guardrails.verdict import GuardrailReason

_NAN = math.nan


def quantity(proposal: Proposal) -> Finding | None:
    """The quantity must be a number other than 0."""
    if 0.0 < proposal.size < math.inf:
        return None
    return Finding(GuardrailReason.NOTIONAL_MIN, proposal.listing.min_quantity, proposal.size)


def price(proposal: Proposal) -> Finding | None:
    """A price that is no price means that the decision was made on nothing."""
    value = proposal.trade.price
    return None if 0.0 < value < math.inf else Finding(GuardrailReason.PRICE_BOUNDS, 0.0, value)


def armed(proposal: Proposal) -> Finding | None:
    """Not armed, no order leaves, not even one that reduces: what is held may not be ours to touch."""
    return None if proposal.context.armed else Finding(GuardrailReason.NOT_ARMED, _NAN, _NAN)


def known_position(proposal: Proposal) -> Finding | None:
    """From a position that is no number nobody can say what reduces it."""
    if math.isfinite(proposal.held) and math.isfinite(proposal.exposed):
        return None
    return Finding(GuardrailReason.UNRECONCILED, _NAN, proposal.held)


def doubtful_position(proposal: Proposal) -> Finding | None:
    """Where nobody can say what is held, a reduction by our books may open a position on the other side."""
    is_doubtful = proposal.index in proposal.context.doubtful
    return Finding(GuardrailReason.UNRECONCILED, 0.0, 1.0) if is_doubtful else None


def false_reduction(proposal: Proposal) -> Finding | None:
    """What says that it reduces must; the rest of it is cut off.

    ``duplicate`` where orders on their way take the position away already, ``unreconciled`` where it is
    smaller than the trade believes, or on the other side.
    """
    trade = proposal.trade
    if not (trade.reduces or trade.closes):
        return None
    reducible = -proposal.held if proposal.buys else proposal.held
    covered = proposal.size <= reducible
    reason = GuardrailReason.DUPLICATE if covered else GuardrailReason.UNRECONCILED
    return Finding(reason, proposal.reducing, proposal.size)
