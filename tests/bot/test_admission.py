from decimal import Decimal

import pytest

from adapters.paper.orders import Kind, OrderRequest, Side
from bot.admission import admission
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import Restriction, Scope


def request(*, reduce_only: bool = False, owner: str = "ARGO-001") -> OrderRequest:
    return OrderRequest(
        client_order_id="AR1",
        instrument_id="A.X",
        side=Side.BUY,
        kind=Kind.MARKET,
        quantity=Decimal(1),
        reduce_only=reduce_only,
        owner=owner,
    )


NAMES = {"ARGO-001": "one"}


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
@pytest.mark.parametrize("scope", ["all", "venue:X", "strategy:one", "instrument:A.X"])
def test_admission_refuses_what_adds_risk_where_a_restriction_applies(
    scope: str, state: TradingState
) -> None:
    gate = TradingGate(armed=True)
    admit = admission(gate, NAMES)
    assert admit(request()) == ""

    gate.hold(Restriction(Scope.parse(scope), state, "killed", "me", 0))

    assert admit(request()) == f"trading state {state}: killed"
    assert admit(request(reduce_only=True)) == ""


@pytest.mark.parametrize("scope", ["venue:Y", "strategy:two", "instrument:B.X"])
def test_admission_lets_pass_what_a_restriction_does_not_reach(scope: str) -> None:
    gate = TradingGate(armed=True)
    gate.hold(Restriction(Scope.parse(scope), TradingState.HALTED, "killed", "me", 0))

    assert admission(gate, NAMES)(request()) == ""


def test_admission_refuses_an_order_of_no_strategy_of_ours() -> None:
    gate = TradingGate(armed=True)

    assert "found 'EXTERNAL'" in admission(gate, NAMES)(request(owner="EXTERNAL"))


def test_admission_refuses_while_not_armed() -> None:
    assert admission(TradingGate(armed=False), NAMES)(request()) == "not armed"
