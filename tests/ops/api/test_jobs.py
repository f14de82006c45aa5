"""The routes of jobs: what they pass on, and what they refuse."""

from typing import Any

import httpx
import pytest

from ops.api.connection import Peer
from tests.support.operators import FakeOperator, asked, on_socket


def ask(operator: FakeOperator, method: str, path: str, body: Any = None) -> httpx.Response:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, path, json=body)

    return asked(on_socket(operator), use, Peer("", 0))


@pytest.mark.parametrize(
    ("path", "code", "answer"),
    [
        ("/v1/jobs", 200, [{"name": "backup"}]),
        ("/v1/jobs/runs", 200, [{"run_id": 7, "limit": 20}]),
        ("/v1/jobs/runs?limit=1000", 200, [{"run_id": 7, "limit": 1000}]),
        ("/v1/jobs/runs/7", 200, {"run_id": 7, "log": "words"}),
    ],
)
def test_question_is_answered(path: str, code: int, answer: Any) -> None:
    found = ask(FakeOperator(), "GET", path)

    assert (found.status_code, found.json()) == (code, answer)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/jobs/runs/8", 404),
        ("/v1/jobs/runs/0", 422),
        ("/v1/jobs/runs?limit=0", 422),
        ("/v1/jobs/runs?limit=1001", 422),
        ("/v1/jobs/runs?many=1", 422),
    ],
)
def test_question_that_has_no_answer_is_a_problem(path: str, code: int) -> None:
    assert ask(FakeOperator(), "GET", path).status_code == code


@pytest.mark.parametrize(
    ("path", "body", "code", "done"),
    [
        ("/v1/jobs/run", {"name": "backup", "who": "ada", "reason": "x"}, 202, ("run-job", "backup")),
        ("/v1/jobs/cancel", {"run_id": 7, "who": "ada", "reason": "x"}, 200, ("cancel-job", 7)),
    ],
)
def test_command_is_passed_on_with_who_and_why(
    path: str, body: dict[str, Any], code: int, done: tuple[Any, ...]
) -> None:
    operator = FakeOperator()

    assert ask(operator, "POST", path, body).status_code == code
    ((command, what, who, reason),) = operator.done
    assert ((command, what), reason) == (done, "x")
    assert "ada" in who


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/jobs/run", {"name": "nope", "reason": "x"}, 404),
        ("/v1/jobs/run", {"name": "backup"}, 422),
        ("/v1/jobs/run", {"name": "backup", "reason": ""}, 422),
        ("/v1/jobs/run", {"name": "backup", "reason": "x", "args": ["--delete"]}, 422),
        ("/v1/jobs/run", {"name": 3, "reason": "x"}, 422),
        ("/v1/jobs/cancel", {"run_id": "7", "reason": "x"}, 422),
        ("/v1/jobs/cancel", {"run_id": 0, "reason": "x"}, 422),
        ("/v1/jobs/cancel", {"reason": "x"}, 422),
    ],
)
def test_command_that_says_no_reason_or_more_than_it_may_is_refused(
    path: str, body: dict[str, Any], code: int
) -> None:
    operator = FakeOperator()

    assert ask(operator, "POST", path, body).status_code == code
    assert operator.done == []
