"""The trading state as the door sees it: one latch for all, and one for each strategy.

The strictest state wins. A manual halt acts at once; nothing here turns trading back on by itself.
"""

from strategies.guardrails import TradingState

_SEVERITY = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}


class TradingGate:
    """Trading state of a host and of each of its strategies.

    Args:
        armed: Whether orders may leave at all; a live host starts disarmed.
    """

    def __init__(self, *, armed: bool) -> None:
        self.armed = armed
        self.reconciled = True
        self._all = (TradingState.ACTIVE, "")
        self._strategies: dict[str, tuple[TradingState, str]] = {}

    def state(self, strategy: str | None = None) -> TradingState:
        """Strictest state that applies to a strategy, or to the host alone."""
        host = self._all[0]
        own = self._strategies.get(strategy, (TradingState.ACTIVE, ""))[0] if strategy else host
        return max(host, own, key=_SEVERITY.__getitem__)

    def reason(self, strategy: str | None = None) -> str:
        """Why the state is what it is: the stricter one's reason, the strategy's own where both are equal."""
        if strategy is None:
            return self._all[1]
        own = self._strategies.get(strategy, (TradingState.ACTIVE, ""))
        return max(own, self._all, key=lambda held: _SEVERITY[held[0]])[1]

    def restrict(self, state: TradingState, reason: str, strategy: str | None = None) -> None:
        """Tighten the state; a looser one than what holds is ignored.

        Args:
            state: REDUCING or HALTED.
            reason: For the operator; kept from the first restriction of that severity.
            strategy: None restricts everything.
        """
        held = self._all if strategy is None else self._strategies.get(strategy, (TradingState.ACTIVE, ""))
        if _SEVERITY[state] <= _SEVERITY[held[0]]:
            return
        if strategy is None:
            self._all = (state, reason)
        else:
            self._strategies[strategy] = (state, reason)

    def resume(self, strategy: str | None = None) -> None:
        """Back to ACTIVE; only ever called for an operator's explicit command."""
        if strategy is None:
            self._all = (TradingState.ACTIVE, "")
        else:
            self._strategies.pop(strategy, None)
