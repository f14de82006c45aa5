"""The last gate before a venue: an order that adds risk leaves only where trading is ACTIVE.

Guardrails and door have asked the same before; between them and the venue's client lie queues, and a kill
may have come in the meantime.
"""

from collections.abc import Callable

from adapters.paper.client import Admit
from strategies.gate import TradingGate


def admission(gate: TradingGate, owner: Callable[[str], str | None]) -> Admit:
    """Build the check of one host.

    Args:
        gate: Asked for the strategy and the instrument of each order.
        owner: Name of the strategy that has an order of this id at work; None where none has.

    Returns:
        A function that says why an order must not be sent; empty where it may.
    """

    def objection(client_order_id: str, instrument_id: str, _side: str, reduce_only: bool) -> str:
        if reduce_only:
            return ""
        strategy = owner(client_order_id)
        if strategy is None:
            return "no strategy of ours has this order at work"
        return gate.objection(strategy, instrument_id, reduces=False)

    return objection
