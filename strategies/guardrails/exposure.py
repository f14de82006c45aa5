"""How much? Each limit leaves room for some of the added risk, and the smallest room counts."""

from strategies.guardrails.proposal import Finding, Proposal
from strategies.guardrails.verdict import GuardrailReason


def shorts_disabled(proposal: Proposal) -> Finding | None:
    """Without leave to short, a sale ends at flat."""
    if proposal.buys or (proposal.limits.allow_short and proposal.listing.instrument.shortable):
        return None
    return Finding(GuardrailReason.SHORTS_DISABLED, 0.0, -(proposal.exposed + proposal.adding))


def notional_max(proposal: Proposal) -> Finding | None:
    """Largest order."""
    limit = proposal.limits.max_notional_quote
    if limit is None or proposal.adding * proposal.price <= limit:
        return None
    return Finding(
        GuardrailReason.NOTIONAL_MAX, limit, proposal.adding * proposal.price, limit / proposal.price
    )


def day_budget(proposal: Proposal) -> Finding | None:
    """Largest sum of orders in a trading day."""
    limit = proposal.limits.max_daily_notional_quote
    if limit is None:
        return None
    spent = proposal.book.daily_notional + proposal.book.reserved.notional
    value = spent + proposal.adding * proposal.price
    if value <= limit:
        return None
    return Finding(GuardrailReason.DAY_BUDGET, limit, value, (limit - spent) / proposal.price)


def participation(proposal: Proposal) -> Finding | None:
    """Largest share of the last bar's volume, all that was approved at this bar included."""
    share = proposal.limits.max_participation_frac
    if share is None:
        return None
    reserved, index = proposal.book.reserved, proposal.index
    limit = share * float(proposal.context.bar_volumes[index])
    taken = reserved.traded[index]
    value = taken + proposal.adding
    return None if value <= limit else Finding(GuardrailReason.PARTICIPATION, limit, value, limit - taken)


def position_limit(proposal: Proposal) -> Finding | None:
    """Largest position in one instrument."""
    limit = proposal.limits.max_position_quote
    return None if limit is None else proposal.cut(GuardrailReason.POSITION_LIMIT, limit, 0.0)


def name_cap(proposal: Proposal) -> Finding | None:
    """Largest share of equity in one instrument."""
    share = proposal.limits.name_cap_frac
    if share is None:
        return None
    return proposal.cut(GuardrailReason.NAME_CAP, share * proposal.context.equity, 0.0)


def sector_cap(proposal: Proposal) -> Finding | None:
    """Largest share of equity in the instruments of one sector."""
    share = proposal.limits.sector_cap_frac
    if share is None or not proposal.listing.instrument.sector:
        return None
    others = proposal.worst_quote(proposal.listing.peers)
    return proposal.cut(GuardrailReason.SECTOR_CAP, share * proposal.context.equity, others)


def exposure_gross(proposal: Proposal) -> Finding | None:
    """Largest sum of absolute positions."""
    limit = proposal.limits.max_gross_quote
    if limit is None:
        return None
    others = proposal.worst_quote(proposal.listing.others)
    return proposal.cut(GuardrailReason.EXPOSURE_GROSS, limit, others)


def exposure_net(proposal: Proposal) -> Finding | None:
    """Largest sum of positions in the direction of the trade; a trade that evens out is not held up."""
    limit = proposal.limits.max_net_quote
    if limit is None:
        return None
    others = proposal.directed_quote(proposal.listing.others)
    return proposal.cut(GuardrailReason.EXPOSURE_NET, limit, others)
