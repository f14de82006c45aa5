"""Limits over all strategies of a host: what each may do alone, all may not do together."""

from dataclasses import dataclass
from typing import Any

from strategies.config import GuardrailConfig
from strategies.guardrails.book import RiskBook
from strategies.guardrails.proposal import Finding, Guardrail, Proposal
from strategies.guardrails.verdict import GuardrailReason


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Limits of a host; None switches one off."""

    max_gross_quote: float | None = None
    """Largest sum of absolute positions over all strategies; opposite positions do not cancel out."""
    max_net_quote: float | None = None
    """Largest absolute sum of positions over all strategies."""
    daily_loss_quote: float | None = None
    """Loss of all strategies together since the trading day began, quote currency."""
    session_loss_quote: float | None = None
    """Loss of all strategies together since the session began, quote currency."""
    drawdown_frac: float | None = None
    """Drawdown of all strategies together from their peak, 0..1."""
    close_at_loss_limit: bool = False
    """Whether positions are closed while one of these losses is latched."""
    loss_readings: int = 3
    """Consecutive readings at or beyond a loss limit that latch it."""
    day_start_utc_hour: int = 0
    """Hour at which the trading day begins."""


class AccountGuard:
    """The account's memory and its guardrails; every strategy's chain is given the same one.

    Args:
        limits: Of the host.
        capital_quote: Sum of the strategies' capital, quote currency.
    """

    __slots__ = ("_buys", "_gross", "_limits", "_net_long", "_net_short", "_sells", "book")

    def __init__(self, limits: AccountLimits, capital_quote: float) -> None:
        self._limits = limits
        losses = GuardrailConfig(
            daily_loss_quote=limits.daily_loss_quote,
            session_loss_quote=limits.session_loss_quote,
            drawdown_frac=limits.drawdown_frac,
            state_drawdown_quote=None,
            close_at_loss_limit=limits.close_at_loss_limit,
            loss_readings=limits.loss_readings,
            day_start_utc_hour=limits.day_start_utc_hour,
        )
        self.book = RiskBook(losses, 0, capital_quote)
        """Losses and latches of the account; release them here."""
        self._gross = 0.0
        self._net_long = 0.0
        self._net_short = 0.0
        self._buys = 0.0
        self._sells = 0.0

    @property
    def guardrails(self) -> tuple[Guardrail, ...]:
        """Asked of what adds risk, after a strategy's own."""
        return (self.loss_latches, self.exposure_gross, self.exposure_net)

    def mark(
        self,
        ts_event: int,
        equity: float,
        gross_quote: float,
        net_quote: float,
        *,
        buying_quote: float = 0.0,
        selling_quote: float = 0.0,
    ) -> GuardrailReason | None:
        """Read the sums over all strategies at a bar time, before the first of them decides.

        Calling it again at the same bar time updates the exposures and is no second reading of the loss.

        Args:
            ts_event: Close time, UTC nanoseconds.
            equity: Sum of the strategies' equity, quote currency.
            gross_quote: Sum of absolute positions, orders still working from earlier bars at their worst.
            net_quote: Sum of signed positions, without those.
            buying_quote: What working orders have still to buy: it may fill while what they sell does not.
            selling_quote: Likewise of sales, positive.

        Returns:
            The loss limit that this reading latched: ``daily_loss``, ``session_loss`` or ``reducing``.
        """
        before = self.book.clock.ts
        latched = self.book.mark(ts_event, equity, None)
        self._gross = gross_quote
        self._net_long, self._net_short = net_quote + buying_quote, net_quote - selling_quote
        if self.book.clock.ts != before:
            self._buys = self._sells = 0.0
        return latched

    def reserve(self, notional: float, *, buys: bool) -> None:
        """Count risk that was approved at this bar."""
        if buys:
            self._buys += notional
        else:
            self._sells += notional

    def loss_latches(self, proposal: Proposal) -> Finding | None:
        """The account must have been marked at this bar, and not stand at a loss limit."""
        book = self.book
        if book.fault:
            return Finding(GuardrailReason.HALTED, float("nan"), float("nan"))
        if book.clock.ts != proposal.context.ts_event:
            return Finding(GuardrailReason.STALE_DATA, 0.0, float("nan"))
        if book.daily_loss.blocking:
            return Finding(GuardrailReason.DAILY_LOSS, book.daily_loss.limit, book.daily_loss.loss)
        if book.session_loss.blocking:
            return Finding(GuardrailReason.SESSION_LOSS, book.session_loss.limit, book.session_loss.loss)
        if book.drawdown.blocking:
            return Finding(GuardrailReason.REDUCING, book.drawdown.limit, book.drawdown.loss)
        return None

    def exposure_gross(self, proposal: Proposal) -> Finding | None:
        """Largest sum of absolute positions over all strategies."""
        limit = self._limits.max_gross_quote
        if limit is None:
            return None
        return _cut(proposal, GuardrailReason.EXPOSURE_GROSS, limit, self._gross + self._buys + self._sells)

    def exposure_net(self, proposal: Proposal) -> Finding | None:
        """Largest sum of positions in the direction of the trade over all strategies."""
        limit = self._limits.max_net_quote
        if limit is None:
            return None
        net = self._net_long + self._buys if proposal.buys else self._sells - self._net_short
        return _cut(proposal, GuardrailReason.EXPOSURE_NET, limit, net)

    def snapshot(self) -> dict[str, Any]:
        """The durable state, as plain JSON values; exposures are read anew at the next bar."""
        return self.book.snapshot()

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Take over what `snapshot` gave.

        Raises:
            SafetyError: If it is damaged. The state is unchanged.
        """
        self.book.restore(snapshot)


def _cut(proposal: Proposal, reason: GuardrailReason, limit: float, standing: float) -> Finding | None:
    value = standing + proposal.adding * proposal.price
    if value <= limit:
        return None
    return Finding(reason, limit, value, (limit - standing) / proposal.price)
