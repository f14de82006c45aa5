import pytest

from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, RestrictionSet, Scope, ScopeKind

REDUCING, HALTED = TradingState.REDUCING, TradingState.HALTED
VENUE = Scope(ScopeKind.VENUE, "BINANCE")
STRATEGY = Scope(ScopeKind.STRATEGY, "one")
INSTRUMENT = Scope(ScopeKind.INSTRUMENT, "BTCUSDT.BINANCE")


def restriction(state: TradingState = HALTED, scope: Scope = EVERYTHING, **changed: object) -> Restriction:
    return Restriction(scope, state, "why", "somebody", 1)._replace(**changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("all", EVERYTHING),
        ("venue:BINANCE", VENUE),
        ("strategy:one", STRATEGY),
        (str(INSTRUMENT), INSTRUMENT),
    ],
)
def test_scope_is_read_as_it_is_written(text: str, scope: Scope) -> None:
    assert Scope.parse(text) == scope
    assert str(scope) == text


@pytest.mark.parametrize(
    "text", ["", "ALL", "all:", "all:x", "venue", "venue:", "strategy: one", "account:x", ":x", "*"]
)
def test_scope_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the scope all, venue:NAME"):
        Scope.parse(text)


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (EVERYTHING, [True, True, True, True, True]),
        (VENUE, [False, False, True, False, True]),
        (STRATEGY, [False, True, True, True, False]),
        (INSTRUMENT, [False, False, True, False, True]),
    ],
)
def test_scope_covers_what_lies_in_it(scope: Scope, covered: list[bool]) -> None:
    asked = [
        (None, None),
        ("one", None),
        ("one", "BTCUSDT.BINANCE"),
        ("one", "BTCUSDT.BINANCE2"),
        (None, "BTCUSDT.BINANCE"),
    ]

    assert [scope.covers(*one) for one in asked] == covered


def test_set_keeps_the_stricter_of_two_and_the_first_of_equals() -> None:
    held = RestrictionSet()
    first, stricter = restriction(REDUCING), restriction(HALTED, reason="worse")

    assert held.hold(first)
    assert not held.hold(restriction(REDUCING, reason="again"))
    assert held.hold(stricter)
    assert not held.hold(restriction(REDUCING))
    assert list(held) == [stricter]


def test_set_tells_automatic_causes_apart_so_that_each_cools_down_by_itself() -> None:
    held = RestrictionSet()
    feed = restriction(REDUCING, origin=Origin.AUTOMATIC, who="stale_feed")
    clock = restriction(REDUCING, origin=Origin.AUTOMATIC, who="clock")

    assert held.hold(feed)
    assert held.hold(clock)
    assert list(held) == [feed, clock]


def test_set_lifts_one_scope_and_the_origins_asked_for_only() -> None:
    held = RestrictionSet()
    paused = restriction(REDUCING, STRATEGY, origin=Origin.PAUSE)
    killed, everything = restriction(HALTED, STRATEGY), restriction(HALTED)
    for one in (paused, killed, everything):
        held.hold(one)

    assert held.lift(STRATEGY, (Origin.OPERATOR, Origin.AUTOMATIC)) == (killed,)
    assert list(held) == [paused, everything]
    assert held.lift(VENUE, tuple(Origin)) == ()


def test_set_what_time_ends_is_ended_by_time_alone() -> None:
    held = RestrictionSet()
    day = restriction(REDUCING, origin=Origin.AUTOMATIC, who="daily_loss", until_ts=100)
    held.hold(day)

    assert held.lift(EVERYTHING, tuple(Origin)) == ()
    assert held.expire(99) == ()
    assert held.expire(100) == (day,)
    assert list(held) == []


def test_set_later_end_replaces_an_earlier_one_and_never_the_other_way() -> None:
    held = RestrictionSet()
    day = restriction(REDUCING, origin=Origin.AUTOMATIC, who="daily_loss", until_ts=100)
    next_day = day._replace(until_ts=200)
    held.hold(day)

    assert held.hold(next_day)
    assert not held.hold(day)
    assert held.hold(day._replace(until_ts=None))
    assert not held.hold(next_day)
