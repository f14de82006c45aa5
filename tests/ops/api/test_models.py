"""The routes of models: what they pass on, what they refuse, and how much they take."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from ops.api.connection import Peer
from ops.api.fences import MOST_UPLOAD_BYTES
from ops.api.roles import Role
from tests.support.operators import FakeOperator, asked, make_tokens, on_port, on_socket

ZIP = {"content-type": "application/zip"}
IMPORT = "/v1/models/import?reason=r"

OPERATOR = FakeOperator()
APP = on_socket(OPERATOR)


@pytest.fixture(autouse=True)
def _nothing_was_asked() -> None:
    OPERATOR.log.clear()


def ask(method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        if isinstance(body, bytes):
            return await client.request(method, path, content=body, headers=headers)
        return await client.request(method, path, json=body, headers=headers)

    return asked(APP, use, Peer("uid 7", 7))


@pytest.mark.parametrize(
    ("path", "code", "answer"),
    [
        ("/v1/models", 200, [{"name": "one", "worth": None}]),
        ("/v1/models/one/latest", 200, {"name": "one", "bundle_id": "latest"}),
        ("/v1/models/one/0123abcd", 200, {"name": "one", "bundle_id": "0123abcd"}),
    ],
)
def test_question_is_answered(path: str, code: int, answer: Any) -> None:
    found = ask("GET", path)

    assert (found.status_code, found.json()) == (code, answer)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/models/two/latest", 404),
        ("/v1/models/one/newest", 422),
        ("/v1/models/one/012", 422),
        ("/v1/models/one/%2e%2e", 422),
        ("/v1/models/%2e%2e/latest", 422),
        ("/v1/models/one/..%2f..%2fapi-tokens.json", 404),
        ("/v1/models/One/latest", 422),
        ("/v1/models/one/%00", 422),
    ],
)
def test_what_is_no_name_of_a_model_reaches_no_file(path: str, code: int) -> None:
    assert ask("GET", path).status_code == code


@pytest.mark.parametrize(
    ("path", "body", "done"),
    [
        ("promote", {"name": "one", "bundle_id": "abcd"}, ("promote", "one", "abcd")),
        ("rollback", {"name": "one", "away_from": "abcd"}, ("rollback", "one", "abcd")),
    ],
)
def test_command_is_recorded_on_the_disk_before_it_acts(
    path: str, body: dict[str, Any], done: tuple[str, ...]
) -> None:
    answer = ask("POST", f"/v1/models/{path}", body | {"reason": "why", "who": "ada"})

    assert answer.status_code == 200
    is_durable = True
    assert OPERATOR.log == [("asked", f"models {path}", "ada (uid 7)", "why", is_durable), done]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("promote", {"name": "one", "bundle_id": "abcd"}, 422),
        ("promote", {"name": "../one", "bundle_id": "abcd", "reason": "r"}, 422),
        ("promote", {"name": "one", "bundle_id": "../abcd", "reason": "r"}, 422),
        ("promote", {"name": "one", "bundle_id": "abcd", "reason": "r", "force": True}, 422),
        ("rollback", {"name": "one", "reason": "r"}, 422),
        ("rollback", {"name": "one", "away_from": "active", "reason": "r"}, 422),
    ],
)
def test_command_that_says_no_reason_or_more_than_it_may_does_nothing(
    path: str, body: dict[str, Any], code: int
) -> None:
    assert ask("POST", f"/v1/models/{path}", body).status_code == code
    assert OPERATOR.log == []


def test_damaged_model_is_not_promoted() -> None:
    body = {"name": "one", "bundle_id": "dead", "reason": "r"}

    assert ask("POST", "/v1/models/promote", body).status_code == 409


def test_bundle_that_is_sent_arrives_as_it_is_and_its_hash_is_recorded() -> None:
    content = bytes(range(256)) * 1_000

    assert ask("POST", IMPORT, content, ZIP).status_code == 200
    assert OPERATOR.log == [("asked", "models import", "uid 7", "r", True), ("import", content)]


@pytest.mark.parametrize(
    ("path", "headers", "size", "code"),
    [
        (IMPORT, ZIP, MOST_UPLOAD_BYTES, 200),
        (IMPORT, ZIP, MOST_UPLOAD_BYTES + 1, 413),
        (IMPORT, {"content-type": "application/json"}, 2, 422),
        ("/v1/models/import", ZIP, 2, 422),
        (IMPORT + "&force=1", ZIP, 2, 422),
    ],
)
def test_upload_is_bounded_typed_and_has_a_reason(
    path: str, headers: dict[str, str], size: int, code: int
) -> None:
    assert ask("POST", path, b"x" * size, headers).status_code == code
    assert len(OPERATOR.done) == (code == 200)


def test_who_may_not_decide_may_not_send_much_either(tmp_path: Any) -> None:
    (token,), book = make_tokens(tmp_path, Role.OPERATOR)
    head = {"authorization": f"Bearer {token}"} | ZIP

    async def use(client: httpx.AsyncClient) -> list[int]:
        sizes = (100, 17_000)
        answers = [await client.post(IMPORT, content=b"x" * size, headers=head) for size in sizes]
        return [one.status_code for one in answers]

    _, app = on_port(FakeOperator(), book)
    assert asked(app, use) == [403, 413]
