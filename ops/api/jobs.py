"""The routes of `argonaut jobs`, on the operator's socket."""

from typing import Any, Protocol

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

_MOST_RUNS = 1000


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


class _Command(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    reason: str = Field(min_length=1, max_length=500)
    who: str = Field(default="operator", min_length=1, max_length=100)
    """Who asks; it is recorded."""


class RunJobRequest(_Command):
    """Body of a request to run a job now."""

    name: str = Field(min_length=1, max_length=100)


class CancelRunRequest(_Command):
    """Body of a request to end a run."""

    run_id: int = Field(ge=1)


def make_jobs_router(desk: JobDesk) -> APIRouter:
    """Build the routes.

    Args:
        desk: The daemon's jobs; its methods are called on the loop.
    """
    router = APIRouter(prefix="/v1/jobs")

    @router.get("")
    async def jobs() -> list[dict[str, Any]]:
        return await desk.jobs()

    @router.get("/runs")
    async def runs(limit: int = 20) -> list[dict[str, Any]]:
        return await desk.runs(max(1, min(limit, _MOST_RUNS)))

    @router.get("/runs/{run_id}")
    async def log(run_id: int) -> dict[str, Any]:
        return await desk.log(run_id)

    @router.post("/run", status_code=202)
    async def run(request: RunJobRequest) -> dict[str, Any]:
        return await desk.run(request.name, who=request.who, reason=request.reason)

    @router.post("/cancel")
    async def cancel(request: CancelRunRequest) -> dict[str, Any]:
        return await desk.cancel(request.run_id, who=request.who, reason=request.reason)

    return router
