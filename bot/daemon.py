"""The daemon: one process, one thread, one loop, from start-up to an orderly end.

    startup    take the state directory, open the session, build the node, open the operator's socket
    main_loop  run the node until something ends it: a signal, a stop command, the end of the data, a fault
    shutdown   stop new risk → cancel entries → flatten if told to → stop the node → close the session

Everything that touches the engine runs on this loop; the operator's endpoints do too.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.errors import StateWriteError
from bot.chronicle import Chronicle
from bot.config import HostConfig, OnStop
from bot.exit_codes import ExitCode
from bot.operation.alerting import Alerting, channels_of
from bot.operation.console_tape import ConsoleTape
from bot.operation.control import BEAT_SECS, Control
from bot.operation.drift import DriftWatch, drift_text
from bot.operation.interface import Interface
from bot.operation.jobs import DaemonJobs, jobs_of
from bot.operation.supervision import Supervision
from bot.operation.tapes import Tapes
from bot.operation.winding_down import books_of, holdings_of, last_words, wind_down
from bot.paper import PaperNode, make_paper_node, open_store
from bot.sessions.pins import session_pins
from ml.drift import DriftAlarm
from ops.alerts import Severity
from ops.disk import LocalDisk, Room, room
from ops.journal import FileAnchor, LogAnchor, ThreadedAnchor
from ops.metrics import Events, Exposition
from ops.state_dir import JOURNAL, Purpose, StateDir, take_state_dir
from ops.state_lock import SOCKET
from strategies.costs import CostBreakdown
from strategies.errors import ConfigError
from strategies.guardrails import TradingState

_POLL_SECS = 0.05
_START_POLL_SECS = 0.01

_LOG = logging.getLogger("argonaut.daemon")


class Daemon:
    """Hosts the strategies of one host file until it is told to stop.

    Args:
        host: What to run.
        state_dir: Where the journal, logs, the lock and the socket lie.
        say: Takes lines for a person.
        adopt_state: Take over a state directory of another machine or purpose, on the operator's word.
    """

    def __init__(
        self, host: HostConfig, state_dir: Path, say: Callable[[str], None], *, adopt_state: bool = False
    ) -> None:
        self.host = host
        self.state = "STARTING"
        self._state_dir = state_dir
        self._adopt_state = adopt_state
        self._say = say
        self._started_at = datetime.now(UTC)
        self._session = f"{self._started_at:%Y%m%dT%H%M%S}Z-{os.getpid()}"
        self._stop = asyncio.Event()
        self._stop_reason = ""
        self._flatten = host.settings.daemon.on_stop is OnStop.FLATTEN
        self._chronicle: Chronicle
        self._exposition = Exposition()
        self._events = Events(
            self._exposition.registry,
            time.perf_counter,
            BEAT_SECS,
            {loaded.config.name: loaded.config.instruments for loaded in host.strategies},
            self._cost_of,
        )
        self._alerting = Alerting(host, state_dir, channels_of(host, state_dir, os.environ), self._status)
        self._control = Control(host, state_dir, record=self._note_control, say=say)
        jobs = jobs_of(host, state_dir, self._alerting.summarise)
        self._jobs = DaemonJobs(jobs, state_dir, record=self._note_control, say=self._alerting.say)
        self._interface = Interface(host, state_dir, os.environ)
        self._drift = DriftWatch(self._on_drift)
        self._supervision = Supervision(os.environ)
        self._held_dir: StateDir
        self._paper: PaperNode
        self._exit_code = ExitCode.OK
        self._next_look = 0.0
        self._holdings: dict[str, dict[str, float]] = {}
        self._books: list[dict[str, Any]] = []

    async def run(self) -> ExitCode:
        """Run until the end; the exit code says how it ended."""
        try:
            await self.startup()
        except Exception as error:
            self._alerting.say(Severity.PAGE, "did not start", f"{type(error).__name__}: {error}", "start")
            await self._alerting.close()
            raise
        try:
            await self.main_loop()
        finally:
            await self.shutdown()
        return self._exit_code

    # -- startup -----------------------------------------------------------------------------------

    async def startup(self) -> None:
        """Build everything; nothing trades before it returns.

        Raises:
            ConfigError: If another daemon holds the state directory, or a strategy cannot be built.
        """
        self._held_dir = self._take_state_dir()
        self._supervision.starting(self._state_dir)
        loop = asyncio.get_running_loop()
        file = self.host.anchor_path
        beside = [] if file is None else [ThreadedAnchor(FileAnchor(file))]
        self._chronicle = Chronicle.open(
            self._state_dir,
            self.host.settings.journal,
            loop,
            lambda _: self._end_unrecorded(),
            anchors=[LogAnchor(), self._alerting.anchor, *beside],
        )
        self._chronicle.outbox.missed = self._alerting.say_missed
        self._chronicle.begin(session_pins(self.host, self._session, self._started_at))
        try:
            await self._bring_up(loop)
        except BaseException as error:
            self._chronicle.close(self._ending(f"did not start: {type(error).__name__}: {error}"))
            raise

    async def _bring_up(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGUSR1, self._control.on_kill_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})  # one that came before is answered now
        self._control.open(self._chronicle.recall.latch)
        tape = Tapes(
            self._chronicle.tape,
            self._control.guardian,
            self._events,
            self._drift,
            ConsoleTape(self._say),
            self._interface.live,
        )
        log_dir = self._state_dir / "logs"
        log_dir.mkdir(parents=True, exist_ok=True)
        self._paper = make_paper_node(
            self.host,
            tape=tape,
            gate=self._control.gate,
            store=open_store(self._state_dir),
            chronicle=self._chronicle,
            log_dir=log_dir,
            monotonic=time.perf_counter,
            stopwatch=self._events.stopwatch,
        )
        await self._bring_back()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        self._serve()
        self._handle = self._paper.node.handle()
        self._node = asyncio.create_task(self._paper.node.run_async())
        await self._wait_until_running()
        (self._state_dir / SOCKET).chmod(0o660)
        self._control.attach(
            self._paper,
            journal_fault=lambda: self._chronicle.fault,
            unreconciled=lambda: "; ".join(self._chronicle.report.unexplained),
            after_beat=(
                lambda reading: self._events.beat(reading.monotonic_secs),
                lambda reading: self._interface.lag.beat(reading.monotonic_secs),
                self._supervision.after_beat(self._control, self._chronicle),
            ),
        )
        while self._control.reading is None:  # from the first beat on, nothing goes unnoticed
            await asyncio.sleep(_START_POLL_SECS)
        self.state = "READY"
        self._paper.started.set()
        elapsed = (datetime.now(UTC) - self._started_at).total_seconds()
        _LOG.info("ready", extra={"session": self._session, "seconds": round(elapsed, 3)})
        ready = (
            f"READY after {elapsed:.1f} s: {', '.join(one.config.name for one in self.host.strategies)} "
            f"on {self.host.settings.venue.name} (paper), session {self._session}"
        )
        self._say(ready)
        self._alerting.start()
        self._alerting.say(Severity.INFO, "started", f"session {self._session}", f"start:{self._session}")
        if self._interface.greeting is not None:
            self._say(self._interface.greeting)
        self._supervision.supervisor.ready(ready)
        await self._jobs.start()
        await self._interface.begin_runs()

    def _serve(self) -> None:
        self._interface.open(
            session=self._session,
            started_at=self._started_at,
            chronicle=self._chronicle,
            paper=self._paper,
            control=self._control,
            alerting=self._alerting,
            events=self._events,
            exposition=self._exposition,
            jobs=self._jobs,
            drift=self._drift,
            state=lambda: self.state,
            stop=lambda reason, flatten: self.request_stop(reason, flatten=flatten),
        )

    def _take_state_dir(self) -> StateDir:
        settings = self.host.settings
        held = take_state_dir(
            self._state_dir,
            Purpose(settings.kind.value, settings.venue.name),
            LocalDisk(),
            config=str(self.host.path),
            created=self._started_at.isoformat(),
            adopt=self._adopt_state,
        )
        (self._state_dir / SOCKET).unlink(missing_ok=True)
        return held

    async def _bring_back(self) -> None:
        paper = self._paper
        adopts = self.host.settings.reconciliation.adopt
        report = await self._chronicle.bring_back(paper.wired, paper.account, paper.resume_ns, adopts)
        await self._chronicle.written()  # what the comparison found must not be found a second time
        if report.is_clean:
            paper.entrust(self._chronicle.adopted)
        unwatched = self._drift.attach(self.host, paper.wired.strategies)
        for line in (*self._chronicle.notes, *unwatched):
            self._say(line)
        for line in report.unexplained:
            self._say(f"NOT RECONCILED: {line}")
        self._control.take_report(report)
        if paper.resume_ns:
            at = datetime.fromtimestamp(paper.resume_ns // 1_000_000_000, UTC)
            self._say(
                f"going on at {at:%Y-%m-%d %H:%M:%S}: {len(report.working)} orders at work, "
                f"{len(report.booked)} executions heard of now, {len(report.abandoned)} orders given up that "
                "never arrived"
            )

    async def _wait_until_running(self) -> None:
        hub = self._paper.wired.hub
        await self._interface.until_started()
        while not hub.is_running():
            if self._node.done():
                self._node.result()
                raise ConfigError("the trading node ended before it was up; see the engine's log")
            await asyncio.sleep(_START_POLL_SECS)

    # -- main loop ---------------------------------------------------------------------------------

    async def main_loop(self) -> None:
        """Wait for whatever ends the run."""
        replay = self._paper.replay
        while not self._stop.is_set():
            self._look_after_disk()
            if self._node.done():
                self._end("the trading node ended by itself", ExitCode.INTERNAL)
            elif (fault := self._paper.wired.hub.failure) is not None:
                self._end(f"the panel hub failed: {type(fault).__name__}: {fault}", ExitCode.INTERNAL)
            elif self._disk_fault:
                self._end_unrecorded()
            elif replay.is_dead:
                self._end(f"the feed gave up: {replay.failure}", ExitCode.TEMPORARY)
            elif self._control.has_given_up_feed:
                self._end("the feed has been silent for too long", ExitCode.TEMPORARY)
            elif replay.is_finished and self.host.settings.replay.at_end == "stop":
                self._end("the data ended", ExitCode.OK)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _POLL_SECS)

    def _look_after_disk(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + 1.0
        self._chronicle.tick()
        free = LocalDisk().free_bytes(self._state_dir)
        if room(free) is not Room.AMPLE:
            left = f"{free / 2**20:.0f} MiB left for {self._state_dir}"
            self._control.restrict_session(TradingState.REDUCING, left)
            if room(free) is Room.FULL:
                self._control.halt_unrecorded(left)

    def request_stop(self, reason: str, *, flatten: bool | None) -> None:
        """Begin an orderly stop; a second call can only change whether to flatten, while there is time."""
        if flatten is not None:
            self._flatten = flatten
        self._end(reason, ExitCode.OK)

    def _on_signal(self, number: int) -> None:
        self._end(f"signal {signal.Signals(number).name}", ExitCode.OK)

    @property
    def _disk_fault(self) -> str:
        """What the disk did not take, of the journal or of the paper venue; empty mostly."""
        return str(self._chronicle.fault or self._paper.gateway.fault or "")

    def _end_unrecorded(self) -> None:
        self._control.halt_unrecorded(self._disk_fault)  # now: no beat of the guardian may come any more
        self._end(f"the session cannot be recorded: {self._disk_fault}", ExitCode.IO)

    def _end(self, reason: str, code: ExitCode) -> None:
        if not self._stop.is_set():
            self._stop_reason = reason
            self._exit_code = code
            self.state = "STOPPING"
            self._control.restrict_session(TradingState.REDUCING, f"stopping: {reason}")
            self._say(f"stopping: {reason}")
            self._supervision.stopping(reason, self.host.settings.daemon.stop_timeout_secs)
            self._stop.set()

    # -- shutdown ----------------------------------------------------------------------------------

    async def shutdown(self) -> None:
        """Leave nothing behind that was not meant to stay; bounded by ``daemon.stop_timeout_secs``."""
        strategies = self._paper.wired.strategies
        deadline = time.monotonic() + self.host.settings.daemon.stop_timeout_secs
        if not self._node.done():
            for strategy in () if self._flatten else strategies:
                strategy.cancel_entries()
            await wind_down(
                self._paper, self._control.commands.flattening, lambda: self._flatten, until=deadline
            )
            self._handle.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._node), max(1.0, deadline - time.monotonic()))
        self._control.restrict_session(TradingState.HALTED, f"stopped: {self._stop_reason}")
        await self._control.close()
        await self._jobs.close()
        await self._interface.close()
        self.state = "STOPPED"
        self._holdings, self._books = holdings_of(strategies), books_of(strategies)
        for line, is_finding in last_words(
            strategies,
            self._holdings,
            self.host.settings.venue.currency,
            self._control.gate,
            flatten=self._flatten,
        ):
            self._say(line)
            if is_finding:
                self._exit_code = self._exit_code or ExitCode.FINDINGS
        self._say(f"stopped: {self._stop_reason}; records in {self._state_dir / JOURNAL}")
        try:
            self._paper.close()
        except StateWriteError as error:
            # All that the venue has answered is on the disk; only the market's time may lie behind.
            self._exit_code = self._exit_code or ExitCode.IO
            self._say(str(error))
        self._chronicle.close(self._ending(self._stop_reason) | {"exit_code": int(self._exit_code)})
        self._held_dir.release()
        self._alerting.say_end(self._session, self._stop_reason, self._exit_code, self._holdings)
        await self._alerting.close()

    def _ending(self, reason: str) -> dict[str, Any]:
        return {
            "session": self._session,
            "exit_code": None,
            "reason": reason,
            "holdings": self._holdings,
            "equity": self._books,
        }

    def _cost_of(self, instrument_id: str, quantity: float, price: float, is_maker: bool) -> CostBreakdown:
        return self._paper.costs.cost_of(instrument_id, quantity, price, is_maker)

    def _on_drift(self, strategy: str, alarm: DriftAlarm) -> None:
        text = f"{strategy}: {drift_text(alarm)}"
        _LOG.warning("drift: %s", text, extra={"fields": alarm._asdict()})
        # One market that becomes another alarms in many columns: a person hears of it once.
        self._alerting.say(Severity.INFO, "drift", text, f"drift:{strategy}")

    def _note_control(self, kind: str, fields: dict[str, Any]) -> None:
        _LOG.warning("%s", kind, extra={"fields": fields})
        try:
            self._chronicle.record(kind, fields)
        finally:
            for observe in (self._events.note, self._alerting.note):
                try:
                    observe(kind, fields)
                except Exception:  # noqa: BLE001 - who only looks on stands in nobody's way
                    _LOG.exception("it happened, but was not counted or told: %s", kind)

    def _status(self) -> dict[str, Any]:
        operator = self._interface.operator
        return {"state": self.state} if operator is None else operator.status()
