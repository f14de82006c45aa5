"""May anything be sent at all? Arming, halts, latches, reconciliation, repeated decisions."""

import math

from strategies.guardrails.proposal import Finding, Proposal
from strategies.guardrails.verdict import GuardrailReason
from strategies.trading_state import TradingState

_NAN = math.nan


def trading_state(proposal: Proposal) -> Finding | None:
    """Nothing but reductions unless trading is ACTIVE, here and for all; a manual halt needs no readings."""
    context = proposal.context
    state = context.trading_state
    if context.instrument_states and state is not TradingState.HALTED:
        own = context.instrument_states[proposal.index]
        state = state if own is TradingState.ACTIVE else own
    if state is TradingState.ACTIVE:
        return None
    reason = GuardrailReason.REDUCING if state is TradingState.REDUCING else GuardrailReason.HALTED
    return Finding(reason, _NAN, _NAN)


def fault(proposal: Proposal) -> Finding | None:
    """A strategy halted by a fault, or on command, adds nothing until it is released."""
    return Finding(GuardrailReason.HALTED, _NAN, _NAN) if proposal.book.fault else None


def reconciliation(proposal: Proposal) -> Finding | None:
    """No new risk anywhere while the venue may hold something else than we think."""
    context = proposal.context
    if not context.reconciled:
        return Finding(GuardrailReason.UNRECONCILED, _NAN, _NAN)
    # One sum over all numbers: any of them that is not finite makes the sum so.
    total = sum(context.positions, context.equity + context.cash)
    if not proposal.quiet:
        total += sum(context.working_buys) + sum(context.working_sells)
    return None if math.isfinite(total) else Finding(GuardrailReason.UNRECONCILED, _NAN, total)


def loss_latches(proposal: Proposal) -> Finding | None:
    """Loss of the day, of the session, drawdown: from the first reading at the limit, and while latched."""
    book = proposal.book
    if book.daily_loss.blocking:
        return Finding(GuardrailReason.DAILY_LOSS, book.daily_loss.limit, book.daily_loss.loss)
    if book.session_loss.blocking:
        return Finding(GuardrailReason.SESSION_LOSS, book.session_loss.limit, book.session_loss.loss)
    if book.drawdown.blocking:
        return Finding(GuardrailReason.REDUCING, book.drawdown.limit, book.drawdown.loss)
    if proposal.context.equity <= 0.0:  # whatever the limits are: nothing is left to lose
        return Finding(GuardrailReason.DAILY_LOSS, 0.0, proposal.context.equity)
    return None


def state_drawdown(proposal: Proposal) -> Finding | None:
    """No opening in a regime state that has lost its budget."""
    state = proposal.context.regime_state
    latch = None if state is None else proposal.book.state_losses.latch(state)
    if latch is None or not latch.blocking:
        return None
    return Finding(GuardrailReason.STATE_DRAWDOWN, latch.limit, latch.loss)


def repeated_decision(proposal: Proposal) -> Finding | None:
    """Risk is added to an instrument once a bar."""
    if proposal.book.reserved.opened[proposal.index]:
        return Finding(GuardrailReason.DUPLICATE, 1.0, 2.0)
    return None
