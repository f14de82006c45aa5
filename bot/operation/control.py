"""All that can hold a daemon's trading back, put together: gate, latch, commands, kill switch, guardian.

It comes up before anything that trades is built, and goes down after it is gone.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.config import HostConfig, HostKind
from bot.operation.arming_summary import summary_of
from bot.operation.desks import StrategyDesk, release_latches
from bot.operation.readings import Readings
from bot.paper import PaperNode
from ops.arming import Arming
from ops.clock_sync import ClockWatch
from ops.commands import ControlLimits, TradingCommands
from ops.disk import LocalDisk
from ops.guardian import Cause, Guardian, GuardianLimits, Reading, watch
from ops.kill_mode import KillMode
from ops.kill_switch import KillSwitch
from ops.latch import LATCH, Recorder, TradingLatch, as_fields, from_fields
from ops.reconciliation import Report
from ops.refusals import RefusedError
from strategies.errors import ConfigError
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope

BEAT_SECS = 0.1
_RETRY_BEATS = 10
_NOT_THE_GUARDIANS = {"resume_cooldown_secs", "flatten_timeout_secs", "max_clock_error_secs"}

_LOG = logging.getLogger("argonaut.control")


class Control:
    """Trading state of one daemon, on its loop.

    Args:
        host: What runs.
        state_dir: Where the latch lies and the kill-switch file is looked for.
        record: Takes note of changes of the latch (``latch``) and of commands (``control``).
        say: Takes lines for a person.
    """

    def __init__(
        self, host: HostConfig, state_dir: Path, *, record: Recorder, say: Callable[[str], None]
    ) -> None:
        config, speed = host.settings.guardian, host.settings.replay.speed
        self._speed = None if speed == "max" else speed
        self._say = say
        self._record = record
        self._clock = ClockWatch(host.settings.max_clock_error_secs)
        self._readings: Readings | None = None
        self.reading: Reading | None = None
        """What the guardian was shown last."""
        self._tasks: list[asyncio.Task[None]] = []
        self.gate = TradingGate(armed=host.settings.kind is HostKind.PAPER, now=time.time_ns)
        self.latch = TradingLatch(state_dir / LATCH, LocalDisk(), self.gate, record=record, now=time.time_ns)
        self.kill_switch = KillSwitch(state_dir, self._on_kill_switch)
        self.commands = TradingCommands(
            self.latch,
            {loaded.config.name: loaded.config.instruments for loaded in host.strategies},
            limits=ControlLimits(config.resume_cooldown_secs, config.flatten_timeout_secs),
            now=time.time_ns,
            monotonic=time.monotonic,
            soon=lambda call: asyncio.get_running_loop().call_soon(call),
            record=record,
            is_switched_off=lambda: self.kill_switch.is_present,
        )
        self.arming = Arming(
            self.gate,
            summary=lambda: summary_of(host),
            obstacles=self._obstacles,
            monotonic=time.monotonic,
        )
        limits = config.model_dump(exclude=_NOT_THE_GUARDIANS)
        self.guardian = Guardian(
            GuardianLimits(**limits), self._impose, now=time.time_ns, beat_secs=BEAT_SECS
        )

    def open(self, remembered: Mapping[str, Any] | None = None) -> None:
        """Let what was restricted before hold again, and listen to the kill switch.

        Args:
            remembered: Newest change of the latch that the journal knows. Where the file has not seen it (it
                was deleted, or put back from a backup), what held after it holds as well.

        Raises:
            ConfigError: If the kill switch cannot be watched: then its file would go unnoticed.
        """
        self.latch.load()
        known = 0 if remembered is None else remembered["serial"]
        if remembered is not None and known > self.latch.serial:
            self.latch.adopt(known, map(from_fields, remembered["holding"]))
        elif self.latch.serial > known:  # a command changed it while no daemon ran
            held = [as_fields(one) for one in self.latch.restrictions]
            found = {"action": "found", "serial": self.latch.serial, "durable": True, "holding": held}
            self._record("latch", found)
        for one in self.latch.restrictions:
            self._say(f"{one.scope} is {one.state.value} since before this start: {one.reason} ({one.who})")
        try:
            self.kill_switch.open()
        except OSError as error:
            raise ConfigError(
                f"expected to watch the state directory for the file KILL_SWITCH, found: {error}; "
                "raise fs.inotify.max_user_instances and max_user_watches, or close what uses them up"
            ) from error
        self._tasks.append(asyncio.create_task(self.kill_switch.watch()))

    def attach(
        self,
        paper: PaperNode,
        *,
        journal_fault: Callable[[], str] = lambda: "",
        unreconciled: Callable[[], str] = lambda: "",
        after_beat: Sequence[Callable[[Reading], None]] = (),
    ) -> None:
        """Reach the strategies from now on, and begin to watch them.

        Args:
            paper: What runs.
            journal_fault: Why what happens cannot be recorded; empty while it can.
            unreconciled: Why our books and the venue's differ; empty while they agree or are compared.
            after_beat: Each gets every reading that the guardian has taken.
        """
        self._readings = Readings(
            paper,
            speed=self._speed,
            journal_fault=journal_fault,
            unreconciled=unreconciled,
            clock_fault=self._clock.fault,
        )

        def after_resume(scope: Scope) -> Iterable[str]:
            self.guardian.forget(scope)
            latches = release_latches(paper.wired.account.book) if scope == EVERYTHING else ()
            return [f"account: {latch}, until the trading day ends" for latch in latches]

        def nudge() -> None:
            if paper.replay.is_finished or paper.replay.is_dead:
                paper.gateway.settle_all()

        desks: Sequence[StrategyDesk] = [StrategyDesk(one) for one in paper.wired.strategies]
        self.commands.attach(desks, nudge=nudge, after_resume=after_resume)
        beats = watch(self.guardian, self._read, BEAT_SECS, after_beat)
        self._tasks.append(asyncio.create_task(beats))
        self._tasks.append(asyncio.create_task(self._keep_up()))

    def _read(self) -> Reading:
        assert self._readings is not None, "it is attached before it is watched"
        self.reading = self._readings.read()
        return self.reading

    @property
    def has_given_up_feed(self) -> bool:
        """Whether the feed has been silent for so long that the process is to be started anew."""
        return self.reading is not None and self.guardian.gives_up_on_feed(self.reading)

    def take_report(self, report: Report) -> None:
        """Hold back what a comparison of our books with the venue's leaves in doubt."""
        self.gate.reconciled = report.is_clean
        self.gate.doubtful = frozenset(report.doubtful)

    def note_asked(self, command: str, *, who: str, reason: str, asked: Mapping[str, Any]) -> None:
        """Record that a command was given, before it is carried out; what cannot be recorded is logged."""
        fields = {"command": command, "stage": "asked", "who": who, "reason": reason, "asked": dict(asked)}
        try:
            self._record("control", fields)
        except Exception:  # noqa: BLE001 - whatever it is
            # A kill must not wait for a record; what adds risk is refused where the journal has a fault.
            _LOG.exception("a command was not recorded: %s", fields)

    def arm(
        self, command: str, step: Callable[[Arming], dict[str, Any]], *, who: str, reason: str
    ) -> dict[str, Any]:
        """Take a step of arming, and record what became of it.

        Raises:
            RefusedError: If it is refused.
        """
        fields = {"command": command, "scope": str(EVERYTHING), "who": who, "reason": reason}
        try:
            answer = step(self.arming)
        except RefusedError as error:
            self._record("control", fields | {"answer": {"refused": str(error)}})
            raise
        told = {name: value for name, value in answer.items() if name != "nonce"}
        self._record("control", fields | {"answer": told})
        return answer

    def _obstacles(self) -> list[str]:
        found = [] if self.gate.reconciled else ["our books and the venue's differ: argonaut reconcile"]
        if not self.latch.is_durable:
            found.append(f"the latch is not on the disk: {self.latch.fault}")
        if self.gate.state() is TradingState.HALTED:
            found.append(f"trading is halted: {self.gate.reason()}; resume first")
        return found

    def restrict_session(self, state: TradingState, reason: str) -> None:
        """Restrict everything until the process ends, and not beyond."""
        restriction = Restriction(EVERYTHING, state, reason, "argonaut", time.time_ns(), Origin.SESSION)
        if self.gate.hold(restriction):
            held = {"command": "restrict", "scope": str(EVERYTHING), "who": "argonaut", "reason": reason}
            self._record("control", held | {"answer": as_fields(restriction)})

    def halt_unrecorded(self, detail: str) -> None:
        """Halt everything, over restarts, because what happens cannot be recorded."""
        reason = f"{Cause.JOURNAL}: {detail}"
        restriction = Restriction(
            EVERYTHING, TradingState.HALTED, reason, Cause.JOURNAL.value, time.time_ns(), Origin.AUTOMATIC
        )
        self._impose(restriction, is_enforced=False)

    def on_kill_signal(self) -> None:
        """SIGUSR1: halt everything."""
        self._kill(KillMode.HALT, "signal SIGUSR1", "signal SIGUSR1")

    def status(self) -> dict[str, Any]:
        """What restricts trading, for the operator."""
        gate, latch = self.gate.restrictions, self.latch.restrictions
        held = [*gate, *(one for one in latch if one not in gate)]
        return {
            "restrictions": [as_fields(one) for one in held],
            "latch": {"durable": self.latch.is_durable, "fault": self.latch.fault},
            "flatten": self.commands.flattening.status(),
            "loop": {
                "stalls": self.guardian.stalls,
                "longest_stall_ms": round(self.guardian.longest_stall_secs * 1e3, 1),
            },
        }

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.kill_switch.close()

    async def _keep_up(self) -> None:
        """What time brings: a day's loss ends, and a disk that refused may take the latch after all."""
        while True:
            await asyncio.sleep(BEAT_SECS * _RETRY_BEATS)
            self.latch.retry()
            if self._readings is not None:
                self.latch.expire(self._readings.market_ts)

    def _impose(self, restriction: Restriction, is_enforced: bool) -> None:
        if self.commands.impose(restriction, is_enforced=is_enforced):
            self._say(f"{restriction.scope} is {restriction.state.value}: {restriction.reason}")

    def _on_kill_switch(self, mode: KillMode, reason: str) -> None:
        self._kill(mode, "file KILL_SWITCH", reason)

    def _kill(self, mode: KillMode, who: str, reason: str) -> None:
        self.note_asked("kill", who=who, reason=reason, asked={"scope": str(EVERYTHING), "mode": mode.value})
        answer = self.commands.kill(EVERYTHING, mode, who=who, reason=reason)
        durable = "" if answer["durable"] else f"; NOT DURABLE: {answer['detail']}"
        self._say(f"killed ({mode.value}) by {who}: {reason}{durable}")
