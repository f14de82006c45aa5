"""The routes of what was recorded beside the journal: backtests, sessions, the daemon's log.

Answered by the process that reads what runs have left; the loop only passes bytes on.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ops.api.answers import Document
from ops.api.roles import Caller
from ops.runs.desk import RunDesk

_MOST_ROWS = 1_000
_MOST_TRADES = 10_000

type _Key = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,299}$")]


class NewestQuery(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=100, ge=1, le=_MOST_ROWS)


class TradesQuery(BaseModel):
    """Which round trips."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(default=0, ge=0, le=2**31 - 1)
    limit: int = Field(default=1_000, ge=1, le=_MOST_TRADES)


class LogsQuery(NewestQuery):
    """Which entries."""

    level: Literal["debug", "info", "warning", "error", "critical"] = "debug"
    """At least."""
    text: str = Field(default="", max_length=200)
    """What an entry has somewhere in it, whatever its case."""


def add_records(app: FastAPI, desk: RunDesk, *, may_look: Callable[..., Awaitable[Caller]]) -> None:
    """Add the routes of what was recorded.

    Args:
        app: Where to.
        desk: The runs and their reader; its methods are called on the loop.
        may_look: Dependency of all of them.
    """
    router = APIRouter(prefix="/v1", dependencies=[Depends(may_look)], tags=["viewer"])

    async def answer(question: str, **asked: Any) -> Response:
        return Response(await desk.ask({"question": question, **asked}), media_type="application/json")

    @router.get("/results", response_model=Document)
    async def results(asked: Annotated[NewestQuery, Query()]) -> Response:
        """Recorded backtests, newest first: whole, partial and damaged ones."""
        return await answer("results", limit=asked.limit)

    @router.get("/results/{key}", response_model=Document)
    async def result(key: _Key) -> Response:
        """A recorded backtest: figures with their intervals, verdicts, halts, pins, and its files."""
        return await answer("result", key=key)

    @router.get("/results/{key}/curves", response_model=Document)
    async def curves(key: _Key) -> Response:
        """Returns, drawdowns and exposure of a recorded backtest, with its baselines."""
        return await answer("result_curves", key=key)

    @router.get("/results/{key}/trades", response_model=Document)
    async def trades(key: _Key, asked: Annotated[TradesQuery, Query()]) -> Response:
        """Round trips of a recorded backtest, column by column, a page at a time."""
        return await answer("result_trades", key=key, offset=asked.offset, limit=asked.limit)

    @router.get("/sessions", response_model=Document)
    async def sessions(asked: Annotated[NewestQuery, Query()]) -> Response:
        """Sessions that have ended, newest first: how each went."""
        return await answer("sessions", limit=asked.limit)

    @router.get("/logs", response_model=Document)
    async def logs(asked: Annotated[LogsQuery, Query()]) -> Response:
        """The newest entries of the daemon's log, oldest first."""
        return await answer("logs", **asked.model_dump())

    app.include_router(router)
