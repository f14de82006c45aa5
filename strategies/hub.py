"""The only subscriber of bars: gathers the bars of one close time into panels, then asks each strategy.

The engine calls several subscribers of one bar type in an order that changes from process to process.
One subscriber and a loop in configuration order make it the same everywhere.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from nautilus_trader.common import DataActor, DataActorConfig, TimeEvent
from nautilus_trader.model import Bar, BarType

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
        before_decisions: Callable[[int], None] | None = None,
        **_: object,
    ) -> None:
        self.listeners = tuple(listeners)
        self.timeout_secs = timeout_secs
        self.on_bar_seen = on_bar_seen
        self.before_decisions = before_decisions


class PanelHub(DataActor):
    """Gathers panels and calls the strategies in configuration order.

    All strategies of a panel take it in before the first of them decides, so limits over the whole
    account are checked against the same bar for all.

    A panel is complete when every instrument of the strategy has a bar of that close time. It goes out
    incomplete, with None for what is missing, when a later bar arrives first, when the timeout passes
    (of 0: once all bars of that time have been handed over) or when `flush` says that no more will come.
    A bar older than the last panel that went out is counted as late and never decided on again.
    """

    def __init__(self, config: PanelHubConfig) -> None:
        super().__init__(config)
        self.failure: BaseException | None = None
        self.bars_seen = 0
        self.late_bars = 0
        self.incomplete_panels = 0
        self.last_ts_event = 0
        """Close time of the newest panel that was decided on."""
        self._on_bar_seen = config.on_bar_seen
        self._before_decisions = config.before_decisions
        self._timeout_ns = None if config.timeout_secs is None else int(config.timeout_secs * _SECOND_NS)
        self._groups: list[_Group] = []
        for listener in config.listeners:
            group = next((g for g in self._groups if g.bar_types == listener.bar_types), None)
            if group is None:
                group = _Group(listener.bar_types, f"panel-{len(self._groups)}")
                group.on_alert = partial(self._expire, group)
                self._groups.append(group)
            group.listeners.append(listener)
        self._by_bar_type: dict[str, list[tuple[_Group, int]]] = {}
        for group in self._groups:
            for index, bar_type in enumerate(group.bar_types):
                self._by_bar_type.setdefault(bar_type, []).append((group, index))
        self._names: dict[BarType, str] = {BarType.from_str(name): name for name in self._by_bar_type}

    def contain(self, where: str, error: BaseException) -> None:
        """A fault of the hub itself stops every strategy it feeds."""
        for group in self._groups:
            for listener in group.listeners:
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
        """File a bar; when it completes a panel, let the strategies decide."""
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
        for group, index in self._by_bar_type[name]:
            self._file(group, index, row)

    @guarded
    def flush(self, ts_event: int) -> None:
        """Send what is pending up to this close time; no more bars of it will come."""
        for group in self._groups:
            if 0 < group.pending_ts <= ts_event:
                self._send(group)

    def _file(self, group: "_Group", index: int, row: BarRow) -> None:
        if row.ts_event <= group.last_ts:
            self.late_bars += 1
            return
        if group.pending_ts and row.ts_event > group.pending_ts:
            self._send(group)
        if group.pending_ts == 0:
            group.pending_ts = row.ts_event
            if len(group.bar_types) > 1 and self._timeout_ns is not None:
                self._arm_timeout(group, self._timeout_ns)
        if row.ts_event < group.pending_ts:
            self.late_bars += 1
            return
        if group.rows[index] is None:
            group.missing -= 1
        group.rows[index] = row
        if group.missing == 0:
            self._send(group)

    def _send(self, group: "_Group") -> None:
        if group.missing:
            self.incomplete_panels += 1
        panel = Panel(group.pending_ts, tuple(group.rows))
        group.clear()
        self.last_ts_event = max(self.last_ts_event, panel.ts_event)
        for listener in group.listeners:
            listener.observe(panel)
        if self._before_decisions is not None:
            self._before_decisions(panel.ts_event)
        for listener in group.listeners:
            listener.decide()

    def _arm_timeout(self, group: "_Group", timeout_ns: int) -> None:
        # One alert a group, which the next panel replaces: a closure for each panel would cost more than it.
        group.expires_ns = self.clock.timestamp_ns() + timeout_ns
        self.clock.set_time_alert_ns(group.alert_name, group.expires_ns, group.on_alert)

    @guarded
    def _expire(self, group: "_Group", event: TimeEvent) -> None:
        if group.pending_ts and event.ts_event >= group.expires_ns:
            self._send(group)


class _Group:
    """Strategies that watch the same bars."""

    def __init__(self, bar_types: tuple[str, ...], alert_name: str) -> None:
        self.bar_types = bar_types
        self.listeners: list[PanelListener] = []
        self.rows: list[BarRow | None] = [None] * len(bar_types)
        self.missing = len(bar_types)
        self.pending_ts = 0
        self.last_ts = 0
        self.alert_name = alert_name
        self.on_alert: Callable[[TimeEvent], None] | None = None
        self.expires_ns = 0

    def clear(self) -> None:
        self.last_ts = self.pending_ts
        self.pending_ts = 0
        self.rows = [None] * len(self.bar_types)
        self.missing = len(self.bar_types)
