import itertools

import pytest

from strategies.gate import TradingGate
from strategies.guardrails import TradingState

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


def test_gate_resume_lifts_only_what_was_named() -> None:
    gate = TradingGate(armed=True)
    gate.restrict(HALTED, "own", "one")
    gate.restrict(HALTED, "other", "two")
    gate.restrict(REDUCING, "all")

    gate.resume()
    assert (gate.state(), gate.state("one"), gate.reason("one")) == (ACTIVE, HALTED, "own")

    gate.resume("one")
    assert (gate.state("one"), gate.reason("one"), gate.state("two")) == (ACTIVE, "", HALTED)
