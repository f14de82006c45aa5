import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope, ScopeKind

ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


def test_gate_is_active_without_a_reason_at_the_start() -> None:
    gate = TradingGate(armed=False)

    assert (gate.armed, gate.reconciled) == (False, True)
    assert (gate.state(), gate.state("one"), gate.reason(), gate.reason("one")) == (ACTIVE, ACTIVE, "", "")


@pytest.mark.parametrize(("host", "own"), list(itertools.product(TradingState, TradingState)))
def test_gate_stricter_of_host_and_strategy_holds(host: TradingState, own: TradingState) -> None:
    severity = [ACTIVE, REDUCING, HALTED]
    gate = TradingGate(armed=True)
    if host is not ACTIVE:
        gate.restrict(host, "host")
    if own is not ACTIVE:
        gate.restrict(own, "own", "one")

    assert gate.state("one") is max(host, own, key=severity.index)
    assert gate.state("two") is host
    assert gate.state() is host


def test_gate_looser_state_never_replaces_a_stricter_one() -> None:
    gate = TradingGate(armed=True)
    gate.restrict(HALTED, "fault", "one")
    gate.restrict(REDUCING, "loss", "one")
    gate.restrict(ACTIVE, "please", "one")

    assert (gate.state("one"), gate.reason("one")) == (HALTED, "fault")


def test_gate_first_reason_of_a_severity_is_kept_and_a_stricter_one_replaces_it() -> None:
    gate = TradingGate(armed=True)
    gate.restrict(REDUCING, "first")
    gate.restrict(REDUCING, "second")
    assert gate.reason() == "first"

    gate.restrict(HALTED, "third")

    assert gate.reason() == "third"


def test_gate_reason_of_a_strategy_is_that_of_the_stricter_state() -> None:
    gate = TradingGate(armed=True)
    gate.restrict(HALTED, "fault", "one")
    gate.restrict(REDUCING, "stopping")

    assert (gate.reason("one"), gate.reason("two"), gate.reason()) == ("fault", "stopping", "stopping")

    gate.restrict(HALTED, "killed")
    assert (gate.reason("one"), gate.reason("two")) == ("fault", "killed")


def test_gate_lift_takes_away_only_the_scope_that_was_named() -> None:
    gate = TradingGate(armed=True)
    gate.restrict(HALTED, "own", "one")
    gate.restrict(HALTED, "other", "two")
    gate.restrict(REDUCING, "all")

    gate.lift(EVERYTHING, tuple(Origin))
    assert (gate.state(), gate.state("one"), gate.reason("one")) == (ACTIVE, HALTED, "own")

    gate.lift(Scope(ScopeKind.STRATEGY, "one"), tuple(Origin))
    assert (gate.state("one"), gate.reason("one"), gate.state("two")) == (ACTIVE, "", HALTED)


def held(text: str, state: TradingState, origin: Origin = Origin.OPERATOR) -> Restriction:
    return Restriction(Scope.parse(text), state, f"{text} {state}", "test", 0, origin)


def test_gate_venue_and_instrument_hold_what_lies_in_them_back() -> None:
    gate = TradingGate(armed=True)
    gate.hold(held("venue:X", REDUCING))
    gate.hold(held("instrument:A.X", HALTED))

    states = [gate.state("one", name) for name in ("A.X", "B.X", "A.Y")]
    assert states == [HALTED, REDUCING, ACTIVE]
    assert gate.reason("one", "A.X") == "instrument:A.X HALTED"
    assert (gate.state(), gate.state("one")) == (ACTIVE, ACTIVE)
    assert gate.states("one", ("A.X", "B.X", "A.Y")) == (HALTED, REDUCING, ACTIVE)


def test_gate_states_of_instruments_are_not_asked_for_where_they_cannot_differ() -> None:
    gate = TradingGate(armed=True)
    gate.hold(held("strategy:one", HALTED))
    assert gate.states("one", ("A.X", "B.X")) == ()

    gate.hold(held("instrument:A.X", REDUCING))
    assert gate.states("one", ("A.X", "B.X")) == (HALTED, HALTED)

    gate.lift(Scope.parse("instrument:A.X"), tuple(Origin))
    assert gate.states("one", ("A.X", "B.X")) == ()


def test_gate_answer_changes_as_soon_as_something_is_held_or_lifted_or_expires() -> None:
    gate = TradingGate(armed=True)
    assert gate.state("one", "A.X") is ACTIVE
    gate.hold(held("instrument:A.X", HALTED)._replace(until_ts=5))
    assert gate.state("one", "A.X") is HALTED
    gate.expire(5)
    assert gate.state("one", "A.X") is ACTIVE


def test_gate_tells_of_what_is_new_once_it_acts() -> None:
    gate = TradingGate(armed=True, now=lambda: 7)
    told: list[tuple[Restriction, TradingState]] = []
    gate.on_hold = lambda one: told.append((one, gate.state("one")))

    gate.restrict(HALTED, "fault", "one")
    gate.restrict(HALTED, "fault again", "one")

    ((one, state),) = told
    assert (one.ts_ns, one.automatic, one.reason, state) == (7, True, "fault", HALTED)


SCOPES = st.sampled_from(["all", "venue:X", "venue:Y", "strategy:one", "strategy:two", "instrument:A.X"])
ASKED = [(None, None), *itertools.product(["one", "two"], [None, "A.X", "B.X", "A.Y"])]


@given(
    st.lists(
        st.tuples(st.booleans(), SCOPES, st.sampled_from(list(TradingState)), st.sampled_from(list(Origin))),
        max_size=12,
    )
)
def test_gate_state_is_the_strictest_of_what_covers_whatever_came_before(
    steps: list[tuple[bool, str, TradingState, Origin]],
) -> None:
    severity = [ACTIVE, REDUCING, HALTED]
    gate = TradingGate(armed=True)
    model: dict[tuple[str, Origin], TradingState] = {}
    for lifts, text, state, origin in steps:
        if lifts:
            gate.lift(Scope.parse(text), (origin,))
            model.pop((text, origin), None)
        else:
            gate.hold(held(text, state, origin))
            model[text, origin] = max(model.get((text, origin), ACTIVE), state, key=severity.index)
        for strategy, instrument_id in ASKED:
            covering = [
                state
                for (text, _), state in model.items()
                if text in {"all", f"strategy:{strategy}"}
                or (instrument_id and text in {f"instrument:{instrument_id}", f"venue:{instrument_id[-1]}"})
            ]
            expected = max(covering, key=severity.index, default=ACTIVE)
            assert gate.state(strategy, instrument_id) is expected


def test_gate_objects_to_everything_where_books_differ_and_elsewhere_only_to_new_risk() -> None:
    gate = TradingGate(armed=True)
    gate.reconciled, gate.doubtful = False, frozenset({"A.X"})

    assert [gate.objection("one", "A.X", reduces=reduces) for reduces in (True, False)] == [
        "our books and the venue's differ about A.X"
    ] * 2
    assert gate.objection("one", "B.X", reduces=True) == ""
    assert gate.objection("one", "B.X", reduces=False) == "our books and the venue's differ"


def test_gate_objects_to_new_risk_while_halted_or_not_armed_and_to_no_reduction() -> None:
    gate = TradingGate(armed=False)
    assert gate.objection("one", "A.X", reduces=False) == "not armed"

    gate.restrict(HALTED, "why")

    assert gate.objection("one", "A.X", reduces=False) == "trading state HALTED: why"
    assert gate.objection("one", "A.X", reduces=True) == ""
