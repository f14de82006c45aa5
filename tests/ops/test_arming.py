"""Arming takes two steps of the same person within half a minute; disarming takes one."""

from typing import Any

import pytest

from ops.arming import CONFIRM_SECS, Arming
from ops.refusals import RefusedError
from strategies.gate import TradingGate


class Bench:
    """A gate that is not armed, and a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0
        self.summary: dict[str, Any] = {"venue": "X", "capital": 1.0}
        self.obstacles: list[str] = []
        self.gate = TradingGate(armed=False)
        self.arming = Arming(
            self.gate,
            summary=lambda: dict(self.summary),
            obstacles=lambda: list(self.obstacles),
            monotonic=lambda: self.now,
        )

    def request(self, who: str = "me") -> str:
        nonce: str = self.arming.request(who=who)["nonce"]
        return nonce


def test_request_arms_nothing_and_shows_what_would_go_live() -> None:
    bench = Bench()

    answer = bench.arming.request(who="me")

    assert (answer["summary"], answer["confirm_within_secs"]) == (bench.summary, 30.0)
    assert len(answer["nonce"]) >= 20
    assert not bench.gate.armed


@pytest.mark.parametrize(
    ("waited", "is_armed"), [(0.0, True), (CONFIRM_SECS, True), (CONFIRM_SECS + 0.1, False)]
)
def test_confirmation_in_time_arms_and_a_later_one_is_refused(waited: float, is_armed: bool) -> None:
    bench = Bench()
    nonce = bench.request()
    bench.now += waited

    if is_armed:
        assert bench.arming.confirm(nonce, who="me") == {"armed": True, "changed": True}
    else:
        with pytest.raises(RefusedError, match="within 30 s"):
            bench.arming.confirm(nonce, who="me")

    assert bench.gate.armed is is_armed


def test_nonce_works_once_whether_or_not_it_armed() -> None:
    bench = Bench()
    nonce = bench.request()
    bench.arming.confirm(nonce, who="me")
    bench.arming.disarm()

    with pytest.raises(RefusedError, match="newest request"):
        bench.arming.confirm(nonce, who="me")
    nonce = bench.request()
    with pytest.raises(RefusedError, match="newest request"):
        bench.arming.confirm("guessed", who="me")
    with pytest.raises(RefusedError, match="newest request"):
        bench.arming.confirm(nonce, who="me")  # a wrong guess ends the request
    assert not bench.gate.armed


def test_second_request_makes_the_first_worthless() -> None:
    bench = Bench()
    first, second = bench.request(), bench.request()

    with pytest.raises(RefusedError, match="newest request"):
        bench.arming.confirm(first, who="me")
    assert first != second


def test_somebody_else_cannot_confirm() -> None:
    bench = Bench()
    nonce = bench.request("me")

    with pytest.raises(RefusedError, match="a confirmation of me, who asked, found one of you"):
        bench.arming.confirm(nonce, who="you")
    assert not bench.gate.armed


def test_what_has_changed_since_it_was_shown_is_not_armed() -> None:
    bench = Bench()
    nonce = bench.request()
    bench.summary["capital"] = 2.0

    with pytest.raises(RefusedError, match="has changed since"):
        bench.arming.confirm(nonce, who="me")
    assert not bench.gate.armed


def test_obstacle_refuses_both_steps() -> None:
    bench = Bench()
    nonce = bench.request()
    bench.obstacles = ["trading is halted: a test"]

    with pytest.raises(RefusedError, match="trading is halted"):
        bench.arming.confirm(nonce, who="me")
    with pytest.raises(RefusedError, match="trading is halted"):
        bench.request()
    assert not bench.gate.armed


def test_disarming_takes_one_step_and_ends_a_request() -> None:
    bench = Bench()
    bench.arming.confirm(bench.request(), who="me")
    nonce = bench.request()

    assert bench.arming.disarm() == {"armed": False, "changed": True}
    assert bench.arming.disarm() == {"armed": False, "changed": False}
    with pytest.raises(RefusedError, match="newest request"):
        bench.arming.confirm(nonce, who="me")
    assert not bench.gate.armed
