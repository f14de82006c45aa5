"""What holds trading back: restrictions, each with a scope, a reason, and somebody who imposed it.

A restriction is a plain value: it can be written to a file, read back and compared. Which of them apply,
and what state they amount to, is the business of `strategies.gate`.
"""

from collections.abc import Callable, Collection, Iterator
from enum import StrEnum
from typing import NamedTuple

from strategies.trading_state import TradingState

SEVERITY = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
"""Order of the states; the strictest is the highest."""


class ScopeKind(StrEnum):
    """How far a restriction reaches; a later one is narrower."""

    ALL = "all"
    VENUE = "venue"
    STRATEGY = "strategy"
    INSTRUMENT = "instrument"


class Scope(NamedTuple):
    """What a restriction applies to; written ``all``, ``venue:X``, ``strategy:X`` or ``instrument:X``."""

    kind: ScopeKind
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read a scope as an operator writes it.

        Raises:
            ValueError: If it is none.
        """
        word, colon, name = text.partition(":")
        known = {kind.value: kind for kind in ScopeKind}
        is_all = word == ScopeKind.ALL
        if word not in known or is_all == bool(colon) or is_all == bool(name) or name != name.strip():
            raise ValueError(
                f"expected the scope all, venue:NAME, strategy:NAME or instrument:ID, found {text!r}"
            )
        return cls(known[word], name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    def covers(self, strategy: str | None, instrument_id: str | None) -> bool:
        """Whether it reaches an instrument as traded by a strategy; None is none in particular."""
        match self.kind:
            case ScopeKind.ALL:
                return True
            case ScopeKind.STRATEGY:
                return self.name == strategy
            case ScopeKind.INSTRUMENT:
                return self.name == instrument_id
            case ScopeKind.VENUE:
                return instrument_id is not None and self.name == instrument_id.rpartition(".")[2]


EVERYTHING = Scope(ScopeKind.ALL)


class Origin(StrEnum):
    """Where a restriction comes from, and so what it takes to lift it."""

    OPERATOR = "operator"
    """A kill; an operator resumes it."""
    AUTOMATIC = "automatic"
    """A limit or a fault; an operator resumes it once it has cooled down."""
    PAUSE = "pause"
    """An operator paused a strategy, and unpauses it."""
    SESSION = "session"
    """This process is on its way out; the next one knows nothing of it."""


class Restriction(NamedTuple):
    """One reason why trading is not ACTIVE somewhere."""

    scope: Scope
    state: TradingState
    """REDUCING or HALTED."""
    reason: str
    """For the operator."""
    who: str
    """Operator, command line, signal or file; for an automatic one, its cause."""
    ts_ns: int
    """When it was imposed, wall clock, UTC nanoseconds."""
    origin: Origin = Origin.OPERATOR
    until_ts: int | None = None
    """Market time, UTC nanoseconds, from which it no longer holds and before which nobody can lift it (a
    day's loss ends with the day); None holds until it is lifted."""

    @property
    def automatic(self) -> bool:
        """Whether no person imposed it."""
        return self.origin is Origin.AUTOMATIC


type _Place = tuple[Scope, Origin, str]


class RestrictionSet:
    """Restrictions that hold together.

    A scope has at most one restriction of an operator, one pause, and one for each automatic cause. Of two
    for the same place the stricter stays; of two equally strict ones the first, with its reason.
    """

    def __init__(self) -> None:
        self._held: dict[_Place, Restriction] = {}

    def __iter__(self) -> Iterator[Restriction]:
        """All restrictions, in the order in which their places were first taken."""
        return iter(tuple(self._held.values()))

    def hold(self, new: Restriction) -> bool:
        """Add a restriction.

        Returns:
            Whether anything changed; not where one as strict is held already.
        """
        if SEVERITY[new.state] == 0:
            return False
        place = _place(new)
        held = self._held.get(place)
        if held is not None and not _replaces(new, held):
            return False
        self._held[place] = new
        return True

    def lift(self, scope: Scope, origins: Collection[Origin]) -> tuple[Restriction, ...]:
        """Take away what is held for exactly this scope, but for what only time ends.

        Returns:
            What was taken away.
        """
        return self._remove(lambda one: one.scope == scope and one.origin in origins and one.until_ts is None)

    def expire(self, market_ts: int) -> tuple[Restriction, ...]:
        """Take away what a market time has ended.

        Returns:
            What was taken away.
        """
        return self._remove(lambda one: one.until_ts is not None and one.until_ts <= market_ts)

    def copy(self) -> "RestrictionSet":
        """The same restrictions, in a set of their own."""
        twin = RestrictionSet()
        twin._held = dict(self._held)
        return twin

    def _remove(self, ends: Callable[[Restriction], bool]) -> tuple[Restriction, ...]:
        ended = {place: one for place, one in self._held.items() if ends(one)}
        for place in ended:
            del self._held[place]
        return tuple(ended.values())


def _place(one: Restriction) -> _Place:
    return one.scope, one.origin, one.who if one.automatic else ""


def _replaces(new: Restriction, held: Restriction) -> bool:
    if SEVERITY[new.state] != SEVERITY[held.state]:
        return SEVERITY[new.state] > SEVERITY[held.state]
    return held.until_ts is not None and (new.until_ts is None or new.until_ts > held.until_ts)
