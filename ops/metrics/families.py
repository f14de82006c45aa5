"""Every series that the daemon exposes, with its kind, labels and meaning: one table, and nothing beside it.

Names follow Prometheus's own rules: base units (seconds, bytes, ratios between 0 and 1), ``_total`` on what
only grows, ``_timestamp_seconds`` on points in time. Money is in the venue's quote currency, ``_quote``,
which `argonaut_build_info` names. Labels come from closed sets (strategies and instruments of the
configuration, enumerations of the code), so what a scrape holds does not grow with time.
"""

from enum import StrEnum
from typing import NamedTuple

PREFIX = "argonaut_"

_FAST = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1)
_LAGS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.25, 1.0, 5.0)


class Kind(StrEnum):
    """Kinds of series, in Prometheus's words."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Family(NamedTuple):
    """All series of one name."""

    name: str
    """Without the prefix, and of a counter without ``_total``."""
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, of a histogram."""

    @property
    def exposed_name(self) -> str:
        """As it is asked for in a query; of a histogram without ``_bucket``, ``_sum`` and ``_count``."""
        return f"{PREFIX}{self.name}{'_total' if self.kind is Kind.COUNTER else ''}"


def _gauge(name: str, meaning: str, *labels: str) -> Family:
    return Family(name, Kind.GAUGE, meaning, labels)


def _counter(name: str, meaning: str, *labels: str) -> Family:
    return Family(name, Kind.COUNTER, meaning, labels)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Family:
    return Family(name, Kind.HISTOGRAM, meaning, labels, buckets)


PROCESS = (
    _gauge("build_info", "Always 1; what runs", "version", "kind", "venue", "currency", "config", "code"),
    _gauge("bundle_info", "Always 1; what each strategy decides by", "strategy", "policy"),
    _gauge("daemon_state", "1 for the state that the daemon is in, 0 for the others", "state"),
    _gauge("ready", "1 while the daemon trades: started, reconciled, feed alive, recording"),
    _histogram("loop_lag_seconds", "How late the trading loop woke up", _LAGS),
    _counter("loop_stalls", "Times that the trading loop stood still for longer than 0.1 s"),
    _gauge("loop_longest_stall_seconds", "Longest time that the trading loop stood still"),
    _gauge("clock_synchronised", "1 while a time service vouches for the machine's clock"),
    _gauge("clock_max_error_seconds", "How far off the clock may be, by the word of what keeps it"),
    _gauge("disk_free_bytes", "Left on the disk of the state directory"),
    _counter("api_requests", "Answers of the HTTP interfaces", "surface", "code"),
    _counter("alerts", "Messages to people, by channel and whether it took them", "channel", "result"),
    _counter("alerts_dropped", "Alerts that were not sent because too many waited"),
    _gauge("scrape_seconds", "What gathering the previous scrape cost the trading loop"),
)

CONTROL = (
    _gauge(
        "trading_state",
        "0 ACTIVE, 1 REDUCING, 2 HALTED; the strictest of all that holds a strategy back",
        "strategy",
    ),
    _gauge(
        "restrictions",
        "Restrictions in force by what imposed them and how strict they are",
        "origin",
        "state",
    ),
    _gauge("latch_durable", "1 while what restricts trading is on the disk"),
    _gauge("flattening", "1 while positions are being closed on an operator's word"),
    _counter("commands", "Commands of operators that were carried out", "command"),
    _counter("guardian_trips", "Changes of the latch that the guardian imposed, by cause", "cause"),
    _gauge("reconciled", "1 while our books agree with the venue's"),
    _gauge("reconcile_differences", "Differences without a name at the newest comparison"),
    _gauge("reconcile_timestamp_seconds", "When books were compared last"),
)

FEED = (
    _gauge("feed_state", "1 for the state that the feed is in, 0 for the others", "state"),
    _gauge("feed_last_event_timestamp_seconds", "Market time of the newest event"),
    _gauge("feed_overdue_seconds", "How late the next event is, by the feed's own pace; 0 while it is not"),
    _gauge("feed_interval_seconds", "Wall time between two bars at the feed's pace; 0 as fast as it goes"),
    _counter("feed_bars", "Bars received"),
    _counter("feed_late_bars", "Bars that came after their panel was decided on, and were left out"),
    _counter("feed_restarts", "Times that a broken feed was started again"),
    _gauge("last_price_quote", "Close of the newest bar", "instrument"),
    _gauge("last_bar_timestamp_seconds", "Close time of the newest bar", "instrument"),
)

DECISIONS = (
    _counter("decisions", "Decisions, over all sessions that the journal knows", "strategy"),
    _counter(
        "skipped_panels", "Bars without a decision: malformed, or an answer that is no number", "strategy"
    ),
    _histogram("decision_stage_seconds", "Time that each stage of a decision took", _FAST, "stage"),
    _histogram(
        "decision_seconds", "Time from bars to orders, of one strategy at one bar time", _FAST, "strategy"
    ),
    _counter("policy_deadline_misses", "Inferences that came too late and were taken as hold", "strategy"),
    _gauge("confidence_ratio", "Confidence of the newest action", "strategy"),
    _gauge("regime_probability_ratio", "Filtered probability of each regime", "strategy", "regime"),
    _gauge("regime_active", "1 for the most probable regime, 0 for the others", "strategy", "regime"),
    _gauge("regime_entropy_nats", "Entropy of the regime belief; 0 is certain", "strategy"),
    _counter(
        "verdicts",
        "Trades that guardrails and sizing looked at, by reason and outcome",
        "strategy",
        "reason",
        "outcome",
    ),
    _gauge(
        "drift_score_nats",
        "Largest Kullback-Leibler divergence of what a strategy sees and does from its training",
        "strategy",
    ),
    _gauge(
        "drift_threshold_used_ratio",
        "Largest statistic of drift beside its calibrated threshold; above 1 it alarms",
        "strategy",
    ),
    _gauge("drift_active_alarms", "Drift alarms that have begun and not ended", "strategy"),
    _counter("drift_alarms", "Drift alarms that began, by kind", "strategy", "kind"),
    _counter("halts", "Strategies halted and loss limits latched, by reason", "strategy", "reason"),
)

ORDERS = (
    _counter("orders", "Changes of orders by new status", "strategy", "status"),
    _counter("orders_sent", "Orders sent by what they are for", "strategy", "role"),
    _gauge("open_orders", "Orders that are not done", "strategy"),
    _gauge(
        "unknown_orders", "Orders whose outcome is unknown; their instruments take on no risk", "strategy"
    ),
    _histogram(
        "order_answer_seconds",
        "Wall time from sending an order to the venue's first answer",
        _LAGS,
        "strategy",
    ),
    _counter("fills", "Executions", "strategy", "instrument", "side", "liquidity"),
    _counter("filled_quote", "Worth of what was executed", "strategy"),
    _counter("fees_quote", "Charged for executions; a rebate is not taken off", "strategy"),
    _gauge(
        "slippage_quote",
        "Paid beyond the close that was decided on, all executions since the start; below 0 is a gain",
        "strategy",
    ),
    _gauge(
        "execution_cost_quote",
        "Slippage and all charges of the executions since the start; below 0 is a gain",
        "strategy",
    ),
    _gauge(
        "modelled_cost_quote",
        "What the cost model charges for the same executions at the close that was decided on, by cause",
        "strategy",
        "cause",
    ),
    _counter("expired_intents", "Orders dropped because the disk did not answer in time"),
    _counter("late_records", "Orders that took risk away before the disk had answered"),
)

BOOKS = (
    _gauge("equity_quote", "Worth of the book, net of all costs", "strategy"),
    _gauge("capital_quote", "What the strategy began with", "strategy"),
    _gauge("cash_quote", "Cash of the book", "strategy"),
    _gauge("realised_profit_quote", "Gross of fees", "strategy"),
    _gauge("unrealised_profit_quote", "Gross of fees", "strategy"),
    _gauge("fees_paid_quote", "All costs so far, borrowing included", "strategy"),
    _gauge("gross_exposure_quote", "Sum of the sizes of all positions", "strategy"),
    _gauge("net_exposure_quote", "Long less short", "strategy"),
    _gauge("drawdown_ratio", "From the peak of equity", "strategy"),
    _gauge("volatility_per_bar_ratio", "Running deviation of the book's return per bar", "strategy"),
    _gauge(
        "regime_profit_quote", "Change of equity while a regime was the most probable", "strategy", "regime"
    ),
    _gauge(
        "regime_realised_profit_quote",
        "Realised while a regime was the most probable, since the start, gross of fees",
        "strategy",
        "regime",
    ),
    _gauge(
        "regime_unrealised_profit_quote",
        "Change of what is not realised while a regime was the most probable, since the start, gross of fees",
        "strategy",
        "regime",
    ),
    _gauge("position_base", "Signed units held", "strategy", "instrument"),
    _gauge("position_quote", "Their worth at the newest close", "strategy", "instrument"),
    _gauge("daily_loss_quote", "Lost since the trading day began; below 0 is a gain", "scope"),
    _gauge("session_loss_quote", "Lost since the session began; below 0 is a gain", "scope"),
    _gauge("limit_used_ratio", "Loss over its limit; at 1 it latches", "scope", "limit"),
    _gauge("limit_latched", "1 while a loss limit is latched", "scope", "limit"),
    _gauge("borrow_fees_quote", "Charged to all books for being short"),
)

RECORDS = (
    _counter("journal_records", "Records written by their kind", "kind"),
    _counter("journal_anchor_faults", "Checkpoints that could not be published outside the journal"),
    _gauge("journal_checkpoint_timestamp_seconds", "When the newest checkpoint was signed"),
    _gauge("journal_sequence", "Number of the newest record"),
    _gauge("journal_durable_sequence", "Number of the newest record that the disk has"),
    _gauge("journal_fault", "1 when nothing can be recorded any more"),
)

JOBS = (
    _gauge("job_running", "1 while a job runs or waits for its turn", "name"),
    _gauge("job_failed", "1 when the newest run of a job has not succeeded", "name"),
    _counter("job_runs", "Runs that have ended, by how", "name", "outcome"),
    _gauge("job_due_timestamp_seconds", "When a job is due next; in the past, it is late", "name"),
    _gauge("job_last_end_timestamp_seconds", "When the newest run of a job ended", "name"),
    _gauge("job_last_duration_seconds", "How long that took", "name"),
)

FAMILIES = (*PROCESS, *CONTROL, *FEED, *DECISIONS, *ORDERS, *BOOKS, *RECORDS, *JOBS)
"""All of them, in the order of the documentation; the process and the collector add their own."""

BY_NAME = {family.name: family for family in FAMILIES}


def as_markdown() -> str:
    """The table of the documentation."""
    lines = ["| series | kind | labels | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{family.exposed_name}` | {family.kind} | {', '.join(family.labels)} | {family.meaning} |"
        for family in FAMILIES
    ]
    return "\n".join(lines) + "\n"
