"""Strategies as the operator's commands reach them."""

from collections.abc import Sequence

from strategies.guardrails import GuardrailReason, RiskBook
from strategies.orders import OrderIntent, OrderRole
from strategies.strategy import PolicyStrategy

_PROTECTION = (OrderRole.STOP, OrderRole.TARGET)


class StrategyDesk:
    """One strategy's orders, positions and loss latches, for `ops.commands`."""

    def __init__(self, strategy: PolicyStrategy) -> None:
        self.name = strategy.name
        self._strategy = strategy

    def cancel_entries(self, instrument_ids: Sequence[str]) -> int:
        entries = [intent for intent in self._working(instrument_ids) if intent.role not in _PROTECTION]
        if entries:
            self._strategy.cancel_entries(instrument_ids)
        return len(entries)

    def flatten(self, instrument_ids: Sequence[str]) -> None:
        self._strategy.flatten(instrument_ids)

    def is_flat(self, instrument_ids: Sequence[str]) -> bool:
        pipeline = self._strategy.pipeline
        positions = zip(pipeline.instruments, pipeline.stages.ledger.positions, strict=True)
        holds = any(held for instrument, held in positions if instrument.instrument_id in instrument_ids)
        return not holds and not self._working(instrument_ids)

    @property
    def fault(self) -> str:
        failure = self._strategy.failure
        return "" if failure is None else f"{type(failure).__name__}: {failure}"

    def release(self) -> tuple[str, ...]:
        return release_latches(self._strategy.pipeline.stages.book)

    def _working(self, instrument_ids: Sequence[str]) -> list[OrderIntent]:
        working = self._strategy.working_intents()
        return [intent for intent in working if intent.instrument_id in instrument_ids]


def release_latches(book: RiskBook) -> tuple[str, ...]:
    """Lift what is latched in a book and what a command may lift; name what only time lifts.

    A loss that has not reached its limit goes on counting: a resume must not win back a budget.
    """
    if book.fault:
        book.release(GuardrailReason.HALTED)
    if book.drawdown.latched:
        book.release(GuardrailReason.REDUCING)
    if book.state_losses.latched:
        book.release(GuardrailReason.STATE_DRAWDOWN)
    book.release(GuardrailReason.REJECT_RATE)
    return (GuardrailReason.DAILY_LOSS.value,) if book.daily_loss.latched else ()
