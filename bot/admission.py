"""The last gate before a venue: an order that adds risk leaves only where trading is ACTIVE.

Guardrails and door have asked the same before; between them and the venue's client lie queues, and a kill
may have come in the meantime.
"""

from collections.abc import Callable, Mapping

from adapters.paper.orders import OrderRequest
from strategies.gate import TradingGate
from strategies.guardrails import TradingState


def admission(gate: TradingGate, names: Mapping[str, str]) -> Callable[[OrderRequest], str]:
    """Build the check of one host.

    Args:
        gate: Asked for the strategy and the instrument of each order.
        names: Name of each strategy, by the owner that its orders carry.

    Returns:
        A function that says why an order must not be sent; empty where it may.
    """

    def objection(request: OrderRequest) -> str:
        if request.reduce_only:
            return ""
        strategy = names.get(request.owner)
        if strategy is None:
            return f"expected an order of one of {list(names)}, found {request.owner!r}"
        state = gate.state(strategy, request.instrument_id)
        if state is not TradingState.ACTIVE:
            return f"trading state {state.value}: {gate.reason(strategy, request.instrument_id)}"
        return "" if gate.armed else "not armed"

    return objection
