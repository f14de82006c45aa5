"""The operator's routes over a real unix socket."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from ops.api.app import make_app
from ops.commands import KillMode
from ops.refusals import RefusedError
from strategies.errors import SafetyError
from strategies.restrictions import Scope


class _Operator:
    def __init__(self) -> None:
        self.stops: list[tuple[str, bool | None]] = []
        self.commands: list[tuple[str, ...]] = []

    def status(self) -> dict[str, Any]:
        return {"state": "READY"}

    def positions(self) -> list[dict[str, Any]]:
        return []

    def open_orders(self) -> list[dict[str, Any]]:
        return [{"client_order_id": "AR1"}]

    def reconcile(self, *, accept: bool, who: str, reason: str) -> dict[str, Any]:
        self.commands.append(("reconcile", str(accept), who, reason))
        return {"is_clean": True}

    def request_stop(self, reason: str, *, flatten: bool | None) -> None:
        self.stops.append((reason, flatten))

    def kill(self, scope: Scope, mode: KillMode, *, who: str, reason: str) -> dict[str, Any]:
        if scope.name == "nope":
            raise RefusedError("no such strategy", is_unknown=True)
        self.commands.append(("kill", str(scope), mode.value, who, reason))
        return {"durable": True}

    def resume(self, scope: Scope, *, who: str, reason: str) -> dict[str, Any]:
        if reason == "too early":
            raise RefusedError("cools down", retry_after_secs=200.0)
        if reason == "full disk":
            raise SafetyError("nothing was resumed")
        self.commands.append(("resume", str(scope), who, reason))
        return {"lifted": []}

    def pause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        self.commands.append(("pause", strategy, who, reason))
        return {}

    def unpause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        self.commands.append(("unpause", strategy, who, reason))
        return {}


async def _ask(socket: Path, operator: _Operator, *requests: tuple[str, str, Any]) -> list[httpx.Response]:
    server = uvicorn.Server(
        uvicorn.Config(make_app(operator), uds=str(socket), log_config=None, lifespan="off")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://argonaut") as client:
        answers = [await client.request(method, path, json=body) for method, path, body in requests]
    server.should_exit = True
    await serving
    return answers


def test_routes_answer_over_a_unix_socket(tmp_path: Path) -> None:
    operator = _Operator()

    answers = asyncio.run(
        _ask(
            tmp_path / "s",
            operator,
            ("GET", "/v1/status", None),
            ("GET", "/v1/orders", None),
            ("POST", "/v1/stop", {"reason": "test", "flatten": True}),
        )
    )

    assert answers[0].json() == {"state": "READY"}
    assert answers[1].json() == [{"client_order_id": "AR1"}]
    assert answers[2].status_code == 202
    assert operator.stops == [("test", True)]


def test_stop_without_a_reason_or_with_unknown_keys_is_refused(tmp_path: Path) -> None:
    operator = _Operator()

    answers = asyncio.run(
        _ask(
            tmp_path / "s",
            operator,
            ("POST", "/v1/stop", {}),
            ("POST", "/v1/stop", {"reason": ""}),
            ("POST", "/v1/stop", {"reason": "x", "flaten": True}),
            ("GET", "/v1/stop", None),
        )
    )

    assert [answer.status_code for answer in answers] == [422, 422, 422, 405]
    assert operator.stops == []


def _post(tmp_path: Path, operator: _Operator, *requests: tuple[str, Any]) -> list[httpx.Response]:
    asked = [("POST", f"/v1/{route}", body) for route, body in requests]
    return asyncio.run(_ask(tmp_path / "s", operator, *asked))


def test_commands_reach_the_operator_as_they_were_given(tmp_path: Path) -> None:
    operator = _Operator()

    answers = _post(
        tmp_path,
        operator,
        ("kill", {"reason": "r"}),
        ("kill", {"reason": "r", "scope": "venue:X", "mode": "reduce-only", "who": "me"}),
        ("flatten", {"reason": "r"}),
        ("flatten", {"reason": "r", "strategy": "one"}),
        ("resume", {"reason": "r", "scope": "instrument:A.X"}),
        ("pause", {"reason": "r", "strategy": "one"}),
        ("unpause", {"reason": "r", "strategy": "one"}),
    )

    assert [answer.status_code for answer in answers] == [200] * 7
    assert operator.commands == [
        ("kill", "all", "halt", "operator", "r"),
        ("kill", "venue:X", "reduce-only", "me", "r"),
        ("kill", "all", "flatten", "operator", "r"),
        ("kill", "strategy:one", "flatten", "operator", "r"),
        ("resume", "instrument:A.X", "operator", "r"),
        ("pause", "one", "operator", "r"),
        ("unpause", "one", "operator", "r"),
    ]


@pytest.mark.parametrize("route", ["kill", "flatten", "resume", "pause", "unpause"])
def test_command_without_a_reason_or_with_anything_unknown_is_refused(tmp_path: Path, route: str) -> None:
    operator = _Operator()
    good: dict[str, Any] = {"reason": "r"}
    if route == "resume":
        good["scope"] = "all"
    if route in {"pause", "unpause"}:
        good["strategy"] = "one"

    answers = _post(
        tmp_path,
        operator,
        (route, None),
        (route, {}),
        (route, good | {"reason": ""}),
        (route, good | {"reason": 1}),
        (route, good | {"reason": "x" * 501}),
        (route, good | {"who": ""}),
        (route, good | {"force": True}),
    )

    assert [answer.status_code for answer in answers] == [422] * 7
    assert operator.commands == []


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "everything"},
        {"scope": ["all", ""]},
        {"scope": None},
        {"scope": 1},
        {"mode": "HALT"},
        {"mode": 0},
        {"mode": None},
        {"mode": ["halt"]},
    ],
)
def test_kill_with_a_scope_or_mode_that_is_none_is_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    operator = _Operator()

    (answer,) = _post(tmp_path, operator, ("kill", {"reason": "r"} | body))

    assert answer.status_code == 422
    assert operator.commands == []


def test_resume_does_not_guess_its_scope(tmp_path: Path) -> None:
    (answer,) = _post(tmp_path, _Operator(), ("resume", {"reason": "r"}))

    assert answer.status_code == 422


def test_refusal_says_why_and_when_to_ask_again(tmp_path: Path) -> None:
    early, full, unknown = _post(
        tmp_path,
        _Operator(),
        ("resume", {"reason": "too early", "scope": "all"}),
        ("resume", {"reason": "full disk", "scope": "all"}),
        ("kill", {"reason": "r", "scope": "strategy:nope"}),
    )

    assert (early.status_code, early.json()) == (409, {"refused": "cools down", "retry_after_secs": 200.0})
    assert (full.status_code, full.json()["refused"]) == (409, "nothing was resumed")
    assert (unknown.status_code, unknown.json()["refused"]) == (404, "no such strategy")
