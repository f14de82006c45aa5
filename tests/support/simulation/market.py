"""Prices of a run: drawn once, known to the venue and, at each close, to the bot."""

import random
from decimal import Decimal

from strategies.market import Instrument
from tests.support.simulation.schedule import SECOND_NS
from tests.support.simulation.weather import Weather

READINGS_A_BAR = 2

INSTRUMENTS = tuple(
    Instrument(
        instrument_id=f"{base}USDT.SIM",
        base_currency=base,
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(10),
        maker_fee_bps=1.0,
        taker_fee_bps=2.0,
        shortable=False,
    )
    for base in ("ALPHA", "BETA")
)
INDEX = {instrument.instrument_id: index for index, instrument in enumerate(INSTRUMENTS)}


class Market:
    """A path for each instrument, with gaps."""

    def __init__(self, rng: random.Random, weather: Weather) -> None:
        self.step_ns = weather.bar_secs * SECOND_NS // READINGS_A_BAR
        self._start_ns = weather.start_ns
        prices = [rng.uniform(20.0, 200.0) for _ in INSTRUMENTS]
        self._paths: list[list[float]] = [[round(price, 2)] for price in prices]
        for _ in range((weather.bars + 40) * READINGS_A_BAR):
            for index, price in enumerate(prices):
                width = 0.15 if rng.random() < weather.jump else 0.004
                prices[index] = price * (1.0 + rng.uniform(-width, width))
                self._paths[index].append(round(prices[index], 2))

    def price(self, index: int, ts_ns: int) -> float:
        """Newest price at a time; the last one holds for ever."""
        path = self._paths[index]
        return path[max(0, min((ts_ns - self._start_ns) // self.step_ns, len(path) - 1))]

    def closes(self, ts_ns: int) -> list[float]:
        """One price per instrument."""
        return [self.price(index, ts_ns) for index in range(len(INSTRUMENTS))]
