"""The guardrails as one readable list, and the one place where their findings become a verdict."""

import math
from collections.abc import Sequence

from strategies.config import GuardrailConfig
from strategies.errors import SafetyError
from strategies.guardrails import conduct, exposure, permission, quality, validity
from strategies.guardrails.account import AccountGuard
from strategies.guardrails.book import RiskBook
from strategies.guardrails.context import GuardrailContext
from strategies.guardrails.proposal import Finding, Guardrail, Listing, Proposal
from strategies.guardrails.verdict import GuardrailReason, Verdict
from strategies.market import Instrument
from strategies.sizing import Target, Trade
from strategies.sizing.lots import lots_quantity, whole_lots

_NAN = math.nan

OF_ANY_TRADE: tuple[Guardrail, ...] = (
    validity.quantity,
    validity.price,
    validity.armed,
    validity.known_position,
    validity.doubtful_position,
)
"""Asked of every trade; what one of them objects to is not sent at all, even if it reduces."""

OF_ADDED_RISK: tuple[Guardrail, ...] = (
    validity.false_reduction,
    permission.trading_state,
    permission.fault,
    permission.reconciliation,
    permission.loss_latches,
    permission.state_drawdown,
    permission.repeated_decision,
    quality.stale_data,
    quality.confidence,
    quality.spread,
    quality.price_bounds,
    quality.price_collar,
    conduct.cooldown,
    conduct.reject_rate,
    conduct.order_rate,
    exposure.shorts_disabled,
    exposure.notional_max,
    exposure.day_budget,
    exposure.participation,
    exposure.position_limit,
    exposure.name_cap,
    exposure.sector_cap,
    exposure.exposure_gross,
    exposure.exposure_net,
)
"""Asked only of what adds risk; the first that leaves no room decides, else the one that leaves least."""


class GuardrailChain:
    """Approves, cuts or refuses trades.

    Args:
        config: Limits of the strategy.
        instruments: In configuration order.
        account: Limits over all strategies of the host; None where the strategy is alone.
    """

    def __init__(
        self, config: GuardrailConfig, instruments: Sequence[Instrument], account: AccountGuard | None = None
    ) -> None:
        self._limits = config
        self._listings = tuple(_listing(index, instruments) for index in range(len(instruments)))
        self._account = account
        self._of_added_risk = OF_ADDED_RISK if account is None else (*OF_ADDED_RISK, *account.guardrails)

    def given_up(self, target: Target, book: RiskBook) -> Target:
        """What is to be held once a loss limit holds for good: nothing, if the limits say so."""
        if not (book.closes_positions or (self._account is not None and self._account.book.closes_positions)):
            return target
        return target._replace(quantities=(0.0,) * len(target.quantities))

    def check(
        self, trade: Trade, context: GuardrailContext, book: RiskBook, decision_id: str | None = None
    ) -> Verdict:
        """Say how much of a trade may be sent.

        An approval is reserved in the book at once, so that the next trade of the same bar is checked
        against what this one will make of the account; a refusal leaves the book as it is.

        Args:
            trade: What sizing wants.
            context: The moment.
            book: The strategy's memory, marked at ``context.ts_event``.
            decision_id: Refused as ``duplicate`` where an order of this decision was sent before.

        Returns:
            The verdict. An exception inside a guardrail is a refusal, ``halted`` with NaN, and halts the
            book: it holds the fault, and adds no risk until it is released.
        """
        try:
            return self._decide(trade, context, book, decision_id)
        except Exception as error:  # noqa: BLE001 - fail closed: whatever went wrong, nothing is sent
            book.halt(f"guardrails: {type(error).__name__}: {error}")
            return Verdict(GuardrailReason.HALTED, 0.0, _NAN, _NAN)

    def _decide(
        self, trade: Trade, context: GuardrailContext, book: RiskBook, decision_id: str | None
    ) -> Verdict:
        proposal = Proposal(trade, context, book, self._limits, self._find_listing(trade, context, book))
        if decision_id is not None and book.has_seen(decision_id):
            return _refuse(Finding(GuardrailReason.DUPLICATE, 1.0, 2.0))
        for guardrail in OF_ANY_TRADE:
            finding = guardrail(proposal)
            if finding is not None:
                return _refuse(finding)
        if proposal.adding <= 0.0:
            return self._approve_reduction(proposal, None)

        index = proposal.index
        taken = context.ask[index] if proposal.buys else context.bid[index]
        proposal.price = max(trade.price, float(context.closes[index]), float(taken))
        tightest = self._find_tightest(proposal)
        adding = proposal.adding if tightest is None else _whole_lots(tightest.room, proposal)
        if adding > 0.0:
            too_small = self._find_too_small(proposal, proposal.reducing + adding)
            if too_small is None:
                return self._approve(proposal, adding, tightest)
            tightest = too_small
        return self._approve_reduction(proposal, tightest)

    def _find_listing(self, trade: Trade, context: GuardrailContext, book: RiskBook) -> Listing:
        count = len(self._listings)
        if not (
            0 <= trade.index < count == len(context.positions) == len(context.closes) == book.num_instruments
        ):
            raise SafetyError(
                f"expected one of {count} instruments, with positions, closes and a book of that length; "
                f"found index {trade.index}, {len(context.positions)} positions, {len(context.closes)} "
                f"closes and a book of {book.num_instruments}; nothing was sent"
            )
        listing = self._listings[trade.index]
        if listing.instrument.instrument_id != trade.instrument_id:
            raise SafetyError(
                f"expected {listing.instrument.instrument_id} at index {trade.index}, "
                f"found a trade in {trade.instrument_id}; nothing was sent"
            )
        return listing

    def _find_tightest(self, proposal: Proposal) -> Finding | None:
        tightest = None
        for guardrail in self._of_added_risk:
            finding = guardrail(proposal)
            if finding is None:
                continue
            if not finding.room > 0.0:
                return finding
            if tightest is None or finding.room < tightest.room:
                tightest = finding
        return tightest

    def _find_too_small(self, proposal: Proposal, size: float) -> Finding | None:
        listing = proposal.listing
        if size < listing.min_quantity:
            return Finding(GuardrailReason.NOTIONAL_MIN, listing.min_quantity, size)
        smallest, value = (
            max(self._limits.min_notional_quote, listing.min_notional),
            size * proposal.trade.price,
        )
        return None if value >= smallest else Finding(GuardrailReason.NOTIONAL_MIN, smallest, value)

    def _approve(self, proposal: Proposal, adding: float, finding: Finding | None) -> Verdict:
        size = proposal.size if finding is None else min(proposal.reducing + adding, proposal.size)
        if self._account is not None:
            self._account.reserve(adding * proposal.price, buys=proposal.buys)
        return _approve(proposal, size, finding, True)

    def _approve_reduction(self, proposal: Proposal, finding: Finding | None) -> Verdict:
        listing, size = proposal.listing, proposal.reducing
        lot_size = listing.instrument.lot_size
        if size < proposal.size:
            size = min(lots_quantity(whole_lots(size, lot_size), lot_size), proposal.size)
        # Only where orders can be reduce-only does the venue take a reduction below its smallest order.
        if size > 0.0 and not listing.instrument.shortable:
            if size < listing.min_quantity:
                return _refuse(finding or Finding(GuardrailReason.NOTIONAL_MIN, listing.min_quantity, size))
            if size * proposal.trade.price < listing.min_notional:
                value = size * proposal.trade.price
                return _refuse(finding or Finding(GuardrailReason.NOTIONAL_MIN, listing.min_notional, value))
        if size <= 0.0:
            return _refuse(finding or Finding(GuardrailReason.NOTIONAL_MIN, listing.lot, size))
        return _approve(proposal, size, finding, False)


def _approve(proposal: Proposal, size: float, finding: Finding | None, adds: bool) -> Verdict:
    approved = size if proposal.buys else -size
    proposal.book.reserve(
        proposal.context.ts_event, proposal.index, approved, size * proposal.price, proposal.held, adds
    )
    if finding is None:
        return Verdict(GuardrailReason.OK, approved, _NAN, _NAN)
    return Verdict(finding.reason, approved, float(finding.limit), float(finding.value))


def _refuse(finding: Finding) -> Verdict:
    return Verdict(finding.reason, 0.0, float(finding.limit), float(finding.value))


def _whole_lots(room: float, proposal: Proposal) -> float:
    if not room > 0.0:
        return 0.0
    return proposal.listing.instrument.floor_quantity(min(room, proposal.adding))


def _listing(index: int, instruments: Sequence[Instrument]) -> Listing:
    instrument = instruments[index]
    others = tuple(other for other in range(len(instruments)) if other != index)
    return Listing(
        instrument=instrument,
        lot=float(instrument.lot_size),
        min_quantity=float(instrument.min_quantity),
        min_notional=float(instrument.min_notional),
        others=others,
        peers=tuple(n for n in others if instrument.sector and instruments[n].sector == instrument.sector),
    )
