"""The only subscriber of bars: gathers the bars of one close time into panels, then asks each strategy.

The engine calls several subscribers of one bar type in an order that changes from process to process.
One subscriber and a loop in configuration order make it the same everywhere.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from nautilus_trader.common import DataActor, DataActorConfig, TimeEvent
from nautilus_trader.model import Bar, BarType

from strategies.errors import SafetyError
from strategies.guards import guarded
from strategies.market import BarRow, Panel

_SECOND_NS = 1_000_000_000


class PanelListener(Protocol):
    """A strategy as the hub sees it."""

    name: str
    bar_types: tuple[str, ...]
    """In the order of the strategy's instruments."""

    def observe(self, panel: Panel) -> None:
        """Take in the bars of one close time."""

    def decide(self) -> None:
        """Decide on them and send what follows."""


class PanelHubConfig(DataActorConfig):
    """Carries the hub's parts through the engine's one-argument constructor."""

    def __init__(
        self,
        listeners: Sequence[PanelListener] = (),
        timeout_secs: float | None = 5.0,
        on_bar_seen: Callable[[str, BarRow], None] | None = None,
        on_panel: Callable[[int, Mapping[str, BarRow]], None] | None = None,
        before_decisions: Callable[[int], None] | None = None,
        after_decisions: Callable[[int], None] | None = None,
        **_: object,
    ) -> None:
        self.listeners = tuple(listeners)
        self.timeout_secs = timeout_secs
        self.on_bar_seen = on_bar_seen
        self.on_panel = on_panel
        self.before_decisions = before_decisions
        self.after_decisions = after_decisions


class PanelHub(DataActor):
    """Gathers panels and calls the strategies in configuration order.

    A close time is complete when every series that is due then has a bar of it: those whose interval divides
    it, or for a market off that grid the time since its last close. Then all strategies with a bar take
    their panel in, and then, in configuration order, they decide: limits over the whole account are checked
    against the same bars for all of them.

    An incomplete time goes out, with None for what is missing, when a later bar arrives first, when the
    timeout passes (of 0: once all bars of that time have been handed over) or when `flush` says that no
    more will come. A bar of a time that went out is counted as late and never decided on. No timeout is set
    for times of which `expect_whole_panels` says that nothing is missing.
    """

    def __init__(self, config: PanelHubConfig) -> None:
        super().__init__(config)
        self.failure: BaseException | None = None
        self.bars_seen = 0
        self.late_bars = 0
        self.incomplete_panels = 0
        self.last_ts_event = 0
        """Close time of the newest panels that were decided on."""
        self._listeners = config.listeners
        self._on_bar_seen = config.on_bar_seen
        self._on_panel = config.on_panel
        self._before_decisions = config.before_decisions
        self._after_decisions = config.after_decisions
        self._timeout_ns = None if config.timeout_secs is None else int(config.timeout_secs * _SECOND_NS)
        self._names = {
            BarType.from_str(name): name for listener in config.listeners for name in listener.bar_types
        }
        self._rhythms = {name: (_interval_ns(bar_type), 0) for bar_type, name in self._names.items()}
        """Of each series: its interval, and how far its closes lie from that interval's grid."""
        self._due = Counter(self._rhythms.values())
        self._rows: dict[str, BarRow] = {}
        self._pending_ts = 0
        self._missing = 0
        self._expires_ns = 0
        self._whole_until = 0

    def contain(self, where: str, error: BaseException) -> None:
        """A fault of the hub itself stops every strategy it feeds."""
        for listener in self._listeners:
            contain = getattr(listener, "contain", None)
            if contain is not None:
                contain(f"hub.{where}", error)

    @guarded
    def on_start(self) -> None:
        """Subscribe once to each bar type."""
        for bar_type in self._names:
            self.subscribe_bars(bar_type)

    @guarded
    def on_bar(self, bar: Bar) -> None:
        """File a bar; when it completes its time, let the strategies decide."""
        self.bars_seen += 1
        name = self._names[bar.bar_type]
        row = BarRow(
            bar.ts_event,
            float(bar.open),
            float(bar.high),
            float(bar.low),
            float(bar.close),
            float(bar.volume),
        )
        if self._on_bar_seen is not None:
            self._on_bar_seen(name, row)
        self._file(name, row)

    def expect_whole_panels(self, until_ns: int) -> None:
        """Set no timeout up to this close time: whoever plays the bars has seen that none is missing.

        Args:
            until_ns: UTC nanoseconds. A panel up to then that is overtaken by a later bar all the same halts
                every strategy: it would have been decided on too late.
        """
        self._whole_until = until_ns

    @guarded
    def flush(self, ts_event: int) -> None:
        """Send what is pending up to this close time; no more bars of it will come."""
        if 0 < self._pending_ts <= ts_event:
            self._send()

    def _file(self, name: str, row: BarRow) -> None:
        ts_event = row.ts_event
        interval_ns, phase_ns = self._rhythms[name]
        if (ts_event - phase_ns) % interval_ns:
            self._shift_rhythm(interval_ns, ts_event % interval_ns)
        if ts_event <= self.last_ts_event or ts_event < self._pending_ts:
            self.late_bars += 1
            return
        if ts_event > self._pending_ts > 0:
            if self._pending_ts <= self._whole_until:
                raise SafetyError(
                    f"expected a bar of every series at {self._pending_ts}, found one of {ts_event} after "
                    f"{sorted(self._rows)} alone; nothing was decided on it"
                )
            self._send()
        if self._pending_ts == 0:
            self._begin(ts_event)
        if name not in self._rows:
            self._missing -= 1
        self._rows[name] = row
        if self._missing <= 0:
            self._send()

    def _shift_rhythm(self, interval_ns: int, phase_ns: int) -> None:
        # A market that opens at half past has hourly bars that close at half past: all its series at once.
        for name, (own_ns, _) in self._rhythms.items():
            if own_ns == interval_ns:
                self._rhythms[name] = (interval_ns, phase_ns)
        self._due = Counter(self._rhythms.values())

    def _begin(self, ts_event: int) -> None:
        self._pending_ts = ts_event
        self._missing = 0
        for (interval_ns, phase_ns), count in self._due.items():
            if (ts_event - phase_ns) % interval_ns == 0:
                self._missing += count
        if self._missing > 1 and self._timeout_ns is not None and ts_event > self._whole_until:
            # One alert, which the next time replaces: a closure for each would cost more than the panel.
            self._expires_ns = self.clock.timestamp_ns() + self._timeout_ns
            self.clock.set_time_alert_ns("panel", self._expires_ns, self._expire)

    def _send(self) -> None:
        rows, ts_event = self._rows, self._pending_ts
        self._rows, self._pending_ts = {}, 0
        self.take(ts_event, rows)

    def take(self, ts_event: int, rows: Mapping[str, BarRow]) -> None:
        """Let the strategies take in the bars of one close time, and decide on them.

        Args:
            ts_event: UTC nanoseconds; later than any before.
            rows: By bar type; what is missing did not come in time.
        """
        self.last_ts_event = ts_event
        if self._on_panel is not None:
            self._on_panel(ts_event, rows)
        deciding: list[PanelListener] = []
        for listener in self._listeners:
            bars = tuple([rows.get(name) for name in listener.bar_types])
            if any(bars):
                self.incomplete_panels += None in bars
                listener.observe(Panel(ts_event, bars))
                deciding.append(listener)
        if self._before_decisions is not None:
            self._before_decisions(ts_event)
        for listener in deciding:
            listener.decide()
        if self._after_decisions is not None:
            self._after_decisions(ts_event)

    @guarded
    def _expire(self, event: TimeEvent) -> None:
        if self._pending_ts and event.ts_event >= self._expires_ns:
            self._send()


def _interval_ns(bar_type: BarType) -> int:
    length: timedelta = bar_type.spec.timedelta
    return length // timedelta(microseconds=1) * 1_000
