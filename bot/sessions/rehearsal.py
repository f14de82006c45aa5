"""Strategies that live through a recorded session again, offline: no engine, no venue, no clock.

Flow: records of the journal, in order → **rehearsal** → outcomes of today beside those that were recorded.

    before the session   remembered, as the daemon remembered it at its start
    between two bars     executions, answers, restrictions and comparisons happen where they are recorded
    a bar                the recorded bars go to the very strategies; what they decide is compared, record by
                         record: observation, belief, action, target, verdicts, intents, and the state after

What the venue did is taken from the journal, so a decision that comes out differently leaves no trail of its
own: the orders that were really sent, and their executions, are what the books go on with.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bot.assembly import Surroundings, Wired, account_guard, wire
from bot.config import AccountType, HostConfig
from bot.engine_costs import CostMeter
from bot.operation.desks import release_latches
from bot.restoration import restore_strategies
from ops.adoption import book_adoption
from ops.journal import Kind, Record
from ops.journal_tape import journaled
from ops.latch import from_fields
from ops.recall import CLOSED, Recall
from strategies.delivery import Fill, Written, intent_from
from strategies.errors import SafetyError
from strategies.gate import TradingGate
from strategies.market import BarRow, Instrument
from strategies.orders import Bracket, OrderIntent, OrderRole
from strategies.restrictions import EVERYTHING, Origin, ScopeKind
from strategies.tape import EquityRecord
from strategies.tape import Record as TapeRecord

type Body = dict[str, Any]

type Outcome = tuple[Kind, Body]
"""What was recorded of a bar, or would be now."""

type Compare = Callable[[int, Sequence[Outcome], Sequence[Outcome], bool], None]
"""``compare(ts_event, recorded, replayed, is_whole)``: of one bar; not whole where a crash cut it short."""

type Panels = Callable[[int, Mapping[str, BarRow]], Iterator[tuple[int, Mapping[str, BarRow]]]]
"""``panels(ts_event, rows)``: what to show instead of recorded bars, earlier close times first."""


def recorded_panels(ts_event: int, rows: Mapping[str, BarRow]) -> Iterator[tuple[int, Mapping[str, BarRow]]]:
    """The bars as the session saw them."""
    yield ts_event, rows


class Rehearsal:
    """One session, lived through again.

    Args:
        host: The configuration to do it with.
        rules: Trading rules, by instrument.
        recall: What the journal said before the session.
        resume_ns: Market time at which the venue stood, UTC nanoseconds.
        compare: Told of each bar.
        panels: The bars to show.

    Raises:
        ConfigError: If a strategy cannot be built.
        SafetyError: If a strategy cannot go on from what is remembered.
    """

    def __init__(
        self,
        host: HostConfig,
        rules: Mapping[str, Instrument],
        recall: Recall,
        resume_ns: int,
        *,
        compare: Compare,
        panels: Panels = recorded_panels,
    ) -> None:
        self.refused: list[str] = []
        """What happened at the venue and the books would not take, a line each."""
        self._compare = compare
        self._panels = panels
        self.gate = TradingGate(armed=True)
        self._said: list[Outcome] = []
        self._equity: dict[str, EquityRecord] = {}
        self._waiting: dict[str, Callable[[Written], None]] = {}
        """Of intents decided on and not sent: what their door does once the disk has answered."""
        self._sent: set[str] = set()
        self._recorded: set[str] = set()
        """Orders that were really written down."""
        self._free: deque[tuple[str, float]] = deque()
        self._fill: Body | None = None
        self._bar: list[Record] = []
        """Records of the bar that is being gathered, its bars first."""
        self._wired = _wire(self, host, rules)
        self._strategies = {one.name: one for one in self._wired.strategies}
        if recall.latch is not None:
            self._hold_anew(recall.latch["holding"])
        restore_strategies(self._wired, recall, resume_ns)
        self._happenings: dict[Kind, Callable[[Body], None]] = {
            Kind.LATCH: self._take_latch,
            Kind.CONTROL: self._take_control,
            Kind.RECONCILE: self._take_report,
            Kind.INTENT: self._take_intents,
            Kind.SUBMIT: self._take_submit,
            Kind.OUTCOME: self._take_outcome,
            Kind.FILL: self._take_fill,
            Kind.NOTE: self._take_note,
        }

    # -- one record after the other ----------------------------------------------------------------

    def take(self, record: Record) -> None:
        """Take the next record of the session."""
        if record.kind is Kind.CHECKPOINT:
            return
        if record.kind is Kind.INPUT and "bars" in record.body:
            self.end()
            self._bar = [record]
        elif self._bar:
            self._bar.append(record)
            if record.kind is Kind.STATE and "account" in record.body:
                self._play(is_whole=True)
        else:
            self._happen(record)

    def end(self) -> None:
        """The session is over; a bar that a crash cut short is played now."""
        if self._bar:
            self._play(is_whole=False)
        self._book_fill(None)

    def _happen(self, record: Record) -> None:
        if self._fill is not None and not (
            record.kind is Kind.OUTCOME and record.body["client_order_id"] == self._fill["client_order_id"]
        ):
            self._book_fill(None)
        taker = self._happenings.get(record.kind)
        if taker is not None:
            taker(record.body)

    # -- a bar -------------------------------------------------------------------------------------

    def _play(self, *, is_whole: bool) -> None:
        first, *others = self._bar
        self._bar = []
        self._book_fill(None)
        self._free = deque(
            (one.body["currency"], one.body["free"]) for one in others if one.kind is Kind.INPUT
        )
        recorded = [(one.kind, one.body) for one in others if one.kind in _COMPARED]
        rows = {name: BarRow(first.body["ts_event"], *row) for name, row in first.body["bars"].items()}
        for ts_event, seen in self._panels(first.body["ts_event"], rows):
            self._said = []
            if seen:
                self._wired.hub.take(ts_event, seen)
            if ts_event == first.body["ts_event"]:
                self._adopt_sizes(recorded)
                self._compare(ts_event, recorded, [*self._said, *self._states(ts_event)], is_whole)
            else:
                self._compare(ts_event, [], self._said, True)
                self._settle_orders([])
        self._settle_orders(recorded)
        for one in others:
            if one.kind is Kind.LATCH:
                self._take_latch(one.body)
            elif one.kind is Kind.NOTE:  # who failed then decides nothing now
                self._take_note(one.body)

    def _adopt_sizes(self, recorded: Sequence[Outcome]) -> None:
        """A venue makes an exit smaller as its position shrinks; that is recorded with the next state."""
        for kind, body in recorded:
            if kind is Kind.STATE and "strategy" in body and body["strategy"] in self._strategies:
                door = self._strategies[body["strategy"]].door
                for one in body["state"]["working"]:
                    door.updated(one["client_order_id"], one["quantity"])

    def _settle_orders(self, recorded: Sequence[Outcome]) -> None:
        """What was sent is what was recorded, whatever would be sent now."""
        sent = {
            fields["client_order_id"]: (body["strategy"], fields)
            for kind, body in recorded
            if kind is Kind.INTENT
            for fields in body["intents"]
        }
        self._recorded |= sent.keys()
        for strategy in self._wired.strategies:
            for order in strategy.door.working():
                own_id = order.intent.client_order_id
                if not order.is_sent and own_id not in self._recorded:
                    self._waiting.pop(own_id, None)
                    strategy.door.drop(own_id)
        for own_id, (name, fields) in sent.items():
            if name in self._strategies and not self._strategies[name].door.knows(own_id):
                self._attempt(lambda door, one: door.recount(one), name, intent_from(fields))

    def _states(self, ts_event: int) -> Iterator[Outcome]:
        for strategy in self._wired.strategies:
            if strategy.last_ts_event > ts_event:
                continue
            body: Body = {"strategy": strategy.name, "state": strategy.snapshot()}
            equity = self._equity.pop(strategy.name, None)
            if equity is not None:
                body["equity"] = equity._asdict()
            yield Kind.STATE, body
        account, borrow = self._wired.account.snapshot(), self._wired.borrow.snapshot()
        yield Kind.STATE, {"ts_event": ts_event, "account": account, "borrow": borrow}

    # -- what the strategies say -------------------------------------------------------------------

    def write(self, record: TapeRecord) -> None:
        """As their tape."""
        if isinstance(record, EquityRecord):
            self._equity[record.strategy] = record
        else:
            kind, body = journaled(record)
            self._said.append((kind, body))

    def record(self, intents: Sequence[OrderIntent], then: Callable[[Written], None], /) -> None:
        """As what writes their intents down; the disk answers when the journal says that it did."""
        for intent in intents:
            self._waiting[intent.client_order_id] = then
        body = {"strategy": intents[0].strategy, "intents": [intent._asdict() for intent in intents]}
        self._said.append((Kind.INTENT, body))

    def submit(self, planned: OrderIntent | Bracket) -> None:
        """As their courier: everything that the venue answers is in the journal."""

    def cancel(self, client_order_id: str) -> None:
        """As `submit`."""

    def free_base(self, currency: str) -> float:
        """As the venue that is asked for a balance: what it answered then, in the order of the questions."""
        for _ in range(len(self._free)):
            asked, free = self._free.popleft()
            if asked == currency:
                return free
            self._free.append((asked, free))
        held = [
            position
            for strategy in self._wired.strategies
            for rules, position in zip(
                strategy.pipeline.instruments, strategy.pipeline.stages.ledger.positions, strict=True
            )
            if rules.base_currency == currency
        ]
        return sum(held)  # it was not asked then; what is ours is there at least

    # -- what happened between two bars ------------------------------------------------------------

    def _take_latch(self, body: Body) -> None:
        action = body["action"]
        if action == "found":
            self._hold_anew(body["holding"])
            return
        restriction = from_fields(body["restriction"])
        if action == "hold":
            self.gate.hold(restriction)
        elif action == "lift":
            self.gate.lift(restriction.scope, (restriction.origin,))
        elif action == "expire" and restriction.until_ts is not None:
            self.gate.expire(restriction.until_ts)

    def _hold_anew(self, holding: Sequence[Body]) -> None:
        for held in self.gate.restrictions:
            self.gate.lift(held.scope, tuple(Origin))
        for fields in holding:
            self.gate.hold(from_fields(fields))

    def _take_control(self, body: Body) -> None:
        if body.get("stage") == "asked":  # what became of it is a record of its own
            return
        answer = body.get("answer") or {}
        if body["command"] == "restrict":
            self.gate.hold(from_fields(answer))
        elif body["command"] == "resume" and "refused" not in answer:
            if body["scope"] == str(EVERYTHING):
                release_latches(self._wired.account.book)
            for strategy in self._wired.strategies:
                if body["scope"] == f"{ScopeKind.STRATEGY.value}:{strategy.name}":
                    release_latches(strategy.pipeline.stages.book)

    def _take_report(self, body: Body) -> None:
        self.gate.reconciled = not body["unexplained"]
        self.gate.doubtful = frozenset(body["doubtful"])
        for strategy in self._wired.strategies:
            for own_id in (*body["unknown"], *body["waiting"]):
                if strategy.door.is_working(own_id):
                    strategy.door.mark_unknown(own_id)
            for own_id in body["working"]:
                strategy.door.unknown.pop(own_id, None)

    def _take_intents(self, body: Body) -> None:
        # Between two bars only an operator's flatten sends, and a start adopts: strategies decide at bars.
        for fields in body["intents"]:
            intent = intent_from(fields)
            if intent.role is OrderRole.FLATTEN:
                self._attempt(lambda door, one: door.recount(one), body["strategy"], intent)
            elif intent.role is OrderRole.ADOPT:
                self._attempt(book_adoption, body["strategy"], intent)

    def _take_submit(self, body: Body) -> None:
        own_id = body["client_order_id"]
        self._sent.add(own_id)
        then = self._waiting.pop(own_id, None)
        if then is not None and not self._is_sent(body["strategy"], own_id):
            then(Written.LATE if body["reason"] == "late_record" else Written.DURABLE)

    def _take_outcome(self, body: Body) -> None:
        own_id, status, name = body["client_order_id"], body["status"], body["strategy"]
        if self._fill is not None:
            self._book_fill(body)
        elif status in {"DENIED", "EXPIRED"} and own_id not in self._sent and own_id in self._waiting:
            self._waiting.pop(own_id)
            self._attempt(lambda door, one: door.drop(one), name, own_id)
        elif status in CLOSED:
            ended = (own_id, body["ts_event"], status, body["reason"])
            self._attempt(lambda door, one: door.ended(*one), name, ended)
        elif status == "ACCEPTED":
            self._attempt(lambda door, one: door.accepted(*one), name, (own_id, body["ts_event"]))

    def _take_fill(self, body: Body) -> None:
        self._fill = body  # what the order has come to says the record that follows

    def _book_fill(self, outcome: Body | None) -> None:
        body, self._fill = self._fill, None
        if body is None:
            return
        if outcome is not None:
            sized = (outcome["client_order_id"], outcome["quantity"])
            self._attempt(lambda door, one: door.updated(*one), body["strategy"], sized)
        fill = Fill(*(body[field] for field in Fill._fields))
        self._attempt(lambda door, one: door.filled(one), body["strategy"], fill)

    def _take_note(self, body: Body) -> None:
        strategy = self._strategies.get(body.get("strategy", ""))
        if strategy is not None and body["reason"] == "fault" and strategy.failure is None:
            strategy.contain("the session", SafetyError(body["detail"]))

    # -- helpers of the above ----------------------------------------------------------------------

    def _is_sent(self, name: str, own_id: str) -> bool:
        strategy = self._strategies.get(name)
        working = () if strategy is None else strategy.door.working()
        return any(one.is_sent for one in working if one.intent.client_order_id == own_id)

    def _attempt(self, call: Callable[[Any, Any], None], name: str, given: Any) -> None:
        strategy = self._strategies.get(name)
        if strategy is None:
            self.refused.append(f"{name} does not run, but {given!r} happened to it")
            return
        try:
            call(strategy.door, given)
        except (SafetyError, KeyError) as error:
            self.refused.append(f"{name}: {error}")


class _NoEngine:
    """Takes strategies and lets them lie."""

    def add_actor(self, actor: Any) -> None: ...

    def add_strategy(self, strategy: Any) -> None: ...


_COMPARED = frozenset({Kind.DECISION, Kind.VERDICT, Kind.INTENT, Kind.NOTE, Kind.STATE})


def _wire(rehearsal: Rehearsal, host: HostConfig, rules: Mapping[str, Instrument]) -> Wired:
    settings = host.settings
    return wire(
        _NoEngine(),
        host.strategies,
        Surroundings(
            instruments=rules,
            tape=rehearsal,
            gate=rehearsal.gate,
            bars_per_year=settings.venue.bars_per_year,
            account=account_guard(host),
            borrow_cost=CostMeter(settings.costs, rules).borrow_cost,
            spread_bps=2.0 * settings.costs.half_spread_bps,
            free_base=None if settings.venue.account_type is AccountType.MARGIN else rehearsal.free_base,
            panel_timeout_secs=None,
            log=rehearsal,
            courier=rehearsal,
        ),
    )
