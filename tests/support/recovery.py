"""A whole strategy whose journal is real and whose market, venue, disk and deadlines go by hand."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ops.disk import Disk
from ops.journal import Journal, Kind, Record, StepWriter
from ops.journal_tape import JournalTape
from ops.outbox import Outbox
from ops.recall import Recall, StrategyMemory, restore
from strategies.config import StrategyConfig
from strategies.decision import DecisionPipeline, Stages
from strategies.delivery import Fill, WorkingOrder
from strategies.features import FeaturePipeline
from strategies.gate import TradingGate
from strategies.guardrails import GuardrailChain, RiskBook
from strategies.market import BarRow, Instrument, Panel
from strategies.observation import Observation, ObservationBuilder
from strategies.orders import Bracket, Identity, OrderIntent
from strategies.policies import Action
from strategies.portfolio import Ledger
from strategies.sizing import Sizer
from strategies.strategy import PolicyStrategy, PolicyStrategyConfig
from tests.support.journals import open_journal

MINUTE = 60_000_000_000
START = 28_333_440 * MINUTE
ALPHA, BETA = NAMES = ("ALPHAUSDT.DEMO", "BETAUSDT.DEMO")
CAPITAL = 10_000.0
NAN = math.nan

_LIMITS: dict[str, Any] = {
    "min_confidence": 0.0,
    "daily_loss_quote": None,
    "state_drawdown_quote": None,
    "max_daily_notional_quote": None,
    "max_notional_quote": None,
    "max_gross_quote": None,
    "max_participation_frac": None,
    "cooldown_secs": 0.0,
    "max_orders_per_minute": 1_000,
    "max_reject_rate": 1.0,
}


def rules(instrument_id: str) -> Instrument:
    """A spot market with lots of a thousandth."""
    return Instrument(
        instrument_id=instrument_id,
        base_currency=instrument_id.removesuffix("USDT.DEMO"),
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(10),
        maker_fee_bps=1.0,
        taker_fee_bps=2.0,
        shortable=False,
    )


class Told:
    """A policy that answers what it was told last."""

    name = "told"
    required_columns: tuple[str, ...] = ()
    policy_id = "p" * 64

    def __init__(self, count: int) -> None:
        self.answer = Action.hold(count)

    def act(self, observation: Observation) -> Action:
        return self.answer

    def reset(self) -> None: ...


class Notebook:
    """A courier that writes down what it would carry."""

    def __init__(self) -> None:
        self.sent: list[OrderIntent | Bracket] = []
        self.cancelled: list[str] = []

    def submit(self, planned: OrderIntent | Bracket) -> None:
        self.sent.append(planned)

    def cancel(self, client_order_id: str) -> None:
        self.cancelled.append(client_order_id)


def make_strategy(
    tape: JournalTape,
    outbox: Outbox,
    name: str = "one",
    instruments: Sequence[str] = NAMES,
    config_sha256: str = "c" * 64,
    guardrails: Mapping[str, Any] | None = None,
    gate: TradingGate | None = None,
) -> tuple[PolicyStrategy, Told, Notebook]:
    """A strategy as the daemon makes it, but for its policy and its courier."""
    count = len(instruments)
    config = StrategyConfig.model_validate(
        {
            "name": name,
            "instruments": tuple(instruments),
            "capital_quote": CAPITAL,
            "features": {"lookback": 1, "columns": ({"kind": "log_return", "params": {"period": 1}},)},
            "policy": {"kind": "flat"},
            "allocation": {"max_step_change": 10.0, "rebalance_eps": 0.0},
            "sizing": {"cash_buffer_frac": 0.0},
            "guardrails": _LIMITS | dict(guardrails or {}),
        }
    )
    markets, policy, notebook = [rules(one) for one in instruments], Told(count), Notebook()
    features = FeaturePipeline(config.features, count)
    stages = Stages(
        features=features,
        regime=None,
        observation=ObservationBuilder(
            lookback=1, num_instruments=count, num_features=1, num_states=0, columns=features.columns
        ),
        policy=policy,
        sizer=Sizer(config.sizing, markets, 525_600.0),
        guardrails=GuardrailChain(config.guardrails, markets, None),
        book=RiskBook(config.guardrails, count, CAPITAL),
        ledger=Ledger(markets, CAPITAL),
    )
    pipeline = DecisionPipeline(config, markets, stages, Identity(name, Told.policy_id, config_sha256))
    strategy = PolicyStrategy(
        PolicyStrategyConfig(
            pipeline=pipeline, bar_types=(), gate=gate or TradingGate(armed=True), tape=tape, log=outbox
        )
    )
    strategy.door._courier = notebook
    return strategy, policy, notebook


class Bench:
    """One process after the other over one disk.

    Args:
        disk: Holds the journal.
        journal_options: For `open_journal`.
        options: For `make_strategy`.
    """

    def __init__(
        self, disk: Disk, *, journal_options: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        self.disk = disk
        self.panels: list[Panel] = []
        self.now_ns = START
        self.journal: Journal
        self.writer: StepWriter
        self.strategy: PolicyStrategy
        self._journal_options = dict(journal_options or {})
        self.options = options
        self._trades = 0
        self.before_state: Callable[[], None] = lambda: None
        """Called between the orders and the state of a bar."""
        self.begin()

    def begin(self, **options: Any) -> Recall:
        """Start a process: open the journal, make the strategy, bring it back.

        Args:
            options: For `make_strategy`, where they have changed.
        """
        recall, self.options = Recall(), self.options | options
        self.deadlines: list[Callable[[], None]] = []
        self.journal, self.writer = open_journal(
            self.disk, recall=recall, ts_ns=self.now_ns, **self._journal_options
        )
        outbox = Outbox(self.journal, lambda: self.now_ns, lambda _, call: self.deadlines.append(call))
        tape = JournalTape(self.journal, lambda: self.now_ns)
        self.strategy, self.policy, self.courier = make_strategy(tape, outbox, **self.options)
        self.journal.append(Kind.SESSION_START, {}, self.now_ns)
        memory = recall.strategies.get(self.strategy.name)
        if memory is not None:
            restore(self.strategy, memory)
        return recall

    def bar(self, closes: Sequence[float], weights: Sequence[float] | None = None, **parts: Any) -> None:
        """One bar time, from bars to state.

        Args:
            closes: One per instrument.
            weights: What the policy answers; None holds.
            parts: Of the policy's answer.
        """
        ts_event = START + (len(self.panels) + 1) * MINUTE
        rows = tuple(BarRow(ts_event, close, close, close, close, 1e9) for close in closes)
        self.panels.append(Panel(ts_event, rows))
        self.now_ns = ts_event + 1
        hold = Action.hold(len(closes))
        self.policy.answer = hold if weights is None else hold._replace(values=tuple(weights), **parts)
        self.strategy.observe(self.panels[-1])
        self.strategy.decide()
        self.before_state()
        self.write_state()

    def rewarm(self) -> None:
        """After a restart: every bar there was, decided on by nobody, then a state."""
        if self.panels:
            self.strategy.decide_only_after(self.panels[-1].ts_event)
        for panel in self.panels:
            self.strategy.observe(panel)
            self.strategy.decide()
        self.write_state()

    def write_state(self) -> None:
        body = {"strategy": self.strategy.name, "state": self.strategy.snapshot()}
        self.journal.append(Kind.STATE, body, self.now_ns)

    def pass_deadlines(self) -> None:
        due, self.deadlines = self.deadlines, []
        for call in due:
            call()

    def fill(self, order: WorkingOrder, quantity: float, price: float, fee: float = 0.01) -> Fill:
        """The venue executes a part of an order."""
        self._trades += 1
        self.now_ns += 1
        fill = Fill(
            order.intent.client_order_id, f"T{self._trades}", self.now_ns, quantity, price, fee, "TAKER"
        )
        self.strategy.door.filled(fill)
        return fill


@dataclass(frozen=True)
class Likeness:
    """All of a strategy that must survive, in values that are equal or not."""

    ledger: str
    book: str
    working: tuple[tuple[OrderIntent, float], ...]
    ended: tuple[tuple[str, float], ...]
    booked: frozenset[tuple[str, str]]
    times: tuple[int, int, int, int]
    """Newest bar, at the strategy and at the door; newest execution; number of decisions."""


def likeness(strategy: PolicyStrategy, *, is_mid_bar: bool = False) -> Likeness:
    """Of a strategy now; JSON keeps floats to the bit.

    Args:
        is_mid_bar: After the orders and before the state of a bar. What was approved there is forgotten by a
            crash: nothing more is decided on that bar, and the next one clears it.
    """
    stages, door = strategy.pipeline.stages, strategy.door
    book = stages.book.snapshot()
    for name in ("seen", "seen_yesterday", *(["reserved"] if is_mid_bar else [])):
        del book[name]
    return Likeness(
        json.dumps({name: getattr(stages.ledger, name) for name in Ledger.__slots__ if name != "_weights"}),
        json.dumps(book),
        tuple((order.intent, order.filled) for order in door.working()),
        tuple(sorted((own_id, order.filled) for own_id, order in door._ended.items())),
        frozenset(door._booked),
        (strategy.last_ts_event, door.last_bar_ts, door.last_fill_ts, strategy.decisions),
    )


def recalled(records: Sequence[Record], **options: Any) -> PolicyStrategy:
    """The strategy that a process would have which found these records and no more."""
    recall = Recall()
    for record in records:
        recall.take(record)
    silent = _Nowhere()
    outbox = Outbox(silent, lambda: 0, lambda _, call: None)
    strategy, _, _ = make_strategy(JournalTape(silent, lambda: 0), outbox, **options)
    restore(strategy, recall.strategies.get(strategy.name, StrategyMemory()))
    return strategy


class _Nowhere:
    """A journal that restoring must not write to."""

    def append(self, kind: Kind, body: dict[str, Any], ts_ns: int) -> Any:
        raise AssertionError(f"restoring wrote a {kind}")


def prefixes(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Every journal that a cut could leave."""
    for count in range(len(records) + 1):
        yield records[:count]
