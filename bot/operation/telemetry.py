"""The running daemon as numbers: every sample of a scrape, and what keeps it from being ready.

Flow: node, books, control, journal → **telemetry** → ``/metrics``, ``/readyz``.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from bot.chronicle import Chronicle
from bot.config import HostConfig
from bot.operation.alerting import Alerting
from bot.operation.control import Control
from bot.operation.operator_view import feed_state
from bot.paper import PaperNode
from bot.pins import code_sha256
from ops.clock_sync import read_clock_sync
from ops.disk import LocalDisk
from ops.metrics import Events, Exposition, Sample
from strategies.guardrails import RiskBook, TradingState
from strategies.strategy import PolicyStrategy

DAEMON_STATES = ("STARTING", "READY", "STOPPING", "STOPPED")
FEED_STATES = ("PLAYING", "FINISHED", "DEAD")
_STRICTNESS = {state: float(at) for at, state in enumerate(TradingState)}
_NS = 1e9


class Telemetry:
    """Reads one daemon; on its loop, and never raises for what a daemon can be in.

    Args:
        host: What runs.
        state_dir: On the disk that records go to.
        chronicle: Its journal.
        paper: The node.
        control: What restricts trading.
        alerting: What is told to people.
        events: What was counted.
        exposition: Where that is, beside what is read here.
        others: Whoever else has something to show.
        state: Says STARTING, READY, STOPPING or STOPPED.
    """

    def __init__(
        self,
        host: HostConfig,
        state_dir: Path,
        *,
        chronicle: Chronicle,
        paper: PaperNode,
        control: Control,
        alerting: Alerting,
        events: Events,
        exposition: Exposition,
        others: Sequence[Callable[[], Iterable[Sample]]],
        state: Callable[[], str],
    ) -> None:
        self._host = host
        self._state_dir = state_dir
        self._chronicle = chronicle
        self._paper = paper
        self._control = control
        self._alerting = alerting
        self._events = events
        self._exposition = exposition
        self._others = others
        self._state = state
        exposition.read_from(self.samples)
        venue = host.settings.venue
        self._build = (
            version("argonaut"),
            host.settings.kind.value,
            venue.name,
            venue.currency,
            host.sha256[:12],
            code_sha256()[:12],
        )

    def unready(self) -> list[str]:
        """Why the daemon cannot do its work now, a line each; empty while it can."""
        state, control, reading = self._state(), self._control, self._control.reading
        found = [] if state == "READY" else [f"the daemon is {state}"]
        if not control.gate.reconciled:
            found.append("our books and the venue's differ: argonaut reconcile")
        if self._chronicle.fault:
            found.append(f"nothing can be recorded: {self._chronicle.fault}")
        if not control.latch.is_durable:
            found.append(f"the latch is not on the disk: {control.latch.fault}")
        if self._paper.replay.is_dead:
            found.append(f"the feed gave up: {self._paper.replay.failure}")
        if reading is not None and control.guardian.is_silent(reading):
            found.append(f"the feed is {reading.feed_overdue_secs:.1f} s late")
        return found

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Body and content type of a scrape."""
        return self._exposition.text(accept)

    def answered(self, surface: str, code: int) -> None:
        """Count an answer of an HTTP interface."""
        self._events.answered(surface, code)

    def samples(self) -> Iterator[Sample]:
        """Everything that a scrape reads, at this moment."""
        yield from self._process()
        yield from self._restrictions()
        yield from self._feed()
        yield from self._records()
        for other in self._others:
            yield from other()
        for strategy in self._paper.wired.strategies:
            yield from _of_strategy(strategy, self._events.confidence.get(strategy.name))
            yield from _limits(strategy.name, strategy.pipeline.stages.book)
            yield Sample("trading_state", self._strictness(strategy), (strategy.name,))
        yield from _limits("account", self._paper.wired.account.book)
        yield Sample("borrow_fees_quote", self._paper.wired.borrow.total)

    def _process(self) -> Iterator[Sample]:
        state, guardian = self._state(), self._control.guardian
        yield Sample("build_info", 1.0, self._build)
        yield from _one_hot("daemon_state", state, DAEMON_STATES)
        yield Sample("ready", float(not self.unready()))
        yield Sample("loop_stalls", guardian.stalls)
        yield Sample("loop_longest_stall_seconds", guardian.longest_stall_secs)
        for (channel, is_sent), count in self._alerting.desk.outcomes.items():
            yield Sample("alerts", count, (channel, "sent" if is_sent else "failed"))
        yield Sample("alerts_dropped", self._alerting.desk.dropped)
        clock = read_clock_sync()
        yield Sample("clock_synchronised", float(clock is not None and clock.is_synchronised))
        if clock is not None:
            yield Sample("clock_max_error_seconds", clock.max_error_secs)
        yield Sample("disk_free_bytes", LocalDisk().free_bytes(self._state_dir))

    def _restrictions(self) -> Iterator[Sample]:
        control, report = self._control, self._chronicle.report
        counts: dict[tuple[str, ...], int] = {}
        for one in control.gate.restrictions:
            key = (one.origin.value, one.state.value)
            counts[key] = counts.get(key, 0) + 1
        for held, count in sorted(counts.items()):
            yield Sample("restrictions", count, held)
        yield Sample("latch_durable", float(control.latch.is_durable))
        yield Sample("flattening", float(control.commands.flattening.is_working))
        yield Sample("reconciled", float(control.gate.reconciled))
        yield Sample("reconcile_differences", len(report.unexplained))
        yield Sample("reconcile_timestamp_seconds", self._chronicle.compared_ns / _NS)

    def _feed(self) -> Iterator[Sample]:
        replay, reading = self._paper.replay, self._control.reading
        yield from _one_hot("feed_state", feed_state(replay.is_finished, replay.is_dead), FEED_STATES)
        yield Sample("feed_last_event_timestamp_seconds", replay.ts_event / _NS)
        if reading is not None:
            yield Sample("feed_overdue_seconds", max(0.0, reading.feed_overdue_secs or 0.0))
            yield Sample("feed_interval_seconds", reading.feed_interval_secs)
        yield Sample("feed_bars", replay.bars_sent)
        yield Sample("feed_late_bars", self._paper.wired.hub.late_bars)
        yield Sample("feed_restarts", replay.restarts)
        newest: dict[str, tuple[float, int]] = {}
        for strategy in self._paper.wired.strategies:
            pipeline = strategy.pipeline
            for at, instrument in enumerate(pipeline.instruments):
                newest[instrument.instrument_id] = pipeline.closes[at], pipeline.last_bar_ts[at]
        for name, (close, ts_event) in newest.items():
            yield Sample("last_price_quote", close, (name,))
            yield Sample("last_bar_timestamp_seconds", ts_event / _NS, (name,))

    def _records(self) -> Iterator[Sample]:
        journal, outbox = self._chronicle.journal, self._chronicle.outbox
        for kind, count in journal.counts.items():
            yield Sample("journal_records", count, (kind.value,))
        yield Sample("journal_sequence", journal.seq)
        yield Sample("journal_durable_sequence", journal.durable_seq)
        yield Sample("journal_checkpoint_timestamp_seconds", journal.checkpoint_ns / _NS)
        yield Sample("journal_anchor_faults", journal.anchor_faults)
        yield Sample("journal_fault", float(bool(self._chronicle.fault)))
        yield Sample("expired_intents", outbox.expired)
        yield Sample("late_records", outbox.late)

    def _strictness(self, strategy: PolicyStrategy) -> float:
        gate, book = self._control.gate, strategy.pipeline.stages.book
        states = [gate.state(strategy.name, one.instrument_id) for one in strategy.pipeline.instruments]
        account = self._paper.wired.account.book
        return max(_STRICTNESS[one] for one in (*states, book.trading_state, account.trading_state))


def _of_strategy(strategy: PolicyStrategy, confidence: float | None) -> Iterator[Sample]:
    name, pipeline = strategy.name, strategy.pipeline
    yield Sample("bundle_info", 1.0, (name, pipeline.identity.policy_id))
    yield Sample("decisions", strategy.decisions, (name,))
    yield Sample("skipped_panels", strategy.skipped_panels, (name,))
    misses = getattr(pipeline.stages.policy, "deadline_misses", 0)
    yield Sample("policy_deadline_misses", misses, (name,))
    if confidence is not None:
        yield Sample("confidence_ratio", confidence, (name,))
    yield Sample("open_orders", len(strategy.door.working()), (name,))
    yield Sample("unknown_orders", len(strategy.door.unknown), (name,))
    yield from _book(strategy)
    belief = pipeline.belief
    if belief is None:
        return
    for state, prob in enumerate(belief.probs):
        yield Sample("regime_probability_ratio", prob, (name, str(state)))
        yield Sample("regime_active", float(state == belief.state), (name, str(state)))
    entropy = -math.fsum(prob * math.log(prob) for prob in belief.probs if prob > 0.0)
    yield Sample("regime_entropy_nats", entropy, (name,))
    for state, profit in sorted(pipeline.stages.book.state_losses.profits.items()):
        yield Sample("regime_profit_quote", profit, (name, str(state)))


def _book(strategy: PolicyStrategy) -> Iterator[Sample]:
    ledger, name = strategy.pipeline.stages.ledger, strategy.name
    numbers = {
        "equity_quote": ledger.equity,
        "capital_quote": ledger.capital,
        "cash_quote": ledger.cash,
        "realised_profit_quote": ledger.realised,
        "unrealised_profit_quote": ledger.unrealised,
        "fees_paid_quote": ledger.fees,
        "gross_exposure_quote": ledger.gross_exposure,
        "net_exposure_quote": ledger.net_exposure,
        "drawdown_ratio": ledger.drawdown,
        "volatility_per_bar_ratio": ledger.rolling_volatility,
    }
    for family, value in numbers.items():
        yield Sample(family, value, (name,))
    for instrument, held, close in zip(
        strategy.pipeline.instruments, ledger.positions, ledger.closes, strict=True
    ):
        yield Sample("position_base", held, (name, instrument.instrument_id))
        yield Sample("position_quote", held * close, (name, instrument.instrument_id))


def _limits(scope: str, book: RiskBook) -> Iterator[Sample]:
    yield Sample("daily_loss_quote", book.day_start_equity - book.equity, (scope,))
    yield Sample("session_loss_quote", book.session_start_equity - book.equity, (scope,))
    for limit, latch in (
        ("daily_loss", book.daily_loss),
        ("session_loss", book.session_loss),
        ("drawdown", book.drawdown),
    ):
        yield Sample("limit_used_ratio", max(0.0, latch.loss) / latch.limit, (scope, limit))
        yield Sample("limit_latched", float(latch.latched), (scope, limit))
    yield Sample("limit_latched", float(bool(book.state_losses.latched)), (scope, "state_drawdown"))


def _one_hot(name: str, found: str, states: tuple[str, ...]) -> Iterator[Sample]:
    for state in states:
        yield Sample(name, float(state == found), (state,))
