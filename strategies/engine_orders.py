"""Order intents in the engine's words.

Flow: orders → **engine_orders** → door.

The ids are ours: the engine's own ids count from one in every process and would repeat after a restart.
"""

from collections.abc import Sequence
from typing import Any

from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    ClientOrderId,
    ContingencyType,
    InstrumentId,
    LimitOrder,
    MarketOrder,
    OrderListId,
    OrderSide,
    Price,
    Quantity,
    StopMarketOrder,
    StrategyId,
    TimeInForce,
    TraderId,
    TriggerType,
)

from strategies.market import Instrument
from strategies.orders import Bracket, OrderIntent, OrderKind


class EngineOrders:
    """Builds the engine's orders for one strategy.

    Args:
        instruments: In configuration order.
        trader_id: Of the host.
        strategy_id: Of the strategy.
    """

    def __init__(
        self, instruments: Sequence[Instrument], trader_id: TraderId, strategy_id: StrategyId
    ) -> None:
        self._trader_id = trader_id
        self._strategy_id = strategy_id
        self._instruments = {
            instrument.instrument_id: (
                InstrumentId.from_str(instrument.instrument_id),
                instrument.price_decimals,
                instrument.quantity_decimals,
            )
            for instrument in instruments
        }

    def single(self, intent: OrderIntent, ts_init: int) -> Any:
        """Build an order that stands alone."""
        return self._build(intent, ts_init, {})

    def bracket(self, bracket: Bracket, ts_init: int) -> list[Any]:
        """Build an entry whose exits wake when it fills; one exit's fill cancels the other."""
        exits = [exit_ for exit_ in (bracket.stop, bracket.target) if exit_ is not None]
        list_id = OrderListId(f"L-{bracket.entry.client_order_id}")
        entry_id = ClientOrderId(bracket.entry.client_order_id)
        exit_ids = [ClientOrderId(exit_.client_order_id) for exit_ in exits]
        entry_links = {
            "contingency_type": ContingencyType.OTO,
            "order_list_id": list_id,
            "linked_order_ids": exit_ids,
        }
        orders = [self._build(bracket.entry, ts_init, entry_links)]
        for exit_, own_id in zip(exits, exit_ids, strict=True):
            siblings = [other for other in exit_ids if other != own_id]
            links: dict[str, Any] = {"order_list_id": list_id, "parent_order_id": entry_id}
            if siblings:
                links |= {"contingency_type": ContingencyType.OUO, "linked_order_ids": siblings}
            orders.append(self._build(exit_, ts_init, links))
        return orders

    def _build(self, intent: OrderIntent, ts_init: int, links: dict[str, Any]) -> Any:
        instrument_id, price_decimals, quantity_decimals = self._instruments[intent.instrument_id]
        shared: dict[str, Any] = {
            "trader_id": self._trader_id,
            "strategy_id": self._strategy_id,
            "instrument_id": instrument_id,
            "client_order_id": ClientOrderId(intent.client_order_id),
            "order_side": OrderSide.BUY if intent.side == "BUY" else OrderSide.SELL,
            "quantity": Quantity(intent.quantity, quantity_decimals),
            "reduce_only": intent.reduce_only,
            "quote_quantity": False,
            "init_id": UUID4(),
            "ts_init": ts_init,
            "time_in_force": TimeInForce.IOC if intent.kind is OrderKind.LIMIT_IOC else TimeInForce.GTC,
            **links,
        }
        if intent.kind is OrderKind.MARKET:
            return MarketOrder(**shared)
        if intent.kind is OrderKind.STOP_MARKET:
            trigger = Price(_required(intent.trigger_price, intent), price_decimals)
            return StopMarketOrder(trigger_price=trigger, trigger_type=TriggerType.DEFAULT, **shared)
        limit = Price(_required(intent.price, intent), price_decimals)
        return LimitOrder(price=limit, post_only=False, **shared)


def _required(price: float | None, intent: OrderIntent) -> float:
    if price is None:
        raise ValueError(f"a {intent.kind} order needs a price; found none on {intent.client_order_id}")
    return price
