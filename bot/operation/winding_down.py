"""The way out of trading: what was sent is waited for, and what is left is said.

Flow: stop → **winding down** → node, records.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from adapters.errors import StateWriteError
from bot.paper import PaperNode
from ops.flattening import Flattening
from strategies.gate import TradingGate
from strategies.strategy import PolicyStrategy
from strategies.tape import equity_record

_POLL_SECS = 0.01

type Held = dict[str, dict[str, float]]
"""Signed base units by strategy and instrument; what is flat is not there."""


async def wind_down(
    paper: PaperNode, killing: Flattening, is_flattening: Callable[[], bool], *, until: float
) -> None:
    """Wait until what was cancelled is gone and, when flattening, until every strategy is flat.

    Args:
        paper: The node; still running.
        killing: An operator's flatten that may be under way.
        is_flattening: Whether positions are to be closed; may become so while there is time.
        until: Monotonic seconds at which waiting ends all the same.
    """
    strategies = paper.wired.strategies
    while time.monotonic() < until:
        flatten = is_flattening()
        if flatten:
            for strategy in strategies:
                strategy.flatten()  # again and again: what was on its way may still fill
        elif not killing.is_working and not any(one.num_working_entries for one in strategies):
            return
        if flatten and all(strategy.is_flat() for strategy in strategies):
            return
        if paper.gateway.fault is not None:
            return  # a venue that cannot write answers nothing more
        if paper.replay.is_finished or paper.replay.is_dead:
            with contextlib.suppress(StateWriteError):  # the gateway keeps it
                paper.gateway.settle_all()
        await asyncio.sleep(_POLL_SECS)


def holdings_of(strategies: Sequence[PolicyStrategy]) -> Held:
    """What is held, of every strategy."""
    return {
        strategy.name: {
            instrument.instrument_id: position
            for instrument, position in zip(
                strategy.pipeline.instruments, strategy.pipeline.stages.ledger.positions, strict=True
            )
            if position
        }
        for strategy in strategies
    }


def books_of(strategies: Sequence[PolicyStrategy]) -> list[dict[str, Any]]:
    """The book of every strategy that saw a bar, with what was executed after its newest one."""
    return [
        equity_record(one.last_ts_event, one.name, one.pipeline.stages.ledger)._asdict()
        for one in strategies
        if one.last_ts_event
    ]


def last_words(
    strategies: Sequence[PolicyStrategy],
    holdings: Held,
    currency: str,
    gate: TradingGate,
    *,
    flatten: bool,
) -> Iterator[tuple[str, bool]]:
    """How each strategy ended: lines for a person, and whether one is a finding."""
    for strategy in strategies:
        ledger, held = strategy.pipeline.stages.ledger, holdings[strategy.name]
        yield (
            f"{strategy.name}: equity {ledger.equity:,.2f} {currency}, "
            f"profit {ledger.equity - ledger.capital:+,.2f} (costs {ledger.fees:,.2f}), "
            f"{'flat' if not held else f'holds {held}'}, {strategy.decisions} decisions",
            False,
        )
        if flatten and held:
            yield f"{strategy.name} is not flat: its closing orders were not filled in time", True
        if strategy.failure is not None:
            yield f"{strategy.name} was halted: {gate.reason(strategy.name)}", True
