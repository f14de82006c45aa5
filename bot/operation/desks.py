"""Strategies as the operator's commands and the last gate before the venue reach them."""

from collections.abc import Callable, Sequence

from strategies.guardrails import GuardrailReason, RiskBook
from strategies.strategy import PolicyStrategy


class StrategyDesk:
    """One strategy's orders, positions and loss latches, for `ops.commands`."""

    def __init__(self, strategy: PolicyStrategy) -> None:
        self.name = strategy.name
        self._strategy = strategy

    def cancel_entries(self, instrument_ids: Sequence[str]) -> int:
        count = len(self._strategy.door.working_entries(instrument_ids))
        if count:
            self._strategy.cancel_entries(instrument_ids)
        return count

    def flatten(self, instrument_ids: Sequence[str]) -> None:
        self._strategy.flatten(instrument_ids)

    def is_flat(self, instrument_ids: Sequence[str]) -> bool:
        return self._strategy.is_flat(instrument_ids)

    @property
    def fault(self) -> str:
        failure = self._strategy.failure
        return "" if failure is None else f"{type(failure).__name__}: {failure}"

    def release(self) -> tuple[str, ...]:
        return release_latches(self._strategy.pipeline.stages.book)


def release_latches(book: RiskBook) -> tuple[str, ...]:
    """Lift what is latched in a book and what a command may lift; name what only time lifts.

    A loss that has not reached its limit goes on counting: a resume must not win back a budget.
    """
    if book.fault:
        book.release(GuardrailReason.HALTED)
    if book.session_loss.latched:
        book.release(GuardrailReason.SESSION_LOSS)
    if book.drawdown.latched:
        book.release(GuardrailReason.REDUCING)
    if book.state_losses.latched:
        book.release(GuardrailReason.STATE_DRAWDOWN)
    book.release(GuardrailReason.REJECT_RATE)
    return (GuardrailReason.DAILY_LOSS.value,) if book.daily_loss.latched else ()


def owner_of(strategies: Sequence[PolicyStrategy]) -> Callable[[str], str | None]:
    """Build a function that says which strategy has an order at work; None where none has."""

    def owner(client_order_id: str) -> str | None:
        for strategy in strategies:
            if strategy.door.is_working(client_order_id):
                return strategy.name
        return None

    return owner
