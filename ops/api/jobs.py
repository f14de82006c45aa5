"""The routes of jobs: `argonaut jobs` asks them, too."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from ops.api.answers import Document
from ops.api.bodies import Command
from ops.api.roles import Caller

_MOST_RUNS = 1_000

type RunId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class JobDesk(Protocol):
    """A daemon's jobs; refuses with `RefusedError`."""

    async def jobs(self) -> list[dict[str, Any]]:
        """Every job with its schedule, what is next, and its newest run."""

    async def runs(self, limit: int) -> list[dict[str, Any]]:
        """The newest runs, newest first."""

    async def log(self, run_id: int) -> dict[str, Any]:
        """A run, and what it has said so far."""

    async def run(self, name: str, *, who: str, reason: str) -> dict[str, Any]:
        """Run a job whatever its schedule says."""

    async def cancel(self, run_id: int, *, who: str, reason: str) -> dict[str, Any]:
        """End a run."""


class RunJobRequest(Command):
    """Body of a request to run a job now."""

    name: str = Field(min_length=1, max_length=100)


class CancelRunRequest(Command):
    """Body of a request to end a run."""

    run_id: int = Field(ge=1, le=2**63 - 1)


class RunsQuery(BaseModel):
    """What a question for runs may say."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=20, ge=1, le=_MOST_RUNS)


def add_jobs(
    app: FastAPI,
    desk: JobDesk,
    *,
    may_look: Callable[..., Awaitable[Caller]],
    may_command: Callable[..., Awaitable[Caller]],
) -> None:
    """Add the routes of jobs.

    Args:
        app: Where to.
        desk: The daemon's jobs; its methods are called on the loop, and record a command before it acts.
        may_look: Dependency of what only looks.
        may_command: Dependency of commands.
    """
    looking = APIRouter(prefix="/v1/jobs", dependencies=[Depends(may_look)], tags=["viewer"])
    commanding = APIRouter(prefix="/v1/jobs", tags=["operator"])
    by = Annotated[Caller, Depends(may_command)]

    @looking.get("", response_model=list[Document])
    async def jobs() -> list[dict[str, Any]]:
        """Every job with its schedule, what is next, and its newest run."""
        return await desk.jobs()

    @looking.get("/runs", response_model=list[Document])
    async def runs(asked: Annotated[RunsQuery, Query()]) -> list[dict[str, Any]]:
        """The newest runs, newest first."""
        return await desk.runs(asked.limit)

    @looking.get("/runs/{run_id}", response_model=Document)
    async def log(run_id: RunId) -> dict[str, Any]:
        """A run, and what it has said so far."""
        return await desk.log(run_id)

    @commanding.post("/run", status_code=202, response_model=Document)
    async def run(request: RunJobRequest, caller: by) -> dict[str, Any]:
        """Run a job whatever its schedule says."""
        return await desk.run(request.name, who=caller.named(request.who), reason=request.reason)

    @commanding.post("/cancel", response_model=Document)
    async def cancel(request: CancelRunRequest, caller: by) -> dict[str, Any]:
        """End a run."""
        return await desk.cancel(request.run_id, who=caller.named(request.who), reason=request.reason)

    app.include_router(looking)
    app.include_router(commanding)
