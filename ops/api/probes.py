"""The read-only interface on a loopback port: is it alive, is it ready, and what does it measure.

No route of it changes anything. A page in a browser on this machine could still reach it under a name of
its own, so only requests that name a loopback address as their host are answered, and no other page may
read an answer.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names under which this machine may be asked."""


class Probe(Protocol):
    """What is looked at."""

    def unready(self) -> list[str]:
        """Why the daemon cannot do its work now; empty while it can."""

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Body and content type of a scrape."""

    def answered(self, surface: str, code: int) -> None:
        """Count an answer."""


def make_probes(probe: Probe) -> FastAPI:
    """Build the application.

    Args:
        probe: The daemon; its methods are called on the loop.
    """
    app = FastAPI(title="Argonaut probes", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}  # the trading loop itself has answered

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        found = probe.unready()
        status = {"status": "not ready" if found else "ready", "because": found}
        return JSONResponse(status, status_code=503 if found else 200)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        body, content_type = probe.metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    count_answers(app, "probes", probe.answered)

    @app.middleware("http")
    async def refuse_other_names(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if request.url.hostname not in HOSTS:
            return Response("expected a loopback address as host", status_code=400)
        return await answer(request)

    return app


def count_answers(app: FastAPI, surface: str, answered: Callable[[str, int], None]) -> None:
    """Let every answer of an application be counted."""

    @app.middleware("http")
    async def count(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        answered(surface, response.status_code)
        return response
