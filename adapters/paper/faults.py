"""A line to the paper venue that breaks on purpose, for tests: the venue is honest, the line is not.

Give a `FaultyGateway` to the execution client instead of a `PaperGateway`. What it does is scripted, or drawn
from a seed by `draw_faults`; nothing in it depends on time or chance, so a failure can be played again.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from adapters.paper.book import MarketQuote
from adapters.paper.gateway import Memory, PaperGateway
from adapters.paper.orders import EventKind, Fill, Order, VenueEvent
from adapters.paper.state import CancelAll, Command, Submit
from adapters.paper.venue import PaperVenue


class FaultKind(StrEnum):
    """What goes wrong, once."""

    LOSE_COMMAND = "LOSE_COMMAND"
    """The command never reaches the venue."""
    LATE_COMMAND = "LATE_COMMAND"
    """The command reaches the venue only with `FaultyGateway.release`."""
    LOSE_ANSWER = "LOSE_ANSWER"
    """The venue did what it was asked; the answer is lost."""
    LATE_ANSWER = "LATE_ANSWER"
    """The answer comes only with `FaultyGateway.release`."""
    REPEAT_ANSWER = "REPEAT_ANSWER"
    """The answer comes twice."""
    SWAP_ANSWER = "SWAP_ANSWER"
    """The answer comes after the next one."""
    REJECT = "REJECT"
    """The venue refuses the order."""
    PARTIAL = "PARTIAL"
    """The next quote shows one lot only, so that the order fills in part."""


_ON_COMMAND = (FaultKind.LOSE_COMMAND, FaultKind.LATE_COMMAND, FaultKind.REJECT, FaultKind.PARTIAL)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, with one order, once."""

    kind: FaultKind
    client_order_id: str
    event: str = ""
    """Kind of answer, or of command (Submit, Cancel, Modify), that it hits; empty hits the first."""


class FaultyGateway(PaperGateway):
    """A gateway on which faults happen.

    Args:
        venue: The venue.
        memory: Where it is written down.
        faults: What goes wrong; each fault strikes once, the first of those that fit.
    """

    def __init__(self, venue: PaperVenue, memory: Memory | None, faults: Sequence[Fault]) -> None:
        super().__init__(venue, memory)
        self.faults = list(faults)
        """Faults that have not struck yet."""
        self._is_up = True
        self._is_frozen = False
        self._late: list[VenueEvent] = []
        self._late_commands: list[Command] = []
        self._swapped: list[VenueEvent] = []
        self._refused: list[VenueEvent] = []
        self._scarce: set[str] = set()

    # ---- the line

    def freeze(self) -> None:
        """Let no answer through until `release`; commands still arrive."""
        self._is_frozen = True

    def release(self) -> None:
        """Let through what was held: late commands now, then late answers in their order."""
        self._is_frozen = False
        commands, self._late_commands = self._late_commands, []
        for command in commands:
            super().send(command)
        late, self._late = self._late, []
        if late:
            super()._deliver(late)

    def drop(self) -> None:
        """Break the line: commands and answers are lost until `restore`, questions fail."""
        self._is_up = False

    def restore(self) -> None:
        """Mend the line; the client is told to ask for what it missed."""
        self._is_up = True
        self.resync()

    # ---- what passes

    def send(self, command: Command) -> None:
        """Let a command travel to the venue, or not."""
        fault = self._strike(_names(command), type(command).__name__, on_command=True)
        if not self._is_up or fault is FaultKind.LOSE_COMMAND:
            return
        if fault is FaultKind.LATE_COMMAND:
            self._late_commands.append(command)
            return
        if fault is FaultKind.REJECT and isinstance(command, Submit):
            ts_event = self.venue.state.ts
            self._refused += [
                VenueEvent(EventKind.REJECTED, ts_event, order.client_order_id, None, "FAULT: refused")
                for order in command.orders
            ]
            return
        if fault is FaultKind.PARTIAL and isinstance(command, Submit):
            self._scarce.add(command.orders[0].instrument_id)
        super().send(command)

    def on_quote(self, instrument_id: str, quote: MarketQuote) -> None:
        """Give the venue a quote, a scarce one where an order is to fill in part."""
        if instrument_id in self._scarce:
            self._scarce.discard(instrument_id)
            lot = float(self.venue.instruments[instrument_id].lot_size)
            quote = quote._replace(bid_size=lot, ask_size=lot)
        super().on_quote(instrument_id, quote)

    def find(self, client_order_id: str) -> Order | None:
        """Ask the venue for an order.

        Raises:
            ConnectionError: If the line is down.
        """
        self._require_line()
        return super().find(client_order_id)

    def fills_of(self, client_order_id: str) -> list[Fill]:
        """Ask the venue for an order's executions.

        Raises:
            ConnectionError: If the line is down.
        """
        self._require_line()
        return super().fills_of(client_order_id)

    def settle(self, ts_event: int) -> None:
        """Let the venue work off what has arrived, and refuse what it is told to refuse."""
        super().settle(ts_event)
        refused, self._refused = self._refused, []
        if refused:
            self._deliver(refused)

    def _require_line(self) -> None:
        if not self._is_up:
            raise ConnectionError("the line to the paper venue is down")

    def _deliver(self, events: list[VenueEvent]) -> None:
        if not self._is_up:
            return
        through: list[VenueEvent] = []
        for event in events:
            through += self._passed(event)
        if through:
            super()._deliver(through)

    def _passed(self, event: VenueEvent) -> list[VenueEvent]:
        if self._is_frozen:
            self._late.append(event)
            return []
        fault = self._strike([event.client_order_id], str(event.kind), on_command=False)
        if fault is FaultKind.LOSE_ANSWER:
            return []
        if fault is FaultKind.LATE_ANSWER:
            self._late.append(event)
            return []
        if fault is FaultKind.SWAP_ANSWER:
            self._swapped.append(event)
            return []
        swapped, self._swapped = self._swapped, []
        return [event, *([event] if fault is FaultKind.REPEAT_ANSWER else []), *swapped]

    def _strike(self, names: Sequence[str], event: str, *, on_command: bool) -> FaultKind | None:
        for fault in self.faults:
            fits = fault.client_order_id in names and fault.event in ("", event)
            if fits and (fault.kind in _ON_COMMAND) is on_command:
                self.faults.remove(fault)
                return fault.kind
        return None


def draw_faults(seed: int, client_order_ids: Sequence[str]) -> list[Fault]:
    """Draw one fault for every other order, the same ones for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - not a secret
    kinds = list(FaultKind)
    return [Fault(rng.choice(kinds), name) for name in client_order_ids if rng.random() < 0.5]


def _names(command: Command) -> list[str]:
    if isinstance(command, Submit):
        return [order.client_order_id for order in command.orders]
    return [] if isinstance(command, CancelAll) else [command.client_order_id]
