"""What the guardrails look at: one strategy's account and market at the moment of a decision."""

from collections.abc import Sequence
from dataclasses import dataclass

from strategies.market import Vector
from strategies.trading_state import TradingState


@dataclass(slots=True)
class GuardrailContext:
    """The state of the world at one decision of one strategy; vectors have one entry per instrument."""

    ts_event: int
    """Close time of the bars decided on, UTC nanoseconds; the book must have been marked at it."""
    now_ns: int
    """Decision time by the clock that stamps the bars (event time in a backtest or a replay)."""
    trading_state: TradingState
    """What governs the strategy as a whole; of several restrictions, the strictest."""
    armed: bool
    """Whether any order may leave at all."""
    reconciled: bool
    """Whether orders, fills, positions and cash agree with the venue."""
    doubtful: frozenset[int]
    """Instruments (by index) of which nobody can say what is held: an order's outcome is not known, or our
    books and the venue's differ there."""
    equity: float
    """The strategy's equity, quote currency."""
    cash: float
    """The strategy's cash, quote currency."""
    positions: Vector
    """Signed base units, as filled."""
    closes: Vector
    """Last close, quote currency."""
    bid: Vector
    ask: Vector
    bar_volumes: Vector
    """Volume of the last bar, base units."""
    last_bar_ts: Sequence[int]
    """Close time of the newest bar, UTC nanoseconds."""
    confidence: float
    """The policy's, 0..1."""
    regime_state: int | None
    """Most probable regime state; None without a regime model."""
    has_stop: bool = False
    """Whether the entry carries a protective stop; `orders.require_stop` acts on it, no guardrail does."""
    working_buys: Vector = ()
    """Base units still to fill of open or unknown buys from earlier bars, protective orders left out;
    empty for none."""
    working_sells: Vector = ()
    """Base units (positive) still to fill of open or unknown sales, likewise."""
    instrument_states: Sequence[TradingState] = ()
    """Trading state of each instrument, where one or its venue is restricted by itself; empty for none."""
