"""What a journal's reader remembers, as plain JSON values and back: so that it need not be read again.

Flow: recall → **memory** → waypoints → recall.
"""

from collections.abc import Mapping
from typing import Any

from ops.journal import Kind, Record
from ops.recall import OrderMemory, Recall, StrategyMemory
from strategies.delivery import intent_from

_PLAIN = ("account", "baseline", "latch", "session", "ended_in_order", "went_on", "last_ts_ns")


def memory_of(recall: Recall) -> dict[str, Any]:
    """All that a recall has gathered so far."""
    strategies = {name: _of_strategy(memory) for name, memory in recall.strategies.items()}
    return {name: getattr(recall, name) for name in _PLAIN} | {"strategies": strategies}


def recall_from(memory: Mapping[str, Any]) -> Recall:
    """A recall that has gathered what `memory_of` gave, and goes on from there.

    Raises:
        KeyError, TypeError, ValueError, SafetyError: If it is something else.
    """
    recall = Recall()
    for name in _PLAIN:
        setattr(recall, name, memory[name])
    recall.strategies = {name: _strategy_from(one) for name, one in memory["strategies"].items()}
    return recall


def _of_strategy(memory: StrategyMemory) -> dict[str, Any]:
    return {
        "state": memory.state,
        "since": [[one.seq, one.ts_ns, one.kind.value, one.body] for one in memory.since],
        "orders": [
            {
                "intent": one.intent._asdict(),
                "status": one.status,
                "filled": one.filled,
                "is_sent": one.is_sent,
            }
            for one in memory.orders.values()
        ],
        "executions": [[own_id, trade_id, ts] for (own_id, trade_id), ts in memory.executions.items()],
        "forgotten_until": memory.forgotten_until,
        "last_fill_ts": memory.last_fill_ts,
    }


def _strategy_from(fields: Mapping[str, Any]) -> StrategyMemory:
    orders = {}
    for one in fields["orders"]:
        intent = intent_from(one["intent"])
        orders[intent.client_order_id] = OrderMemory(intent, one["status"], one["filled"], one["is_sent"])
    return StrategyMemory(
        state=fields["state"],
        since=[Record(seq, ts_ns, Kind(kind), body) for seq, ts_ns, kind, body in fields["since"]],
        orders=orders,
        executions={(own_id, trade_id): ts for own_id, trade_id, ts in fields["executions"]},
        forgotten_until=fields["forgotten_until"],
        last_fill_ts=fields["last_fill_ts"],
    )
