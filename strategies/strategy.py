"""The Nautilus strategy: asks for decisions, and carries what passes the door to the engine and back.

Flow: decision → door → **Nautilus** → venue → fill → door → ledger, tape.

Nothing else in the project submits, modifies or cancels an order; a test of the source says so.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from nautilus_trader.model import ClientOrderId, OrderFilled
from nautilus_trader.trading import Strategy

from strategies.decision import Conditions
from strategies.delivery import ContainedLog, Fill, Written, still_to_fill
from strategies.door import OrderDoor
from strategies.engine_config import PolicyStrategyConfig
from strategies.engine_orders import EngineOrders
from strategies.errors import DataError, SafetyError
from strategies.guardrails import TradingState
from strategies.guards import contained, guarded
from strategies.market import Panel
from strategies.orders import Bracket, OrderIntent, plan_closes
from strategies.slices import SlicingCourier
from strategies.tape import HaltRecord, equity_record

__all__ = ["PolicyStrategy", "PolicyStrategyConfig"]

SNAPSHOT_VERSION = 1


class _EngineCourier:
    """Hands orders to the engine; the only place from which they leave."""

    def __init__(self, strategy: "PolicyStrategy") -> None:
        self._strategy = strategy
        self._orders: EngineOrders | None = None

    def submit(self, planned: OrderIntent | Bracket) -> None:
        strategy = self._strategy
        now = strategy.clock.timestamp_ns()
        if isinstance(planned, Bracket):
            strategy.submit_order_list(self._engine_orders().bracket(planned, now))
        else:
            strategy.submit_order(self._engine_orders().single(planned, now))

    def cancel(self, client_order_id: str) -> None:
        self._strategy.cancel_order(ClientOrderId(client_order_id))

    def _engine_orders(self) -> EngineOrders:
        if self._orders is None:
            strategy = self._strategy
            assert strategy.trader_id is not None, "the engine has registered us before anything is sent"
            self._orders = EngineOrders(
                strategy.pipeline.instruments, strategy.trader_id, strategy.strategy_id
            )
        return self._orders


class PolicyStrategy(Strategy):
    """Hosts one decision pipeline inside Nautilus.

    Args:
        config: The parts; see `PolicyStrategyConfig`.
    """

    def __init__(self, config: PolicyStrategyConfig) -> None:
        super().__init__(config)
        pipeline = config.pipeline
        self.name = pipeline.config.name
        self.bar_types = config.bar_types
        self.pipeline = pipeline
        self.failure: BaseException | None = None
        self.skipped_panels = 0
        """Panels without a decision: malformed bars, or an answer of the policy that is no number."""
        self.decisions = 0
        self._may_decide = False
        self._lived_until = 0
        """Close time of the newest bar that an earlier process took in, UTC nanoseconds."""
        self._decides_after = 0
        self.last_ts_event = 0
        self._gate = gate = config.gate
        self._tape = config.tape
        self._free_base = config.free_base
        self._held_at_venue = config.held_at_venue
        self._spread_bps = config.spread_bps
        self._now = config.now
        self._ledger = pipeline.stages.ledger
        self._index = {i.instrument_id: n for n, i in enumerate(pipeline.instruments)}
        courier = config.courier or _EngineCourier(self)
        self._slices = SlicingCourier(
            pipeline.instruments,
            config.paces,
            courier,
            price_of=lambda name: self._ledger.closes[self._index[name]],
            objection=lambda part: gate.objection(self.name, part.instrument_id, reduces=part.reduce_only),
            ended=lambda own_id, ts_event, reason: self.door.ended(own_id, ts_event, "CANCELED", reason),
        )
        self.door = OrderDoor(
            self.name,
            pipeline.instruments,
            ledger=pipeline.stages.ledger,
            book=pipeline.stages.book,
            gate=config.gate,
            tape=config.tape,
            log=ContainedLog(config.log, self.on_written),
            courier=self._slices if config.paces else courier,
        )

    # -- after a restart ---------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """What must survive a crash, as plain JSON values; the decisions sent are in the journal anyway."""
        stages = self.pipeline.stages
        book = stages.book.snapshot()
        del book["seen"], book["seen_yesterday"]
        return {
            "version": SNAPSHOT_VERSION,
            "instruments": list(self._index),
            "ts_event": self.last_ts_event,
            "decisions": self.decisions,
            "regime": None if stages.regime is None else stages.regime.state.as_json(),
            "ledger": stages.ledger.snapshot(),
            "book": book,
            "working": self.door.snapshot(),
        }

    def restore(self, snapshot: Mapping[str, Any], intents: Mapping[str, OrderIntent]) -> None:
        """Take over what `snapshot` gave; before the first bar.

        Args:
            snapshot: The newest one.
            intents: Orders that were ever written down, by client order id; none of their decisions is sent
                again.

        Raises:
            SafetyError: If it is damaged, of another version or of other instruments; the strategy must not
                trade, and its books are unchanged.
        """
        ledger, book = self.pipeline.stages.ledger, self.pipeline.stages.book
        seen = [intent.decision_id for intent in intents.values()]
        before = ledger.snapshot()
        try:
            self._require_ours(snapshot["version"], snapshot["instruments"])
            last_ts_event, decisions = int(snapshot["ts_event"]), int(snapshot["decisions"])
            self.pipeline.remember_belief(last_ts_event, snapshot.get("regime"))
            working = [
                (
                    intents[one["client_order_id"]]._replace(quantity=float(one["quantity"])),
                    float(one["filled"]),
                )
                for one in snapshot["working"]
            ]
            ledger.restore(snapshot["ledger"])
            book.restore({**snapshot["book"], "seen": seen, "seen_yesterday": []})
        except (KeyError, TypeError, ValueError, SafetyError) as error:
            ledger.restore(before)
            raise SafetyError(
                f"strategy {self.name}: expected its state as it was written down, found one that it cannot "
                f"go on from: {error if isinstance(error, SafetyError) else repr(error)}; it must not trade"
            ) from error
        self.decisions = decisions
        self._live_until(last_ts_event)
        for intent, filled in working:
            self.door.resume(intent, filled=filled, is_working=True)

    def relive(self, ts_event: int, closes: Sequence[float], regime_state: int | None) -> None:
        """Mark the books at a bar that was decided on after the newest snapshot.

        Args:
            ts_event: Close time of the bar, UTC nanoseconds.
            closes: One per instrument, as the decision was recorded with them.
            regime_state: Likewise.

        Raises:
            SafetyError: If it is of another number of instruments; nothing has changed.
        """
        if len(closes) != len(self._index):
            raise SafetyError(
                f"strategy {self.name}: expected decisions on {len(self._index)} instruments, found one on "
                f"{len(closes)}; run it with the instruments that it had until nothing is held"
            )
        self._ledger.mark(closes)
        self.pipeline.stages.book.mark(ts_event, self._ledger.equity, regime_state)
        self.decisions += 1
        self._live_until(ts_event)

    def _require_ours(self, version: int, instruments: list[str]) -> None:
        if version != SNAPSHOT_VERSION:
            raise ValueError(f"expected version {SNAPSHOT_VERSION}, found {version}")
        if instruments != list(self._index):
            raise SafetyError(
                f"expected instruments {list(self._index)}, found {instruments}; name those again, in this "
                "order, and once nothing is held give the strategy with the new ones another name"
            )

    def _live_until(self, ts_event: int) -> None:
        self.last_ts_event = self._lived_until = self.door.last_bar_ts = ts_event

    def decide_only_after(self, ts_event: int) -> None:
        """Take in the bars up to a time without deciding on them: the venue has moved on since."""
        self._decides_after = max(self._decides_after, ts_event)

    # -- decisions ---------------------------------------------------------------------------------

    @contained
    def observe(self, panel: Panel) -> None:
        """Take in the bars of one close time; called by the hub, before any strategy decides."""
        self._may_decide = False
        is_new = panel.ts_event > self._lived_until
        if is_new:
            self.door.last_bar_ts = panel.ts_event
        if self.failure is not None:
            if is_new:
                self._mark_what_is_held(panel)
            return
        try:
            if not is_new:
                self.pipeline.warm_up(panel)
                return
            self._may_decide = self.pipeline.observe(panel) and panel.ts_event > self._decides_after
            self.last_ts_event = panel.ts_event
        except DataError as error:
            self._skip(panel.ts_event, error)
        if self.pipeline.latched is not None:
            reason = self.pipeline.latched.value
            self._tape.write(HaltRecord(panel.ts_event, self.name, "REDUCING", reason, "loss limit reached"))
        if self.last_ts_event == panel.ts_event:
            self._tape.write(equity_record(panel.ts_event, self.name, self._ledger))

    def _mark_what_is_held(self, panel: Panel) -> None:
        # A halted strategy decides nothing, but what it holds still counts against the account's limits.
        self._ledger.mark_bars(panel.bars)
        self.last_ts_event = panel.ts_event
        self._tape.write(equity_record(panel.ts_event, self.name, self._ledger))

    @guarded
    def decide(self) -> None:
        """Decide on the bars taken in last, and send what was approved; called by the hub."""
        if not self._may_decide:
            return
        self._may_decide = False
        try:
            decision = self.pipeline.decide(self._conditions())
        except DataError as error:  # a policy that answers with no number, say: nothing was sent
            self._skip(self.last_ts_event, error)
            return
        self.decisions += 1
        self._tape.write(decision.record)
        for verdict in decision.verdicts:
            self._tape.write(verdict)
        for planned in decision.orders:
            self.door.send(planned)

    @contained
    def send_slices(self, ts_event: int) -> None:
        """Send the parts of orders that are due at a bar time; called once all have decided."""
        self._slices.send_due(ts_event)

    def _skip(self, ts_event: int, error: DataError) -> None:
        self.skipped_panels += 1
        self._tape.write(HaltRecord(ts_event, self.name, "SKIPPED", "bad_data", str(error)))

    def _conditions(self) -> Conditions:
        gate = self._gate
        busy, working_buys, working_sells = still_to_fill(self.door.working_entries(), self._index)
        return Conditions(
            gate.state(self.name),
            gate.armed,
            self.last_ts_event if self._now is None else self._now(),
            gate.reconciled,
            busy,
            self._doubtful,
            self._free_base,
            working_buys,
            working_sells,
            self._spread_bps,
            gate.states(self.name, self._index),
        )

    def contain(self, where: str, error: BaseException) -> None:
        """Halt this strategy after a fault; the others go on."""
        if self.failure is None:
            self.failure = error
        detail = f"{type(error).__name__} in {where}: {error}"
        self._halt(self.last_ts_event, TradingState.HALTED, "fault", detail)

    def _halt(self, ts_event: int, state: TradingState, reason: str, detail: str) -> None:
        self._gate.restrict(state, f"{reason}: {detail}", self.name)
        self._tape.write(HaltRecord(ts_event, self.name, state.value, reason, detail))

    # -- what an operator asks of it ---------------------------------------------------------------

    @contained
    def cancel_entries(self, instrument_ids: Collection[str] | None = None) -> None:
        """Cancel every working order that is not a protective stop or target; of all instruments, or some."""
        self.door.cancel_entries(instrument_ids)

    @contained
    def flatten(self, instrument_ids: Collection[str] | None = None) -> None:
        """Cancel everything and close every position at the market, whatever the trading state.

        Where our books are in doubt it closes what the venue says that the strategy holds.

        Call it until `is_flat`: an entry may fill before its cancel arrives. A close that still works is left
        alone; one that came to nothing is sent again, a bounded number of times between two fills or bars.
        """
        pipeline, ts_event = self.pipeline, max(self.last_ts_event, self.door.last_fill_ts)
        was_sent = pipeline.stages.book.has_seen
        closes = plan_closes(pipeline.identity, pipeline.instruments, self.positions, ts_event, was_sent)
        self.door.flatten(closes, instrument_ids)

    @property
    def num_working_entries(self) -> int:
        """Orders still working that are not protective stops or targets."""
        return len(self.door.working_entries())

    @property
    def positions(self) -> tuple[float, ...]:
        """Signed base units of each instrument: by our books, or by the venue's where those are in doubt."""
        booked, doubtful = tuple(self._ledger.positions), self._doubtful
        if not doubtful or self._held_at_venue is None:
            return booked
        held = self._held_at_venue(str(self.strategy_id))
        return tuple([held.get(name, 0.0) if n in doubtful else booked[n] for name, n in self._index.items()])

    @property
    def _doubtful(self) -> frozenset[int]:
        differing = [self._index[name] for name in self._gate.doubtful if name in self._index]
        return frozenset([*self.door.unknown.values(), *differing])

    def is_flat(self, instrument_ids: Collection[str] | None = None) -> bool:
        """Whether nothing is held and nothing works; of all instruments, or some."""
        held = zip(self._index, self.positions, strict=True)
        holds = any(one for name, one in held if instrument_ids is None or name in instrument_ids)
        return not holds and not self.door.working(instrument_ids)

    # -- what came of its orders -------------------------------------------------------------------

    @contained
    def on_written(self, then: Callable[[Written], None], written: Written) -> None:
        """An intent's fate is known: its order leaves or is dropped."""
        then(written)

    @contained
    def on_order_filled(self, event: OrderFilled) -> None:
        """Book an execution."""
        own_id = str(event.client_order_id)
        self.door.filled(
            Fill(
                client_order_id=self._slices.parent_of(own_id),
                trade_id=str(event.trade_id),
                ts_event=event.ts_event,
                quantity=float(event.last_qty),
                price=float(event.last_px),
                fee=0.0 if event.commission is None else float(event.commission),
                liquidity=event.liquidity_side.name,
            )
        )
        self._slices.note_filled(own_id, event.ts_event)

    def _ended(self, event: Any, status: str, reason: str = "") -> None:
        own_id = self._slices.note_refused(str(event.client_order_id))
        self.door.ended(own_id, event.ts_event, status, reason)

    @contained
    def on_order_accepted(self, event: Any) -> None:
        """Note that the venue has the order."""
        if (own_id := self._slices.newly_accepted(str(event.client_order_id))) is not None:
            self.door.accepted(own_id, event.ts_event)

    @contained
    def on_order_denied(self, event: Any) -> None:
        """The engine's own checks refused the order."""
        self._ended(event, "DENIED", str(event.reason))

    @contained
    def on_order_rejected(self, event: Any) -> None:
        """The venue refused the order."""
        self._ended(event, "REJECTED", str(event.reason))

    @contained
    def on_order_cancel_rejected(self, event: Any) -> None:
        """The order is done already, or a flatten has to cancel it again."""
        self.door.cancel_rejected(self._slices.parent_of(str(event.client_order_id)))

    @contained
    def on_order_updated(self, event: Any) -> None:
        """The venue changed the order's size."""
        self.door.updated(self._slices.parent_of(str(event.client_order_id)), float(event.quantity))

    @contained
    def on_order_canceled(self, event: Any) -> None:
        """The order is gone; what was filled before stays."""
        self._ended(event, "CANCELED")

    @contained
    def on_order_expired(self, event: Any) -> None:
        """The order ran out of time."""
        self._ended(event, "EXPIRED")
