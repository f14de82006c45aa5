"""What an operator may do to trading where no daemon runs: the latch is changed, the next start reads it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.cli.console import note
from bot.cli.records import newest_record
from ops.commands import ControlLimits, check_cooled_down
from ops.disk import LocalDisk
from ops.journal import Kind
from ops.kill_mode import KillMode
from ops.kill_switch import KILL_SWITCH, is_present
from ops.latch import LATCH, TradingLatch, as_fields
from ops.refusals import RefusedError
from ops.state_lock import try_lock
from strategies.errors import ArgonautError
from strategies.gate import TradingGate
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope, ScopeKind
from strategies.trading_state import TradingState


def kill(scope: Scope, mode: KillMode, reason: str, who: str, state_dir: Path) -> dict[str, Any] | None:
    """Restrict a scope.

    Returns:
        What came of it; None where somebody uses the state directory.

    Raises:
        RefusedError: If the newest session knew nothing of that name.
    """
    state = TradingState.REDUCING if mode is KillMode.REDUCE_ONLY else TradingState.HALTED
    restriction = Restriction(scope, state, reason, who, time.time_ns())

    def hold(latch: TradingLatch) -> dict[str, Any]:
        changed = latch.hold(restriction)
        return {
            "scope": str(scope),
            "mode": mode.value,
            "trading_state": state.value,
            "was_running": False,
            "changed": changed,
            "durable": latch.is_durable,
            "detail": latch.fault,
        }

    return _with_latch(state_dir, scope, hold)


def resume(scope: Scope, state_dir: Path) -> dict[str, Any] | None:
    """Lift what an operator or a limit imposed on exactly this scope; see `kill`.

    Raises:
        RefusedError: If there is no such scope, the kill-switch file is there, or it has to cool down.
    """

    def lift(latch: TradingLatch) -> dict[str, Any]:
        if scope == EVERYTHING and is_present(state_dir):
            raise RefusedError(f"the file {state_dir / KILL_SWITCH} is there; remove it, then resume")
        check_cooled_down(latch.restrictions, scope, time.time_ns(), ControlLimits().resume_cooldown_secs)
        lifted = latch.lift(scope, (Origin.OPERATOR, Origin.AUTOMATIC))
        return {
            "scope": str(scope),
            "lifted": [as_fields(one) for one in lifted],
            "remaining": [f"{one.scope}: {one.reason}" for one in latch.restrictions],
        }

    return _with_latch(state_dir, scope, lift)


def pause(strategy: str, reason: str, who: str, state_dir: Path) -> dict[str, Any] | None:
    """Let a strategy add no risk; see `kill`."""
    scope = Scope(ScopeKind.STRATEGY, strategy)

    def hold(latch: TradingLatch) -> dict[str, Any]:
        one = Restriction(scope, TradingState.REDUCING, reason, who, time.time_ns(), Origin.PAUSE)
        return {"strategy": strategy, "changed": latch.hold(one), "durable": latch.is_durable}

    return _with_latch(state_dir, scope, hold)


def unpause(strategy: str, state_dir: Path) -> dict[str, Any] | None:
    """End a pause; see `kill`."""
    scope = Scope(ScopeKind.STRATEGY, strategy)

    def lift(latch: TradingLatch) -> dict[str, Any]:
        lifted = latch.lift(scope, (Origin.PAUSE,))
        return {"strategy": strategy, "changed": bool(lifted)}

    return _with_latch(state_dir, scope, lift)


def _with_latch(
    state_dir: Path, scope: Scope, change: Callable[[TradingLatch], dict[str, Any]]
) -> dict[str, Any] | None:
    """Change the latch of a state directory that nobody uses; None where somebody does.

    Raises:
        RefusedError: If the newest session knew nothing of that name.
    """
    lock = try_lock(state_dir)
    if lock is None:
        return None
    with lock:
        gate = TradingGate(armed=False, now=time.time_ns)
        latch = TradingLatch(state_dir / LATCH, LocalDisk(), gate, record=lambda *_: None, now=time.time_ns)
        latch.load()
        is_held = any(one.scope == scope for one in latch.restrictions)  # of a strategy that is gone, too
        names = set() if is_held else _names_of(state_dir, scope.kind)
        if names and scope.name not in names:
            found = ", ".join(sorted(names))
            raise RefusedError(
                f"expected a {scope.kind.value} of the newest session, one of {found}; found {scope.name!r}",
                is_unknown=True,
            )
        return change(latch)


def _names_of(state_dir: Path, kind: ScopeKind) -> set[str]:
    """What the newest session had of a kind; nothing where that cannot be read: no kill may fail of it."""
    try:
        record = newest_record(state_dir, Kind.SESSION_START)
        settings = None if record is None else record.body.get("settings")
        if not settings:
            return set()
        strategies = settings["strategies"]
        names = {
            ScopeKind.ALL: set[str](),
            ScopeKind.VENUE: {settings["host"]["venue"]["name"]},
            ScopeKind.STRATEGY: {one["name"] for one in strategies},
            ScopeKind.INSTRUMENT: {name for one in strategies for name in one["instruments"]},
        }
    except (ArgonautError, OSError, KeyError, TypeError) as error:
        note(f"whether there is such a {kind.value} could not be looked up: {error!r}")
        return set()
    return names[kind]
