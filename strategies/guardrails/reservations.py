"""What was approved at this bar and may not be in the positions yet.

All trades of a bar are checked before the first of them is filled. Without a note of what was already
approved, two trades that each fit a limit would exceed it together; so every approval is reserved at
once, whether or not its order is sent in the end, and released when the next bar marks the book.
"""

from collections.abc import Mapping
from typing import Any

_VECTORS = ("highs", "lows", "traded", "opened", "unsent")


class Reservations:
    """Approvals of the present bar, by instrument.

    Args:
        num_instruments: Length of the vectors.
    """

    __slots__ = ("any", "highs", "lows", "opened", "orders", "traded", "unsent")

    def __init__(self, num_instruments: int) -> None:
        self.highs: list[float | None] = [None] * num_instruments
        """Signed position once all approved buys have filled; None without any."""
        self.lows: list[float | None] = [None] * num_instruments
        """Signed position once all approved sales have filled; None without any."""
        self.traded = [0.0] * num_instruments
        """Base units approved, both sides added up."""
        self.opened = [False] * num_instruments
        """Whether risk was added at this bar."""
        self.unsent = [0.0] * num_instruments
        """Quote currency of the approvals whose order was not reported as sent."""
        self.orders = 0
        """How many approvals those are."""
        self.any = False
        """Whether anything is reserved."""

    @property
    def notional(self) -> float:
        """Quote currency of the approvals whose order was not reported as sent."""
        return sum(self.unsent) if self.any else 0.0

    def reserve(self, index: int, quantity: float, notional: float, held: float, adds: bool) -> None:
        """Note an approval.

        Args:
            quantity: Signed base units.
            notional: Quote currency.
            held: Signed position at the time, base units.
            adds: Whether any part of it adds risk.
        """
        # What filled since the first approval is in `held` already and must not count twice.
        reach = self.highs if quantity > 0.0 else self.lows
        reached = reach[index]
        reach[index] = (held if reached is None else reached) + quantity
        self.traded[index] += abs(quantity)
        if adds:
            self.opened[index] = True
        self.unsent[index] += notional
        self.orders += 1
        self.any = True

    def note_sent(self, index: int, notional: float) -> None:
        """Move an approval to what was sent; the book counts it from now on."""
        self.unsent[index] = max(0.0, self.unsent[index] - notional)
        self.orders = max(0, self.orders - 1)

    def clear(self) -> None:
        """Release everything: a new bar."""
        count = len(self.highs)
        self.highs = [None] * count
        self.lows = [None] * count
        self.traded = [0.0] * count
        self.opened = [False] * count
        self.unsent = [0.0] * count
        self.orders = 0
        self.any = False

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain JSON values."""
        vectors = {name: list(getattr(self, name)) for name in _VECTORS}
        return {**vectors, "orders": self.orders, "any": self.any}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `snapshot` gave.

        Raises:
            ValueError: If it was made for another number of instruments.
        """
        count = len(self.highs)
        for name in _VECTORS:
            vector = list(state[name])
            if len(vector) != count:
                raise ValueError(f"reserved.{name}: expected {count} instruments, found {len(vector)}")
            setattr(self, name, vector)
        self.orders = int(state["orders"])
        self.any = bool(state["any"])
