"""Who may do what on the port: every route, every role, pages of other sites, sizes and rates."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from ops.api.app import OPEN
from ops.api.connection import Peer
from ops.api.fences import MOST_BODY_BYTES, HangUp, Turnstile
from ops.api.problems import MEDIA_TYPE
from ops.api.roles import Role
from ops.api.tokens import TokenBook
from tests.support.operators import (
    FakeOperator,
    all_routes,
    asked,
    body_of,
    head_of,
    make_tokens,
    on_port,
    on_socket,
    served,
    url_of,
)

OF_VIEWERS = {
    "/metrics", "/v1/status", "/v1/positions", "/v1/orders", "/v1/orders/open", "/v1/fills", "/v1/trades",
    "/v1/bars", "/v1/commands",
    "/v1/decisions", "/v1/verdicts", "/v1/equity", "/v1/regimes", "/v1/pnl", "/v1/limits", "/v1/strategies",
    "/v1/config", "/v1/audit/head", "/v1/stream", "/v1/jobs", "/v1/jobs/runs", "/v1/jobs/runs/{run_id}",
    "/v1/models", "/v1/models/{name}/{bundle_id}",
    "GET /v1/runs", "GET /v1/runs/{run_id}", "/v1/runs/{run_id}/stream", "/v1/runs/{run_id}/artifacts",
    "/v1/runs/{run_id}/files/{name}", "/v1/runs/{run_id}/bundle", "/v1/runs/{run_id}/tensorboard/tags",
    "/v1/runs/{run_id}/tensorboard/scalars", "/v1/runs/{run_id}/tensorboard/histograms",
    "/v1/runs/{run_id}/tensorboard/gradients", "/v1/regime/infer", "/v1/policies", "/v1/sessions", "/v1/logs",
    "/v1/results", "/v1/results/{key}", "/v1/results/{key}/curves", "/v1/results/{key}/trades",
}  # fmt: skip
OF_OPERATORS = {
    "/v1/kill", "/v1/flatten", "/v1/resume", "/v1/pause", "/v1/unpause", "/v1/disarm", "/v1/jobs/run",
    "/v1/jobs/cancel", "/v1/models/rollback",
    "POST /v1/runs", "/v1/runs/{run_id}/cancel", "DELETE /v1/runs/{run_id}", "/v1/regime/fit",
}  # fmt: skip
OF_ADMINS = {
    "/v1/arm", "/v1/arm/confirm", "/v1/stop", "/v1/reconcile", "/v1/snapshot",
    "/v1/models/promote", "/v1/models/import",
}  # fmt: skip
ENDLESS = {"/v1/stream", "/v1/runs/{run_id}/stream"}
"""Routes whose answer does not end by itself."""
BEGUN = {"POST /v1/stop", "POST /v1/jobs/run", "POST /v1/runs", "POST /v1/regime/fit"}
"""Commands that are under way when they are answered."""


def _routes() -> Iterator[tuple[str, str]]:
    app = all_routes(FakeOperator())
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            yield method.upper(), path


ROUTES = list(_routes())


def needed(method: str, path: str) -> Role | None:
    for role, paths in ((Role.VIEWER, OF_VIEWERS), (Role.OPERATOR, OF_OPERATORS), (Role.ADMIN, OF_ADMINS)):
        if {path, f"{method} {path}"} & paths:
            return role
    return None


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[Role, str], TokenBook]:
    """A token for each role, and the book that knows them."""
    tokens, book = make_tokens(tmp_path_factory.mktemp("tokens"), *Role)
    return dict(zip(Role, tokens, strict=True)), book


def ask(
    book: TokenBook | None,
    operator: FakeOperator,
    *requests: tuple[str, str, dict[str, str], Any],
    **more: Any,
) -> list[httpx.Response]:
    async def use(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.request(method, path, headers=headers, **_content(body))
            for method, path, headers, body in requests
        ]

    _, app = on_port(operator, book, **more)
    return asked(app, use)


def _content(body: Any) -> dict[str, Any]:
    return {"content": body} if isinstance(body, bytes) else {"json": body}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_every_route_says_who_may_ask_it() -> None:
    app = all_routes(FakeOperator())
    described = {path for _, path in ROUTES}

    said = {one.rpartition(" ")[2] for one in OF_VIEWERS | OF_OPERATORS | OF_ADMINS}
    assert described == OPEN | said
    assert {path for method, path in ROUTES if needed(method, path) is None} == OPEN
    # Nothing is served that is not described.
    served = {route.path for route in app.routes if isinstance(route, APIRoute)}
    assert served <= described


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_route_answers_only_from_its_role_on(
    held: tuple[dict[Role, str], TokenBook], method: str, path: str
) -> None:
    tokens, book = held
    operator, role = FakeOperator(), needed(method, path)
    heads: list[dict[str, str]] = [{}, bearer("argo_wrong"), {"authorization": f"Basic {tokens[Role.ADMIN]}"}]
    codes = [200 if role is None else 401, 401, 401]
    if role is not None and path not in ENDLESS:
        heads += [bearer(tokens[one]) for one in Role]
        done = 202 if f"{method} {path}" in BEGUN else 200
        codes += [403 if one < role else done for one in Role]

    answers = ask(
        book,
        operator,
        *((method, url_of(method, path), head | head_of(path), body_of(method, path)) for head in heads),
    )

    assert [one.status_code for one in answers] == codes
    assert len(operator.done) == (codes[3:].count(200) + codes[3:].count(202) if method != "GET" else 0)
    for answer, code in zip(answers, codes, strict=True):
        if code > 400:
            assert answer.headers["content-type"] == MEDIA_TYPE
        assert ("www-authenticate" in answer.headers) == (code == 401)


def test_daemon_without_tokens_has_no_routes_but_probes_to_give_away() -> None:
    answers = ask(
        None,
        FakeOperator(),
        *((method, url_of(method, path), {}, body_of(method, path)) for method, path in ROUTES),
    )

    assert {path for (_, path), one in zip(ROUTES, answers, strict=True) if one.status_code != 401} == OPEN


def test_user_behind_a_socket_is_believed_on_the_socket_alone() -> None:
    async def use(client: httpx.AsyncClient) -> int:
        head = {"x-forwarded-for": "10.0.0.1"}
        return (await client.post("/v1/kill", json={"reason": "r"}, headers=head)).status_code

    _, port = on_port(FakeOperator(), None)
    socket = on_socket(FakeOperator())

    assert asked(socket, use, Peer("uid 7", 7)) == 200
    assert asked(socket, use, Peer("127.0.0.1", None)) == 401
    assert asked(port, use, Peer("uid 7", 7)) == 401


def test_roles_hold_on_a_real_port(held: tuple[dict[Role, str], TokenBook]) -> None:
    tokens, book = held
    operator = FakeOperator()

    async def use(client: httpx.AsyncClient) -> list[int]:
        heads = [{}, *(bearer(tokens[one]) for one in Role)]
        return [
            (await client.post("/v1/kill", json={"reason": "r"}, headers=head)).status_code for head in heads
        ]

    _, app = on_port(operator, book)

    assert served(app, use) == [401, 403, 200, 200]
    assert [entry[3].split("-")[0] for entry in operator.done] == ["token operator", "token admin"]


FOREIGN = [
    {"host": "evil.example"},
    {"host": "127.0.0.1.evil.example:8050"},
    {"host": "evil.example", "x-forwarded-host": "127.0.0.1"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "https://127.0.0.1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_page_of_another_site_is_answered_nothing_even_with_a_token(
    held: tuple[dict[Role, str], TokenBook], headers: dict[str, str]
) -> None:
    tokens, book = held
    operator = FakeOperator()
    head = bearer(tokens[Role.ADMIN]) | headers

    answers = ask(
        book, operator, ("POST", "/v1/kill", head, {"reason": "r"}), ("GET", "/v1/status", head, None)
    )

    assert {one.status_code for one in answers} <= {400, 403}
    assert operator.log == []
    assert not any(name.startswith("access-control") for one in answers for name in one.headers)


def test_own_page_is_answered_and_no_cookie_is_ever_set(
    held: tuple[dict[Role, str], TokenBook],
) -> None:
    tokens, book = held
    head = bearer(tokens[Role.VIEWER]) | {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}

    (answer,) = ask(book, FakeOperator(), ("GET", "/v1/status", head, None))

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


def test_form_of_another_page_is_not_taken_for_json(held: tuple[dict[Role, str], TokenBook]) -> None:
    tokens, book = held
    operator, token = FakeOperator(), bearer(tokens[Role.ADMIN])
    body = b'{"reason": "r"}'

    answers = ask(
        book,
        operator,
        ("POST", "/v1/kill", token | {"content-type": "text/plain"}, body),
        ("POST", "/v1/kill", token | {"content-type": "application/x-www-form-urlencoded"}, b"reason=r"),
        ("POST", "/v1/kill", token, body),
        ("POST", "/v1/kill", token | {"content-type": "application/json"}, b'{"reason": "r"'),
        ("POST", "/v1/kill", token | {"content-type": "application/json"}, b"\xff\xfe"),
        ("POST", "/v1/kill", token | {"content-type": "application/json"}, b"[" * 10_000),
    )

    assert [one.status_code for one in answers] == [422, 422, 422, 422, 422, 400]
    assert {one.headers["content-type"] for one in answers} == {MEDIA_TYPE}
    assert operator.log == []


def test_body_that_is_too_large_is_refused_before_it_is_read(held: tuple[dict[Role, str], TokenBook]) -> None:
    tokens, book = held
    operator, token = FakeOperator(), bearer(tokens[Role.ADMIN])
    most = MOST_BODY_BYTES - len('{"reason": "r"}')

    async def use(client: httpx.AsyncClient) -> list[httpx.Response]:
        async def endless() -> Any:
            while True:
                yield b" " * 1_024

        head = token | {"content-type": "application/json"}
        return [
            await client.post("/v1/kill", content=b'{"reason": "r"}' + b" " * most, headers=head),
            await client.post("/v1/kill", content=b'{"reason": "r"}' + b" " * (most + 1), headers=head),
            await client.post("/v1/kill", content=endless(), headers=head),
            await client.request("GET", "/v1/status", content=b"x" * (MOST_BODY_BYTES + 1), headers=token),
        ]

    _, app = on_port(operator, book)

    assert [one.status_code for one in asked(app, use)] == [200, 413, 413, 413]


def test_wrong_tokens_are_answered_briefly_after_some_and_a_right_one_still_passes(
    held: tuple[dict[Role, str], TokenBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.api.fences._TARPIT_SECS", 0.0)
    tokens, book = held
    wrong = ("GET", "/v1/status", bearer("argo_wrong"), None)

    answers = ask(
        book, FakeOperator(), *[wrong] * 12, ("GET", "/v1/status", bearer(tokens[Role.VIEWER]), None),
        monotonic=lambda: 5.0,
    )  # fmt: skip

    assert [one.status_code for one in answers] == [401] * 10 + [429] * 2 + [200]
    assert answers[11].headers["retry-after"] == "60"


def test_whoever_asks_too_often_is_refused_but_never_a_kill(
    held: tuple[dict[Role, str], TokenBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.api.fences._TARPIT_SECS", 0.0)
    tokens, book = held
    token = bearer(tokens[Role.ADMIN])
    question = ("GET", "/livez", token, None)

    answers = ask(
        book, FakeOperator(), *[question] * 202, ("POST", "/v1/kill", token, {"reason": "r"}),
        monotonic=lambda: 5.0,
    )  # fmt: skip

    assert [one.status_code for one in answers] == [200] * 200 + [429] * 2 + [200]
    assert answers[200].headers["retry-after"] == "1"


@pytest.mark.parametrize("role", [None, Role.VIEWER])
def test_kill_by_nobody_who_may_waits_like_any_other_request(
    held: tuple[dict[Role, str], TokenBook], monkeypatch: pytest.MonkeyPatch, role: Role | None
) -> None:
    monkeypatch.setattr("ops.api.fences._TARPIT_SECS", 0.0)
    tokens, book = held
    kill = ("POST", "/v1/kill", {} if role is None else bearer(tokens[role]), {"reason": "r"})
    allowed = ("POST", "/v1/kill", bearer(tokens[Role.OPERATOR]), {"reason": "r"})
    operator = FakeOperator()

    answers = ask(book, operator, *[kill] * 202, allowed, monotonic=lambda: 5.0)

    refused = 401 if role is None else 403
    assert [one.status_code for one in answers] == [refused] * 200 + [429] * 2 + [200]


def test_no_more_than_some_requests_are_answered_at_a_time() -> None:
    inside: list[str] = []

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        inside.append(scope["path"])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(turnstile), base_url="http://x") as more:
            answer = await more.get("/deeper")
        await send({"type": "http.response.start", "status": answer.status_code, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    turnstile = Turnstile(waits, lambda: 0.0, most=3)

    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/first")

    assert asked(turnstile, use).status_code == 503
    assert inside == ["/first", "/deeper", "/deeper"]


def test_paths_are_described_with_the_role_that_they_need() -> None:
    described = all_routes(FakeOperator()).openapi()

    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            role = needed(method.upper(), path)
            words = [] if role is None else [role.word]
            assert operation["tags"] == (["probes"] if path in OPEN | {"/metrics"} else words)
            assert ("security" in operation) == (role is not None)
            assert re.search(r"\w", operation["description"])


def test_question_needs_no_token_where_the_port_is_open_to_read_but_every_command_does(
    held: tuple[dict[Role, str], TokenBook],
) -> None:
    _, book = held
    for given in (None, book):
        operator = FakeOperator()
        asked_for = [one for one in ROUTES if one[1] != "/v1/stream"]

        answers = ask(
            given,
            operator,
            *(
                (method, url_of(method, path), head_of(path), body_of(method, path))
                for method, path in asked_for
            ),
            open_to_read=True,
        )

        codes = {one: answer.status_code for one, answer in zip(asked_for, answers, strict=True)}
        assert codes == {one: 200 if one[0] == "GET" else 401 for one in asked_for}
        assert operator.done == []


def test_token_that_is_wrong_is_refused_also_where_none_is_needed(
    held: tuple[dict[Role, str], TokenBook],
) -> None:
    tokens, book = held
    operator = FakeOperator()

    answers = ask(
        book,
        operator,
        ("GET", "/v1/status", bearer("argo_wrong"), None),
        ("POST", "/v1/kill", bearer(tokens[Role.VIEWER]), {"reason": "r"}),
        ("POST", "/v1/kill", bearer(tokens[Role.OPERATOR]), {"reason": "r"}),
        open_to_read=True,
    )

    assert [one.status_code for one in answers] == [401, 403, 200]


@pytest.mark.parametrize("headers", FOREIGN)
def test_page_of_another_site_reads_nothing_of_a_port_that_is_open_to_read(headers: dict[str, str]) -> None:
    (answer,) = ask(None, FakeOperator(), ("GET", "/v1/status", headers, None), open_to_read=True)

    assert answer.status_code in {400, 403}
    assert "READY" not in answer.text


def test_every_answer_tells_a_browser_to_run_frame_and_keep_nothing_of_it() -> None:
    answers = ask(
        None,
        FakeOperator(),
        ("GET", "/v1/status", {}, None),
        ("GET", "/nowhere", {}, None),
        ("POST", "/v1/kill", {}, {"reason": "r"}),
        ("GET", "/livez", {"host": "evil.example"}, None),
    )

    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


def test_question_is_dropped_when_whoever_asked_hangs_up_and_a_command_is_not() -> None:
    ended: list[str] = []

    async def run(method: str) -> None:
        begun, hung_up = asyncio.Event(), asyncio.Event()
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def work(_scope: Any, _receive: Any, _send: Any) -> None:
            begun.set()
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.05)
            except TimeoutError:
                ended.append(f"{method} carried out")
            except asyncio.CancelledError:
                ended.append(f"{method} dropped")
                raise

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await hung_up.wait()
            return {"type": "http.disconnect"}

        async def send(_message: Any) -> None:
            pytest.fail("nothing was answered")

        asking = asyncio.create_task(
            HangUp(work)({"type": "http", "method": method, "path": "/v1/fills"}, receive, send)
        )
        await begun.wait()
        hung_up.set()
        await asking

    for method in ("GET", "POST"):
        asyncio.run(run(method))

    assert ended == ["GET dropped", "POST carried out"]


def test_archive_is_not_asked_on_for_a_browser_that_has_gone() -> None:
    class Slow(FakeOperator):
        async def page(self, question: Any, asked: dict[str, Any]) -> bytes:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()
            raise AssertionError((question, asked))

    begun, given_up = asyncio.Event(), asyncio.Event()

    async def use(client: httpx.AsyncClient) -> None:
        asking = asyncio.create_task(client.get("/v1/fills"))
        await begun.wait()
        asking.cancel()
        await asyncio.wait_for(given_up.wait(), 10.0)

    _, app = on_port(Slow(), None, open_to_read=True)
    served(app, use)
