"""The operator's routes over a real unix socket."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from ops.api.app import make_app


class _Operator:
    def __init__(self) -> None:
        self.stops: list[tuple[str, bool | None]] = []

    def status(self) -> dict[str, Any]:
        return {"state": "READY"}

    def positions(self) -> list[dict[str, Any]]:
        return []

    def orders(self, *, open_only: bool) -> list[dict[str, Any]]:
        return [{"client_order_id": "AR1", "open_only": open_only}]

    def request_stop(self, reason: str, *, flatten: bool | None) -> None:
        self.stops.append((reason, flatten))


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
            ("GET", "/v1/orders?open_only=false", None),
            ("POST", "/v1/stop", {"reason": "test", "flatten": True}),
        )
    )

    assert answers[0].json() == {"state": "READY"}
    assert answers[1].json()[0]["open_only"] is False
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
