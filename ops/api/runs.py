"""The routes of runs: take one on, follow it, end it, take it away."""

from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ops.api.answers import Document, as_answer
from ops.api.bodies import Command
from ops.api.following import Followers
from ops.api.models import NoteCommand
from ops.api.roles import Caller, caller_of
from ops.api.run_bodies import RunRequest, options_of
from ops.api.stream import EventStream
from ops.runs.desk import RunDesk

_MOST_RUNS = 1_000

type RunId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class RunRoutes(NamedTuple):
    """What the routes of runs ask; called on the loop."""

    desk: RunDesk
    followers: Followers


class RunsQuery(BaseModel):
    """What a question for runs may say."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=20, ge=1, le=_MOST_RUNS)
    kind: str | None = Field(default=None, pattern=r"^(backtest|train|walk-forward|regime-fit)$")


class WhyQuery(BaseModel):
    """What stands beside a command that has no body."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500)
    who: str | None = Field(default=None, min_length=1, max_length=100)


class _OneRun(Command):
    """What is recorded of a command about a run."""

    run_id: int


def add_runs(
    app: FastAPI,
    runs: RunRoutes,
    note: NoteCommand,
    *,
    may_look: Callable[..., Awaitable[Caller]],
    may_command: Callable[..., Awaitable[Caller]],
) -> None:
    """Add the routes of runs.

    Args:
        app: Where to.
        runs: What they ask.
        note: Records a command before it acts.
        may_look: Dependency of what only looks.
        may_command: Dependency of commands.
    """
    desk, followers = runs
    looking = APIRouter(prefix="/v1/runs", dependencies=[Depends(may_look)], tags=["viewer"])

    @looking.get("", response_model=list[Document])
    async def newest(asked: Annotated[RunsQuery, Query()]) -> Response:
        """The newest runs, newest first."""
        return as_answer(await desk.queue.runs(asked.limit, asked.kind))

    @looking.get("/{run_id}", response_model=Document)
    async def show(run_id: RunId) -> Response:
        """A run: how it stands, what was asked for, how far it is, and what came out."""
        return as_answer(await desk.queue.show(run_id))

    @looking.get(
        "/{run_id}/stream",
        response_class=Response,
        responses={200: {"content": {EventStream.media_type: {}}}},
    )
    async def stream(run_id: RunId, request: Request) -> EventStream:
        """Server-sent events: init, then state, progress and log as they change, and end."""
        return EventStream(followers, await followers.follow(run_id, caller_of(request.scope)))

    app.include_router(looking)
    app.include_router(_commands(desk, note, may_command))


def _commands(desk: RunDesk, note: NoteCommand, may_command: Callable[..., Awaitable[Caller]]) -> APIRouter:
    router = APIRouter(prefix="/v1/runs", tags=["operator"])
    by = Annotated[Caller, Depends(may_command)]

    @router.post("", status_code=202, response_model=Document)
    async def create(request: RunRequest, caller: by) -> Response:
        """Take a backtest, a training or a walk-forward on; it begins when those before it have ended."""
        options = options_of(request)
        who = await note("runs create", request, caller)
        found = await desk.create(request.kind, options, who=who, reason=request.reason)
        return as_answer(found, 202)

    @router.post("/{run_id}/cancel", response_model=Document)
    async def cancel(run_id: RunId, request: Command, caller: by) -> Response:
        """End a run, with all that it has started, or let it never begin."""
        about = _OneRun(reason=request.reason, who=request.who, run_id=run_id)
        return as_answer(await desk.queue.cancel(run_id, await note("runs cancel", about, caller)))

    @router.delete("/{run_id}", response_model=Document)
    async def delete(run_id: RunId, asked: Annotated[WhyQuery, Query()], caller: by) -> Response:
        """Take a run that has ended away, with its output; never a model."""
        about = _OneRun(reason=asked.reason, who=asked.who, run_id=run_id)
        await note("runs delete", about, caller)
        return as_answer(await desk.queue.delete(run_id))

    return router
