"""A tiny strategy: what it wants comes from the seed, everything about its orders from the real code."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any

from strategies.config import GuardrailConfig
from strategies.delivery import Courier, IntentLog
from strategies.door import OrderDoor
from strategies.gate import TradingGate
from strategies.guardrails import RiskBook, TradingState
from strategies.orders import (
    Bracket,
    Identity,
    OrderIntent,
    OrderKind,
    OrderRole,
    OrderSide,
    client_order_id,
    decision_id,
    plan_closes,
)
from strategies.portfolio import Ledger
from strategies.strategy import PolicyStrategy
from strategies.tape import DecisionRecord, TapeSink
from tests.support.simulation.market import INDEX, INSTRUMENTS

CAPITAL = 10_000.0
DAILY_NOTIONAL = 1_500.0
LIMITS = GuardrailConfig(
    max_daily_notional_quote=DAILY_NOTIONAL, daily_loss_quote=None, state_drawdown_quote=None
)

_BORROWED = vars(PolicyStrategy)
"""Its methods are called with a `Trader` in place of an engine's strategy."""


class _Name:
    def __init__(self, name: str) -> None:
        self.name = name


@dataclass(frozen=True, slots=True)
class _Stages:
    ledger: Ledger
    book: RiskBook
    regime: None = None


class _Pipeline:
    """As much of a decision pipeline as a strategy's state and an operator's flatten touch."""

    def __init__(self, seed: int, name: str) -> None:
        self.config = _Name(name)
        self.instruments = INSTRUMENTS
        self.identity = Identity(name, "simulated", str(seed))
        self.stages = _Stages(Ledger(INSTRUMENTS, CAPITAL), RiskBook(LIMITS, len(INSTRUMENTS), CAPITAL))

    def remember_belief(self, ts_event: int, state: None) -> None:
        """There is none."""


class Trader:
    """Decides at each bar; a bar's wish is the same in every process.

    State, restart and the look back at a bar are `PolicyStrategy`'s own, which is why the names of its
    attributes are those of that class.
    """

    def __init__(
        self, seed: int, name: str, gate: TradingGate, tape: TapeSink, log: IntentLog, courier: Courier
    ) -> None:
        self.name = name
        self.pipeline = _Pipeline(seed, name)
        self.ledger, self.book = self.pipeline.stages.ledger, self.pipeline.stages.book
        self._ledger = self.ledger
        self.last_ts_event = 0
        self.decisions = 0
        self._index = INDEX
        self._lived_until = 0
        self._decides_after = 0
        self._seed = seed
        self._gate = gate
        self._tape = tape
        self.door = OrderDoor(
            name,
            INSTRUMENTS,
            ledger=self.ledger,
            book=self.book,
            gate=gate,
            tape=tape,
            log=log,
            courier=courier,
        )

    # -- borrowed ----------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """What this class does not have is `PolicyStrategy`'s: its plain methods, never the engine's."""
        return MethodType(_BORROWED[name], self)

    def snapshot(self) -> dict[str, Any]:
        state: dict[str, Any] = self.__getattr__("snapshot")()
        return state

    def restore(self, snapshot: Mapping[str, Any], known: Any) -> None:
        self.__getattr__("restore")(snapshot, known)

    def relive(self, *bar: Any) -> None:
        self.__getattr__("relive")(*bar)

    def flatten(self) -> None:
        ts_event = max(self.last_ts_event, self.door.last_fill_ts)
        was_sent = self.pipeline.stages.book.has_seen
        closes = plan_closes(self.pipeline.identity, INSTRUMENTS, self.ledger.positions, ts_event, was_sent)
        self.door.flatten(closes)

    # -- its own -----------------------------------------------------------------------------------

    def on_bar(self, ts_event: int, closes: list[float]) -> None:
        """Take in one bar time, and decide if this process may."""
        self.door.last_bar_ts = ts_event
        if ts_event <= self._lived_until:
            return
        self.ledger.mark(closes)
        self.book.mark(ts_event, self.ledger.equity, None)
        self.last_ts_event = ts_event
        if ts_event <= self._decides_after:
            return
        planned = self._plans(ts_event, closes)
        self.decisions += 1
        self._tape.write(DecisionRecord(ts_event, self.name, "", -1, (), tuple(closes), (), 1.0, (), ()))
        for one in planned:
            self.door.send(one)

    def _plans(self, ts_event: int, closes: list[float]) -> list[OrderIntent | Bracket]:
        rng = random.Random(f"{self._seed} {self.name} {ts_event}")
        planned = []
        entries = {one.intent.instrument_id for one in self.door.working_entries()}
        unknown = set(self.door.unknown.values())
        for index, instrument in enumerate(INSTRUMENTS):
            roll, size, dice = rng.random(), rng.randrange(50, 300), rng.random()
            if instrument.instrument_id in entries:
                continue
            held = self.ledger.positions[index]
            one: OrderIntent | Bracket | None = None
            if roll < (0.6 if held == 0.0 else 0.15) and held >= 0.0:
                quantity = max(0.001, round(size / closes[index], 3))
                if index not in unknown and self._may_open(quantity * closes[index]):
                    one = self._opening(index, ts_event, quantity, closes[index], dice)
            elif held and roll < 0.7:
                one = self._reduction(index, ts_event, held, is_whole=dice < 0.6 or held < 0.0)
            if one is not None:
                planned.append(one)
                notional = (one.entry if isinstance(one, Bracket) else one).quantity * closes[index]
                self.book.reserve(ts_event, index, 1.0, notional, held, adds=True)
        return planned

    def _may_open(self, notional: float) -> bool:
        # What the guardrail chain asks, as far as it matters to what is under test.
        is_active = self._gate.state(self.name) is TradingState.ACTIVE
        spent = self.book.daily_notional + self.book.reserved.notional
        return is_active and self._gate.armed and self._gate.reconciled and spent + notional <= DAILY_NOTIONAL

    def _opening(
        self, index: int, ts_event: int, quantity: float, close: float, dice: float
    ) -> OrderIntent | Bracket:
        limit = round(close * (1.0 + (dice - 0.3) / 100.0), 2) if dice < 0.3 else None
        kind = OrderKind.MARKET if limit is None else OrderKind.LIMIT_IOC
        entry = self._intent(index, ts_event, OrderRole.OPEN, OrderSide.BUY, quantity, kind, price=limit)
        if dice > 0.7:
            return entry
        stop = self._intent(
            index,
            ts_event,
            OrderRole.STOP,
            OrderSide.SELL,
            quantity,
            OrderKind.STOP_MARKET,
            trigger=round(close * 0.995, 2),
        )
        target = self._intent(
            index,
            ts_event,
            OrderRole.TARGET,
            OrderSide.SELL,
            quantity,
            OrderKind.LIMIT,
            price=round(close * 1.004, 2),
        )
        return Bracket(entry, stop, target if dice < 0.5 else None)

    def _reduction(self, index: int, ts_event: int, held: float, *, is_whole: bool) -> OrderIntent:
        side = OrderSide.SELL if held > 0.0 else OrderSide.BUY
        half = round(abs(held) / 2.0, 3)
        if is_whole or half == 0.0:
            return self._intent(index, ts_event, OrderRole.CLOSE, side, abs(held), OrderKind.MARKET)
        return self._intent(index, ts_event, OrderRole.REDUCE, side, half, OrderKind.MARKET)

    def _intent(
        self,
        index: int,
        ts_event: int,
        role: OrderRole,
        side: OrderSide,
        quantity: float,
        kind: OrderKind,
        *,
        price: float | None = None,
        trigger: float | None = None,
    ) -> OrderIntent:
        name = INSTRUMENTS[index].instrument_id
        decision = decision_id(self.pipeline.identity, name, ts_event, role)
        own_id = client_order_id(decision)
        is_reduction = role is not OrderRole.OPEN
        return OrderIntent(
            decision,
            own_id,
            self.name,
            name,
            ts_event,
            side,
            quantity,
            kind,
            price,
            trigger,
            is_reduction,
            role,
        )
