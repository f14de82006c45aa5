"""The hub by hand; its timers are a fake's, so no engine is needed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from nautilus_trader.model import Bar, BarType, Price, Quantity

from strategies.errors import SafetyError
from strategies.guards import guarded
from strategies.hub import PanelHub, PanelHubConfig
from strategies.market import BarRow, Panel

A, B, C = (f"{name}USDT.DEMO-1-MINUTE-LAST-EXTERNAL" for name in ("ALPHA", "BETA", "GAMMA"))
MINUTE = 60_000_000_000
SECOND = 1_000_000_000


class Alert(NamedTuple):
    ts_event: int


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0
        self.alerts: dict[str, tuple[int, Callable[[Any], None]]] = {}

    def timestamp_ns(self) -> int:
        return self.now

    def set_time_alert_ns(self, name: str, alert_ns: int, callback: Callable[[Any], None]) -> None:
        self.alerts[name] = (alert_ns, callback)

    def advance(self, now: int) -> None:
        self.now = now
        for name, (due, callback) in sorted(self.alerts.items(), key=lambda alert: alert[1][0]):
            if due <= now:
                del self.alerts[name]
                callback(Alert(due))


class Hub(PanelHub):
    clock: Clock  # type: ignore[assignment]  # the engine's own is there only after registering


class Listener:
    """Writes down what it is asked; breaks where it is told to."""

    def __init__(
        self, name: str, journal: list[tuple[str, str, Any]], *bar_types: str, breaks: str = ""
    ) -> None:
        self.name = name
        self.bar_types = bar_types or (A, B)
        self.failure: BaseException | None = None
        self._journal = journal
        self._breaks = breaks
        self._panel: Panel | None = None

    def contain(self, where: str, error: BaseException) -> None:
        self._journal.append((self.name, "contain", where))

    @guarded
    def observe(self, panel: Panel) -> None:
        if self._breaks == "observe":
            raise ZeroDivisionError
        self._panel = panel
        closes = tuple(None if bar is None else bar.close for bar in panel.bars)
        self._journal.append((self.name, "observe", (panel.ts_event // MINUTE, *closes)))

    @guarded
    def decide(self) -> None:
        if self._breaks == "decide":
            raise KeyboardInterrupt
        assert self._panel is not None
        self._journal.append((self.name, "decide", self._panel.ts_event // MINUTE))


class Unguarded(Listener):
    def observe(self, panel: Panel) -> None:
        raise ValueError("nobody guards me")


type Journal = list[tuple[str, str, Any]]


def make_hub(*listeners: Listener, **parts: Any) -> Hub:
    kind = type("ClockedHub", (Hub,), {"clock": Clock()})
    hub: Hub = kind(PanelHubConfig(listeners=listeners, **parts))
    return hub


def bar(bar_type: str, minute: int, close: float = 1.0) -> Bar:
    price, ts_event = Price(close, 2), minute * MINUTE
    return Bar(
        BarType.from_str(bar_type), price, price, price, price, Quantity(3.0, 2), ts_event, ts_event + 5
    )


def decisions(journal: Journal) -> list[tuple[str, Any]]:
    return [(name, what) for name, kind, what in journal if kind == "decide"]


def observations(journal: Journal) -> list[Any]:
    return [what for _, kind, what in journal if kind == "observe"]


def test_hub_panel_goes_out_when_the_last_bar_of_its_time_arrives() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal))

    hub.on_bar(bar(B, 1, 2.0))
    assert journal == []
    hub.on_bar(bar(A, 1, 1.0))

    assert journal == [("one", "observe", (1, 1.0, 2.0)), ("one", "decide", 1)]
    assert (hub.bars_seen, hub.incomplete_panels, hub.late_bars, hub.last_ts_event) == (2, 0, 0, MINUTE)


def test_hub_row_holds_the_bar_as_it_is_stamped_at_its_close() -> None:
    seen: list[tuple[str, BarRow]] = []
    hub = make_hub(Listener("one", [], A), on_bar_seen=lambda name, row: seen.append((name, row)))
    opened, high, low, close = (Price(value, 2) for value in (10.0, 12.5, 9.25, 11.0))

    hub.on_bar(Bar(BarType.from_str(A), opened, high, low, close, Quantity(3.5, 2), MINUTE, MINUTE + 999))

    assert seen == [(A, BarRow(MINUTE, 10.0, 12.5, 9.25, 11.0, 3.5))]


def test_hub_later_bar_sends_the_incomplete_panel_first() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal))

    for arriving in (bar(A, 1), bar(A, 2, 5.0), bar(B, 2, 6.0)):
        hub.on_bar(arriving)

    assert observations(journal) == [(1, 1.0, None), (2, 5.0, 6.0)]
    assert hub.incomplete_panels == 1


def test_hub_timeout_sends_the_incomplete_panel_once() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal), timeout_secs=5.0)
    hub.clock.now = MINUTE

    hub.on_bar(bar(B, 1, 2.0))
    hub.clock.advance(MINUTE + 5 * SECOND - 1)
    assert journal == []
    hub.clock.advance(MINUTE + 5 * SECOND)
    hub.clock.advance(2 * MINUTE - 1)

    assert observations(journal) == [(1, None, 2.0)]
    assert hub.incomplete_panels == 1


def test_hub_timeout_of_a_complete_panel_does_not_touch_the_next_one() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal), timeout_secs=90.0)

    for now, arriving in ((1, bar(A, 1)), (1, bar(B, 1)), (2, bar(A, 2))):
        hub.clock.advance(now * MINUTE)
        hub.on_bar(arriving)
    hub.clock.advance(MINUTE + 90 * SECOND)
    assert decisions(journal) == [("one", 1)]
    hub.clock.advance(2 * MINUTE + 90 * SECOND)

    assert decisions(journal) == [("one", 1), ("one", 2)]


@pytest.mark.parametrize(("timeout_secs", "alerts"), [(0.0, [MINUTE]), (None, [])])
def test_hub_timeout_of_zero_is_due_at_once_and_none_is_never(
    timeout_secs: float | None, alerts: list[int]
) -> None:
    hub = make_hub(Listener("one", []), timeout_secs=timeout_secs)
    hub.clock.now = MINUTE

    hub.on_bar(bar(A, 1))

    assert [due for due, _ in hub.clock.alerts.values()] == alerts


def test_hub_sets_no_timeout_while_no_bar_is_missing_and_one_again_after_that() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal), timeout_secs=0.0)
    hub.expect_whole_panels(2 * MINUTE)
    alerts = []

    for arriving in (bar(A, 1), bar(B, 1), bar(A, 2), bar(B, 2), bar(A, 3)):
        hub.on_bar(arriving)
        alerts.append([due for due, _ in hub.clock.alerts.values()])

    assert alerts == [[], [], [], [], [0]]
    assert decisions(journal) == [("one", 1), ("one", 2)]


def test_hub_bar_that_is_missing_against_the_word_of_the_host_halts_and_decides_nothing() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal), timeout_secs=0.0)
    hub.expect_whole_panels(5 * MINUTE)

    for arriving in (bar(A, 1), bar(B, 1), bar(B, 2), bar(A, 3), bar(B, 3)):
        hub.on_bar(arriving)

    assert isinstance(hub.failure, SafetyError)
    assert str(2 * MINUTE) in str(hub.failure)
    assert decisions(journal) == [("one", 1)]
    assert ("one", "contain", "hub.on_bar") in journal


def test_hub_strategy_of_one_instrument_waits_for_nothing() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal, A))

    hub.on_bar(bar(A, 1))

    assert decisions(journal) == [("one", 1)]
    assert hub.clock.alerts == {}


def test_hub_late_bar_is_counted_and_never_decided_on_again() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal))
    for arriving in (bar(A, 1), bar(A, 2), bar(B, 2)):
        hub.on_bar(arriving)

    hub.on_bar(bar(B, 1))
    hub.on_bar(bar(B, 2, 9.0))

    assert decisions(journal) == [("one", 1), ("one", 2)]
    assert hub.late_bars == 2


def test_hub_bar_older_than_the_pending_panel_is_late_too() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal))
    for arriving in (bar(A, 1), bar(B, 1), bar(A, 3), bar(B, 2), bar(B, 3)):
        hub.on_bar(arriving)

    assert decisions(journal) == [("one", 1), ("one", 3)]
    assert hub.late_bars == 1


def test_hub_repeated_bar_does_not_complete_a_panel() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal))

    hub.on_bar(bar(A, 1, 1.0))
    hub.on_bar(bar(A, 1, 1.5))
    assert journal == []
    hub.on_bar(bar(B, 1, 2.0))

    assert observations(journal) == [(1, 1.5, 2.0)]


def test_hub_flush_sends_what_is_pending_up_to_its_time() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal))
    hub.on_bar(bar(A, 2))

    hub.flush(MINUTE)
    assert journal == []
    hub.flush(2 * MINUTE)
    hub.flush(3 * MINUTE)

    assert decisions(journal) == [("one", 2)]
    assert hub.incomplete_panels == 1


def test_hub_all_observe_before_the_first_decides_in_configuration_order() -> None:
    journal: Journal = []
    readings: list[tuple[int, int]] = []
    hub = make_hub(
        *(Listener(name, journal) for name in ("zeta", "alpha", "mid")),
        before_decisions=lambda ts_event: readings.append((ts_event, len(journal))),
    )

    hub.on_bar(bar(B, 1))
    hub.on_bar(bar(A, 1))

    assert [(name, kind) for name, kind, _ in journal] == [
        *((name, "observe") for name in ("zeta", "alpha", "mid")),
        *((name, "decide") for name in ("zeta", "alpha", "mid")),
    ]
    assert readings == [(MINUTE, 3)]


def test_hub_says_that_a_bar_time_is_over_once_when_the_last_strategy_has_decided() -> None:
    journal: Journal = []
    ends: list[tuple[int, int]] = []
    hub = make_hub(
        *(Listener(name, journal) for name in ("one", "two")),
        after_decisions=lambda ts_event: ends.append((ts_event, len(decisions(journal)))),
    )

    for minute in (1, 2):
        hub.on_bar(bar(A, minute))
        hub.on_bar(bar(B, minute))
    hub.on_bar(bar(A, 3))
    hub.flush(3 * MINUTE)

    assert ends == [(MINUTE, 2), (2 * MINUTE, 4), (3 * MINUTE, 6)]


def test_hub_bar_time_is_over_though_a_strategy_broke_in_it() -> None:
    ends: list[int] = []
    hub = make_hub(Listener("one", [], breaks="decide"), after_decisions=ends.append)

    hub.on_bar(bar(A, 1))
    hub.on_bar(bar(B, 1))

    assert ends == [MINUTE]


def test_hub_state_that_cannot_be_written_stops_every_strategy() -> None:
    journal: Journal = []

    def refuse(_ts_event: int) -> None:
        raise ValueError("too long")

    hub = make_hub(*(Listener(name, journal) for name in ("one", "two")), after_decisions=refuse)

    hub.on_bar(bar(A, 1))
    hub.on_bar(bar(B, 1))

    assert isinstance(hub.failure, ValueError)
    assert [(name, kind) for name, kind, _ in journal[-2:]] == [("one", "contain"), ("two", "contain")]


def test_hub_strategies_of_other_instruments_still_decide_in_configuration_order() -> None:
    journal: Journal = []
    hub = make_hub(Listener("slow", journal, B, C), Listener("quick", journal, A))

    for one in (bar(A, 1, 1.0), bar(B, 1, 2.0), bar(C, 1, 3.0)):
        hub.on_bar(one)

    assert observations(journal) == [(1, 2.0, 3.0), (1, 1.0)]
    assert decisions(journal) == [("slow", 1), ("quick", 1)]


def test_hub_strategy_without_a_bar_of_the_time_is_not_asked() -> None:
    journal: Journal = []
    hub = make_hub(Listener("absent", journal, C), Listener("there", journal, A, B))

    hub.on_bar(bar(A, 1, 1.0))
    hub.on_bar(bar(B, 1, 2.0))
    hub.flush(MINUTE)

    assert decisions(journal) == [("there", 1)]


def test_hub_order_of_instruments_is_each_strategys_own() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal, A, B), Listener("two", journal, B, A))

    hub.on_bar(bar(A, 1, 1.0))
    hub.on_bar(bar(B, 1, 2.0))

    assert observations(journal) == [(1, 1.0, 2.0), (1, 2.0, 1.0)]


@pytest.mark.parametrize("breaks", ["observe", "decide"])
def test_hub_strategy_that_raises_is_contained_and_the_others_go_on(breaks: str) -> None:
    journal: Journal = []
    hub = make_hub(
        Listener("one", journal, A), Listener("two", journal, A, breaks=breaks), Listener("three", journal, A)
    )

    for minute in (1, 2):
        hub.on_bar(bar(A, minute))

    assert decisions(journal) == [("one", 1), ("three", 1), ("one", 2), ("three", 2)]
    assert [entry for entry in journal if entry[1] == "contain"] == [("two", "contain", breaks)]
    assert hub.failure is None


def test_hub_fault_of_its_own_stops_every_strategy() -> None:
    journal: Journal = []
    hub = make_hub(Listener("one", journal, A), Unguarded("two", journal, A), Listener("three", journal, B))

    hub.on_bar(bar(A, 1))
    hub.on_bar(bar(B, 1))

    contained = [(name, what) for name, kind, what in journal if kind == "contain"]
    assert contained == [(name, "hub.on_bar") for name in ("one", "two", "three")]
    assert isinstance(hub.failure, ValueError)
    assert decisions(journal) == []


def test_hub_panel_of_a_market_that_closes_off_the_grid_of_its_interval_is_gathered_whole() -> None:
    journal: Journal = []
    hourly = [f"{name}.DEMO-1-HOUR-LAST-EXTERNAL" for name in ("ALPHAUSDT", "BETAUSDT")]
    hub = make_hub(Listener("one", journal, *hourly), timeout_secs=None)

    for minute in (90, 150, 210):  # half past each hour
        for bar_type in hourly:
            hub.on_bar(bar(bar_type, minute))

    assert observations(journal) == [(90, 1.0, 1.0), (150, 1.0, 1.0), (210, 1.0, 1.0)]
    assert (hub.late_bars, hub.incomplete_panels) == (0, 0)
