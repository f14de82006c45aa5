"""The operator's routes, as whoever may write to the unix socket asks them."""

import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.api.connection import Peer
from tests.support.operators import COMMANDS, FakeOperator, asked, on_socket, served

ME = f"uid {os.getuid()}"
BAD = "about:blank"


def ask(
    operator: FakeOperator, *requests: tuple[str, str, Any], socket: Path | None = None
) -> list[httpx.Response]:
    async def use(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.request(method, path, json=body) for method, path, body in requests]

    app = on_socket(operator)
    return asked(app, use, Peer(ME, os.getuid())) if socket is None else served(app, use, socket)


def post(operator: FakeOperator, *requests: tuple[str, Any]) -> list[httpx.Response]:
    return ask(operator, *(("POST", f"/v1/{route.format(run_id=7)}", body) for route, body in requests))


def test_routes_answer_over_a_real_unix_socket_whose_user_the_kernel_names(tmp_path: Path) -> None:
    operator = FakeOperator()

    status, orders, stop, _ = ask(
        operator,
        ("GET", "/v1/status", None),
        ("GET", "/v1/orders/open", None),
        ("POST", "/v1/stop", {"reason": "test", "flatten": True}),
        ("POST", "/v1/pause", {"reason": "test", "strategy": "one"}),
        socket=tmp_path / "s",
    )

    assert status.json() == {"state": "READY", "lag": None}
    assert orders.json() == [{"client_order_id": "AR1"}]
    assert (stop.status_code, stop.json()) == (202, {"state": "STOPPING"})
    assert operator.done == [("stop", "test", True), ("pause", "one", ME, "test")]


def test_commands_reach_the_operator_as_they_were_given_with_who_gave_them() -> None:
    operator = FakeOperator()

    answers = post(
        operator,
        ("kill", {"reason": "r"}),
        ("kill", {"reason": "r", "scope": "venue:X", "mode": "reduce-only", "who": "me"}),
        ("flatten", {"reason": "r"}),
        ("flatten", {"reason": "r", "strategy": "one"}),
        ("resume", {"reason": "r", "scope": "instrument:A.X"}),
        ("pause", {"reason": "r", "strategy": "one"}),
        ("unpause", {"reason": "r", "strategy": "one"}),
        ("reconcile", {"reason": "r", "accept": True}),
        ("snapshot", {"reason": "r"}),
        ("arm", {"reason": "r"}),
        ("arm/confirm", {"reason": "r", "nonce": "n"}),
        ("disarm", {"reason": "r"}),
    )

    assert [answer.status_code for answer in answers] == [200] * 12
    assert operator.done == [
        ("kill", "all", "halt", ME, "r"),
        ("kill", "venue:X", "reduce-only", f"me ({ME})", "r"),
        ("kill", "all", "flatten", ME, "r"),
        ("kill", "strategy:one", "flatten", ME, "r"),
        ("resume", "instrument:A.X", ME, "r"),
        ("pause", "one", ME, "r"),
        ("unpause", "one", ME, "r"),
        ("reconcile", "True", ME, "r"),
        ("snapshot", ME, "r"),
        ("arm", ME, "r"),
        ("confirm", "n", ME, "r"),
        ("disarm", ME, "r"),
    ]


NAMES = {"runs": "runs create", "runs/{run_id}/cancel": "runs cancel", "regime/fit": "regime fit"}
"""Commands that are recorded under other names than that of their route."""
RISKY = {"resume", "unpause", "arm/confirm", "models/promote", "models/rollback"} | set(NAMES)
"""What adds risk or starts work is on the disk before it is carried out."""


@pytest.mark.parametrize("route", COMMANDS)
def test_command_is_recorded_before_it_is_carried_out(route: str) -> None:
    operator = FakeOperator()

    post(operator, (route, COMMANDS[route] | {"reason": "r"}))

    assert [entry[0] == "asked" for entry in operator.log] == [True, False]
    name = NAMES.get(route, route.replace("/", " "))
    assert operator.log[0] == ("asked", name, ME, "r", route in RISKY)


@pytest.mark.parametrize("route", COMMANDS)
def test_command_without_a_reason_or_with_anything_unknown_is_refused(route: str) -> None:
    operator = FakeOperator()
    good = COMMANDS[route] | {"reason": "r"}

    answers = post(
        operator,
        (route, None),
        (route, {}),
        (route, good | {"reason": ""}),
        (route, good | {"reason": 1}),
        (route, good | {"reason": "x" * 501}),
        (route, good | {"who": ""}),
        (route, good | {"force": True}),
    )

    assert [(answer.status_code, answer.json()["type"]) for answer in answers] == [(422, BAD)] * 7
    assert operator.log == []


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
def test_kill_with_a_scope_or_mode_that_is_none_is_refused(body: dict[str, Any]) -> None:
    operator = FakeOperator()

    (answer,) = post(operator, ("kill", {"reason": "r"} | body))

    assert answer.status_code == 422
    assert operator.log == []


def test_resume_does_not_guess_its_scope() -> None:
    (answer,) = post(FakeOperator(), ("resume", {"reason": "r"}))

    assert answer.status_code == 422
    assert answer.json()["errors"] == ["body.scope: Field required"]


def test_refusal_is_a_problem_that_says_why_and_when_to_ask_again() -> None:
    early, full, unknown = post(
        FakeOperator(),
        ("resume", {"reason": "too early", "scope": "all"}),
        ("resume", {"reason": "full disk", "scope": "all"}),
        ("kill", {"reason": "r", "scope": "strategy:nope"}),
    )

    assert early.headers["content-type"] == "application/problem+json"
    assert (early.status_code, early.headers["retry-after"]) == (409, "200")
    assert early.json() == {
        "type": "urn:argonaut:refused",
        "title": "Conflict",
        "status": 409,
        "detail": "cools down",
        "retry_after_secs": 200.0,
    }
    assert (full.status_code, full.json()["detail"]) == (409, "nothing was resumed")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:argonaut:unknown")


def test_faults_and_strangers_are_problems_without_a_trace() -> None:
    operator = FakeOperator()
    operator.breaks = True

    fault, nowhere, wrong = ask(
        operator,
        ("GET", "/v1/status", None),
        ("GET", "/v1/nothing", None),
        ("GET", "/v1/stop", None),
    )

    assert [one.status_code for one in (fault, nowhere, wrong)] == [500, 404, 405]
    assert {one.headers["content-type"] for one in (fault, nowhere, wrong)} == {"application/problem+json"}
    assert "canary" not in fault.text
    assert "Traceback" not in fault.text
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=x", "since_ns=-1", "since_ns=9223372036854775808", "before=%00",
        "before=", "befor=1", "strategy=" + "x" * 101, "limit=1&limit=2x",
    ],
)  # fmt: skip
def test_page_that_is_not_asked_for_properly_is_refused(query: str) -> None:
    operator = FakeOperator()

    (answer,) = ask(operator, ("GET", f"/v1/fills?{query}", None))

    assert answer.status_code == 422
    assert operator.pages == []


def test_page_is_asked_for_with_its_filter_and_passed_on_as_it_is() -> None:
    operator = FakeOperator()

    (answer,) = ask(operator, ("GET", "/v1/orders?strategy=one&open_only=true&limit=7&before=5:AR1", None))

    assert answer.json() == {"rows": [], "next_cursor": None}
    ((question, asked),) = operator.pages
    assert question == "orders"
    assert asked == {
        "strategy": "one", "instrument_id": None, "since_ns": None, "until_ns": None, "open_only": True,
        "limit": 7, "before": "5:AR1",
    }  # fmt: skip
