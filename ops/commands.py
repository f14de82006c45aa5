"""What an operator, a signal, a file or a limit may do to trading; every way in ends here.

    kill     restrict a scope → durable → cancel what could add risk there → (flatten: close, verify, page)
    resume   lift what was imposed on exactly one scope; a separate command that needs a reason
    pause    no new risk for one strategy while it goes on watching; unpause

Protective stops and targets stay at the venue unless the scope is flattened: without them a halt would add
risk. A kill needs neither the disk nor the venue's answer to hold. Nothing that is called here may raise
for want of either.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.flattening import Desk, Flattening
from ops.kill_mode import KillMode
from ops.latch import Recorder, TradingLatch, as_fields
from ops.refusals import RefusedError
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope, ScopeKind

_LOG = logging.getLogger(__name__)

_SECOND_NS = 1_000_000_000
_RESUMABLE = (Origin.OPERATOR, Origin.AUTOMATIC)


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """How patient the commands are."""

    resume_cooldown_secs: float = 300.0
    """After an automatic restriction, how long a resume is refused."""
    flatten_timeout_secs: float = 120.0
    """How long positions may take to close before somebody is paged."""


class TradingCommands:
    """Carries out commands on one host, on its loop.

    Args:
        latch: Where restrictions become durable, and through which they act.
        strategies: Instruments of each strategy, in configuration order.
        limits: Patience.
        now: Wall clock, UTC nanoseconds.
        monotonic: Clock for time-outs, seconds.
        soon: Calls something on the loop once the present callback is done.
        record: Takes note of every command.
        is_switched_off: Whether the kill-switch file is there.
    """

    def __init__(
        self,
        latch: TradingLatch,
        strategies: Mapping[str, Sequence[str]],
        *,
        limits: ControlLimits,
        now: Callable[[], int],
        monotonic: Callable[[], float],
        soon: Callable[[Callable[[], None]], object],
        record: Recorder,
        is_switched_off: Callable[[], bool],
    ) -> None:
        self._latch = latch
        self._strategies = {name: tuple(instruments) for name, instruments in strategies.items()}
        self._limits = limits
        self._now = now
        self._monotonic = monotonic
        self._soon = soon
        self._record = record
        self._is_switched_off = is_switched_off
        self._desks: tuple[Desk, ...] = ()
        self._to_flatten: list[Scope] = []
        self._after_resume: Callable[[Scope], Iterable[str]] = lambda _: ()
        self.flattening = Flattening(
            limits.flatten_timeout_secs,
            monotonic,
            lambda scope: list(self._reached(scope)),
            self._note_flatten,
        )

    def attach(
        self,
        desks: Sequence[Desk],
        *,
        nudge: Callable[[], None] = lambda: None,
        after_resume: Callable[[Scope], Iterable[str]] = lambda _: (),
    ) -> None:
        """Let commands reach the strategies; before, a kill only restricts.

        Args:
            desks: In configuration order.
            nudge: Called while waiting to be flat, for a venue that answers only when it is asked.
            after_resume: Told of a scope that was resumed; names what goes on holding trading back.
        """
        self._desks = tuple(desks)
        self._after_resume = after_resume
        self.flattening.nudge = nudge
        for scope in self._to_flatten:
            self.flattening.begin(scope)

    # -- commands ----------------------------------------------------------------------------------

    def kill(self, scope: Scope, mode: KillMode, *, who: str, reason: str) -> dict[str, Any]:
        """Restrict a scope; again and again is the same as once, and the strictest mode wins.

        When it returns, the restriction holds, was written, and the cancels were sent. A flatten goes on
        by itself; `flattening` says how far it is.

        Returns:
            What was done, as plain JSON values; ``durable`` is false where the disk refused.

        Raises:
            RefusedError: If there is no such venue, strategy or instrument. Nothing was restricted.
        """
        self._check_known(scope)
        began = self._monotonic()
        state = TradingState.REDUCING if mode is KillMode.REDUCE_ONLY else TradingState.HALTED
        changed = self._latch.hold(Restriction(scope, state, reason, who, self._now()))
        written = self._monotonic()
        cancels = self._cancel(scope)
        if mode is KillMode.FLATTEN and self._desks:
            self.flattening.begin(scope)
        elif mode is KillMode.FLATTEN:
            self._to_flatten.append(scope)
        answer = {
            "scope": str(scope),
            "mode": mode.value,
            "trading_state": state.value,
            "changed": changed,
            "durable": self._latch.is_durable,
            "detail": self._latch.fault,
            "latch_ms": round((written - began) * 1e3, 3),
            "cancels_sent": cancels,
            "cancel_ms": round((self._monotonic() - written) * 1e3, 3),
        }
        _LOG.critical("kill %s %s by %s: %s", scope, mode.value, who, reason, extra={"answer": answer})
        self._note("kill", scope, who, reason, answer)
        return answer

    def resume(self, scope: Scope, *, who: str, reason: str) -> dict[str, Any]:
        """Lift what was imposed on exactly this scope, by an operator or by a limit.

        A resume of a strategy also releases the loss latches of its own book, and one of everything those
        of the account. A day's loss ends with the day and with nothing else.

        Returns:
            What was lifted, and what goes on holding trading back, as plain JSON values.

        Raises:
            RefusedError: If it may not be resumed yet. Nothing was lifted.
            SafetyError: If the disk refuses. Nothing was lifted.
        """
        self._check_known(scope)
        try:
            self._check_resumable(scope)
        except RefusedError as error:
            self._note("resume", scope, who, reason, {"refused": str(error)})
            raise
        lifted = self._latch.lift(scope, _RESUMABLE)
        remaining = [f"{one.scope}: {one.reason}" for one in self._latch.restrictions]
        for desk in self._desks:
            if scope == Scope(ScopeKind.STRATEGY, desk.name):
                remaining += [f"{scope}: {latch}, until the trading day ends" for latch in desk.release()]
        remaining += self._after_resume(scope)
        answer = {
            "scope": str(scope),
            "lifted": [as_fields(one) for one in lifted],
            "remaining": remaining,
        }
        _LOG.warning("resume %s by %s: %s", scope, who, reason, extra={"answer": answer})
        self._note("resume", scope, who, reason, answer)
        return answer

    def pause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        """Let a strategy add no risk while it goes on watching; its protective orders stay.

        Raises:
            RefusedError: If there is no such strategy.
        """
        scope = Scope(ScopeKind.STRATEGY, strategy)
        self._check_known(scope)
        restriction = Restriction(scope, TradingState.REDUCING, reason, who, self._now(), Origin.PAUSE)
        changed = self._latch.hold(restriction)
        answer = {"strategy": strategy, "changed": changed, "durable": self._latch.is_durable}
        answer["cancels_sent"] = self._cancel(scope)
        self._note("pause", scope, who, reason, answer)
        return answer

    def unpause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        """End a pause; whatever else restricts the strategy stays.

        Raises:
            RefusedError: If there is no such strategy.
            SafetyError: If the disk refuses. Nothing was lifted.
        """
        scope = Scope(ScopeKind.STRATEGY, strategy)
        self._check_known(scope)
        lifted = self._latch.lift(scope, (Origin.PAUSE,))
        answer = {"strategy": strategy, "changed": bool(lifted)}
        self._note("unpause", scope, who, reason, answer)
        return answer

    def impose(self, restriction: Restriction, *, is_enforced: bool = False) -> bool:
        """Hold an automatic restriction; safe to call from within any callback.

        Args:
            restriction: Of a limit or a fault.
            is_enforced: Whether something else (a strategy's book) acts on it in this process already, so
                that it has to outlive the process and no more.

        Returns:
            Whether anything changed.
        """
        if is_enforced:
            return self._latch.note(restriction)
        changed = self._latch.hold(restriction)
        if changed:
            _LOG.critical("%s is %s: %s", restriction.scope, restriction.state.value, restriction.reason)
            if restriction.state is TradingState.HALTED:
                # Not now: whoever found it out may be in the middle of sending an order.
                self._soon(lambda: self._cancel_later(restriction.scope))
        return changed

    # -- what they rest on -------------------------------------------------------------------------

    def _check_known(self, scope: Scope) -> None:
        instruments = {one for some in self._strategies.values() for one in some}
        known: Mapping[ScopeKind, Iterable[str]] = {
            ScopeKind.ALL: ("",),
            ScopeKind.STRATEGY: self._strategies,
            ScopeKind.INSTRUMENT: instruments,
            ScopeKind.VENUE: {one.rpartition(".")[2] for one in instruments},
        }
        names = sorted(known[scope.kind])
        if scope.name not in names:
            raise RefusedError(
                f"{scope}: expected the {scope.kind.value} to be one of {names}, found {scope.name!r}; "
                "nothing was changed, `--scope all` always works",
                is_unknown=True,
            )

    def _check_resumable(self, scope: Scope) -> None:
        if scope == EVERYTHING and self._is_switched_off():
            raise RefusedError("the file KILL_SWITCH is in the state directory; remove it, then resume")
        if self.flattening.is_working_on(scope):
            raise RefusedError(f"{scope} is being flattened; resume once it is flat or has given up")
        for desk in self._desks:
            if scope == Scope(ScopeKind.STRATEGY, desk.name) and desk.fault:
                raise RefusedError(
                    f"{scope} halted on a fault and does not trade again in this process ({desk.fault}); "
                    "stop the daemon, resume, and start it"
                )
        check_cooled_down(self._latch.restrictions, scope, self._now(), self._limits.resume_cooldown_secs)

    def _reached(self, scope: Scope) -> Iterable[tuple[Desk, tuple[str, ...]]]:
        for desk in self._desks:
            instruments = self._strategies[desk.name]
            reached = tuple(one for one in instruments if scope.covers(desk.name, one))
            if reached:
                yield desk, reached

    def _cancel(self, scope: Scope) -> int:
        sent = 0
        for desk, instruments in self._reached(scope):
            try:
                sent += desk.cancel_entries(instruments)
            except Exception:  # noqa: BLE001 - whatever it is
                # One strategy that cannot cancel must not keep the others from it.
                _LOG.exception("%s could not cancel its orders", desk.name)
        return sent

    def _cancel_later(self, scope: Scope) -> None:
        self._cancel(scope)

    def _note_flatten(self, outcome: dict[str, Any]) -> None:
        self._note("flatten", EVERYTHING, "argonaut", "the flatten ended", outcome)

    def _note(self, command: str, scope: Scope, who: str, reason: str, answer: dict[str, Any]) -> None:
        fields = {"command": command, "scope": str(scope), "who": who, "reason": reason, "answer": answer}
        try:
            self._record("control", fields)
        except Exception:  # noqa: BLE001 - whatever it is
            # The command was carried out; that it could not be recorded must not undo it.
            _LOG.exception("a control record was not taken: %s", fields)


def check_cooled_down(
    restrictions: Iterable[Restriction], scope: Scope, now_ns: int, cooldown_secs: float
) -> None:
    """Make sure that no automatic restriction of a scope is too young to be lifted.

    Raises:
        RefusedError: If one is; it says how long to wait.
    """
    for one in restrictions:
        if one.scope != scope or not one.automatic or one.until_ts is not None:
            continue
        left = cooldown_secs - (now_ns - one.ts_ns) / _SECOND_NS
        if left > 0.0:
            raise RefusedError(
                f"{scope} was restricted by itself ({one.reason}) and cools down for another {left:.0f} s; "
                "find out why, then resume",
                retry_after_secs=left,
            )
