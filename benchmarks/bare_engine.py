"""The engine as our backtest sets it up, with any strategy in it: same bars, same open quotes."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import DefaultFillModel, MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    Currency,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    Quantity,
    StrategyId,
    TraderId,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig
from nautilus_trader.trading import Strategy, StrategyConfig

from adapters.catalog import Catalog
from adapters.playback import Playback
from benchmarks.scenario import VENUE
from bot.market_data import bar_type

FEE = Decimal("0.0005")


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took."""

    cpu_secs: float
    """Processor time of the whole run, reading the catalog included."""
    engine_cpu_secs: float
    """Of it, inside ``BacktestEngine.run``: matching, callbacks and all that they do."""
    bars: int


def make_engine() -> BacktestEngine:
    """An engine with the venue that our backtest would make, on a margin account."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("BENCH-001"),
            logging=LoggerConfig(bypass_logging=True),
            run_analysis=False,
            risk_engine=RiskEngineConfig(max_order_submit_rate="100000/00:00:01"),
        )
    )
    engine.add_venue(
        venue=Venue(VENUE),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(10_000_000.0, Currency.from_str("USDT"))],
        default_leverage=Decimal(10),
        fee_model=MakerTakerFeeModel(FEE, FEE),
        reject_stop_orders=False,
        fill_model=DefaultFillModel(1.0, 0.0, 0),
        latency_model=StaticLatencyModel(base_latency_nanos=1),
    )
    return engine


def play(
    catalog_path: Path, instruments: Sequence[str], equip: Callable[[BacktestEngine], None]
) -> tuple[BacktestEngine, Spent]:
    """Run whatever ``equip`` puts into a fresh engine over a whole catalog."""
    catalog = Catalog(catalog_path)
    gc.collect()
    started, inside, bars_seen = time.process_time(), 0.0, 0
    engine = make_engine()
    for name in instruments:
        engine.add_instrument(catalog.instrument(name))
    equip(engine)
    for stretch in Playback(catalog, bar_types(instruments), None, None).stretches():
        for bars, quotes in stretch.series:
            bars_seen += len(bars)
            engine.add_data(bars, validate=False, sort=False)
            engine.add_data(quotes, validate=False, sort=False)
        engine.sort_data()
        entered = time.process_time()
        engine.run(streaming=True)
        inside += time.process_time() - entered
        engine.clear_data()
    engine.end()
    return engine, Spent(time.process_time() - started, inside, bars_seen)


def bar_types(instruments: Sequence[str]) -> list[str]:
    """Series of the instruments."""
    return [bar_type(name, "1-MINUTE") for name in instruments]


class PlainConfig(StrategyConfig):
    """Names the series."""

    def __new__(cls, *_: object) -> "PlainConfig":
        make: Any = super().__new__  # the engine's config is built here, but its stub declares an __init__
        new: PlainConfig = make(cls, strategy_id=StrategyId("PLAIN-001"))
        return new

    def __init__(self, instruments: Sequence[str]) -> None:
        self.instruments = tuple(instruments)


class EmptyStrategy(Strategy):
    """Takes every bar and does nothing."""

    def __init__(self, config: PlainConfig) -> None:
        super().__init__(config)
        self._bar_types = bar_types(config.instruments)
        self.bars = 0

    def on_start(self) -> None:
        for name in self._bar_types:
            self.subscribe_bars(BarType.from_str(name))

    def on_bar(self, _bar: Bar) -> None:
        self.bars += 1


class SmaCross(EmptyStrategy):
    """The usual first strategy, as one would write it straight on the engine: always in, one unit."""

    def __init__(self, config: PlainConfig) -> None:
        super().__init__(config)
        self._instrument_id = InstrumentId.from_str(config.instruments[0])
        self._closes = [0.0] * 100
        self._fast = self._slow = 0.0
        self._side = 0
        self.trades = 0

    def on_bar(self, bar: Bar) -> None:
        close, at = float(bar.close), self.bars % 100
        self._slow += close - self._closes[at]
        self._fast += close - self._closes[at - 20]
        self._closes[at] = close
        self.bars += 1
        if self.bars < 100:
            return
        side = 1 if self._fast / 20 > self._slow / 100 else -1
        if side != self._side:
            self._trade(side, Quantity(2.0 if self._side else 1.0, 5))
            self._side = side

    def _trade(self, side: int, quantity: Any) -> None:
        order_side = OrderSide.BUY if side > 0 else OrderSide.SELL
        self.submit_order(self.order_factory.market(self._instrument_id, order_side, quantity))
        self.trades += 1
