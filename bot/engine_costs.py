"""The one cost model in the engine's and the paper venue's words, and a meter of what it charged.

Fills happen at the bare price (the next open); spread, impact, fees and commission are charged with the
fill. So a fill's price is the market's, every cost has a name, and gross and net differ by their sum.
"""

from collections.abc import Collection, Mapping
from typing import Any

from nautilus_trader.execution import FeeModel
from nautilus_trader.model import Currency, Money, OrderType, TimeInForce

from adapters.playback import instrument_id_of
from strategies.config import CostConfig
from strategies.costs import CostBreakdown, CostModel
from strategies.market import BarRow, Instrument

COST_KINDS = ("commission", "fee", "half_spread", "impact")


class CostMeter:
    """Charges fills and adds up what was charged, by strategy and kind.

    Args:
        config: The cost model's parameters.
        instruments: By instrument id.
        bar_types: Series whose volumes count, one an instrument; None counts all.
    """

    def __init__(
        self,
        config: CostConfig,
        instruments: Mapping[str, Instrument],
        bar_types: Collection[str] | None = None,
    ) -> None:
        self._bar_types = bar_types
        self._names = list(instruments)
        self._index = {name: index for index, name in enumerate(self._names)}
        self._model = CostModel(config, [instruments[name] for name in self._names])
        self._volumes = [0.0] * len(self._names)
        self._series: dict[str, int | None] = {}
        self.totals: dict[str, dict[str, float]] = {}
        """Quote currency by strategy id, then by kind of cost."""

    def note_bar(self, bar_type: str, row: BarRow) -> None:
        """Remember the newest volume; impact is measured against the last bar that closed."""
        if bar_type not in self._series:
            counts = self._bar_types is None or bar_type in self._bar_types
            self._series[bar_type] = self._index.get(instrument_id_of(bar_type)) if counts else None
        index = self._series[bar_type]
        if index is not None:
            self._volumes[index] = row.volume

    def borrow_cost(self, short_value: float, dt_ns: int) -> float:
        """Fee for being short of this value for this long, quote currency."""
        return self._model.borrow_cost(short_value, dt_ns)

    def cost_of(self, instrument_id: str, quantity: float, price: float, is_maker: bool) -> CostBreakdown:
        """Cost of one fill on the newest volume; arguments as of `charge`, but nothing is charged."""
        index = self._index[instrument_id]
        return self._model.trade_cost(index, quantity, price, self._volumes[index], is_maker=is_maker)

    def charge(
        self,
        strategy: str,
        instrument_id: str,
        quantity: float,
        price: float,
        *,
        is_maker: bool,
        bar_volume: float | None = None,
    ) -> CostBreakdown:
        """Cost of one fill.

        Args:
            strategy: Whose fill it is.
            instrument_id: What was traded.
            quantity: Base units, positive.
            price: Quote currency per base unit.
            is_maker: Whether the order was resting.
            bar_volume: Of the last closed bar; None takes the newest that was noted.
        """
        index = self._index[instrument_id]
        volume = self._volumes[index] if bar_volume is None else bar_volume
        cost = self._model.trade_cost(index, quantity, price, volume, is_maker=is_maker)
        totals = self.totals.setdefault(strategy, dict.fromkeys(COST_KINDS, 0.0))
        for kind in COST_KINDS:
            totals[kind] += getattr(cost, kind)
        return cost


class EngineFees(FeeModel):
    """The cost model as the backtest engine asks for it: one commission a fill."""

    def __new__(cls, *_: object) -> "EngineFees":
        new: EngineFees = super().__new__(cls)
        return new

    def __init__(self, meter: CostMeter, currency: Currency) -> None:
        self._meter = meter
        self._currency = currency
        self.fault: BaseException | None = None
        """The engine swallows what a fee model raises and does not fill; the runner must look here."""

    def get_commission(self, order: Any, fill_quantity: Any, fill_px: Any, instrument: Any) -> Money:
        """Cost of a fill in the account's currency."""
        try:
            resting = order.order_type == OrderType.LIMIT and order.time_in_force != TimeInForce.IOC
            cost = self._meter.charge(
                str(order.strategy_id),
                str(instrument.id),
                float(fill_quantity),
                float(fill_px),
                is_maker=resting,
            )
            return Money(cost.total, self._currency)
        except Exception as error:
            self.fault = self.fault or error
            raise
