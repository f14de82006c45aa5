"""From an approved trade to order intents: what is to be sent, before anything is sent.

Flow: guardrails → **orders** → decision → the door.

`intents` holds the types, `identity` the ids, `plan` the rules, `closes` the way out. An intent's ids are
pure functions of the decision, so that a re-run, a restart or a retry names the same order by the same name.
"""

from strategies.orders.closes import plan_closes
from strategies.orders.identity import (
    CLIENT_ORDER_ID_LENGTH,
    CLIENT_ORDER_ID_PREFIX,
    Identity,
    client_order_id,
    decision_id,
)
from strategies.orders.intents import Bracket, OrderIntent, OrderKind, OrderRole, OrderSide
from strategies.orders.plan import OrderSkip, plan_orders, skip_reason

__all__ = [
    "CLIENT_ORDER_ID_LENGTH",
    "CLIENT_ORDER_ID_PREFIX",
    "Bracket",
    "Identity",
    "OrderIntent",
    "OrderKind",
    "OrderRole",
    "OrderSide",
    "OrderSkip",
    "client_order_id",
    "decision_id",
    "plan_closes",
    "plan_orders",
    "skip_reason",
]
