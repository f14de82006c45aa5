"""Every limit beside what is used of it, of each strategy and of the account, as rows for an operator."""

import math
from collections.abc import Iterator
from typing import Any

from bot.config import HostConfig
from strategies.config import GuardrailConfig
from strategies.guardrails import RiskBook
from strategies.portfolio import Ledger
from strategies.strategy import PolicyStrategy


def limit_rows(
    host: HostConfig, strategies: list[PolicyStrategy], account: RiskBook
) -> Iterator[dict[str, Any]]:
    """All limits that are set; those of the account come last.

    Args:
        host: Whose limits they are.
        strategies: In configuration order.
        account: The account's book.
    """
    configs = {loaded.config.name: loaded.config.guardrails for loaded in host.strategies}
    for strategy in strategies:
        stages = strategy.pipeline.stages
        yield from _losses(strategy.name, stages.book)
        yield from _budgets(strategy.name, configs[strategy.name], stages.book, stages.ledger)
    yield from _losses("account", account)
    limits, ledgers = host.settings.account, [one.pipeline.stages.ledger for one in strategies]
    gross = sum(one.gross_exposure for one in ledgers)
    net = abs(sum(one.net_exposure for one in ledgers))
    yield from _row("account", "max_gross_quote", gross, limits.max_gross_quote)
    yield from _row("account", "max_net_quote", net, limits.max_net_quote)


def _losses(scope: str, book: RiskBook) -> Iterator[dict[str, Any]]:
    for name, latch in (
        ("daily_loss_quote", book.daily_loss),
        ("session_loss_quote", book.session_loss),
        ("drawdown_frac", book.drawdown),
    ):
        yield from _row(scope, name, max(0.0, latch.loss), latch.limit, latched=latch.latched)
    for state in sorted(book.state_losses.profits):
        of_state = book.state_losses.latch(state)
        if of_state is not None:
            name, used = f"state_drawdown_quote[{state}]", max(0.0, of_state.loss)
            yield from _row(scope, name, used, of_state.limit, latched=of_state.latched)


def _budgets(scope: str, limits: GuardrailConfig, book: RiskBook, ledger: Ledger) -> Iterator[dict[str, Any]]:
    values = [abs(held * close) for held, close in zip(ledger.positions, ledger.closes, strict=True) if held]
    for name, used, allowed in (
        ("max_gross_quote", ledger.gross_exposure, limits.max_gross_quote),
        ("max_net_quote", abs(ledger.net_exposure), limits.max_net_quote),
        ("max_position_quote", max(values, default=0.0), limits.max_position_quote),
        ("max_daily_notional_quote", book.daily_notional, limits.max_daily_notional_quote),
        ("max_orders_per_minute", float(len(book.order_times)), float(limits.max_orders_per_minute)),
    ):
        yield from _row(scope, name, used, allowed)


def _row(
    scope: str, name: str, used: float, allowed: float | None, *, latched: bool = False
) -> Iterator[dict[str, Any]]:
    if allowed is None or math.isinf(allowed):
        return
    yield {
        "scope": scope,
        "limit": name,
        "used": used,
        "allowed": allowed,
        "used_frac": used / allowed,
        "latched": latched,
    }
