"""Rehearses a kill against a running daemon, from outside, and says with evidence whether it works.

    ready → kill → latch on disk → nothing open that adds risk → nothing new sent → (flat) → resume → ready

The first step that fails ends the drill, and whatever was killed by then stays killed.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ops.kill_mode import KillMode
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Restriction

WHO = "drill"
_FLAT = "flat: every position is closed, and no order is open"
_PLAN = (
    "ready: the daemon trades on paper, and nothing restricts it",
    "kill: everything is halted on command",
    "latch: the halt is on the disk",
    "cancels: no order is open that could add risk",
    "silence: decisions are taken, and no order that adds risk leaves",
    "resume: the halt is lifted on command",
    "restored: trading is active, and the latch is empty",
)
_BEFORE_RESUME = 5
_PROTECTION = frozenset({"STOP", "TARGET"})
_POLL_SECS = 0.1

type Ask = Callable[[str, dict[str, Any] | None], Any]
"""``ask(path, body)``: the daemon's answer; a body makes it a command."""


def plan_of(mode: KillMode) -> tuple[str, ...]:
    """Names and meanings of the steps."""
    if mode is KillMode.FLATTEN:
        return (*_PLAN[:_BEFORE_RESUME], _FLAT, *_PLAN[_BEFORE_RESUME:])
    return _PLAN


class DrillStep(NamedTuple):
    """What one step showed."""

    name: str
    passed: bool
    detail: str
    elapsed_ms: float


class KillDrill:
    """One rehearsal.

    Args:
        ask: Reaches the daemon.
        read_latch: Restrictions in the latch file as it lies on the disk now.
        sent_since_kill: Names of the orders that add risk and left after the drill's kill was recorded.
        monotonic: Seconds.
        wait: Waits for seconds.
        watch_secs: How long cancels and closes may take, and decisions to be seen.
        mode: ``halt``, or ``flatten``, which closes what is held.
    """

    def __init__(
        self,
        ask: Ask,
        read_latch: Callable[[], Iterable[Restriction]],
        sent_since_kill: Callable[[], list[str]],
        *,
        monotonic: Callable[[], float],
        wait: Callable[[float], None],
        watch_secs: float,
        mode: KillMode = KillMode.HALT,
    ) -> None:
        self._mode = mode
        self._ask = ask
        self._read_latch = read_latch
        self._sent_since_kill = sent_since_kill
        self._monotonic = monotonic
        self._wait = wait
        self._watch_secs = watch_secs

    def run(self) -> list[DrillStep]:
        """Go through the steps, up to the first that fails."""
        done: list[DrillStep] = []
        steps = (
            self._ready,
            self._kill,
            self._latch,
            self._cancels,
            self._silence,
            *([self._flat] if self._mode is KillMode.FLATTEN else []),
            self._resume,
            self._restored,
        )
        for plan, step in zip(plan_of(self._mode), steps, strict=True):
            began = self._monotonic()
            try:
                passed, detail = step()
            except Exception as error:  # noqa: BLE001 - a step that breaks has failed
                passed, detail = False, f"{type(error).__name__}: {error}"
            elapsed_ms = round((self._monotonic() - began) * 1e3, 1)
            done.append(DrillStep(plan.partition(":")[0], passed, detail, elapsed_ms))
            if not passed:
                break
        return done

    def _ready(self) -> tuple[bool, str]:
        status = self._ask("/v1/status", None)
        is_ready = (
            status["state"] == "READY"
            and status["kind"] == "paper"
            and status["trading_state"] == TradingState.ACTIVE
            and not status["restrictions"]
        )
        found = f"{status['kind']} {status['state']} {status['trading_state']} {status['reason']}"
        return is_ready, found.strip()

    def _kill(self) -> tuple[bool, str]:
        answer = self._ask(
            "/v1/kill", {"scope": "all", "mode": self._mode.value, "who": WHO, "reason": "drill"}
        )
        self._before = self._decisions()
        detail = f"durable in {answer['latch_ms']} ms, {answer['cancels_sent']} cancels sent"
        return bool(answer["durable"] and answer["changed"]), detail

    def _latch(self) -> tuple[bool, str]:
        held = [one for one in self._read_latch() if one.scope == EVERYTHING and one.who.startswith(WHO)]
        halted = any(one.state is TradingState.HALTED for one in held)
        return halted, "HALTED by the drill is in the file" if halted else "the file says nothing of it"

    def _cancels(self) -> tuple[bool, str]:
        def left() -> list[str]:
            orders = self._ask("/v1/orders/open", None)
            return [one["client_order_id"] for one in orders if one["role"] not in _PROTECTION]

        gone = self._until(lambda: not left())
        return gone, "none is open" if gone else f"still open: {left()}"

    def _silence(self) -> tuple[bool, str]:
        seen = self._until(lambda: self._decisions() > self._before)
        decisions = self._decisions() - self._before
        if sent := self._sent_since_kill():
            return False, f"sent after the kill: {sent}"
        return seen, f"{decisions} decisions, none of them sent an order that adds risk"

    def _flat(self) -> tuple[bool, str]:
        def left() -> list[str]:
            held = [f"{one['instrument_id']} {one['quantity']}" for one in self._ask("/v1/positions", None)]
            works = [one["client_order_id"] for one in self._ask("/v1/orders/open", None)]
            return held + works

        gone = self._until(lambda: not left() and self._flattening()["state"] == "FLAT")
        return gone, "nothing is held" if gone else f"left: {left()}; {self._flattening()['detail']}"

    def _flattening(self) -> Any:
        return self._ask("/v1/status", None)["flatten"]

    def _resume(self) -> tuple[bool, str]:
        answer = self._ask("/v1/resume", {"scope": "all", "who": WHO, "reason": "drill"})
        return bool(answer["lifted"]), f"lifted {len(answer['lifted'])}, remaining {answer['remaining']}"

    def _restored(self) -> tuple[bool, str]:
        status, left = self._ask("/v1/status", None), list(self._read_latch())
        passed = status["trading_state"] == TradingState.ACTIVE and not left
        return passed, f"{status['trading_state']}, {len(left)} restrictions in the file"

    def _decisions(self) -> int:
        return sum(one["decisions"] for one in self._ask("/v1/status", None)["strategies"])

    def _until(self, condition: Callable[[], bool]) -> bool:
        deadline = self._monotonic() + self._watch_secs
        while not condition():
            if self._monotonic() > deadline:
                return False
            self._wait(_POLL_SECS)
        return True
