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
    oldest = min(context.ts_event, context.last_bar_ts[proposal.index])
    newest = max(context.ts_event, context.last_bar_ts[proposal.index])
    age_secs = (context.now_ns - oldest) / SECOND_NS
    if age_secs > limit_secs or context.now_ns - newest < -CLOCK_TOLERANCE_NS:
        worst_secs = age_secs if age_secs > limit_secs else (context.now_ns - newest) / SECOND_NS
        return Finding(GuardrailReason.STALE_DATA, limit_secs, worst_secs)
    marked = proposal.book.clock.ts
    if marked != context.ts_event:
        behind_secs = math.nan if marked is None else (marked - context.ts_event) / SECOND_NS
        return Finding(GuardrailReason.STALE_DATA, 0.0, behind_secs)
    # One sum over all numbers: any of them that is not finite makes the sum so.
    total = sum(context.closes) + sum(context.bid) + sum(context.ask) + sum(context.bar_volumes)
    return None if math.isfinite(total) else Finding(GuardrailReason.STALE_DATA, math.nan, total)


def confidence(proposal: Proposal) -> Finding | None:
    """The policy must be sure enough."""
    value, limit = proposal.context.confidence, proposal.limits.min_confidence
    return None if limit <= value < math.inf else Finding(GuardrailReason.CONFIDENCE, limit, value)


def spread(proposal: Proposal) -> Finding | None:
    """The spread must be narrow; a crossed or empty book is refused whatever the limit is."""
    bid = proposal.context.bid[proposal.index]
    ask = proposal.context.ask[proposal.index]
    limit = proposal.limits.max_spread_bps
    if not 0.0 < bid <= ask:
        return Finding(GuardrailReason.SPREAD, math.nan if limit is None else limit, _spread_bps(bid, ask))
    if limit is None:
        return None
    value = _spread_bps(bid, ask)
    return None if value <= limit else Finding(GuardrailReason.SPREAD, limit, value)


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
        return Finding(GuardrailReason.PRICE_COLLAR, 0.0, float(close))
    limit = proposal.limits.price_collar_bps
    if limit is None:
        return None
    taken = context.ask[index] if proposal.buys else context.bid[index]
    value = float(max(abs(proposal.trade.price - close), abs(taken - close)) / close * 1e4)
    return None if value <= limit else Finding(GuardrailReason.PRICE_COLLAR, limit, value)


def _spread_bps(bid: float, ask: float) -> float:
    middle = (bid + ask) / 2.0
    return float((ask - bid) / middle * 1e4) if middle > 0.0 else math.nan
