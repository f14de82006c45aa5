"""What a strategy is made of, in the form in which the engine hands it to the strategy's constructor."""

from collections.abc import Callable, Mapping
from typing import Any

from nautilus_trader.model import StrategyId
from nautilus_trader.trading import StrategyConfig as NautilusStrategyConfig

from strategies.decision import DecisionPipeline
from strategies.delivery import Courier, IntentLog, Unwritten
from strategies.gate import TradingGate
from strategies.slices import Pace
from strategies.tape import TapeSink


class PolicyStrategyConfig(NautilusStrategyConfig):
    """Carries the strategy's parts through the engine's one-argument constructor."""

    def __new__(cls, *, pipeline: DecisionPipeline, **_: object) -> "PolicyStrategyConfig":
        # The venue keeps what a strategy holds under this name: its place in a configuration may change.
        tag = pipeline.config.name
        # The engine's config is built in __new__, but its stub declares an __init__.
        make: Any = super().__new__
        new: PolicyStrategyConfig = make(
            cls, strategy_id=StrategyId(f"ARGO-{tag}"), order_id_tag=tag, manage_contingent_orders=False
        )
        return new

    def __init__(
        self,
        *,
        pipeline: DecisionPipeline,
        bar_types: tuple[str, ...],
        gate: TradingGate,
        tape: TapeSink,
        free_base: Callable[[str], float] | None = None,
        held_at_venue: Callable[[str], Mapping[str, float]] | None = None,
        spread_bps: float = 0.0,
        now: Callable[[], int] | None = None,
        log: IntentLog | None = None,
        courier: Courier | None = None,
        paces: Mapping[str, Pace] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.bar_types = bar_types
        self.gate = gate
        self.tape = tape
        self.free_base = free_base
        self.held_at_venue = held_at_venue
        self.spread_bps = spread_bps
        self.now = now
        self.log = Unwritten() if log is None else log
        self.courier = courier
        self.paces = paces or {}
