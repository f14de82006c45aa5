"""Whatever is commanded in whatever order, through crashes and full disks: a halt stays a halt."""

import errno

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ops.kill_mode import KillMode
from ops.latch import decode
from ops.refusals import RefusedError
from strategies.errors import SafetyError
from strategies.guardrails import TradingState
from strategies.restrictions import Origin, Restriction, Scope
from tests.support.control_room import PATH, SECOND, STRATEGIES, ControlRoom

SEVERITY = [TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED]
PLACES = [(name, instrument) for name, instruments in STRATEGIES.items() for instrument in instruments]
SCOPES = st.sampled_from(
    [
        Scope.parse(text)
        for text in ("all", "venue:X", "venue:Y", "strategy:one", "strategy:two", "instrument:B.X")
    ]
)
CAUSES = st.sampled_from(["reject_rate", "stale_feed", "clock"])
COOLDOWN_SECS = 300


class Commanded(RuleBasedStateMachine):
    """Compares the gate with what each scope is owed; `owed` is what a person would say must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.room = ControlRoom(COOLDOWN_SECS)
        self.owed: dict[tuple[Scope, str], TradingState] = {}
        self.tripped_ns: dict[tuple[Scope, str], int] = {}

    def _hold(self, scope: Scope, kind: str, state: TradingState) -> None:
        held = self.owed.get((scope, kind), TradingState.ACTIVE)
        self.owed[scope, kind] = max(held, state, key=SEVERITY.index)

    @rule(scope=SCOPES, mode=st.sampled_from([KillMode.HALT, KillMode.REDUCE_ONLY]), times=st.integers(1, 2))
    def kill(self, scope: Scope, mode: KillMode, times: int) -> None:
        for _ in range(times):
            answer = self.room.commands.kill(scope, mode, who="me", reason="x")
            assert answer["durable"] is self.room.latch.is_durable
        state = TradingState.HALTED if mode is KillMode.HALT else TradingState.REDUCING
        self._hold(scope, "operator", state)

    @rule(scope=SCOPES, cause=CAUSES, state=st.sampled_from(SEVERITY[1:]))
    def trip(self, scope: Scope, cause: str, state: TradingState) -> None:
        one = Restriction(scope, state, cause, cause, self.room.now_ns, Origin.AUTOMATIC)
        if self.room.commands.impose(one):
            self.tripped_ns[scope, cause] = self.room.now_ns
        self._hold(scope, cause, state)

    @rule(scope=SCOPES)
    def resume(self, scope: Scope) -> None:
        ages = [
            self.room.now_ns - ts
            for (place, cause), ts in self.tripped_ns.items()
            if place == scope and (place, cause) in self.owed
        ]
        cooled = all(age >= COOLDOWN_SECS * SECOND for age in ages)
        try:
            self.room.commands.resume(scope, who="me", reason="x")
        except RefusedError:
            assert not cooled or (str(scope) == "all" and self.room.switched_off)
            return
        except SafetyError:
            assert self.room.disk.refusal is not None
            return
        assert cooled
        self.owed = {
            (place, kind): state
            for (place, kind), state in self.owed.items()
            if place != scope or kind == "pause"
        }

    @rule(name=st.sampled_from(list(STRATEGIES)), pauses=st.booleans())
    def pause(self, name: str, pauses: bool) -> None:
        scope = Scope.parse(f"strategy:{name}")
        try:
            if pauses:
                self.room.commands.pause(name, who="me", reason="x")
                self._hold(scope, "pause", TradingState.REDUCING)
            else:
                self.room.commands.unpause(name, who="me", reason="x")
                self.owed.pop((scope, "pause"), None)
        except SafetyError:
            assert self.room.disk.refusal is not None

    @rule(secs=st.integers(1, 400))
    def wait(self, secs: int) -> None:
        self.room.now_ns += secs * SECOND

    @rule(present=st.booleans())
    def switch(self, present: bool) -> None:
        self.room.switched_off = present

    @rule(full=st.booleans())
    def fill_disk(self, full: bool) -> None:
        self.room.disk.refusal = OSError(errno.ENOSPC, "full") if full else None
        self.room.latch.retry()

    @rule()
    def crash(self) -> None:
        if self.room.latch.is_durable:
            self.room.restart()

    @invariant()
    def file_says_what_holds_where_it_is_claimed_to(self) -> None:
        content = self.room.disk.files.get(PATH)
        written = () if content is None else decode(content)[1]
        assert written == self.room.latch.restrictions or not self.room.latch.is_durable

    @invariant()
    def gate_is_as_strict_as_the_strictest_that_covers(self) -> None:
        for strategy, instrument_id in PLACES:
            covering = [
                state for (scope, _), state in self.owed.items() if scope.covers(strategy, instrument_id)
            ]
            expected = max(covering, key=SEVERITY.index, default=TradingState.ACTIVE)
            assert self.room.gate.state(strategy, instrument_id) is expected


TestCommanded = Commanded.TestCase
TestCommanded.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
