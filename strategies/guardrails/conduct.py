"""Does the strategy behave? Cooldown, reject rate, order rate."""

from strategies.guardrails.book import OUTCOMES
from strategies.guardrails.proposal import Finding, Proposal
from strategies.guardrails.verdict import GuardrailReason

_SECOND_NS = 1_000_000_000


def cooldown(proposal: Proposal) -> Finding | None:
    """Some time must pass between trades of opposite side in one instrument."""
    book, index = proposal.book, proposal.index
    last_ts = book.last_trade_ts[index]
    if last_ts is None or book.last_side[index] == (1 if proposal.buys else -1):
        return None
    limit_secs = proposal.limits.cooldown_secs
    elapsed_secs = (proposal.context.ts_event - last_ts) / _SECOND_NS
    return None if elapsed_secs >= limit_secs else Finding(GuardrailReason.COOLDOWN, limit_secs, elapsed_secs)


def reject_rate(proposal: Proposal) -> Finding | None:
    """Orders that keep being refused mean that our picture of the venue is wrong."""
    rejects = proposal.book.rejects
    limit = proposal.limits.max_reject_rate
    if rejects <= limit * OUTCOMES:
        return None
    return Finding(GuardrailReason.REJECT_RATE, limit, rejects / OUTCOMES)


def order_rate(proposal: Proposal) -> Finding | None:
    """So many orders in the last minute, this one included."""
    book = proposal.book
    value = len(book.order_times) + book.reserved.orders + 1
    limit = proposal.limits.max_orders_per_minute
    return None if value <= limit else Finding(GuardrailReason.ORDER_RATE, limit, value)
