"""The host file: which strategies run, on which venue, over which data, and how the process behaves."""

from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from bot.config.beside import AlertsConfig, JobsConfig, LogsConfig, RunsConfig
from strategies.config import CostConfig, Fraction, Limit, NonNegative, Positive, Section

MAX_CLOCK_ERROR_SECS = 1.0
"""How far off the clock of a live host may be."""

LEAST_SILENCE_SECS = 600.0
"""As long as ``StartLimitIntervalSec`` of the unit."""

_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600}


class HostKind(StrEnum):
    """What the strategies are put into."""

    BACKTEST = "backtest"
    PAPER = "paper"
    LIVE = "live"


class AccountType(StrEnum):
    """What the account may do."""

    CASH = "cash"
    """Only what is held can be sold; no borrowing."""
    MARGIN = "margin"
    """Short sales and leverage."""


class VenueConfig(Section):
    """Where orders go, and the account that they are charged to."""

    name: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    """Venue of every instrument of every strategy, for example ``BINANCE``."""
    account_type: AccountType = AccountType.CASH
    currency: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2,9}$")] = "USDT"
    """Currency of the account; instruments must be quoted in it."""
    starting_balance: Positive = 100_000.0
    """Balance of a simulated account at the start; a live venue reports its own."""
    leverage: Annotated[float, Field(ge=1.0, le=125.0)] = 1.0
    """Leverage of a margin account."""
    trading_days_per_year: Annotated[int, Field(ge=1, le=366)] = 365
    """365 where the market never closes, 252 for US shares."""
    trading_hours_per_day: Annotated[float, Field(gt=0.0, le=24.0)] = 24.0
    """24 where the market never closes, 6.5 for US shares."""
    bar_adaptive_high_low_ordering: bool = False
    """Backtest and paper: guess from the bar's shape whether high or low came first; else the high always
    did, so that of a long position whose bar reaches both exits the target fills, which flatters it."""

    @model_validator(mode="after")
    def _a_cash_account_borrows_nothing(self) -> "VenueConfig":
        if self.account_type is AccountType.CASH and self.leverage != 1.0:
            raise ValueError(
                f'a cash account has leverage 1, not {self.leverage:g}; set account_type = "margin"'
            )
        return self

    def bars_per_year(self, interval: str) -> float:
        """Bars that the market prints in a year.

        Args:
            interval: Step and unit in Nautilus's words, for example ``1-MINUTE``.
        """
        step, unit = interval.split("-")
        if unit == "DAY":
            return self.trading_days_per_year / int(step)
        secs = self.trading_days_per_year * self.trading_hours_per_day * 3600
        return secs / (int(step) * _SECONDS[unit])


class DataConfig(Section):
    """Which bars are played: those that close after ``start`` and not after ``end``."""

    catalog: str = "../catalog"
    """Directory of the catalog, relative to this file. Not part of the hash that pins the run: where data
    lie is no setting of the run, and what they are is pinned by the hash of their content."""
    start: str | None = None
    """ISO 8601 date or time, UTC where it names no zone; None starts at the first bar."""
    end: str | None = None
    """Likewise; None goes on to the last bar."""

    @field_validator("start", "end")
    @classmethod
    def _is_a_time(cls, text: str | None) -> str | None:
        if text is not None:
            to_ns(text)
        return text

    @model_validator(mode="after")
    def _start_is_before_end(self) -> "DataConfig":
        if self.start_ns is not None and self.end_ns is not None and self.start_ns >= self.end_ns:
            raise ValueError(f"start ({self.start}) is not before end ({self.end})")
        return self

    @property
    def start_ns(self) -> int | None:
        """Start, UTC nanoseconds."""
        return None if self.start is None else to_ns(self.start)

    @property
    def end_ns(self) -> int | None:
        """End, UTC nanoseconds."""
        return None if self.end is None else to_ns(self.end)


class ReplayConfig(Section):
    """Paper only: how recorded bars are played to the daemon as if they were live."""

    speed: Positive | Literal["max"] = 60.0
    """Seconds of market time that pass in one second; "max" waits for nothing but the decisions."""
    warmup_bars: Annotated[int, Field(ge=0)] | None = None
    """Bars played without a pause at the start; None takes what the strategies need before they decide."""
    at_end: Literal["stop", "idle"] = "stop"
    """When the data end: stop in order, or stay up to be looked at."""


class FillPolicy(StrEnum):
    """When a simulated venue fills a market order that was decided at the close of a bar."""

    NEXT_OPEN = "next_open"
    """At the open of the next bar."""
    VWAP_WINDOW = "vwap_window"
    """Backtests only: in equal parts over the next ``vwap_minutes``, each at the open of its own bar."""


class ExecutionConfig(Section):
    """How decisions reach the venue."""

    fill_policy: FillPolicy = FillPolicy.NEXT_OPEN
    vwap_minutes: Annotated[int, Field(ge=1, le=240)] = 15
    """Length of the window of ``vwap_window``."""
    latency_ms: NonNegative = 0.0
    """Simulated time from decision to venue; the order still fills at the next open, that much later."""
    panel_timeout_secs: Positive = 5.0
    """Live: how long a decision waits for the bars of the other instruments; recorded bars are never late."""


class AccountConfig(Section):
    """Limits over all strategies of the host together, besides their own; None is no limit."""

    max_gross_quote: Positive | None = None
    """Largest sum of absolute positions, quote currency."""
    max_net_quote: Positive | None = None
    """Largest absolute sum of positions, quote currency."""
    daily_loss_quote: Positive | None = None
    """Loss since the start of the trading day that latches REDUCING for all."""
    session_loss_quote: Positive | None = None
    """Loss since the session began that latches REDUCING for all until a resume; a crash and the start after
    it belong to the session."""
    drawdown_frac: Fraction | None = None
    """Drawdown from the account's peak that latches REDUCING for all."""
    close_at_loss_limit: bool = False
    """Whether every strategy closes its positions, too, while one of these losses is latched."""
    loss_readings: Annotated[int, Field(ge=1)] = 3
    """Consecutive readings beyond a loss limit that latch it; one bad price must not."""
    day_start_utc_hour: Annotated[int, Field(ge=0, le=23)] = 0
    """Hour at which the account's trading day begins."""


class OnStop(StrEnum):
    """What becomes of open positions when the daemon is told to stop; entries are cancelled either way."""

    KEEP = "keep"
    FLATTEN = "flatten"


class DaemonConfig(Section):
    """How the process behaves."""

    on_stop: OnStop = OnStop.KEEP
    stop_timeout_secs: Positive = 30.0
    """How long an orderly stop may take before the process ends without it."""
    session_files: bool = True
    """Whether a session that ends writes ``sessions/<id>/``; ``argonaut session`` does it at any time."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class JournalConfig(Section):
    """The record of everything, and how long an order waits until what it is for is on the disk."""

    opening_deadline_ms: Positive = 250.0
    """An order that adds risk is dropped when its intent is not durable in this time."""
    reducing_deadline_ms: Positive = 50.0
    """An order that takes risk away leaves after this time, durable or not, and its record says so."""
    segment_mib: Annotated[int, Field(ge=1, le=1024)] = 64
    """Size of a segment; its space is reserved when it begins."""
    anchor_file: str | None = None
    """File for the hashes of checkpoints, relative to this file, where who holds the journal's key cannot
    rewrite it: a mount that only allows appending, another machine's. It is what ``argonaut audit verify
    --anchor FILE`` wants. Not part of the hash that pins the run."""


class ReconciliationConfig(Section):
    """What becomes of what the account holds beside ours."""

    adopt: dict[str, str] = Field(default={})
    """Names of strategies by instrument: at a start the strategy takes over what is there beside ours, at its
    price of entry, if it is flat there. What is not named is shown and left alone."""


class GuardianConfig(Section):
    """What restricts trading by itself, until an operator resumes it; "none" switches a watch off."""

    resume_cooldown_secs: NonNegative = 300.0
    """How long after an automatic restriction a resume is refused."""
    flatten_timeout_secs: Positive = 120.0
    """How long a kill with flatten may take to close positions before it is reported as failed."""
    max_reject_frac: Limit[Fraction] = 0.5
    """Share of refused orders, of a strategy's last 20 and at least 10, above which it halts."""
    max_orders_per_minute: Limit[Annotated[int, Field(ge=1)]] = 300
    """Orders of one strategy in a minute of market time, above which it halts."""
    max_orders_per_decision: Limit[Annotated[int, Field(ge=1)]] = 10
    """Orders of one decision of one strategy, above which it halts."""
    stale_feed_intervals: Limit[Positive] = 5.0
    """Bars, at the feed's own pace, that may be missing before no risk is added; at least five seconds."""
    restart_after_silence_secs: Annotated[float, Field(ge=LEAST_SILENCE_SECS)] | None = None
    """How long a feed from outside may be silent before the daemon ends with exit code 75, so that its
    supervisor starts it anew; at least ten minutes, so that it never runs out of starts."""
    max_clock_step_secs: Limit[Positive] = 2.0
    """Step of the wall clock against the monotonic one after which no risk is added."""
    max_clock_error_secs: Positive | None = None
    """How far off the wall clock may be, by the word of the time service that keeps it, before no risk is
    added. None is 1 s of a live host, and of recorded bars, which carry their own time, no limit."""
    max_stall_secs: Limit[Positive] = 5.0
    """How long the trading loop may stand still before no risk is added."""


class ApiConfig(Section):
    """The HTTP interface on a port: health, metrics, and with tokens all of docs/API.md and the dashboard.
    Not part of the hash that pins the run.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    """An address of this machine; one that others can reach needs all of the settings below."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8050
    """0 takes any that is free; ``argonaut status`` says which."""
    tokens: bool = False
    """Answer whoever brings a token of ``argonaut token new``: questions, commands, and then metrics, too."""
    open_to_read: bool = False
    """Answer what a viewer may ask to everybody on this machine, without a token, so that the dashboard opens
    by itself; commands need a token all the same. Of a loopback address alone."""
    hosts: tuple[str, ...] = ()
    """Names under which it may be asked, beside the address and this machine's own names."""
    allow_remote: bool = False
    """Whether ``host`` may be an address that others can reach."""
    tls_cert: str | None = None
    """Absolute path of a certificate with its chain, PEM."""
    tls_key: str | None = None
    """Absolute path of its private key, PEM, readable by its owner alone."""

    @field_validator("host")
    @classmethod
    def _is_an_address(cls, host: str) -> str:
        try:
            ip_address(host)
        except ValueError:
            raise ValueError('not an address such as "127.0.0.1" or "::1"') from None
        return host

    @field_validator("tls_cert", "tls_key")
    @classmethod
    def _is_absolute(cls, path: str | None) -> str | None:
        if path is not None and not path.startswith("/"):
            raise ValueError("not an absolute path")
        return path

    @model_validator(mode="after")
    def _is_safe_where_others_reach_it(self) -> "ApiConfig":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key come together or not at all")
        if ip_address(self.host).is_loopback:
            if self.open_to_read and self.hosts:
                raise ValueError(
                    "open_to_read = true is for this machine alone, and hosts are names that others use; "
                    "set one of them, not both"
                )
            return self
        if self.open_to_read:
            raise ValueError(
                f'host = "{self.host}" is not a loopback address: with open_to_read = true everybody who '
                "reaches it could read the account; set open_to_read = false and give out viewers' tokens"
            )
        lacking = [
            setting
            for setting, is_there in (
                ("allow_remote = true", self.allow_remote),
                ("tokens = true", self.tokens),
                ("tls_cert and tls_key", self.tls_cert is not None),
            )
            if not is_there
        ]
        if lacking:
            raise ValueError(
                f'host = "{self.host}" is not a loopback address: others can reach it; it needs '
                f"{', '.join(lacking)} as well"
            )
        return self


class LiveConfig(Section):
    """Live only: which venue's client, and whether orders may leave at all."""

    adapter: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """Client of the venue, a module in ``adapters/``."""
    testnet: bool = True
    """The venue's test environment rather than real money."""
    armed: bool = False
    """Harmless until this is true; a command-line flag has to say so once more."""


SECTIONS_OF_ONE_KIND = {"replay": HostKind.PAPER, "live": HostKind.LIVE}
"""Sections that only a host of that kind may have."""


class HostSettings(Section):
    """A host file, as written."""

    kind: HostKind
    strategies: Annotated[tuple[str, ...], Field(min_length=1)]
    """Strategy files, relative to this file, or the strategies themselves as tables [[strategies]]; they are
    called in this order."""
    venue: VenueConfig
    costs: CostConfig = CostConfig()
    data: DataConfig = DataConfig()
    replay: ReplayConfig = ReplayConfig()
    execution: ExecutionConfig = ExecutionConfig()
    account: AccountConfig = AccountConfig()
    daemon: DaemonConfig = DaemonConfig()
    journal: JournalConfig = JournalConfig()
    reconciliation: ReconciliationConfig = ReconciliationConfig()
    guardian: GuardianConfig = GuardianConfig()
    api: ApiConfig = ApiConfig()
    alerts: AlertsConfig = AlertsConfig()
    jobs: JobsConfig = JobsConfig()
    runs: RunsConfig = RunsConfig()
    logs: LogsConfig = LogsConfig()
    live: LiveConfig = LiveConfig()

    @property
    def max_clock_error_secs(self) -> float | None:
        """How far off the wall clock may be; None where nothing depends on it."""
        asked = self.guardian.max_clock_error_secs
        return MAX_CLOCK_ERROR_SECS if asked is None and self.kind is HostKind.LIVE else asked

    @model_validator(mode="after")
    def _sections_are_of_this_kind(self) -> "HostSettings":
        for section, kind in SECTIONS_OF_ONE_KIND.items():
            if section in self.model_fields_set and self.kind is not kind:
                raise ValueError(f'[{section}] is read by kind = "{kind}" only; remove it from this file')
        return self


def to_ns(text: str) -> int:
    """A date or time of a file or of a command, as UTC nanoseconds.

    Raises:
        ValueError: If it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError('not a date or time such as "2023-01-31" or "2023-01-31T12:00:00Z"') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000
