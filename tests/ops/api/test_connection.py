"""Clients that ask slowly, or not at all, over a real socket."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.operators import FakeOperator, on_socket, served

HALVES = [
    b"",
    b"GET /v1/sta",
    b"GET /v1/status HTTP/1.1\r\nhost: x\r\nx-slow: ",
    b'POST /v1/kill HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{"reason"',
]


def test_client_that_asks_half_a_request_is_hung_up_on_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.api.connection.REQUEST_SECS", 0.5)
    operator = FakeOperator()

    async def hung_up_on(half: bytes, before: bytes = b"") -> bool:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        if before:
            writer.write(before)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.write(half)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        return True

    async def use(client: httpx.AsyncClient) -> list[bool]:
        whole = b"GET /v1/positions HTTP/1.1\r\nhost: x\r\n\r\n"
        slow = [hung_up_on(half) for half in HALVES] + [hung_up_on(half, whole) for half in HALVES[1:]]
        ended = asyncio.gather(*slow)
        assert (await client.get("/v1/positions")).status_code == 200
        return await ended

    assert served(on_socket(operator), lambda client: asyncio.wait_for(use(client), 5.0), tmp_path / "s")
    assert operator.log == []


def test_request_that_takes_long_to_answer_is_not_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.api.connection.REQUEST_SECS", 0.05)

    class Slow(FakeOperator):
        async def note_asked(self, command: str, **more: Any) -> None:
            await asyncio.sleep(0.3)

    async def use(client: httpx.AsyncClient) -> int:
        return (await client.post("/v1/kill", json={"reason": "r"})).status_code

    assert served(on_socket(Slow()), use, tmp_path / "s") == 200


def test_nonsense_and_endless_heads_are_refused(tmp_path: Path) -> None:
    async def use(client: httpx.AsyncClient) -> list[bytes]:
        found = []
        for said in (b"\x16\x03\x01\x02\x00" * 10 + b"\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
            writer.write(said)
            found.append(await reader.readline())
            writer.close()
        return found

    assert served(on_socket(FakeOperator()), use, tmp_path / "s") == [b"HTTP/1.1 400 Bad Request\r\n"] * 2
