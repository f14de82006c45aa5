"""The routes of models: which there are, and which of them is to trade."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ops.api.answers import Document, as_answer
from ops.api.bodies import Command
from ops.api.once import BODY
from ops.api.problems import ProblemError
from ops.api.roles import Caller

UPLOAD = "/v1/models/import"
"""The one route that takes more than a command is."""

_NAME = r"^[a-z][a-z0-9_]{0,39}$"
_ID = r"^([0-9a-f]{4,64}|active|latest|previous)$"
_ZIP = "application/zip"

type _Name = Annotated[str, Path(pattern=_NAME)]
type _Id = Annotated[str, Path(pattern=_ID)]
type NoteCommand = Callable[[str, Command, Caller], Awaitable[str]]
"""``note(command, request, caller)``: record a command on the disk before it acts; who gave it."""


class Models(Protocol):
    """A state directory's models; refuses with `RefusedError`."""

    async def models(self) -> list[dict[str, Any]]:
        """All models."""

    async def show(self, name: str, bundle_id: str) -> dict[str, Any]:
        """One model."""

    async def promote(self, name: str, bundle_id: str) -> dict[str, Any]:
        """Make a model the one that is to trade."""

    async def rollback(self, name: str, away_from: str) -> dict[str, Any]:
        """Go back to the model that was to trade before."""

    async def take_in(self, content: bytes) -> dict[str, Any]:
        """Take over a bundle that was sent as a ZIP file."""


class PromoteRequest(Command):
    """Body of a promotion."""

    name: str = Field(pattern=_NAME)
    """Of the strategy that it was trained for."""
    bundle_id: str = Field(pattern=_ID)
    """First digits of its id, or a link: ``latest``, ``previous``."""


class RollbackRequest(Command):
    """Body of a rollback."""

    name: str = Field(pattern=_NAME)
    away_from: str = Field(pattern=r"^[0-9a-f]{4,64}$")
    """First digits of the one that is active; another is refused, so that asking twice changes nothing."""


class _Sent(Command):
    """What is recorded of a bundle that is sent."""

    sha256: str


class ImportQuery(BaseModel):
    """What stands beside a bundle that is sent."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500)
    who: str | None = Field(default=None, min_length=1, max_length=100)


def add_models(
    app: FastAPI,
    desk: Models,
    note: NoteCommand,
    *,
    may_look: Callable[..., Awaitable[Caller]],
    may_go_back: Callable[..., Awaitable[Caller]],
    may_decide: Callable[..., Awaitable[Caller]],
) -> None:
    """Add the routes of models.

    Args:
        app: Where to.
        desk: The models; its methods are called on the loop.
        note: Records a command before it acts.
        may_look: Dependency of what only looks.
        may_go_back: Dependency of a rollback.
        may_decide: Dependency of what brings a model in, or lets it trade.
    """
    _add_questions(app, desk, may_look)
    going_back = APIRouter(prefix="/v1/models", tags=["operator"])
    deciding = APIRouter(prefix="/v1/models", tags=["admin"])

    @going_back.post("/rollback", response_model=Document)
    async def rollback(request: RollbackRequest, caller: Annotated[Caller, Depends(may_go_back)]) -> Response:
        """Let the model that was to trade before trade again; takes effect when the daemon next starts."""
        await note("models rollback", request, caller)
        return as_answer(await desk.rollback(request.name, request.away_from))

    @deciding.post("/promote", response_model=Document)
    async def promote(request: PromoteRequest, caller: Annotated[Caller, Depends(may_decide)]) -> Response:
        """Make a model the one that is to trade; takes effect when the daemon next starts."""
        await note("models promote", request, caller)
        return as_answer(await desk.promote(request.name, request.bundle_id))

    @deciding.post(
        "/import",
        response_model=Document,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def take_in(
        request: Request,
        asked: Annotated[ImportQuery, Query()],
        caller: Annotated[Caller, Depends(may_decide)],
    ) -> Response:
        """Take over a bundle that is sent as a ZIP file; it is not promoted."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _ZIP:
            raise ProblemError(422, f"expected a bundle as a ZIP file, with content-type: {_ZIP}")
        content: bytes = request.scope[BODY]
        sent = _Sent(reason=asked.reason, who=asked.who, sha256=sha256(content).hexdigest())
        await note("models import", sent, caller)
        return as_answer(await desk.take_in(content))

    app.include_router(going_back)
    app.include_router(deciding)


def _add_questions(app: FastAPI, desk: Models, may_look: Callable[..., Awaitable[Caller]]) -> None:
    looking = APIRouter(prefix="/v1/models", dependencies=[Depends(may_look)], tags=["viewer"])

    @looking.get("", response_model=list[Document])
    async def models() -> Response:
        """All models: which is active, previous or latest, and how each did on bars it never saw."""
        return as_answer(await desk.models())

    @looking.get("/{name}/{bundle_id}", response_model=Document)
    async def show(name: _Name, bundle_id: _Id) -> Response:
        """One model: manifest, lineage, scorecard and training."""
        return as_answer(await desk.show(name, bundle_id))

    app.include_router(looking)
