"""One strategy's book: what it holds, what it paid, what it is worth.

Flow: fills, closes → **portfolio** → observation, sizing, guardrails.

Several strategies share one account at the venue; each keeps a ledger of its own, built from its own
fills alone, so profit and loss are attributed exactly and the ledgers' sum is the account's.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from strategies.errors import SafetyError
from strategies.market import BarRow, Instrument

VOLATILITY_HALFLIFE_BARS = 64
"""Half-life of the running volatility of the book's own returns."""

_DECAY = 0.5 ** (1.0 / VOLATILITY_HALFLIFE_BARS)

_DERIVED = ("_decimals", "_weights")
"""What follows from the instruments or from the rest of the state."""


class Ledger:
    """Positions, cash and equity of one strategy, from fills and closes only.

    Costs are cash that is gone: ``equity = cash + Σ position · close``. Profit realised and not
    realised are reported gross, fees beside them: ``equity = capital + realised + unrealised - fees``.

    Args:
        instruments: In configuration order; indexes below refer to it.
        capital_quote: The strategy's share of the account at the start, quote currency.
    """

    __slots__ = (
        "_decimals",
        "_last_equity",
        "_traded_notional",
        "_variance",
        "_weights",
        "average_prices",
        "bars_held",
        "capital",
        "cash",
        "closes",
        "drawdown",
        "equity",
        "fees",
        "gross_exposure",
        "net_exposure",
        "peak_equity",
        "positions",
        "realised",
        "turnover",
        "unrealised",
    )

    def __init__(self, instruments: Sequence[Instrument], capital_quote: float) -> None:
        count = len(instruments)
        self._decimals = [instrument.quantity_decimals for instrument in instruments]
        self.capital = capital_quote
        self.cash = capital_quote
        self.positions = [0.0] * count
        self.average_prices = [0.0] * count
        self.closes = [0.0] * count
        self.bars_held = [0] * count
        self.realised = 0.0
        self.unrealised = 0.0
        self.fees = 0.0
        self.equity = capital_quote
        self.peak_equity = capital_quote
        self.drawdown = 0.0
        self.gross_exposure = 0.0
        self.net_exposure = 0.0
        self.turnover = 0.0
        self._traded_notional = 0.0
        self._last_equity = capital_quote
        self._variance = 0.0
        self._weights: tuple[float, ...] | None = None

    def apply_fill(self, index: int, quantity: float, price: float, fee: float) -> None:
        """Book one execution.

        Args:
            index: Position of the instrument.
            quantity: Base units, positive for a purchase, negative for a sale.
            price: Quote currency per base unit.
            fee: Everything charged for it, quote currency; negative for a rebate.

        Raises:
            ValueError: If a number is not finite, the price not positive or the quantity zero; nothing
                is booked.
        """
        if (
            not (math.isfinite(quantity) and math.isfinite(fee))
            or quantity == 0.0
            or not 0.0 < price < math.inf
        ):
            raise ValueError(
                f"a fill needs a non-zero quantity, a positive price and a finite fee; "
                f"found quantity {quantity}, price {price}, fee {fee}"
            )
        held = self.positions[index]
        after = round(held + quantity, self._decimals[index])
        if held * quantity < 0.0:
            closed = min(abs(quantity), abs(held))
            self.realised += math.copysign(closed, held) * (price - self.average_prices[index])
            if held * after < 0.0:
                self.average_prices[index] = price
        else:
            cost = abs(held) * self.average_prices[index] + abs(quantity) * price
            self.average_prices[index] = cost / (abs(held) + abs(quantity))
        if after == 0.0:
            self.average_prices[index] = 0.0
            self.bars_held[index] = 0
        elif held * after <= 0.0:
            self.bars_held[index] = 0
        self.positions[index] = after
        self.cash -= quantity * price + fee
        self.fees += fee
        self._traded_notional += abs(quantity) * price
        if self.closes[index] == 0.0:
            self.closes[index] = price
        self._revalue()

    def charge(self, amount: float) -> None:
        """Take a cost that belongs to no fill, such as a borrow fee, from cash."""
        self.cash -= amount
        self.fees += amount
        self._revalue()

    def mark(self, closes: Sequence[float]) -> None:
        """Value the book at the closes of a bar and advance what is counted in bars.

        Args:
            closes: One price per instrument, shape (N,), quote currency.
        """
        self.closes[:] = closes
        for index, position in enumerate(self.positions):
            if position != 0.0:
                self.bars_held[index] += 1
        self._revalue()
        self.peak_equity = max(self.peak_equity, self.equity)
        self.drawdown = 1.0 - self.equity / self.peak_equity
        last = self._last_equity
        change = self.equity / last - 1.0 if last > 0.0 else 0.0
        self._variance = _DECAY * self._variance + (1.0 - _DECAY) * change * change
        self.turnover = self._traded_notional / last if last > 0.0 else 0.0
        self._traded_notional = 0.0
        self._last_equity = self.equity

    def mark_bars(self, bars: Sequence[BarRow | None]) -> None:
        """Value the book at the bars that are there and have a price; the rest stays at its last close.

        Args:
            bars: One per instrument, shape (N,).
        """
        closes = list(self.closes)
        for index, bar in enumerate(bars):
            if bar is not None and 0.0 < bar.close < math.inf:
                closes[index] = bar.close
        self.mark(closes)

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain JSON values."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__ if name not in _DERIVED}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave.

        Raises:
            SafetyError: If it is damaged or of another number of instruments. The state is unchanged.
        """
        names = [name for name in self.__slots__ if name not in _DERIVED]
        count = len(self.positions)
        try:
            values = {name: _same_shape(snapshot[name], getattr(self, name), count) for name in names}
        except (KeyError, TypeError, ValueError) as error:
            raise SafetyError(
                f"expected a snapshot of a book of {count} instruments, found a damaged one ({error!r}); "
                "what is held is unknown, so trading must not start from it"
            ) from error
        for name, value in values.items():
            setattr(self, name, value)
        self._weights = None

    @property
    def rolling_volatility(self) -> float:
        """Running standard deviation of the book's return per bar."""
        return math.sqrt(self._variance)

    def weights(self) -> tuple[float, ...]:
        """Value of each position as a signed fraction of equity; zeros when equity is gone."""
        if self._weights is None:
            self._weights = self._weigh()
        return self._weights

    def _weigh(self) -> tuple[float, ...]:
        equity = self.equity
        if equity <= 0.0:
            return (0.0,) * len(self.positions)
        closes = self.closes
        return tuple([position * closes[index] / equity for index, position in enumerate(self.positions)])

    def _revalue(self) -> None:
        self._weights = None
        gross = net = unrealised = 0.0
        for index, position in enumerate(self.positions):
            if position != 0.0:
                close = self.closes[index]
                value = position * close
                net += value
                gross += abs(value)
                unrealised += position * (close - self.average_prices[index])
        self.gross_exposure = gross
        self.net_exposure = net
        self.unrealised = unrealised
        self.equity = self.cash + net


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def _same_shape(found: Any, like: Any, count: int) -> Any:
    """A value of a snapshot, as the attribute that it is for: finite, and a list where that is one."""
    if isinstance(like, list):
        kind = type(like[0])
        values = [kind(one) for one in found]
        if len(values) != count or not all(map(math.isfinite, values)):
            raise ValueError(f"expected {count} finite numbers, found {found}")
        return values
    if not math.isfinite(found):
        raise ValueError(f"expected a finite number, found {found}")
    return float(found)
