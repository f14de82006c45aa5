"""What a decision says about trades that were approved, cut, refused or never came about.

Flow: sizing, guardrails, orders → **verdict records** → decision → tape.
"""

import math
from collections.abc import Iterator, Sequence

from strategies.guardrails import Verdict
from strategies.market import Instrument, Vector
from strategies.orders import OrderSkip
from strategies.sizing import Refusal, Trade
from strategies.sizing.lots import lots_quantity, whole_lots
from strategies.tape import VerdictRecord


def of_trade(
    ts_event: int, strategy: str, trade: Trade, verdict: Verdict, skip: OrderSkip | None
) -> VerdictRecord:
    """What became of a trade: the guardrails' answer, or why what they approved is no order after all."""
    if skip is None or skip is OrderSkip.VETOED:
        reason, approved = verdict.reason.value, verdict.approved
        limit, value = verdict.limit, verdict.value
    else:
        reason, approved, limit, value = skip.value, 0.0, math.nan, math.nan
    return VerdictRecord(
        ts_event, strategy, trade.instrument_id, trade.quantity, approved, reason, limit, value
    )


def of_refusals(
    ts_event: int,
    strategy: str,
    refusals: Sequence[Refusal],
    held: Vector,
    closes: Vector,
    equity: float,
    instruments: Sequence[Instrument],
    rebalance_eps: float,
) -> Iterator[VerdictRecord]:
    """What sizing did not allow because a rule could not say, in base units.

    Args:
        refusals: As `Target` names them.
        held: N signed fractions of equity.
        closes: N, quote currency.
        equity: Quote currency.
        instruments: In configuration order.
        rebalance_eps: Changes smaller than this would have been left for later all the same.
    """
    for index, wanted, allowed, reason in refusals:
        have, change = held[index], wanted - held[index]
        is_small = abs(change) < rebalance_eps and wanted != 0.0
        if change == 0.0 or is_small or not closes[index] > 0.0:
            continue
        instrument, per_weight = instruments[index], max(equity, 0.0) / closes[index]
        requested = _whole(change * per_weight, instrument)
        approved = 0.0 if math.isnan(allowed) else _whole((allowed - have) * per_weight, instrument)
        name = instrument.instrument_id
        yield VerdictRecord(ts_event, strategy, name, requested, approved, reason.value, math.nan, math.nan)


def _whole(quantity: float, instrument: Instrument) -> float:
    return lots_quantity(whole_lots(quantity, instrument.lot_size), instrument.lot_size)
