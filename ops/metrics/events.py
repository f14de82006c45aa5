"""What happens between two scrapes, counted as it happens.

Flow: tape, laps, commands, beats → **events** → exposition.

Everything here is called on the trading loop and costs a few microseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from ops.metrics.attribution import ATTRIBUTED, Attribution, CostOf
from ops.metrics.families import BY_NAME, PREFIX, Kind
from strategies.stopwatch import Lap, Stopwatch
from strategies.tape import (
    DecisionRecord,
    EquityRecord,
    FillRecord,
    HaltRecord,
    OrderRecord,
    Record,
    VerdictRecord,
)

COUNTED = frozenset(
    {
        "loop_lag_seconds",
        "api_requests",
        "commands",
        "guardian_trips",
        "decision_stage_seconds",
        "decision_seconds",
        "verdicts",
        "halts",
        "orders",
        "orders_sent",
        "order_answer_seconds",
        "fills",
        "filled_quote",
        "fees_quote",
        *ATTRIBUTED,
    }
)
"""Families that are counted here; all others are read at a scrape."""

_MOST_UNANSWERED = 10_000
_STARTS = frozenset({Lap.BAR, Lap.DECISION})


class Events:
    """Counters and histograms of one daemon; a tape sink.

    Args:
        registry: Where they are registered.
        monotonic: Clock, seconds.
        beat_secs: Time between two beats of a loop that is never late.
        instruments: Of each strategy, in configuration order.
        cost_of: The one cost model.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        monotonic: Callable[[], float],
        beat_secs: float,
        instruments: Mapping[str, Sequence[str]],
        cost_of: CostOf,
    ) -> None:
        self._monotonic = monotonic
        self._beat_secs = beat_secs
        self._places = {
            (strategy, name): place
            for strategy, names in instruments.items()
            for place, name in enumerate(names)
        }
        self._closes: dict[str, tuple[float, ...]] = {}
        self._sent_at: dict[str, float] = {}
        self._beaten_at: float | None = None
        families = [BY_NAME[name] for name in sorted(COUNTED)]
        self._counters = {
            one.name: Counter(PREFIX + one.name, one.meaning, one.labels, registry=registry)
            for one in families
            if one.kind is Kind.COUNTER
        }
        self._histograms = {
            one.name: Histogram(
                PREFIX + one.name, one.meaning, one.labels, registry=registry, buckets=one.buckets
            )
            for one in families
            if one.kind is Kind.HISTOGRAM
        }
        self._attribution = Attribution(registry, cost_of)
        self.confidence: dict[str, float] = {}
        """Of the newest action, by strategy."""
        self._takers: dict[type, Callable[[Any], None]] = {
            DecisionRecord: self._take_decision,
            VerdictRecord: self._take_verdict,
            OrderRecord: self._take_order,
            FillRecord: self._take_fill,
            EquityRecord: self._attribution.take_equity,
            HaltRecord: lambda record: self._count("halts", record.strategy, record.reason),
        }

    def write(self, record: Record) -> None:
        """Count one record of the tape."""
        taker = self._takers.get(type(record))
        if taker is not None:
            taker(record)

    def note(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Count a command (``control``), or a restriction that the guardian imposed (``latch``)."""
        if kind == "control":
            if fields.get("stage") == "asked":
                return  # what becomes of it is counted
            self._count("commands", fields["command"])
        elif fields["action"] in {"hold", "note"} and fields["restriction"]["origin"] == "automatic":
            self._count("guardian_trips", fields["restriction"]["who"])

    def answered(self, surface: str, code: int) -> None:
        """Count an answer of an HTTP interface."""
        self._count("api_requests", surface, str(code))

    def beat(self, monotonic_secs: float) -> None:
        """Measure how late the loop is; called at each beat of it."""
        if self._beaten_at is not None:
            late_secs = monotonic_secs - self._beaten_at - self._beat_secs
            self._histograms["loop_lag_seconds"].observe(max(0.0, late_secs))
        self._beaten_at = monotonic_secs

    def stopwatch(self, strategy: str) -> Stopwatch:
        """Make a stopwatch for the decisions of a strategy."""
        monotonic = self._monotonic
        stages = {
            lap: self._histograms["decision_stage_seconds"].labels(lap.value)
            for lap in Lap
            if lap not in _STARTS
        }
        whole = self._histograms["decision_seconds"].labels(strategy)
        at = total = 0.0

        def lap(moment: Lap) -> None:
            nonlocal at, total
            now = monotonic()
            if moment in _STARTS:
                total = 0.0 if moment is Lap.BAR else total
            else:
                total += now - at
                stages[moment].observe(now - at)
                if moment is Lap.RECORD:
                    whole.observe(total)
                now = monotonic()  # what noting it down took is nobody's
            at = now

        return lap

    def _count(self, name: str, *labels: str, by: float = 1.0) -> None:
        self._counters[name].labels(*labels).inc(by)

    def _take_decision(self, record: DecisionRecord) -> None:
        self._closes[record.strategy] = record.closes
        self.confidence[record.strategy] = record.confidence
        self._attribution.take_decision(record)

    def _take_verdict(self, record: VerdictRecord) -> None:
        if record.approved == record.requested:
            outcome = "approved"
        else:
            outcome = "cut" if record.approved else "vetoed"
        self._count("verdicts", record.strategy, record.reason, outcome)

    def _take_order(self, record: OrderRecord) -> None:
        self._count("orders", record.strategy, record.status)
        if record.status == "SUBMITTED":
            self._count("orders_sent", record.strategy, record.role)
            self._sent_at[record.client_order_id] = self._monotonic()
            if len(self._sent_at) > _MOST_UNANSWERED:
                del self._sent_at[next(iter(self._sent_at))]
            return
        sent_at = self._sent_at.pop(record.client_order_id, None)
        if sent_at is not None:
            elapsed = self._monotonic() - sent_at
            self._histograms["order_answer_seconds"].labels(record.strategy).observe(elapsed)

    def _take_fill(self, record: FillRecord) -> None:
        strategy = record.strategy
        self._count("fills", strategy, record.instrument_id, record.side, record.liquidity)
        self._count("filled_quote", strategy, by=record.quantity * record.price)
        self._count("fees_quote", strategy, by=max(0.0, record.fee))
        place, closes = self._places.get((strategy, record.instrument_id)), self._closes.get(strategy)
        if place is not None and closes is not None and closes[place] > 0.0:
            self._attribution.take_fill(record, closes[place])
