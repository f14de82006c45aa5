"""The live stream over a real port: what it tells, and what becomes of those who do not listen."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from ops.api.connection import Peer
from ops.api.problems import ProblemError
from ops.api.roles import ANYBODY, Caller, Role
from ops.api.stream import MOST_CLIENTS, QUEUED_EVENTS, EventStream, LiveStream
from strategies.tape import EquityRecord, FillRecord
from tests.support.operators import FakeOperator, asked, make_tokens, on_port, on_socket, served

ADMIN = Caller("uid 7", Role.ADMIN)
FILL = FillRecord(1, "one", "A.X", "AR1", "T1", "BUY", 1.0, 10.0, float("nan"), "TAKER")
EQUITY = EquityRecord(1, "one", 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Daemon:
    """Documents that change when they are told to."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {"state": "READY", "equity": 1.0}
        self.positions = [{"strategy": "one", "instrument_id": "A.X", "quantity": 1.0}]
        self.live = LiveStream()
        self.live.attach(lambda: {"status": self.status, "positions": self.positions, "orders": []})


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def listening(
    daemon: Daemon, use: Callable[[AsyncIterator[tuple[str, Any]]], Awaitable[None]], tmp: Any
) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", "/v1/stream") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            await use(events(answer.aiter_lines()))

    served(on_socket(FakeOperator(), daemon.live), ask, tmp / "s")


def test_stream_begins_with_everything_and_goes_on_with_what_changes(tmp_path: Any) -> None:
    daemon, told = Daemon(), []

    async def use(found: AsyncIterator[tuple[str, Any]]) -> None:
        told.append(await anext(found))
        daemon.live.write(EQUITY)  # which the status tells
        daemon.live.write(FILL)
        daemon.status = {"state": "READY", "equity": 2.0}
        daemon.live.look()
        daemon.positions = [{"strategy": "one", "instrument_id": "B.X", "quantity": 3.0}]
        daemon.live.look()
        daemon.live.look()
        daemon.live.write(FILL)
        told.extend([await anext(found) for _ in range(5)])

    listening(daemon, use, tmp_path)

    init, fill, status, bought, gone, last = told
    assert init == ("init", {"status": {"state": "READY", "equity": 1.0}, "positions": [
        {"strategy": "one", "instrument_id": "A.X", "quantity": 1.0}], "orders": []})  # fmt: skip
    assert fill == last == ("fill", FILL._asdict() | {"fee": None})
    assert status == ("status", {"equity": 2.0})
    assert bought == ("position", {"strategy": "one", "instrument_id": "B.X", "quantity": 3.0})
    assert gone == ("position", {"strategy": "one", "instrument_id": "A.X", "quantity": 0.0})


def test_stream_ends_when_the_daemon_stops(tmp_path: Any) -> None:
    daemon, names = Daemon(), []

    async def use(found: AsyncIterator[tuple[str, Any]]) -> None:
        names.append((await anext(found))[0])
        daemon.live.write(FILL)
        await daemon.live.close()
        names.extend([name async for name, _ in found])

    listening(daemon, use, tmp_path)

    assert names == ["init", "fill"]
    with pytest.raises(ProblemError):
        daemon.live.listen(ADMIN)


def test_nothing_is_worked_out_while_nobody_listens() -> None:
    live = LiveStream()
    live.attach(lambda: pytest.fail("looked"))

    live.write(FILL)


def test_client_that_does_not_read_is_cut_off_and_holds_nobody_up(tmp_path: Any) -> None:
    daemon = Daemon()
    daemon.status = {"state": "x" * 60_000}

    async def use(client: httpx.AsyncClient) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s", limit=1_024)
        writer.write(b"GET /v1/stream HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        # It reads no more: the socket fills up, then the queue, and then the connection is cut.
        for number in range(QUEUED_EVENTS * 2):
            daemon.live.write(FILL._replace(client_order_id="x" * 2_000))
            if number % 64 == 0:
                await asyncio.sleep(0)
        assert daemon.live.dropped == 1
        assert (await client.get("/v1/positions")).status_code == 200
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(10_000_000)
        writer.close()

    served(on_socket(FakeOperator(), daemon.live), use, tmp_path / "s")


def test_more_than_some_streams_are_refused_and_one_that_left_makes_room() -> None:
    live = LiveStream()

    async def use(client: httpx.AsyncClient) -> list[int]:
        held = [live.listen(ADMIN) for _ in range(MOST_CLIENTS)]
        refused = await client.get("/v1/stream")
        live.leave(held[0])
        live.listen(ADMIN)
        await live.close()
        return [refused.status_code, refused.json()["status"]]

    assert asked(on_socket(FakeOperator(), live), use, Peer("uid 7", 7)) == [503, 503]


def test_whoever_only_looks_leaves_room_for_tokens_and_for_whoever_may_act(tmp_path: Any) -> None:
    live = LiveStream()
    (operator,), book = make_tokens(tmp_path, Role.OPERATOR)
    _, app = on_port(FakeOperator(), book, live=live, open_to_read=True)

    def take_all(caller: Caller) -> int:
        taken = 0
        with contextlib.suppress(ProblemError):
            while True:
                live.listen(caller)
                taken += 1
        return taken

    async def use(client: httpx.AsyncClient) -> list[int]:
        taken = [take_all(ANYBODY), take_all(Caller("token viewer-0", Role.VIEWER))]
        nobody = await client.get("/v1/stream")
        head = {"authorization": f"Bearer {operator}"}
        async with client.stream("GET", "/v1/stream", headers=head) as answer:
            await live.close()
            return [*taken, nobody.status_code, answer.status_code]

    assert served(app, use) == [4, 4, 503, 200]


def test_silent_market_is_told_of_by_heartbeats() -> None:
    async def run() -> list[bytes]:
        live, sent = LiveStream(), []
        stream = EventStream(live, live.listen(ADMIN), heartbeat_secs=0.01)
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))
            if len(sent) == 4:
                gone.set()

        await stream({"type": "http"}, receive, send)
        await live.close()
        return sent

    assert asyncio.run(run())[2:4] == [b": still here\n\n"] * 2
