"""The trading state as everything that sends orders sees it.

Trading is ACTIVE where nothing restricts it. Of the restrictions that apply (to everything, to the venue,
to the strategy, to the instrument) the strictest wins. A restriction acts at once, and nothing here turns
trading back on by itself: it goes only when somebody lifts its scope by name.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

from strategies.guardrails import TradingState
from strategies.restrictions import (
    EVERYTHING,
    SEVERITY,
    Origin,
    Restriction,
    RestrictionSet,
    Scope,
    ScopeKind,
)

_NARROWNESS = {kind: rank for rank, kind in enumerate(ScopeKind)}


class TradingGate:
    """Trading state of a host, of its venues, strategies and instruments.

    Asked at every decision, at the door and at the venue's client, so answers are kept until something
    changes.

    Args:
        armed: Whether orders may leave at all; a live host starts disarmed.
        now: Wall clock, UTC nanoseconds, that stamps what `restrict` imposes; None stamps 0.
    """

    def __init__(self, *, armed: bool, now: Callable[[], int] | None = None) -> None:
        self.armed = armed
        self.reconciled = True
        self.doubtful: frozenset[str] = frozenset()
        """Instruments of which our books and the venue's say something else."""
        self.on_hold: Callable[[Restriction], None] | None = None
        """Told of every new restriction once it acts, so that it can be made durable."""
        self._now = now
        self._held = RestrictionSet()
        self._known: dict[tuple[str | None, str | None], Restriction | None] = {}
        self._is_split = False
        """Whether the state may differ between the instruments of a strategy."""

    def state(self, strategy: str | None = None, instrument_id: str | None = None) -> TradingState:
        """Strictest state that applies.

        Args:
            strategy: None asks for no strategy in particular.
            instrument_id: None leaves out restrictions of venues and instruments.
        """
        strictest = self._strictest(strategy, instrument_id)
        return TradingState.ACTIVE if strictest is None else strictest.state

    def states(self, strategy: str, instrument_ids: Iterable[str]) -> Sequence[TradingState]:
        """State of each instrument of a strategy; empty where `state` of the strategy says it for all."""
        if not self._is_split:
            return ()
        return tuple([self.state(strategy, instrument_id) for instrument_id in instrument_ids])

    def reason(self, strategy: str | None = None, instrument_id: str | None = None) -> str:
        """Why the state is what it is: of equally strict reasons, that of the narrowest scope."""
        strictest = self._strictest(strategy, instrument_id)
        return "" if strictest is None else strictest.reason

    def objection(self, strategy: str, instrument_id: str, *, reduces: bool) -> str:
        """Why an order must not leave; empty where nothing speaks against it.

        Args:
            reduces: Whether it only takes back what our books say is held: that may always leave, unless the
                books are in doubt. An operator's flatten goes by the venue's word, so nobody asks about it.
        """
        if instrument_id in self.doubtful:
            return f"our books and the venue's differ about {instrument_id}"
        if reduces:
            return ""
        state = self.state(strategy, instrument_id)
        if state is not TradingState.ACTIVE:
            return f"trading state {state.value}: {self.reason(strategy, instrument_id)}"
        if not self.armed:
            return "not armed"
        return "" if self.reconciled else "our books and the venue's differ"

    @property
    def restrictions(self) -> tuple[Restriction, ...]:
        """Everything that is held, in the order in which it came."""
        return tuple(self._held)

    def hold(self, restriction: Restriction) -> bool:
        """Restrict trading from now on; what is looser than what holds there changes nothing.

        Returns:
            Whether anything changed.
        """
        if not self._held.hold(restriction):
            return False
        self._forget()
        if self.on_hold is not None:
            self.on_hold(restriction)
        return True

    def restrict(self, state: TradingState, reason: str, strategy: str | None = None) -> None:
        """Restrict a strategy, or everything, because of a fault.

        Args:
            state: REDUCING or HALTED.
            reason: For the operator; kept from the first fault of that severity.
            strategy: None restricts everything.
        """
        scope = EVERYTHING if strategy is None else Scope(ScopeKind.STRATEGY, strategy)
        ts_ns = 0 if self._now is None else self._now()
        self.hold(Restriction(scope, state, reason, "fault", ts_ns, Origin.AUTOMATIC))

    def lift(self, scope: Scope, origins: Collection[Origin]) -> tuple[Restriction, ...]:
        """Take away what is held for exactly this scope; only ever called for an operator's command.

        Returns:
            What was taken away; what only time ends stays.
        """
        lifted = self._held.lift(scope, origins)
        self._forget()
        return lifted

    def expire(self, market_ts: int) -> tuple[Restriction, ...]:
        """Take away what a market time has ended.

        Returns:
            What was taken away.
        """
        expired = self._held.expire(market_ts)
        self._forget()
        return expired

    def _strictest(self, strategy: str | None, instrument_id: str | None) -> Restriction | None:
        asked = (strategy, instrument_id)
        if asked not in self._known:
            applying = (one for one in self._held if one.scope.covers(strategy, instrument_id))
            self._known[asked] = max(applying, key=_rank, default=None)
        return self._known[asked]

    def _forget(self) -> None:
        self._known.clear()
        split = (ScopeKind.VENUE, ScopeKind.INSTRUMENT)
        self._is_split = any(one.scope.kind in split for one in self._held)


def _rank(one: Restriction) -> tuple[int, int]:
    return SEVERITY[one.state], _NARROWNESS[one.scope.kind]
