"""Whom profit and costs are put down to: regimes, and the cost model.

Flow: tape → **attribution** → exposition.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from ops.metrics.families import BY_NAME, PREFIX
from strategies.costs import CostBreakdown
from strategies.tape import DecisionRecord, EquityRecord, FillRecord

ATTRIBUTED = (
    "regime_realised_profit_quote",
    "regime_unrealised_profit_quote",
    "slippage_quote",
    "execution_cost_quote",
    "modelled_cost_quote",
)
"""Families that are kept here, in the order of the gauges below."""

type CostOf = Callable[[str, float, float, bool], CostBreakdown]
"""What the cost model charges for a fill: instrument, base units, price before costs, whether a maker's."""


class Attribution:
    """Adds up, since the start, what each strategy earned in each regime and paid for its executions.

    A change of profit over a bar counts for the state in which the position was decided: the most probable
    one at the decision before, as in the guardrails' own account of regimes.

    Args:
        registry: Where the series are registered.
        cost_of: The one cost model.
    """

    def __init__(self, registry: CollectorRegistry, cost_of: CostOf) -> None:
        self._cost_of = cost_of
        self._regimes: dict[str, int] = {}
        self._books: dict[str, EquityRecord] = {}
        self._realised, self._unrealised, self._slippage, self._paid, self._modelled = (
            Gauge(PREFIX + one.name, one.meaning, one.labels, registry=registry)
            for one in map(BY_NAME.__getitem__, ATTRIBUTED)
        )

    def take_decision(self, record: DecisionRecord) -> None:
        """Note the regime in which what comes is earned."""
        self._regimes[record.strategy] = record.regime_state

    def take_equity(self, record: EquityRecord) -> None:
        """Put what a bar changed down to the regime that was decided in."""
        name = record.strategy
        before, regime = self._books.get(name), self._regimes.get(name, -1)
        self._books[name] = record
        if before is None or regime < 0:
            return
        self._realised.labels(name, str(regime)).inc(record.realised - before.realised)
        self._unrealised.labels(name, str(regime)).inc(record.unrealised - before.unrealised)

    def take_fill(self, record: FillRecord, close: float) -> None:
        """Lay what a fill cost beside what the model charges for it at the close that was decided on."""
        name, size = record.strategy, abs(record.quantity)
        slippage = size * (record.price - close) * (1.0 if record.side == "BUY" else -1.0)
        self._slippage.labels(name).inc(slippage)
        self._paid.labels(name).inc(slippage + record.fee)
        cost = self._cost_of(record.instrument_id, size, close, record.liquidity == "MAKER")
        for cause in ("commission", "fee", "half_spread", "impact"):
            self._modelled.labels(name, cause).inc(getattr(cost, cause))
