"""A command that is sent twice under one key is carried out once."""

import asyncio
from typing import Any

import httpx

from ops.api.connection import Peer
from ops.api.once import BODY, Once
from ops.api.roles import CALLER, Caller, Role
from tests.support.operators import FakeOperator, asked, on_socket

ME = Peer("uid 7", 7)
KEYED = {"idempotency-key": "k1"}


def post(
    operator: FakeOperator, *requests: tuple[str, dict[str, Any], dict[str, str]]
) -> list[httpx.Response]:
    async def use(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.post(f"/v1/{path}", json=body, headers=head) for path, body, head in requests]

    return asked(on_socket(operator), use, ME)


def test_same_request_under_the_same_key_is_answered_the_same_and_done_once() -> None:
    operator, body = FakeOperator(), {"reason": "r"}

    first, second, other, without = post(
        operator,
        ("kill", body, KEYED),
        ("kill", body, KEYED),
        ("kill", body, {"idempotency-key": "k2"}),
        ("kill", body, {}),
    )

    assert first.content == second.content != other.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert len(operator.done) == 3
    assert without.status_code == 200


def test_another_request_under_the_same_key_is_refused() -> None:
    operator = FakeOperator()

    _, body, path = post(
        operator,
        ("kill", {"reason": "r"}, KEYED),
        ("kill", {"reason": "s"}, KEYED),
        ("flatten", {"reason": "r"}, KEYED),
    )

    assert [(one.status_code, one.json()["type"]) for one in (body, path)] == [
        (409, "urn:argonaut:key-reused")
    ] * 2
    assert len(operator.done) == 1


def test_refusal_is_kept_and_a_request_that_was_not_right_may_be_sent_again() -> None:
    operator, early = FakeOperator(), {"reason": "too early", "scope": "all"}

    answers = post(
        operator,
        ("resume", early, KEYED),
        ("resume", early, KEYED),
        ("resume", {"reason": "r"}, {"idempotency-key": "k2"}),
        ("resume", {"reason": "r", "scope": "all"}, {"idempotency-key": "k2"}),
    )

    assert [one.status_code for one in answers] == [409, 409, 422, 200]
    assert [entry[0] for entry in operator.log] == ["asked", "asked", "resume"]


def test_key_that_is_none_is_refused() -> None:
    answers = post(
        FakeOperator(),
        *(("kill", {"reason": "r"}, {"idempotency-key": key}) for key in ("", "x" * 201, "a\tb")),
    )

    assert [one.status_code for one in answers] == [422] * 3


def _command(key: str, who: str = "me") -> dict[str, Any]:
    headers = [(b"idempotency-key", key.encode())]
    scope = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": headers}
    return scope | {CALLER: Caller(who, Role.ADMIN), BODY: b""}


def test_keys_are_everybodys_own_bounded_and_forgotten_after_a_day() -> None:
    now, done = 0.0, []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        done.append(scope["headers"][0][1])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    once = Once(app, lambda: now, most=2)

    async def ask(scope: dict[str, Any]) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await once(scope, None, send)  # type: ignore[arg-type]
        status: int = sent[0]["status"]
        return status

    def times(*scopes: dict[str, Any]) -> int:
        before = len(done)
        for scope in scopes:
            asyncio.run(ask(scope))
        return len(done) - before

    assert times(_command("a"), _command("a"), _command("a", "you"), _command("a", "you")) == 2
    assert times(_command("b"), _command("a")) == 2  # the oldest made room
    assert times(_command("a"), _command("b")) == 0
    now = 86_401.0
    assert times(_command("b"), _command("b")) == 1


def test_request_that_comes_while_the_first_is_carried_out_is_told_so() -> None:
    statuses: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await once(_command("a"), None, take)  # type: ignore[arg-type]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def take(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    once = Once(app, lambda: 0.0)
    asyncio.run(once(_command("a"), None, take))  # type: ignore[arg-type]

    assert statuses == [409, 200]
