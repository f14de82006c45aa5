"""One life of the bot: it recovers, reconciles, trades, and dies or stops.

Everything that decides about money here is the real code; this only wires it, as the daemon does.
"""

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ops.journal import BrokenChainError, Journal, Kind, SigningKey, VerifyKey
from ops.journal.reading import StoredLine
from ops.journal_tape import JournalTape
from ops.latch import LATCH, TradingLatch
from ops.outbox import Outbox
from ops.quick_recall import QuickRecall
from ops.recall import Recall, StrategyMemory, restore
from ops.reconciliation import (
    Holdings,
    Report,
    VenueView,
    baseline_from,
    compare_holdings,
    settle_for_good,
    settle_orders,
)
from strategies.delivery import Fill
from strategies.door import OrderDoor
from strategies.errors import SafetyError
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction
from tests.support.simulation.market import INDEX
from tests.support.simulation.network import SimCourier
from tests.support.simulation.schedule import SECOND_NS
from tests.support.simulation.trader import Trader
from tests.support.simulation.venue import Answer, View
from tests.support.simulation.weather import IN_FLIGHT_SECS
from tests.support.simulation.writer import StallingWriter

if TYPE_CHECKING:
    from tests.support.simulation.world import World

STATE_DIR = Path("/var/argonaut")
JOURNAL = STATE_DIR / "journal"


class _RememberingKey(VerifyKey):
    """Checks each signature once: every start reads the whole journal again."""

    def __init__(self, public: Ed25519PublicKey) -> None:
        super().__init__(public)
        self._known: dict[tuple[bytes, bytes], bool] = {}

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        known = self._known.get((message, signature))
        if known is None:
            known = self._known[message, signature] = super().is_signed(message, signature)
        return known


def make_key() -> SigningKey:
    """The key that signs one run's journal."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    key = SigningKey(private)
    key.verify_key = _RememberingKey(private.public_key())
    return key


_ASK_AGAIN_SECS = 5.0
_AUDIT_SECS = 25.0
_FLATTEN_TRIES = 40


class Process:
    """The bot between one start and its death."""

    in_flight_secs = IN_FLIGHT_SECS

    def __init__(self, world: "World") -> None:
        self.is_alive = True
        self.is_ready = False
        self.audits = 0
        """Times that the venue was asked since READY."""
        self._world = world
        self._asked = 0
        self._held_back: list[Answer] = []
        self._recall = Recall()
        self._lines = QuickRecall(self._recall)
        self._replayed = 0
        self.gate = TradingGate(armed=True, now=self._now)
        self.latch = TradingLatch(
            STATE_DIR / LATCH, world.disk, self.gate, record=self._record_latch, now=self._now
        )
        self.writer = StallingWriter(world.rng, self.later, world.weather.stall)
        self.journal: Journal
        self.traders: list[Trader] = []
        self.courier = SimCourier(
            world.network, world.venue, world.schedule, world.trace, world.moments.pass_by, world.inspect
        )

    # -- start -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover, and begin to reconcile."""
        world = self._world
        self.gate.reconciled = False
        self.latch.load()
        try:
            self.journal = Journal.open(
                world.disk,
                JOURNAL,
                world.key,
                self.writer,
                ts_ns=self._now(),
                on_fault=self._on_fault,
                replay=self._replay,
                admit=self._lines.settle,
                segment_bytes=world.weather.segment_bytes,
            )
        except BrokenChainError as error:
            world.violate(f"the chain is broken after a crash: {error}")
            return
        except OSError as error:
            self._exit(f"the disk refuses at the start: {error}")
            return
        self._check_survival()
        self.journal.append(Kind.SESSION_START, {"number": world.lives}, self._now())
        tape = JournalTape(self.journal, self._now)
        outbox = Outbox(self.journal, self._now, lambda secs, call: self.later(secs, "deadline", call))
        for number in range(world.weather.strategies):
            trader = Trader(world.seed, f"trader{number}", self.gate, tape, outbox, self.courier)
            self.traders.append(trader)
            try:
                restore(trader, self._recall.strategies.get(trader.name, StrategyMemory()))
            except SafetyError as error:
                world.violate(f"{trader.name} cannot be restored: {error}")
                return
        settling = settle_for_good(self.doors, since_ns=0, in_flight_secs=self.in_flight_secs)
        next(settling)
        self._ask(partial(self._settle, settling))

    def _check_survival(self) -> None:
        promised = self._world.durable_seq
        if self._replayed < promised:
            self._world.violate(f"record {promised} was durable, the crash left {self._replayed}")

    def _replay(self, line: StoredLine) -> None:
        self._replayed = line.seq
        self._lines.take(line)

    def _settle(self, settling: Generator[float, VenueView, Report], view: View) -> None:
        try:
            secs = settling.send(view)
        except StopIteration as settled:
            self._compare(settled.value, view)
        else:
            self.later(secs, "in flight", lambda: self._ask(partial(self._settle, settling)))

    def _compare(self, report: Report, view: View) -> None:
        baseline = baseline_from(self._recall.baseline)
        compare_holdings(self._ours(), Holdings(view.positions, view.cash), baseline, report)
        self.on_settled(report)
        ticket = self.journal.append(Kind.RECONCILE, report.as_json(), self._now())
        self._write_states()
        if not report.is_clean:
            self._restrict(f"our books and the venue's differ: {report.unexplained}")
        ticket.then(lambda done: self._begin(report) if done.is_durable else None)

    def on_settled(self, report: Report) -> None:
        """What is done about the orders that never arrived: nothing."""

    def _begin(self, report: Report) -> None:
        self.gate.reconciled = report.is_clean
        self.is_ready = True
        self._world.trace.note("bot: READY, clean is %s", report.is_clean)
        for trader in self.traders:
            trader.decide_only_after(self._now())
        for answer in self._held_back:
            self._take(answer)
        self.later(_AUDIT_SECS, "audit", self._audit)

    # -- life --------------------------------------------------------------------------------------

    def on_bar(self, ts_event: int) -> None:
        """One bar time, from decision to state."""
        if not (self.is_alive and self.is_ready):
            return
        self._world.moments.pass_by("bar")
        closes = self._world.market.closes(ts_event)
        for trader in self.traders:
            self._contained(trader, partial(trader.on_bar, ts_event, closes))
        self._write_states()
        self.journal.tick(self._now())

    def _write_states(self) -> None:
        for trader in self.traders:
            body = {"strategy": trader.name, "state": trader.snapshot()}
            self.journal.append(Kind.STATE, body, self._now())

    def receive(self, answer: Answer) -> None:
        """A message of the venue."""
        if not self.is_alive:
            return
        self._world.moments.pass_by("receive")
        if self.is_ready:
            self._take(answer)
        else:
            # The view that is reconciled with is of one state; what came meanwhile waits for it.
            self._held_back.append(answer)

    def _take(self, answer: Answer) -> None:
        own_id = answer.client_order_id
        for trader in self.traders:
            if trader.door.knows(own_id):
                self._world.trace.note("bot: hears %s of %s", answer.what, own_id[:8])
                self._contained(trader, partial(_tell, trader.door, answer))
                return

    def _audit(self) -> None:
        def settle(view: View) -> None:
            self.audits += 1
            waiting = settle_orders(self.doors, view, since_ns=0, is_final=False).waiting
            for door in self.doors:
                for order in door.working():
                    own_id = order.intent.client_order_id
                    is_old = self.courier.sent_ns.get(own_id, 0) + IN_FLIGHT_SECS * SECOND_NS < view.ts_ns
                    if own_id in waiting and order.is_sent and is_old:
                        door.ended(own_id, self._now(), "ABANDONED", "it never arrived")

        self._ask(settle)
        self.later(_AUDIT_SECS, "audit", self._audit)

    # -- the operator ------------------------------------------------------------------------------

    def halt(self) -> None:
        """Halt everything, durably."""
        self.latch.hold(
            Restriction(EVERYTHING, TradingState.HALTED, "a person said so", "operator", self._now())
        )
        if self.latch.is_durable:
            self._world.operator.note(self._now(), is_halted=True)
        for door in self.doors:
            door.cancel_entries()

    def flatten(self, tries: int = _FLATTEN_TRIES) -> None:
        """Close everything, and ask again until it is."""
        if tries == _FLATTEN_TRIES:
            self.halt()
        if self.is_ready and not all(door.is_flat for door in self.doors):
            for trader in self.traders:
                self._contained(trader, trader.flatten)
        if tries:
            self.later(1.0, "flatten", lambda: self.flatten(tries - 1))

    def resume(self) -> None:
        """Lift what was held, if the disk lets us."""
        self._world.operator.note(self._now(), is_halted=False)
        try:
            self.latch.lift(EVERYTHING, (Origin.OPERATOR, Origin.AUTOMATIC))
        except SafetyError as error:
            self._world.trace.note("bot: does not resume: %s", error)

    def stop(self) -> None:
        """Stop in order."""
        self._restrict("stopping")
        self._exit("stopped")

    # -- parts -------------------------------------------------------------------------------------

    @property
    def doors(self) -> list[OrderDoor]:
        """Of all strategies."""
        return [trader.door for trader in self.traders]

    def later(self, secs: float, label: str, call: Callable[[], None]) -> None:
        """Call back, unless this process is dead by then."""

        def run() -> None:
            if self.is_alive:
                self._world.moments.pass_by(label)
                call()

        self._world.schedule.after(secs, label, run)

    def _now(self) -> int:
        return self._world.schedule.now_ns

    def _ask(self, then: Callable[[View], None]) -> None:
        network, venue = self._world.network, self._world.venue
        self._asked += 1
        number = self._asked

        def arrive(view: View) -> None:
            if self.is_alive and number == self._asked:
                self._asked += 1
                self._world.moments.pass_by("view")
                then(view)

        def answer() -> None:
            view = venue.view()
            network.carry("view", lambda: arrive(view))

        network.carry("question", answer)
        self.later(_ASK_AGAIN_SECS, "ask again", lambda: self._ask(then) if number == self._asked else None)

    def _ours(self) -> Holdings:
        positions = dict.fromkeys(INDEX, 0.0)
        for trader in self.traders:
            for name, index in INDEX.items():
                positions[name] += trader.ledger.positions[index]
        return Holdings(positions, sum(trader.ledger.cash for trader in self.traders))

    def _contained(self, trader: Trader, call: Callable[[], None]) -> None:
        try:
            call()
        except SafetyError as error:
            self.gate.restrict(TradingState.HALTED, str(error), trader.name)
            self._world.violate(f"{trader.name} halted itself: {error}")

    def _on_fault(self, error: OSError) -> None:
        self._restrict(f"the journal's disk refused: {error}")
        self.later(1.0, "exit", lambda: self._exit("the disk refused"))

    def _restrict(self, reason: str) -> None:
        self._world.trace.note("bot: halted, %s", reason)
        self.gate.hold(
            Restriction(EVERYTHING, TradingState.HALTED, reason, "argonaut", self._now(), Origin.SESSION)
        )

    def _record_latch(self, kind: str, fields: dict[str, Any]) -> None:
        if hasattr(self, "journal"):
            self.journal.append(Kind(kind), fields, self._now())

    def _exit(self, reason: str) -> None:
        self._world.trace.note("bot: ends, %s", reason)
        if hasattr(self, "journal"):
            self.journal.close(self._now())
        self.is_alive = False
        self._world.on_exit()


def _tell(door: OrderDoor, answer: Answer) -> None:
    own_id, ts_event = answer.client_order_id, answer.ts_event
    match answer.what:
        case "accepted":
            door.accepted(own_id, ts_event)
        case "rejected":
            door.ended(own_id, ts_event, "REJECTED", answer.detail)
        case "canceled":
            door.ended(own_id, ts_event, "CANCELED")
        case "updated":
            door.updated(own_id, answer.quantity)
        case "cancel_rejected":
            door.cancel_rejected(own_id)
        case "fill":
            assert answer.fill is not None
            fill = answer.fill
            quantity, price, fee = float(fill.quantity), float(fill.price), float(fill.fee)
            door.filled(Fill(own_id, fill.trade_id, ts_event, quantity, price, fee, "TAKER"))
