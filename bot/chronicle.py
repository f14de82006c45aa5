"""What outlives the daemon's process: its journal, what is written to it, and the way back from it.

Start-up and crash recovery are one path:

    open        check the journal, cut what a crash tore, remember what it says
    bring_back  strategies as they were → our books beside the venue's → a report, READY or HALTED

From then on decisions, orders, answers, executions and commands go into it, and states after each bar time.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.assembly import Wired
from bot.config import JournalConfig
from bot.pins import code_sha256
from bot.restoration import adopter, restore_strategies
from bot.sessions.pins import rules_document
from bot.settling import see_through
from ops.adoption import adopt_each, complete_adoptions
from ops.disk import LocalDisk
from ops.journal import Anchor, Journal, Kind, WriterThread, load_or_create_key
from ops.journal_tape import JournalTape
from ops.outbox import Outbox
from ops.quick_recall import QuickRecall
from ops.recall import Recall
from ops.reconciliation import (
    Holdings,
    Report,
    VenueView,
    baseline_from,
    beside,
    compare_holdings,
    require_others,
    settle_for_good,
    settle_orders,
)
from ops.state_dir import JOURNAL, JOURNAL_KEY
from ops.waypoints import load_waypoint
from strategies.errors import ConfigError, SafetyError
from strategies.market import BarRow
from strategies.orders import OrderIntent, OrderRole

CLOCK_TOLERANCE_NS = 5_000_000_000
_MOST_WAITING = 2_000
_PATIENCE_SECS = 0.001


@dataclass(frozen=True, slots=True)
class Account:
    """The venue's side of a reconciliation."""

    view: VenueView
    """Answers about orders and executions."""
    holdings: Callable[[], Holdings]
    """What the account holds."""
    is_cash: bool
    """Whether a purchase takes its whole value from the balance."""
    in_flight_secs: float
    """Longest time that an order travels to the venue, and may still arrive; 0 if it arrives at once."""
    entry_price: Callable[[str], float | None] = lambda _: None
    """Price at which what is beside ours was entered, by instrument; None where the venue does not say."""


class Chronicle:
    """The journal of one daemon. Lives on its loop; made by `open`."""

    def __init__(
        self, journal: Journal, recall: Recall, loop: asyncio.AbstractEventLoop, config: JournalConfig
    ) -> None:
        self.recall = recall
        self.report = Report()
        """Of the newest reconciliation."""
        self.compared_ns = 0
        """When that was, wall clock, UTC nanoseconds."""
        self.notes: list[str] = []
        """What an operator ought to know of how strategies came back."""
        self.outbox = Outbox(
            journal,
            time.time_ns,
            loop.call_later,
            opening_secs=config.opening_deadline_ms / 1e3,
            reducing_secs=config.reducing_deadline_ms / 1e3,
        )
        self.tape = JournalTape(journal, time.time_ns)
        self._journal = journal
        self._baseline = baseline_from(recall.baseline)
        self._leavers: list[str] = []
        """Strategies that the configuration no longer names."""
        self._let_go: list[str] = []
        """Those of them that may be forgotten once the books agree."""
        self._is_budget_new = False
        self._wired: Wired | None = None
        self._account: Account | None = None

    @classmethod
    def open(
        cls,
        state_dir: Path,
        config: JournalConfig,
        loop: asyncio.AbstractEventLoop,
        on_fault: Callable[[OSError], None],
        *,
        anchors: Sequence[Anchor] = (),
    ) -> "Chronicle":
        """Open the journal of a state directory; what a crash tore is cut, anything else refused.

        Args:
            on_fault: Called on the loop when the disk refuses for the first time.
            anchors: Where heads are said outside of the journal.

        Raises:
            BrokenChainError: If the journal is damaged; nothing was changed and nothing may start.
            ConfigError: If the clock stands before the newest record; nothing was changed.
            SafetyError: If another version wrote it.
            OSError: If the disk refuses.
        """
        disk, now = LocalDisk(), time.time_ns()
        key = load_or_create_key(disk, state_dir / JOURNAL_KEY)
        checked, _, recall = load_waypoint(disk, state_dir, key.verify_key, code_sha256())
        lines = QuickRecall(recall)

        def admit() -> None:
            lines.settle()
            behind_ns = recall.last_ts_ns - now
            if behind_ns > CLOCK_TOLERANCE_NS:
                raise ConfigError(
                    f"{state_dir / JOURNAL}: expected a clock after the newest record, found one that stands "
                    f"{behind_ns / 1e9:.0f} s before it; set it (timedatectl), then start again"
                )

        journal = Journal.open(
            disk,
            state_dir / JOURNAL,
            key,
            WriterThread(loop),
            ts_ns=now,
            on_fault=on_fault,
            anchors=anchors,
            replay=lines.take,
            admit=admit,
            checked=checked,
            segment_bytes=config.segment_mib * 2**20,
        )
        return cls(journal, recall, loop, config)

    # -- writing -----------------------------------------------------------------------------------

    @property
    def fault(self) -> str:
        """Why nothing can be recorded any more; empty while it can."""
        return "" if self._journal.fault is None else str(self._journal.fault)

    async def settled(self) -> None:
        """Return once no order waits for the disk, and the disk is not far behind what was recorded."""
        written = asyncio.get_running_loop().create_future()
        self.outbox.when_empty(lambda: written.set_result(None))
        await written
        while self._journal.backlog > _MOST_WAITING:
            await asyncio.sleep(_PATIENCE_SECS)

    async def written(self) -> None:
        """Return once all that was recorded so far is durable, or never will be."""
        newest = self._journal.seq
        while self._journal.durable_seq < newest and not self.fault:
            await asyncio.sleep(_PATIENCE_SECS)

    def status(self) -> dict[str, Any]:
        """The journal in one document."""
        return {
            "records": self._journal.seq,
            "durable": self._journal.durable_seq,
            "head": self._journal.head,
            "fault": self.fault,
            "expired_intents": self.outbox.expired,
            "late_records": self.outbox.late,
        }

    @property
    def journal(self) -> Journal:
        """For reading what it counts."""
        return self._journal

    def begin(self, pins: dict[str, Any]) -> None:
        """Write down what this session is pinned to."""
        self._put(Kind.SESSION_START, pins)

    def record(self, kind: str, fields: dict[str, Any]) -> None:
        """Write a change of the latch (``latch``) or a command (``control``) down."""
        self._put(Kind(kind), fields)

    def note_panel(self, ts_event: int, rows: Mapping[str, BarRow]) -> None:
        """Write down the bars that the strategies are about to see: open, high, low, close, volume."""
        bars = {name: row[1:] for name, row in rows.items()}
        self._put(Kind.INPUT, {"ts_event": ts_event, "bars": bars})

    def noting(self, free_base: Callable[[str], float]) -> Callable[[str], float]:
        """Wrap a question about a balance so that the answer is written down."""

        def ask(currency: str) -> float:
            free = free_base(currency)
            self._put(Kind.INPUT, {"currency": currency, "free": free})
            return free

        return ask

    def write_states(self, ts_event: int) -> None:
        """Write every strategy's state down, once all of them have decided on a bar time."""
        assert self._wired is not None, "strategies are brought back before the first bar"
        for strategy in self._wired.strategies:
            if strategy.last_ts_event > ts_event:
                continue  # a bar that it lived through before a restart changes nothing
            body: dict[str, Any] = {"strategy": strategy.name, "state": strategy.snapshot()}
            equity = self.tape.take_equity(strategy.name)
            if equity is not None:
                body["equity"] = equity._asdict()
            self._put(Kind.STATE, body)
        account, borrow = self._wired.account, self._wired.borrow
        shared = {"ts_event": ts_event, "account": account.snapshot(), "borrow": borrow.snapshot()}
        self._put(Kind.STATE, shared)

    def tick(self) -> None:
        """Let time pass: a quiet minute ends with a checkpoint."""
        self._journal.tick(time.time_ns())

    def close(self, end: dict[str, Any]) -> None:
        """Write down how the session ended, and close; waits for the disk."""
        self._put(Kind.STOP, end)
        self._journal.close(time.time_ns())

    def _put(self, kind: Kind, body: dict[str, Any]) -> None:
        self._journal.append(kind, body, time.time_ns())

    # -- the way back ------------------------------------------------------------------------------

    async def bring_back(
        self, wired: Wired, account: Account, resume_ns: int, adopts: Mapping[str, str] | None = None
    ) -> Report:
        """Make the strategies what they were, and compare our books with the venue's.

        Args:
            wired: Fresh strategies, before the first bar.
            account: The venue's side.
            resume_ns: Market time at the venue, UTC nanoseconds; nothing is decided on bars up to it.
            adopts: Strategies that take over what the account holds beside ours, by instrument.

        Raises:
            SafetyError: If a strategy's state is damaged; nothing may trade.
            TransientError: If the venue does not answer.
        """
        self._wired, self._account = wired, account
        policies = {one.name: one.pipeline.identity.policy_id for one in wired.strategies}
        rules = rules_document(wired.strategies)
        self._put(Kind.INPUT, {"resume_ns": resume_ns, "rules": rules, "policies": policies})
        configured = [strategy.pipeline.stages.ledger.capital for strategy in wired.strategies]
        restore_strategies(wired, self.recall, resume_ns)
        complete_adoptions(strategy.door for strategy in wired.strategies)
        for strategy, capital in zip(wired.strategies, configured, strict=True):
            began = strategy.pipeline.stages.ledger.capital
            if began != capital:
                self.notes.append(
                    f"{strategy.name} goes on with the capital of {began:,.2f} that it began with; "
                    f"capital_quote = {capital:,.2f} would count for a strategy of another name"
                )
        self._move_budgets(wired)
        report = self._compare(account, await self._settle(wired, account), accept=False)
        if report.is_clean and adopts and self._adopt(wired, account, resume_ns, adopts):
            report = self._compare(account, await self._settle(wired, account), accept=False)
        self.write_states(max(resume_ns, *(one.last_ts_event for one in wired.strategies)))
        return report

    async def _settle(self, wired: Wired, account: Account) -> Report:
        """Ask the venue until every order has an end or a place there."""
        doors, since_ns = [strategy.door for strategy in wired.strategies], self.recall.fills_since_ns
        settling = settle_for_good(doors, since_ns=since_ns, in_flight_secs=account.in_flight_secs)
        return await see_through(settling, lambda: account.view)

    def _adopt(self, wired: Wired, account: Account, resume_ns: int, adopts: Mapping[str, str]) -> bool:
        """Take over what is beside ours and configured; say whether there was any."""
        assert self._baseline is not None, "a clean comparison has one"

        def write(adopted: OrderIntent, baseline: Holdings) -> None:
            intents = {"strategy": adopted.strategy, "intents": [adopted._asdict()]}
            self._put(Kind.INTENT, intents | {"baseline": baseline.as_json()})

        before = self._baseline
        self._baseline = adopt_each(
            {instrument: adopter(wired, name, instrument) for instrument, name in adopts.items()},
            before,
            account.entry_price,
            resume_ns,
            is_cash=account.is_cash,
            write=write,
            note=self.notes.append,
        )
        return self._baseline is not before

    @property
    def adopted(self) -> list[tuple[str, str]]:
        """Every strategy that runs and instrument of which the journal knows an adoption."""
        assert self._wired is not None, "strategies are brought back first"
        known = ((one.name, intent) for one in self._wired.strategies for intent in one.door.known())
        return sorted({(name, one.instrument_id) for name, one in known if one.role is OrderRole.ADOPT})

    def reconcile(self, *, accept: bool, who: str, reason: str) -> Report:
        """Compare our books with the venue's again, while the daemon runs.

        Args:
            accept: Take what the account holds beside ours as somebody else's from now on, on an operator's
                word, and forget the strategies that the configuration no longer names. Orders that nobody
                can name stay unexplained: they have to be cancelled.

        Raises:
            RefusedError: If our books claim what is not in the account; nothing was accepted.
            SafetyError: If there is nothing to compare yet.
            TransientError: If the venue does not answer.
        """
        if self._account is None or self._wired is None:
            raise SafetyError("expected a daemon that has compared its books, found one that is starting")
        if accept:
            ours, others = self._our_holdings(), self._account.holdings()
            require_others(ours, beside(ours, others), is_cash=self._account.is_cash)
        given = {"command": "reconcile", "scope": "all", "who": who, "reason": reason, "accept": accept}
        self._put(Kind.CONTROL, given)
        if accept:
            self._let_go, self._leavers, self._is_budget_new = [*self._let_go, *self._leavers], [], False
        doors = [strategy.door for strategy in self._wired.strategies]
        since_ns = max(
            min((order.intent.ts_event for door in doors for order in door.working()), default=2**63 - 1),
            *(door.booked_since_ns for door in doors),
        )
        report = settle_orders(doors, self._account.view, since_ns=since_ns, is_final=False)
        return self._compare(self._account, report, accept=accept)

    def _compare(self, account: Account, report: Report, *, accept: bool) -> Report:
        """Compare what is held, and write down all that was found."""
        self._name_leavers(report)
        ours, venue = self._our_holdings(), account.holdings()
        baseline = beside(ours, venue) if accept else self._baseline
        compare_holdings(ours, venue, baseline, report, is_budget_new=self._is_budget_new)
        body = report.as_json()
        if report.is_clean:
            self._baseline, self._is_budget_new = report.baseline, False
            body["forgotten"], self._let_go = self._let_go, []
        self.report, self.compared_ns = report, time.time_ns()
        self._put(Kind.RECONCILE, body)
        return report

    def _move_budgets(self, wired: Wired) -> None:
        """Give a strategy that is new its capital, and take back what one that is gone and flat has left.

        Both are moved between our books and what the account holds beside them: no money moves.
        """
        running = {strategy.name for strategy in wired.strategies}
        self._leavers = [name for name in self.recall.strategies if name not in running]
        if self._baseline is None:
            return  # the first comparison takes everything as it is
        cash = self._baseline.cash
        for strategy in wired.strategies:
            memory = self.recall.strategies.get(strategy.name)
            if memory is None or memory.state is None:
                cash -= strategy.pipeline.stages.ledger.capital
                self._is_budget_new = True
        for name in tuple(self._leavers):
            left = self.recall.strategies[name].cash_left()
            if left is not None:
                cash += left
                self._leavers.remove(name)
                self._let_go.append(name)
        self._baseline = Holdings(self._baseline.positions, cash)

    def _name_leavers(self, report: Report) -> None:
        """Orders and positions of strategies that the configuration no longer names."""
        for name in self._leavers:
            memory = self.recall.strategies[name]
            held, works = memory.positions(), memory.open_orders()
            if held or works:
                report.doubtful.update(held, (memory.orders[one].intent.instrument_id for one in works))
                report.unexplained.append(
                    f"strategy {name} is not in the configuration any more, but holds {held or 'nothing'} "
                    f"and has {len(works)} orders open; name it again and flatten it first"
                )

    def _our_holdings(self) -> Holdings:
        assert self._wired is not None
        assert self._account is not None
        positions: dict[str, float] = {}
        cash = self._wired.borrow.total  # what we charge our books for borrowing, the venue does not
        for strategy in self._wired.strategies:
            ledger = strategy.pipeline.stages.ledger
            cash += ledger.cash if self._account.is_cash else ledger.capital + ledger.realised - ledger.fees
            for instrument, held in zip(strategy.pipeline.instruments, ledger.positions, strict=True):
                name = instrument.instrument_id
                positions[name] = positions.get(name, 0.0) + held
        return Holdings(positions, cash)
