"""Is what the decision saw good enough to add risk on? Freshness, confidence, spread, prices."""

import math

from strategies.guardrails.proposal import Finding, Proposal
from strategies.guardrails.verdict import GuardrailReason

SECOND_NS = 1_000_000_000

CLOCK_TOLERANCE_NS = SECOND_NS
"""How far a bar may lie in the future of the decision before one of the two clocks must be wrong."""


def stale_data(proposal: Proposal) -> Finding | None:
    """The bars must be recent, not from the future, and the ones that the book was last marked at."""
    context = proposal.context
    limit_secs = proposal.limits.stale_after_secs
    oldest = newest = context.ts_event
    own = context.last_bar_ts[proposal.index]
    if own < oldest:
        oldest = own
    elif own > newest:
        newest = own
    age_secs = (context.now_ns - oldest) / SECOND_NS
    if age_secs > limit_secs:
        return Finding(GuardrailReason.STALE_DATA, limit_secs, age_secs)
    if newest - context.now_ns > CLOCK_TOLERANCE_NS:
        return Finding(GuardrailReason.STALE_DATA, limit_secs, (context.now_ns - newest) / SECOND_NS)
    marked = proposal.book.clock.ts
    if marked != context.ts_event:
        behind_secs = math.nan if marked is None else (marked - context.ts_event) / SECOND_NS
        return Finding(GuardrailReason.STALE_DATA, 0.0, behind_secs)
    # One sum over all numbers: any of them that is not finite makes the sum so.
    total = sum([*context.closes, *context.bid, *context.ask, *context.bar_volumes])
    return None if math.isfinite(total) else Finding(GuardrailReason.STALE_DATA, math.nan, total)


def confidence(proposal: Proposal) -> Finding | None:
    """The policy must be sure enough."""
    value, limit = proposal.context.confidence, proposal.limits.min_confidence
    return None if limit <= value < math.inf else Finding(GuardrailReason.CONFIDENCE, limit, value)


def spread(proposal: Proposal) -> Finding | None:
    """The spread must be narrow; a crossed or empty book is refused whatever the limit is.

    The value of a crossed or empty book is the difference itself, in quote currency.
    """
    bid = proposal.context.bid[proposal.index]
    ask = proposal.context.ask[proposal.index]
    limit = proposal.limits.max_spread_bps
    if 0.0 < bid <= ask:
        value = (ask - bid) / (ask + bid) * 2e4
        if limit is None or value <= limit:
            return None
        return Finding(GuardrailReason.SPREAD, limit, value)
    return Finding(GuardrailReason.SPREAD, math.nan if limit is None else limit, ask - bid)


def price_bounds(proposal: Proposal) -> Finding | None:
    """The instrument must trade within the bounds that the strategy was made for."""
    limits, price = proposal.limits, proposal.trade.price
    if price < limits.min_price:
        return Finding(GuardrailReason.PRICE_BOUNDS, limits.min_price, price)
    if limits.max_price is not None and price > limits.max_price:
        return Finding(GuardrailReason.PRICE_BOUNDS, limits.max_price, price)
    return None


def price_collar(proposal: Proposal) -> Finding | None:
    """Neither the reference price nor the side that is taken may lie far from the last close."""
    context, index = proposal.context, proposal.index
    close = context.closes[index]
    if not close > 0.0:
        return Finding(GuardrailReason.PRICE_COLLAR, 0.0, close)
    limit = proposal.limits.price_collar_bps
    if limit is None:
        return None
    taken = context.ask[index] if proposal.buys else context.bid[index]
    away, taken_away = abs(proposal.trade.price - close), abs(taken - close)
    away = max(away, taken_away)
    value = away / close * 1e4
    return None if value <= limit else Finding(GuardrailReason.PRICE_COLLAR, limit, value)
