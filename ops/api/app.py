"""The routes that an operator's commands call, served on a unix socket in the state directory.

Every endpoint is ``async def``: one that ran in a thread would touch the engine from outside its own
thread, which aborts the process.
"""

from typing import Any, Protocol

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field


class Operator(Protocol):
    """The daemon as an operator sees it."""

    def status(self) -> dict[str, Any]:
        """What the daemon is doing and whether it is well."""

    def positions(self) -> list[dict[str, Any]]:
        """What each strategy holds."""

    def orders(self, *, open_only: bool) -> list[dict[str, Any]]:
        """Orders as they stand."""

    def request_stop(self, reason: str, *, flatten: bool | None) -> None:
        """Begin an orderly stop."""


class StopRequest(BaseModel):
    """Body of a stop."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: str = Field(min_length=1, max_length=500)
    flatten: bool | None = None
    """Close all positions first; None does what the configuration says."""


def make_app(operator: Operator) -> FastAPI:
    """Build the application.

    Args:
        operator: The daemon; its methods are called on the loop.
    """
    app = FastAPI(title="Argonaut", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/v1/status")
    async def status() -> dict[str, Any]:
        return operator.status()

    @app.get("/v1/positions")
    async def positions() -> list[dict[str, Any]]:
        return operator.positions()

    @app.get("/v1/orders")
    async def orders(*, open_only: bool = Query(default=True)) -> list[dict[str, Any]]:
        return operator.orders(open_only=open_only)

    @app.post("/v1/stop", status_code=202)
    async def stop(request: StopRequest) -> dict[str, str]:
        operator.request_stop(request.reason, flatten=request.flatten)
        return {"state": "STOPPING"}

    return app
