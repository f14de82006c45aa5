"""Who takes over an order that the node meets for the first time: one strategy at a time, or nobody."""

from collections.abc import Callable, Mapping, Sequence

from nautilus_trader.model import InstrumentId

type Claim = Callable[[Sequence[InstrumentId]], None]
"""``claim(instrument_ids)``: take what the node does not know of these from now on, and of no others.

The engine's name for it is ``Strategy.set_external_order_instrument_ids``.
"""


class OrderClaims:
    """Lets one strategy at a time take over what the node does not know."""

    def __init__(self) -> None:
        self.claimants: Mapping[str, Claim] = {}
        """By engine's id of the strategy; set it once the strategies are in the node, before it runs."""

    def give_to(self, owner: str, instrument_ids: Sequence[InstrumentId]) -> None:
        """Let one strategy claim instruments; where it does not exist (any more), nobody does."""
        self.release()
        if owner in self.claimants:
            self.claimants[owner](instrument_ids)

    def release(self) -> None:
        """Let nobody claim anything."""
        for claim in self.claimants.values():
            claim([])
