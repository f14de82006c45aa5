"""The rehearsal against a daemon that does as it is told, or does not."""

from typing import Any

import pytest

from ops.drill import KillDrill, plan_of
from ops.kill_mode import KillMode
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Restriction


class FakeDaemon:
    """Answers the routes that the drill uses; each fault is one way in which a kill path may be broken."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.restrictions: list[Restriction] = []
        self.decisions = 5
        self.orders = {"AR1": "OPEN", "AR2": "STOP"}
        self.open = {"AR1", "AR2"}
        self.sent: list[str] = []
        self.now = 0.0
        self.asked: list[str] = []
        self.held = {"A.X": 2.0}
        self.flatten = "IDLE"

    def ask(self, path: str, body: dict[str, Any] | None) -> Any:
        self.asked.append(path)
        if path == "/v1/status":
            return self._status()
        if path == "/v1/orders/open":
            return [{"client_order_id": one, "role": self.orders[one]} for one in self.open]
        if path == "/v1/positions":
            return [{"instrument_id": name, "quantity": held} for name, held in self.held.items()]
        if path == "/v1/kill":
            assert body is not None
            self.flatten = "WORKING" if body["mode"] == "flatten" else "IDLE"
            return self._kill()
        assert (path, bool(body)) == ("/v1/resume", True)
        lifted = list(self.restrictions)
        if self.fault != "resume does nothing":
            self.restrictions.clear()
        return {"lifted": [] if self.fault == "resume does nothing" else lifted, "remaining": []}

    def _status(self) -> dict[str, Any]:
        halted = bool(self.restrictions) or self.fault == "halted before"
        return {
            "state": "READY",
            "kind": "live" if self.fault == "live" else "paper",
            "trading_state": "HALTED" if halted else "ACTIVE",
            "reason": "",
            "restrictions": self.restrictions,
            "strategies": [{"decisions": self.decisions}],
            "flatten": {"state": self.flatten, "detail": ""},
        }

    def _kill(self) -> dict[str, Any]:
        self.restrictions.append(Restriction(EVERYTHING, TradingState.HALTED, "drill", "drill", 1))
        return {
            "durable": self.fault != "not durable",
            "changed": True,
            "latch_ms": 1.0,
            "cancels_sent": 1,
        }

    def latch(self) -> list[Restriction]:
        return [] if self.fault == "not in the file" else self.restrictions

    def wait(self, secs: float) -> None:
        self.now += secs
        if self.fault != "not cancelled":
            self.open.discard("AR1")
        if self.flatten == "WORKING" and self.fault != "not closed":
            self.held.clear()
            if self.fault != "leaves a stop":
                self.open.clear()
            self.flatten = "FLAT"
        if self.fault != "no decision":
            self.decisions += 1
        if self.fault == "sends on":
            self.sent.append("AR3")

    def drill(self, mode: KillMode = KillMode.HALT) -> list[tuple[str, bool]]:
        steps = KillDrill(
            self.ask,
            self.latch,
            lambda: self.sent,
            monotonic=lambda: self.now,
            wait=self.wait,
            watch_secs=1.0,
            mode=mode,
        ).run()
        return [(step.name, step.passed) for step in steps]


@pytest.mark.parametrize("mode", [KillMode.HALT, KillMode.FLATTEN])
def test_drill_of_a_daemon_that_obeys_passes_every_step_and_leaves_it_as_it_was(mode: KillMode) -> None:
    daemon = FakeDaemon()

    steps = daemon.drill(mode)

    assert steps == [(plan.partition(":")[0], True) for plan in plan_of(mode)]
    assert daemon.restrictions == []
    assert ("flat" in dict(steps)) == (mode is KillMode.FLATTEN) == (daemon.held == {})


@pytest.mark.parametrize("fault", ["not closed", "leaves a stop"])
def test_drill_of_a_flatten_that_does_not_end_flat_fails_and_stays_halted(fault: str) -> None:
    daemon = FakeDaemon(fault)

    steps = daemon.drill(KillMode.FLATTEN)

    assert steps[-1] == ("flat", False)
    assert daemon.restrictions != []


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        ("live", "ready"),
        ("halted before", "ready"),
        ("not durable", "kill"),
        ("not in the file", "latch"),
        ("not cancelled", "cancels"),
        ("sends on", "silence"),
        ("no decision", "silence"),
        ("resume does nothing", "resume"),
    ],
)
def test_drill_finds_the_broken_step_and_ends_there(fault: str, failed: str) -> None:
    daemon = FakeDaemon(fault)

    steps = daemon.drill()

    assert steps[-1] == (failed, False)
    assert all(passed for _, passed in steps[:-1])
    if failed == "ready":
        assert "/v1/kill" not in daemon.asked
    elif failed != "resume":
        assert "/v1/resume" not in daemon.asked  # what failed under test stays halted


def test_drill_step_that_breaks_has_failed() -> None:
    daemon = FakeDaemon()

    def broken() -> list[Restriction]:
        raise OSError("no such file")

    steps = KillDrill(daemon.ask, broken, list, monotonic=lambda: 0.0, wait=daemon.wait, watch_secs=1.0).run()

    assert (steps[-1].name, steps[-1].passed, steps[-1].detail) == ("latch", False, "OSError: no such file")
