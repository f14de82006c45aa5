"""One trade as the guardrails see it: split into the part that reduces and the part that adds risk.

The split is made from the position, never from what the trade says of itself. Orders that are not
filled yet are taken at their worst: what is being bought may fill while what is being sold does not.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from strategies.config import GuardrailConfig
from strategies.errors import SafetyError
from strategies.guardrails.book import RiskBook
from strategies.guardrails.context import GuardrailContext
from strategies.guardrails.verdict import GuardrailReason
from strategies.market import Instrument
from strategies.sizing import Trade

LOT_ROUNDING = 1e-6
"""Share of a lot below which a difference of quantities is the noise of floating point."""


class Finding(NamedTuple):
    """A guardrail's objection."""

    reason: GuardrailReason
    limit: float
    value: float
    room: float = 0.0
    """Base units of added risk that the limit still leaves; 0 or less (or NaN) refuses all of it."""


class Listing(NamedTuple):
    """What is fixed about an instrument, prepared once."""

    instrument: Instrument
    lot: float
    """Smallest quantity step, base units."""
    min_quantity: float
    """Smallest order, base units."""
    min_notional: float
    """Smallest order, quote currency."""
    others: tuple[int, ...]
    """All other instruments, by index."""
    peers: tuple[int, ...]
    """Those of its sector; empty where it has none."""


class Proposal:
    """A trade beside what it would change.

    Args:
        trade: What sizing wants.
        context: The moment.
        book: The strategy's memory.
        limits: Its limits.
        listing: The traded instrument.

    Raises:
        SafetyError: If quantities still to fill are negative, which turns every sum below around.
    """

    __slots__ = (
        "adding",
        "book",
        "buys",
        "context",
        "exposed",
        "held",
        "index",
        "limits",
        "listing",
        "price",
        "quiet",
        "reducing",
        "size",
        "trade",
    )

    def __init__(
        self,
        trade: Trade,
        context: GuardrailContext,
        book: RiskBook,
        limits: GuardrailConfig,
        listing: Listing,
    ) -> None:
        index = trade.index
        self.trade = trade
        self.context = context
        self.book = book
        self.limits = limits
        self.listing = listing
        self.index = index
        self.buys = trade.quantity > 0.0
        self.size = size = abs(trade.quantity)
        self.held = float(context.positions[index])
        """Signed position, base units."""
        self.quiet = not (book.reserved.any or len(context.working_buys) or len(context.working_sells))
        """Whether nothing is on its way: the positions are all there is."""
        ahead = (self.held if self.buys else -self.held) if self.quiet else float(self.stands(index))
        if not math.isfinite(ahead) or ahead >= 0.0:
            reducing = 0.0
        elif size + ahead <= listing.lot * LOT_ROUNDING:
            reducing = size
        else:
            reducing = -ahead
        self.reducing = reducing
        """Base units that take exposure away."""
        self.adding = size - reducing
        """Base units that add exposure."""
        self.exposed = ahead + reducing
        """Base units held, or being bought, in the trade's direction before it adds to them; at least 0."""
        self.price = trade.price
        """Worst of reference, close and the side that is taken; set by the chain for what adds risk."""

    def stands(self, index: int) -> float:
        """Position once every order in the trade's direction has filled, base units, seen from there.

        Positive is exposure in the trade's direction, negative is what the trade may still reduce.
        """
        context, reserved = self.context, self.book.reserved
        held = context.positions[index]
        if self.buys:
            ahead, reached, working = held, reserved.highs[index], context.working_buys
            if reached is not None and reached > ahead:
                ahead = reached
        else:
            ahead, reached, working = -held, reserved.lows[index], context.working_sells
            if reached is not None and -reached > ahead:
                ahead = -reached
        return ahead + _working(working, index) if len(working) else ahead

    def worst_quote(self, indexes: tuple[int, ...]) -> float:
        """Largest sum of absolute values that the positions of some instruments may reach, quote currency."""
        positions, closes = self.context.positions, self.context.closes
        total = 0.0
        for index in indexes:
            reach = abs(positions[index]) if self.quiet else self._reach(index)
            total += reach * closes[index]
        return total

    def directed_quote(self, indexes: tuple[int, ...]) -> float:
        """Largest sum of values that they may reach in the direction of the trade; negative against it."""
        positions, closes = self.context.positions, self.context.closes
        total = 0.0
        for index in indexes:
            if self.quiet:
                ahead = positions[index] if self.buys else -positions[index]
            else:
                ahead = self.stands(index)
            total += ahead * closes[index]
        return total

    def _reach(self, index: int) -> float:
        context, reserved = self.context, self.book.reserved
        high = low = context.positions[index]
        highest, lowest = reserved.highs[index], reserved.lows[index]
        if highest is not None:
            high = max(high, highest)
        if lowest is not None:
            low = min(low, lowest)
        if len(context.working_buys):
            high += _working(context.working_buys, index)
        if len(context.working_sells):
            low -= _working(context.working_sells, index)
        return max(high, -low)

    def cut(self, reason: GuardrailReason, limit_quote: float, others_quote: float) -> Finding | None:
        """Compare a sum of exposures, which this trade raises, with its limit.

        Args:
            limit_quote: Largest sum.
            others_quote: The sum without this instrument, in the direction of the trade.
        """
        value = others_quote + (self.exposed + self.adding) * self.price
        if value <= limit_quote:
            return None
        return Finding(reason, limit_quote, value, (limit_quote - others_quote) / self.price - self.exposed)


type Guardrail = Callable[[Proposal], Finding | None]
"""Looks at one thing; None where it has nothing to say."""


def _working(quantities: Sequence[float], index: int) -> float:
    quantity = quantities[index]
    if not quantity >= 0.0:
        raise SafetyError(
            f"expected quantities still to fill of at least 0, found {quantity} for instrument {index}; "
            "pass sales as positive numbers"
        )
    return quantity
