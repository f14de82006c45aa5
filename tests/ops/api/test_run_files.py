"""What runs leave, over HTTP: whole files, ranges, what is known already, and names that lead nowhere."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.api import downloads
from ops.api.connection import Peer
from ops.api.downloads import Download
from tests.support.operators import FakeOperator, asked, on_socket, served

FILE = "/v1/runs/7/files/one"
TAG = '"3-1"'
WHOLE = (Path(__file__).parents[3] / "LICENSE").read_bytes()[:3]

APP = on_socket(FakeOperator())


def ask(path: str, **headers: str) -> httpx.Response:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get(path, headers=headers)

    return asked(APP, use, Peer("", 0))


@pytest.mark.parametrize(
    ("headers", "code", "body", "span"),
    [
        ({}, 200, WHOLE, None),
        ({"range": "bytes=0-0"}, 206, WHOLE[:1], "bytes 0-0/3"),
        ({"range": "bytes=1-"}, 206, WHOLE[1:], "bytes 1-2/3"),
        ({"range": "bytes=1-99"}, 206, WHOLE[1:], "bytes 1-2/3"),
        ({"range": "bytes=-1"}, 206, WHOLE[2:], "bytes 2-2/3"),
        ({"range": "bytes=-99"}, 206, WHOLE, "bytes 0-2/3"),
        ({"range": "bytes=0-1", "if-range": TAG}, 206, WHOLE[:2], "bytes 0-1/3"),
        ({"range": "bytes=0-1", "if-range": '"2-1"'}, 200, WHOLE, None),
        ({"if-none-match": TAG}, 304, b"", None),
        ({"if-none-match": f'"9-9", W/{TAG}'}, 304, b"", None),
        ({"if-none-match": "*"}, 304, b"", None),
        ({"if-none-match": '"9-9"'}, 200, WHOLE, None),
    ],
)
def test_file_is_sent_whole_in_part_or_not_again(
    headers: dict[str, str], code: int, body: bytes, span: str | None
) -> None:
    answer = ask(FILE, **headers)

    assert (answer.status_code, answer.content, answer.headers.get("content-range")) == (code, body, span)
    assert answer.headers["etag"] == TAG
    if code != 304:
        assert answer.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "wanted",
    ["bytes=3-", "bytes=2-1", "bytes=0-0,2-2", "bytes=-", "bytes=-0", "bytes=a-b", "lines=0-1", "bytes=-1-2"],
)
def test_range_that_is_none_is_a_problem_that_says_the_size(wanted: str) -> None:
    answer = ask(FILE, range=wanted)

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */3")
    assert answer.headers["content-type"] == "application/problem+json"


def test_file_is_to_be_saved_and_runs_nothing_in_a_browser() -> None:
    headers = ask(FILE).headers

    assert headers["content-disposition"] == "attachment; filename*=utf-8''one"
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert (headers["x-content-type-options"], headers["content-type"]) == (
        "nosniff",
        "application/octet-stream",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/v1/runs/7/files/%2e%2e/%2e%2e/api-tokens.json",
        "/v1/runs/7/files/..%2f..%2fapi-tokens.json",
        "/v1/runs/7/files//etc/passwd",
        "/v1/runs/7/files/%2fetc%2fpasswd",
        "/v1/runs/7/files/one%00",
        "/v1/runs/7/files/",
        "/v1/runs/8/files/one",
    ],
)
def test_name_of_no_file_leads_nowhere(path: str) -> None:
    assert ask(path).status_code in {404, 422}


def test_bundle_comes_in_pieces_over_a_real_connection(tmp_path: Path) -> None:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/v1/runs/7/bundle?include_model=true")

    answer = served(APP, use, tmp_path / "s")

    assert answer.content == b"PK\x05\x06" + b"\0" * 18
    assert answer.headers["content-type"] == "application/zip"
    assert "content-length" not in answer.headers


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("tags", {"question": "tags"}),
        ("scalars?tag=a&tag=b", {"question": "scalars", "tags": ["a", "b"]}),
        ("histograms?tag=a", {"question": "histograms", "tag": "a"}),
        ("gradients", {"question": "gradients"}),
    ],
)
def test_curves_are_asked_of_the_reader_once_for_each_state_of_their_files(
    path: str, question: dict[str, Any]
) -> None:
    first = ask(f"/v1/runs/7/tensorboard/{path}")
    again = ask(f"/v1/runs/7/tensorboard/{path}", **{"if-none-match": first.headers["etag"]})

    assert {**first.json()["asked"], "folder": ""} == question | {"folder": ""}
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["scalars", "histograms", "scalars?tag=", "histograms?tag=a&depth=1"])
def test_curves_without_a_name_are_refused(path: str) -> None:
    assert ask(f"/v1/runs/7/tensorboard/{path}").status_code == 422


def test_client_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PATIENCE_SECS", 0.01)
    dropped = []

    async def run() -> None:
        async def receive() -> Any:
            await asyncio.sleep(1e6)

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.sleep(1e6)

        scope = {"type": "http", "argonaut.drop": lambda: dropped.append(True)}
        await Download(iter([b"x"] * 10), "x")(scope, receive, send)

    asyncio.run(run())
    assert dropped == [True]


def test_client_that_is_gone_ends_the_reading() -> None:
    taken = []

    def pieces() -> Iterator[bytes]:
        for number in range(1_000_000):
            taken.append(number)
            yield b"x"

    async def run() -> None:
        async def receive() -> Any:
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            await asyncio.sleep(0)

        await Download(pieces(), "x")({"type": "http"}, receive, send)

    asyncio.run(run())
    assert 0 < len(taken) < 1_000_000
