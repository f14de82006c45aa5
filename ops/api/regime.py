"""The routes of regime models: what one believes about the past, and a new one."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ops.api.answers import Document, as_answer
from ops.api.models import NoteCommand
from ops.api.roles import Caller
from ops.api.run_bodies import Moment, RegimeFitRequest, options_of
from ops.runs.desk import RunDesk

MOST_BELIEFS = 5_000


class InferQuery(BaseModel):
    """Of which model, over which bars."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    """Of the strategy."""
    bundle_id: str = Field(default="active", pattern=r"^([0-9a-f]{4,64}|active|latest|previous)$")
    start: Moment | None = None
    end: Moment | None = None
    limit: int = Field(default=1_000, ge=1, le=MOST_BELIEFS)
    """The newest beliefs of the span."""


def add_regime(
    app: FastAPI,
    desk: RunDesk,
    note: NoteCommand,
    *,
    may_look: Callable[..., Awaitable[Caller]],
    may_command: Callable[..., Awaitable[Caller]],
) -> None:
    """Add the routes of regime models.

    Args:
        app: Where to.
        desk: Runs and their reader; its methods are called on the loop.
        note: Records a command before it acts.
        may_look: Dependency of what only looks.
        may_command: Dependency of commands.
    """
    looking = APIRouter(prefix="/v1/regime", dependencies=[Depends(may_look)], tags=["viewer"])
    commanding = APIRouter(prefix="/v1/regime", tags=["operator"])

    @looking.get("/infer", response_model=Document)
    async def infer(asked: Annotated[InferQuery, Query()]) -> Response:
        """What a model's filter believes at each bar: from that bar and those before it alone."""
        body = await desk.ask({"question": "regimes", **asked.model_dump()})
        return Response(body, media_type="application/json")

    @commanding.post("/fit", status_code=202, response_model=Document)
    async def fit(request: RegimeFitRequest, caller: Annotated[Caller, Depends(may_command)]) -> Response:
        """Fit a regime model on a span of the catalog: a run, whose output is the model."""
        who = await note("regime fit", request, caller)
        found = await desk.create("regime-fit", options_of(request), who=who, reason=request.reason)
        return as_answer(found, 202)

    app.include_router(looking)
    app.include_router(commanding)
