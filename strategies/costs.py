"""What a trade costs: the one model that the backtest, the paper venue and the training environment charge.

Flow: config → **costs** → fills in every mode, rewards in training.

A fill pays commission, the venue's fee, half the spread and its own impact on the price; a short
position pays for what it borrows. Passive fills (makers) pay neither spread nor impact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from strategies.config import CostConfig
from strategies.market import Instrument

YEAR_NS = 365 * 86_400 * 10**9
"""A calendar year of 365 days; borrowed instruments cost money on every one of them."""

_BPS = 1e-4


@dataclass(frozen=True, slots=True)
class CostBreakdown:
    """The cost of one fill by cause, quote currency; only `fee` can be negative, a maker's rebate."""

    commission: float
    """Per unit traded."""
    fee: float
    """The venue's maker or taker fee."""
    half_spread: float
    """From the middle to the side of the book that was taken."""
    impact: float
    """By how much the trade moved the price against itself."""

    @property
    def total(self) -> float:
        """Sum of all causes, quote currency."""
        return self.commission + self.fee + self.half_spread + self.impact

    def bps(self, notional: float) -> float:
        """Express the total in basis points.

        Args:
            notional: Value of the fill, quote currency, any sign; 0 costs 0.
        """
        return self.total / abs(notional) / _BPS if notional else 0.0


class CostModel:
    """Prices fills and short positions.

    With notional = |quantity| · price, in quote currency:

        commission  = commission_per_unit · |quantity|
        fee         = fee_bps / 1e4 · notional                          (the maker's or the taker's)
        half_spread = half_spread_bps / 1e4 · notional                  (takers)
        impact      = impact_k · sqrt(participation) / 1e4 · notional   (takers)

    participation is |quantity| / bar volume; a bar without volume counts as participation 1. Half the
    spread is charged once a fill, so a round trip of two takers pays the whole spread: 2 · half_spread_bps.

    Args:
        config: Rates; a fee that is None is taken from each instrument.
        instruments: In configuration order; indexes below refer to it.
    """

    __slots__ = (
        "_borrow_annual_frac",
        "_commission",
        "_half_spread_bps",
        "_impact_k",
        "_maker_bps",
        "_taker_bps",
    )

    def __init__(self, config: CostConfig, instruments: Sequence[Instrument]) -> None:
        maker, taker = config.maker_fee_bps, config.taker_fee_bps
        self._maker_bps = [i.maker_fee_bps if maker is None else maker for i in instruments]
        self._taker_bps = [i.taker_fee_bps if taker is None else taker for i in instruments]
        self._commission = config.commission_per_unit
        self._half_spread_bps = config.half_spread_bps
        self._impact_k = config.impact_k
        self._borrow_annual_frac = config.borrow_annual_frac

    def trade_cost(
        self, index: int, quantity: float, price: float, bar_volume: float, *, is_maker: bool
    ) -> CostBreakdown:
        """Price one fill.

        Args:
            index: Position of the instrument.
            quantity: Base units, any sign.
            price: Price before spread and impact, quote currency per base unit.
            bar_volume: Volume of the bar in which the fill happens, base units.
            is_maker: Whether the fill provided liquidity.

        Raises:
            ValueError: If the quantity is not finite or the price not positive and finite.
        """
        _check(quantity, price)
        size = abs(quantity)
        notional = size * price
        commission = self._commission * size
        if is_maker:
            return CostBreakdown(commission, self._maker_bps[index] * _BPS * notional, 0.0, 0.0)
        return CostBreakdown(
            commission,
            self._taker_bps[index] * _BPS * notional,
            self._half_spread_bps * _BPS * notional,
            self._impact_bps(size, bar_volume) * _BPS * notional,
        )

    def borrow_cost(self, short_value: float, dt_ns: int) -> float:
        """What holding short positions costs over a span of time, quote currency.

        Args:
            short_value: Absolute value of what is short, quote currency.
            dt_ns: The span, nanoseconds.

        Raises:
            ValueError: If either is negative: a borrow fee is never income.
        """
        if not (short_value >= 0.0 and dt_ns >= 0):
            raise ValueError(f"expected short_value >= 0 and dt_ns >= 0, found {short_value} and {dt_ns}")
        return short_value * self._borrow_annual_frac * (dt_ns / YEAR_NS)

    def _impact_bps(self, size: float, bar_volume: float) -> float:
        participation = size / bar_volume if bar_volume > 0.0 else 1.0
        return self._impact_k * math.sqrt(participation) if size else 0.0


def _check(quantity: float, price: float) -> None:
    if not (math.isfinite(quantity) and 0.0 < price < math.inf):
        raise ValueError(
            f"expected a finite quantity and a positive, finite price, found {quantity} and {price}"
        )
