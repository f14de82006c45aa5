"""The Nautilus strategy, and the one door through which orders leave.

Flow: decision → **door** → Nautilus → venue → fill → ledger, tape.

Nothing else in the project submits, modifies or cancels an order; a test of the source says so.
"""

import math
from collections.abc import Callable, Collection
from typing import Any

from nautilus_trader.model import ClientOrderId, OrderFilled, OrderSide, StrategyId
from nautilus_trader.trading import Strategy
from nautilus_trader.trading import StrategyConfig as NautilusStrategyConfig

from strategies.decision import Conditions, DecisionPipeline
from strategies.engine_orders import EngineOrders
from strategies.errors import DataError
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.guards import contained, guarded
from strategies.market import Panel
from strategies.orders import Bracket, OrderIntent, OrderRole
from strategies.tape import EquityRecord, FillRecord, HaltRecord, OrderRecord, TapeSink

_NAN = float("nan")
_PROTECTION = (OrderRole.STOP, OrderRole.TARGET)


class PolicyStrategyConfig(NautilusStrategyConfig):
    """Carries the strategy's parts through the engine's one-argument constructor."""

    def __new__(cls, number: int, **_: object) -> "PolicyStrategyConfig":
        tag = f"{number:03d}"
        # The engine's config is built in __new__, but its stub declares an __init__.
        make: Any = super().__new__
        new: PolicyStrategyConfig = make(
            cls, strategy_id=StrategyId(f"ARGO-{tag}"), order_id_tag=tag, manage_contingent_orders=False
        )
        return new

    def __init__(
        self,
        number: int,
        *,
        pipeline: DecisionPipeline,
        bar_types: tuple[str, ...],
        gate: TradingGate,
        tape: TapeSink,
        free_base: Callable[[str], float] | None = None,
        spread_bps: float = 0.0,
        now: Callable[[], int] | None = None,
    ) -> None:
        self.number = number
        self.pipeline = pipeline
        self.bar_types = bar_types
        self.gate = gate
        self.tape = tape
        self.free_base = free_base
        self.spread_bps = spread_bps
        self.now = now


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
        self.last_ts_event = 0
        self._gate = config.gate
        self._tape = config.tape
        self._free_base = config.free_base
        self._spread_bps = config.spread_bps
        self._now = config.now
        self._ledger = pipeline.stages.ledger
        self._book = pipeline.stages.book
        self._index = {i.instrument_id: n for n, i in enumerate(pipeline.instruments)}
        self._orders: EngineOrders | None = None
        self._working: dict[str, OrderIntent] = {}
        self._filled: dict[str, float] = {}
        self._leaving: set[str] = set()
        """Orders that a flatten has cancelled and the venue has not answered for."""
        self._last_fill_ts = 0

    # -- decisions ---------------------------------------------------------------------------------

    @contained
    def observe(self, panel: Panel) -> None:
        """Take in the bars of one close time; called by the hub, before any strategy decides."""
        self._may_decide = False
        if self.failure is not None:
            self._mark_what_is_held(panel)
            return
        try:
            self._may_decide = self.pipeline.observe(panel)
        except DataError as error:
            self._skip(panel.ts_event, error)
            return
        self.last_ts_event = panel.ts_event
        if self.pipeline.latched is not None:
            reason = self.pipeline.latched.value
            self._tape.write(HaltRecord(panel.ts_event, self.name, "REDUCING", reason, "loss limit reached"))
        self._record_equity(panel.ts_event)

    def _mark_what_is_held(self, panel: Panel) -> None:
        # A halted strategy decides nothing, but what it holds still counts against the account's limits.
        closes = list(self._ledger.closes)
        for index, bar in enumerate(panel.bars):
            if bar is not None and 0.0 < bar.close < math.inf:
                closes[index] = bar.close
        self._ledger.mark(closes)
        self.last_ts_event = panel.ts_event
        self._record_equity(panel.ts_event)

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
            self._send(planned)

    def _skip(self, ts_event: int, error: DataError) -> None:
        self.skipped_panels += 1
        self._tape.write(HaltRecord(ts_event, self.name, "SKIPPED", "bad_data", str(error)))

    def working_intents(self) -> tuple[OrderIntent, ...]:
        """Orders of this strategy that are not done yet, in the order in which they were sent."""
        return tuple(self._working.values())

    def _conditions(self) -> Conditions:
        busy: set[int] = set()
        buys: list[float] = []
        sells: list[float] = []
        if self._working:
            buys, sells = [0.0] * len(self._index), [0.0] * len(self._index)
            for own_id, intent in self._working.items():
                if intent.role in _PROTECTION:
                    continue
                index = self._index[intent.instrument_id]
                busy.add(index)
                working = buys if intent.side == "BUY" else sells
                working[index] += intent.quantity - self._filled[own_id]
        return Conditions(
            trading_state=self._gate.state(self.name),
            armed=self._gate.armed,
            now_ns=self._now() if self._now is not None else self.last_ts_event,
            reconciled=self._gate.reconciled,
            busy=frozenset(busy),
            unknown=frozenset(),
            free_base=self._free_base,
            working_buys=buys,
            working_sells=sells,
            spread_bps=self._spread_bps,
            instrument_states=self._gate.states(self.name, self._index),
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

    # -- the door ----------------------------------------------------------------------------------

    def _send(self, planned: OrderIntent | Bracket) -> None:
        if isinstance(planned, Bracket):
            self._send_bracket(planned)
            return
        if planned.role is OrderRole.CLOSE:
            self._cancel_protection(planned.instrument_id)
        order = self._engine_orders().single(planned, self.clock.timestamp_ns())
        self._remember(planned)
        self.submit_order(order)

    def _send_bracket(self, bracket: Bracket) -> None:
        orders = self._engine_orders().bracket(bracket, self.clock.timestamp_ns())
        for intent in (bracket.entry, bracket.stop, bracket.target):
            if intent is not None:
                self._remember(intent)
        self.submit_order_list(orders)

    def _engine_orders(self) -> EngineOrders:
        if self._orders is None:
            assert self.trader_id is not None, "the engine has registered us before anything is sent"
            self._orders = EngineOrders(self.pipeline.instruments, self.trader_id, self.strategy_id)
        return self._orders

    def _cancel_protection(self, instrument_id: str) -> None:
        for intent in self.working_intents():
            if intent.instrument_id == instrument_id and intent.role in _PROTECTION:
                self.cancel_order(ClientOrderId(intent.client_order_id))

    def _remember(self, intent: OrderIntent) -> None:
        self._working[intent.client_order_id] = intent
        self._filled[intent.client_order_id] = 0.0
        self._record_order(intent, intent.ts_event, "SUBMITTED", "")
        if intent.role not in _PROTECTION:
            index = self._index[intent.instrument_id]
            notional = intent.quantity * self._ledger.closes[index]
            self._book.on_order_sent(
                intent.ts_event, index, 1 if intent.side == "BUY" else -1, notional, intent.decision_id
            )

    @contained
    def cancel_entries(self, instrument_ids: Collection[str] | None = None) -> None:
        """Cancel every working order that is not a protective stop or target; of all instruments, or some."""
        for intent in self.working_intents():
            if intent.role not in _PROTECTION and _among(intent, instrument_ids):
                self.cancel_order(ClientOrderId(intent.client_order_id))

    @contained
    def flatten(self, instrument_ids: Collection[str] | None = None) -> None:
        """Cancel everything and close every position at the market, whatever the trading state.

        Call it until `is_flat`: an entry may fill before its cancel arrives. A close that still works is left
        alone, and one that is done is sent again only after another fill or bar.
        """
        closing: set[str] = set()
        for intent in self.working_intents():
            if intent.role is OrderRole.FLATTEN:
                closing.add(intent.instrument_id)
            elif _among(intent, instrument_ids) and intent.client_order_id not in self._leaving:
                self._leaving.add(intent.client_order_id)
                self.cancel_order(ClientOrderId(intent.client_order_id))
        for close in self.pipeline.plan_closes(max(self.last_ts_event, self._last_fill_ts)):
            if not _among(close, instrument_ids) or close.instrument_id in closing:
                continue
            if not self._book.has_seen(close.decision_id):
                self._remember(close)
                self.submit_order(self._engine_orders().single(close, self.clock.timestamp_ns()))

    @property
    def num_working_entries(self) -> int:
        """Orders still working that are not protective stops or targets."""
        return sum(intent.role not in _PROTECTION for intent in self._working.values())

    @property
    def is_flat(self) -> bool:
        """Whether the strategy holds nothing and has nothing working."""
        return not self._working and not any(self._ledger.positions)

    # -- what came of them -------------------------------------------------------------------------

    @contained
    def on_order_filled(self, event: OrderFilled) -> None:
        """Book an execution."""
        own_id = str(event.client_order_id)
        instrument_id = str(event.instrument_id)
        index = self._index[instrument_id]
        quantity, price = float(event.last_qty), float(event.last_px)
        side = "BUY" if event.order_side == OrderSide.BUY else "SELL"
        fee = 0.0 if event.commission is None else float(event.commission)
        self._ledger.apply_fill(index, quantity if side == "BUY" else -quantity, price, fee)
        self._last_fill_ts = event.ts_event
        self._tape.write(
            FillRecord(
                ts_event=event.ts_event,
                strategy=self.name,
                instrument_id=instrument_id,
                client_order_id=own_id,
                trade_id=str(event.trade_id),
                side=side,
                quantity=quantity,
                price=price,
                fee=fee,
                liquidity=event.liquidity_side.name,
            )
        )
        intent = self._working.get(own_id)
        if intent is None:
            return
        filled = round(self._filled[own_id] + quantity, self.pipeline.instruments[index].quantity_decimals)
        self._filled[own_id] = filled
        done = filled >= intent.quantity
        self._record_order(intent, event.ts_event, "FILLED" if done else "PARTIALLY_FILLED", "")
        if done:
            self._finish(own_id, rejected=False)

    @contained
    def on_order_accepted(self, event: Any) -> None:
        """Note that the venue has the order."""
        self._note(event, "ACCEPTED", "")

    @contained
    def on_order_denied(self, event: Any) -> None:
        """The engine's own checks refused the order."""
        self._end(event, "DENIED", str(event.reason), rejected=True)

    @contained
    def on_order_rejected(self, event: Any) -> None:
        """The venue refused the order."""
        self._end(event, "REJECTED", str(event.reason), rejected=True)

    @contained
    def on_order_cancel_rejected(self, event: Any) -> None:
        """The order is done already, or a flatten has to cancel it again."""
        self._leaving.discard(str(event.client_order_id))

    @contained
    def on_order_updated(self, event: Any) -> None:
        """The venue changed the order's size: an exit follows what is left of its position."""
        own_id = str(event.client_order_id)
        intent = self._working.get(own_id)
        if intent is not None:
            self._working[own_id] = intent._replace(quantity=float(event.quantity))

    @contained
    def on_order_canceled(self, event: Any) -> None:
        """The order is gone; what was filled before stays."""
        self._end(event, "CANCELED", "", rejected=False)

    @contained
    def on_order_expired(self, event: Any) -> None:
        """The order ran out of time."""
        self._end(event, "EXPIRED", "", rejected=False)

    def _note(self, event: Any, status: str, reason: str) -> None:
        intent = self._working.get(str(event.client_order_id))
        if intent is not None:
            self._record_order(intent, event.ts_event, status, reason)

    def _end(self, event: Any, status: str, reason: str, *, rejected: bool) -> None:
        self._note(event, status, reason)
        self._finish(str(event.client_order_id), rejected=rejected)

    def _finish(self, own_id: str, *, rejected: bool) -> None:
        if self._working.pop(own_id, None) is not None:
            self._filled.pop(own_id)
            self._leaving.discard(own_id)
            self._book.on_outcome(rejected)

    def _record_order(self, intent: OrderIntent, ts_event: int, status: str, reason: str) -> None:
        self._tape.write(
            OrderRecord(
                ts_event=ts_event,
                strategy=self.name,
                instrument_id=intent.instrument_id,
                decision_id=intent.decision_id,
                client_order_id=intent.client_order_id,
                side=str(intent.side),
                quantity=intent.quantity,
                kind=str(intent.kind),
                role=str(intent.role),
                price=_NAN if intent.price is None else intent.price,
                trigger_price=_NAN if intent.trigger_price is None else intent.trigger_price,
                status=status,
                reason=reason,
            )
        )

    def _record_equity(self, ts_event: int) -> None:
        ledger = self._ledger
        self._tape.write(
            EquityRecord(
                ts_event,
                self.name,
                ledger.equity,
                ledger.cash,
                ledger.gross_exposure,
                ledger.net_exposure,
                ledger.realised,
                ledger.unrealised,
                ledger.fees,
                ledger.drawdown,
            )
        )


def _among(intent: OrderIntent, instrument_ids: Collection[str] | None) -> bool:
    return instrument_ids is None or intent.instrument_id in instrument_ids
