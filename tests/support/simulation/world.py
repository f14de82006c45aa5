"""A whole run: bot, disk, network, venue and operator, all of it fixed by one seed."""

import hashlib
import random
from collections.abc import Callable
from typing import NamedTuple

from strategies.orders import OrderIntent, OrderRole
from tests.support.simulation.checker import check
from tests.support.simulation.disk import SimDisk
from tests.support.simulation.market import READINGS_A_BAR, Market
from tests.support.simulation.network import Network
from tests.support.simulation.process import JOURNAL, Process, make_key
from tests.support.simulation.schedule import SECOND_NS, Crash, Moments, Schedule, Trace
from tests.support.simulation.venue import Answer, SimVenue
from tests.support.simulation.weather import draw_weather

_QUIET_SECS = 70
"""Long enough for every order to end, and for the bot to ask about it twice."""

_CALM_BARS = 2

_FEED_NS = 50_000_000
"""From the close of a bar to the bot."""


class Operator:
    """What the person at the desk knows: when a halt was confirmed, and when a resume was asked for."""

    def __init__(self) -> None:
        self._notes: list[tuple[int, bool]] = []

    def note(self, ts_ns: int, *, is_halted: bool) -> None:
        """Take note of an answer or of a command."""
        self._notes.append((ts_ns, is_halted))

    def is_halted(self, ts_ns: int) -> bool:
        """Whether a halt was confirmed before a time, and no resume asked for since."""
        state = False
        for noted_ns, is_halted in self._notes:
            if noted_ns < ts_ns:
                state = is_halted
        return state


class Outcome(NamedTuple):
    """What came of a run."""

    seed: int
    violations: list[str]
    trace: list[str]
    crashes: int
    moments: int
    """At which it could have crashed."""
    orders: int
    fills: int
    digest: str
    """Of the venue's ledger and the journal's bytes."""


class World:
    """One run.

    Args:
        seed: Fixes everything.
        make_process: Makes each life of the bot.
        crash_at: Crash at exactly this moment instead of where the seed says; 0 never.
        keep: Events to remember for the trace.
    """

    def __init__(
        self,
        seed: int,
        make_process: Callable[["World"], Process] = Process,
        *,
        crash_at: int | None = None,
        keep: int = 400,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.weather = weather = draw_weather(self.rng)
        self.schedule = Schedule(weather.start_ns)
        self.trace = Trace(self.schedule, keep)
        self.moments = Moments(self.rng, weather.moments_per_crash, weather.most_crashes)
        if crash_at is not None:
            self.moments.aim(crash_at)
        self.disk = SimDisk(self.rng, weather, self.moments.pass_by)
        self.market = Market(random.Random(seed + 1), weather)
        self.network = Network(self.rng, weather, self.schedule, self.trace)
        self.venue = SimVenue(self.rng, weather, self.schedule, self.market)
        self.venue.tell = self._tell
        self.operator = Operator()
        self.key = make_key()
        self.violations: list[str] = []
        self.lives = 0
        self.durable_seq = 0
        """Number of the last record that any process was told is durable."""
        self._make_process = make_process
        self._process: Process
        self._start_process()

    def run(self) -> Outcome:
        """Live through it, and judge it."""
        weather, rng, start_ns = self.weather, self.rng, self.weather.start_ns
        for number in range(1, weather.bars + _CALM_BARS + 1):
            self._plan_bar(start_ns + number * weather.bar_secs * SECOND_NS)
        length_ns = weather.bars * weather.bar_secs * SECOND_NS
        for number in range(1, (weather.bars + _CALM_BARS) * READINGS_A_BAR):
            self.schedule.at(start_ns + number * self.market.step_ns, "price", self.venue.on_price)
        for _ in range(weather.kills):
            bar_ns = start_ns + rng.randrange(1, weather.bars + 1) * weather.bar_secs * SECOND_NS
            just_after_ns = bar_ns + _FEED_NS + rng.randrange(300_000_000)
            self._plan_kill(just_after_ns if rng.random() < 0.5 else start_ns + rng.randrange(length_ns))
        self._live_until(start_ns + length_ns)
        self._calm_down()
        self._live_until(start_ns + length_ns + (_CALM_BARS * weather.bar_secs + _QUIET_SECS) * SECOND_NS)
        if not self.violations:
            if not self._process.is_ready or self._process.audits < 2:
                self.violate("the bot is not READY in the end, though nothing stands in its way")
            self.violations += check(self.disk, JOURNAL, self.venue, self.market, self.operator)
        return self._outcome()

    # -- what processes say ------------------------------------------------------------------------

    def violate(self, what: str) -> None:
        """A promise is broken; the run ends here."""
        self.trace.note("VIOLATION: %s", what)
        self.violations.append(what)

    def inspect(self, intents: tuple[OrderIntent, ...]) -> None:
        """See that an opening is on the disk when it leaves, not only when nothing happens to follow."""
        own_id = intents[0].client_order_id
        if intents[0].role is OrderRole.OPEN and not self.disk.would_keep(JOURNAL, own_id.encode()):
            self.violate(f"order {own_id[:8]} leaves before its intent is durable")

    def on_exit(self) -> None:
        """The process ended by itself."""
        self._remember_durable()
        self._restart()

    # -- what happens ------------------------------------------------------------------------------

    def _live_until(self, end_ns: int) -> None:
        schedule = self.schedule
        while not self.violations and (next_ns := schedule.next_ns()) is not None and next_ns <= end_ns:
            try:
                schedule.step()
            except Crash as crash:
                self._die(str(crash))
        schedule.at(end_ns, "end", lambda: None)

    def _die(self, where: str) -> None:
        self._process.is_alive = False
        self._remember_durable()
        is_power = self.rng.random() < self.weather.power_loss
        self.trace.note(
            "CRASH at moment %d (%s)%s", self.moments.passed, where, ", power lost" if is_power else ""
        )
        if is_power:
            self.disk.lose_power()
        self._restart()

    def _remember_durable(self) -> None:
        process = self._process
        told = process.journal.durable_seq if hasattr(process, "journal") else 0
        self.durable_seq = max(self.durable_seq, process.writer.durable_seq, told)

    def _restart(self) -> None:
        self.schedule.after(self.rng.uniform(0.1, 8.0), "start", self._start_process)

    def _start_process(self) -> None:
        self.lives += 1
        self.trace.note("bot: life %d", self.lives)
        self._process = self._make_process(self)
        try:
            self._process.start()
        except Crash as crash:
            self._die(str(crash))

    def _plan_bar(self, ts_event: int) -> None:
        def close() -> None:
            self._process.on_bar(ts_event)

        self.schedule.at(ts_event + _FEED_NS, "bar", close)

    def _plan_kill(self, ts_ns: int) -> None:
        rng = self.rng
        kind = rng.choice(("halt", "flatten", "stop"))
        self.schedule.at(ts_ns, kind, lambda: self._command(kind))
        if kind != "stop":
            if rng.random() < 0.4:  # somebody is impatient
                self.schedule.at(ts_ns + 3 * SECOND_NS, kind, lambda: self._command(kind))
            resume_ns = ts_ns + rng.randrange(5 * SECOND_NS, 200 * SECOND_NS)
            self.schedule.at(resume_ns, "resume", lambda: self._command("resume"))

    def _command(self, kind: str) -> None:
        process = self._process
        if not process.is_alive or not hasattr(process, "journal"):
            self.schedule.after(2.0, kind, lambda: self._command(kind))
            return
        self.trace.note("operator: %s", kind)
        commands: dict[str, Callable[[], None]] = {
            "halt": process.halt,
            "flatten": process.flatten,
            "resume": process.resume,
            "stop": process.stop,
        }
        commands[kind]()

    def _calm_down(self) -> None:
        self.trace.note("everything is well from now on")
        self.disk.is_well = self.network.is_well = self.venue.is_well = True
        self.moments.is_armed = False
        if self._process.is_alive and self.weather.moments_per_crash and self.rng.random() < 0.5:
            self._die("a last time")

    def _tell(self, answer: Answer) -> None:
        process = self._process
        self.trace.note("venue: %s of %s", answer.what, answer.client_order_id[:8])
        if process.is_alive:
            self.network.carry(
                f"{answer.what} of {answer.client_order_id[:8]}", lambda: process.receive(answer)
            )

    def _outcome(self) -> Outcome:
        digest = hashlib.sha256(repr(self.venue.fills).encode())
        digest.update(repr(self.venue.orders).encode())
        for name in self.disk.names(JOURNAL):
            digest.update(self.disk.read(JOURNAL / name))
        return Outcome(
            self.seed,
            self.violations,
            self.trace.lines(),
            self.moments.deaths,
            self.moments.passed,
            len(self.venue.orders),
            len(self.venue.fills),
            digest.hexdigest(),
        )
