import pytest

from bot.admission import admission
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import Restriction, Scope


def admitted(gate: TradingGate, *, reduce_only: bool = False, own_id: str = "AR1") -> str:
    return admission(gate, {"AR1": "one"}.get)(own_id, "A.X", "BUY", reduce_only)


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
@pytest.mark.parametrize("scope", ["all", "venue:X", "strategy:one", "instrument:A.X"])
def test_admission_refuses_what_adds_risk_where_a_restriction_applies(
    scope: str, state: TradingState
) -> None:
    gate = TradingGate(armed=True)
    assert admitted(gate) == ""

    gate.hold(Restriction(Scope.parse(scope), state, "killed", "me", 0))

    assert admitted(gate) == f"trading state {state}: killed"
    assert admitted(gate, reduce_only=True) == ""


@pytest.mark.parametrize("scope", ["venue:Y", "strategy:two", "instrument:B.X"])
def test_admission_lets_pass_what_a_restriction_does_not_reach(scope: str) -> None:
    gate = TradingGate(armed=True)
    gate.hold(Restriction(Scope.parse(scope), TradingState.HALTED, "killed", "me", 0))

    assert admitted(gate) == ""


def test_admission_refuses_an_order_of_no_strategy_of_ours() -> None:
    gate = TradingGate(armed=True)

    assert admitted(gate, own_id="FOREIGN") == "no strategy of ours has this order at work"


def test_admission_refuses_while_not_armed() -> None:
    assert admitted(TradingGate(armed=False)) == "not armed"
