"""The routes that an operator's commands call, served on a unix socket in the state directory.

Every endpoint is ``async def``: one that ran in a thread would touch the engine from outside its own
thread, which aborts the process. Bodies are strict: an unknown key or a number where a word belongs is
refused, and every command that changes something needs a reason.
"""

from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from ops.commands import KillMode
from ops.refusals import RefusedError
from strategies.errors import SafetyError
from strategies.restrictions import EVERYTHING, Scope, ScopeKind


class Operator(Protocol):
    """The daemon as an operator sees it."""

    def status(self) -> dict[str, Any]:
        """What the daemon is doing and whether it is well."""

    def positions(self) -> list[dict[str, Any]]:
        """What each strategy holds."""

    def open_orders(self) -> list[dict[str, Any]]:
        """Orders that are not done."""

    def reconcile(self, *, accept: bool, who: str, reason: str) -> dict[str, Any]:
        """Compare our books with the venue's."""

    def request_stop(self, reason: str, *, flatten: bool | None) -> None:
        """Begin an orderly stop."""

    def kill(self, scope: Scope, mode: KillMode, *, who: str, reason: str) -> dict[str, Any]:
        """Restrict a scope."""

    def resume(self, scope: Scope, *, who: str, reason: str) -> dict[str, Any]:
        """Lift what was imposed on a scope."""

    def pause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        """Let a strategy add no risk."""

    def unpause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        """End a pause."""


def _scope(text: object) -> Scope:
    if not isinstance(text, str):
        raise ValueError(f"expected a scope as text, found {text!r}")
    return Scope.parse(text)


def _mode(text: object) -> KillMode:
    if not isinstance(text, str) or text not in list(KillMode):
        raise ValueError(f"expected one of {[mode.value for mode in KillMode]}, found {text!r}")
    return KillMode(text)


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    reason: str = Field(min_length=1, max_length=500)


class StopRequest(_Body):
    """Body of a stop."""

    flatten: bool | None = None
    """Close all positions first; None does what the configuration says."""


class _Command(_Body):
    who: str = Field(default="operator", min_length=1, max_length=100)
    """Who asks; it is recorded."""


class ResumeRequest(_Command):
    """Body of a resume; the scope has to be named."""

    scope: Annotated[Scope, PlainValidator(_scope)]


class KillRequest(_Command):
    """Body of a kill; without a scope it is of everything."""

    scope: Annotated[Scope, PlainValidator(_scope)] = EVERYTHING
    mode: Annotated[KillMode, PlainValidator(_mode)] = KillMode.HALT


class StrategyRequest(_Command):
    """Body of a pause or its end."""

    strategy: str = Field(min_length=1)


class ReconcileRequest(_Command):
    """Body of a comparison of books."""

    accept: bool = False
    """Take what the account holds beside ours as somebody else's from now on."""


class FlattenRequest(_Command):
    """Body of a flatten: a kill that closes positions, of one strategy or of all."""

    strategy: str | None = None


def make_app(operator: Operator) -> FastAPI:
    """Build the application.

    Args:
        operator: The daemon; its methods are called on the loop.
    """
    app = FastAPI(title="Argonaut", docs_url=None, redoc_url=None, openapi_url=None)
    _add_questions(app, operator)
    _add_commands(app, operator)

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:  # noqa: ARG001 - the framework's
        content = {"refused": str(error), "retry_after_secs": error.retry_after_secs}
        return JSONResponse(content, status_code=404 if error.is_unknown else 409)

    @app.exception_handler(SafetyError)
    async def unsafe(request: Request, error: SafetyError) -> JSONResponse:  # noqa: ARG001 - likewise
        return JSONResponse({"refused": str(error), "retry_after_secs": None}, status_code=409)

    return app


def _add_questions(app: FastAPI, operator: Operator) -> None:
    @app.get("/v1/status")
    async def status() -> dict[str, Any]:
        return operator.status()

    @app.get("/v1/positions")
    async def positions() -> list[dict[str, Any]]:
        return operator.positions()

    @app.get("/v1/orders")
    async def orders() -> list[dict[str, Any]]:
        return operator.open_orders()


def _add_commands(app: FastAPI, operator: Operator) -> None:
    @app.post("/v1/stop", status_code=202)
    async def stop(request: StopRequest) -> dict[str, str]:
        operator.request_stop(request.reason, flatten=request.flatten)
        return {"state": "STOPPING"}

    @app.post("/v1/kill")
    async def kill(request: KillRequest) -> dict[str, Any]:
        return operator.kill(request.scope, request.mode, who=request.who, reason=request.reason)

    @app.post("/v1/flatten")
    async def flatten(request: FlattenRequest) -> dict[str, Any]:
        scope = EVERYTHING if request.strategy is None else Scope(ScopeKind.STRATEGY, request.strategy)
        return operator.kill(scope, KillMode.FLATTEN, who=request.who, reason=request.reason)

    @app.post("/v1/resume")
    async def resume(request: ResumeRequest) -> dict[str, Any]:
        return operator.resume(request.scope, who=request.who, reason=request.reason)

    @app.post("/v1/reconcile")
    async def reconcile(request: ReconcileRequest) -> dict[str, Any]:
        return operator.reconcile(accept=request.accept, who=request.who, reason=request.reason)

    @app.post("/v1/pause")
    async def pause(request: StrategyRequest) -> dict[str, Any]:
        return operator.pause(request.strategy, who=request.who, reason=request.reason)

    @app.post("/v1/unpause")
    async def unpause(request: StrategyRequest) -> dict[str, Any]:
        return operator.unpause(request.strategy, who=request.who, reason=request.reason)
