"""The routes of what runs leave: artifacts, one file, all of them, and the curves of a training."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ops.api.answers import Document, as_answer
from ops.api.downloads import Download, file_answer, is_known
from ops.api.roles import Caller
from ops.api.runs import RunId
from ops.runs.desk import RunDesk

type _Name = Annotated[str, Path(min_length=1, max_length=300)]
type _Tag = Annotated[str, Field(min_length=1, max_length=200)]

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "what If-None-Match names is still right"}
}


class BundleQuery(BaseModel):
    """What goes into a bundle."""

    model_config = ConfigDict(extra="forbid")

    include_model: bool = False


class ScalarsQuery(BaseModel):
    """Which curves."""

    model_config = ConfigDict(extra="forbid")

    tag: list[_Tag] = Field(min_length=1, max_length=50)


class HistogramsQuery(BaseModel):
    """Which histograms."""

    model_config = ConfigDict(extra="forbid")

    tag: _Tag


def add_run_files(app: FastAPI, desk: RunDesk, *, may_look: Callable[..., Awaitable[Caller]]) -> None:
    """Add the routes of what runs leave.

    Args:
        app: Where to.
        desk: The runs; its methods are called on the loop.
        may_look: Dependency of all of them.
    """
    router = APIRouter(prefix="/v1/runs/{run_id}", dependencies=[Depends(may_look)], tags=["viewer"])

    @router.get("/artifacts", response_model=list[Document])
    async def artifacts(run_id: RunId) -> Response:
        """Every file of a run, by the name under which it can be asked for."""
        return as_answer(await desk.artifacts(run_id))

    @router.get(
        "/files/{name:path}",
        response_class=Response,
        responses={
            200: {"content": {"application/octet-stream": _BINARY}},
            206: {
                "description": "the range that was asked for",
                "content": {"application/octet-stream": _BINARY},
            },
            416: {"description": "no single range within the file"},
            **_UNCHANGED,
        },
    )
    async def file(run_id: RunId, name: _Name, request: Request) -> Response:
        """One file of a run, or one range of it."""
        found = await desk.file(run_id, name)
        saved_as = found.name.rpartition("/")[2]
        return file_answer(found.path, saved_as, found.size_bytes, found.etag, request.headers)

    @router.get(
        "/bundle", response_class=Response, responses={200: {"content": {"application/zip": _BINARY}}}
    )
    async def bundle(run_id: RunId, asked: Annotated[BundleQuery, Query()]) -> Response:
        """All files of a run as a ZIP file; with include_model the model that came out, too."""
        pieces = await desk.bundle(run_id, include_model=asked.include_model)
        return Download(pieces, f"run-{run_id}.zip", media_type="application/zip")

    app.include_router(router)
    app.include_router(_curves(desk, may_look))


def _curves(desk: RunDesk, may_look: Callable[..., Awaitable[Caller]]) -> APIRouter:
    router = APIRouter(
        prefix="/v1/runs/{run_id}/tensorboard", dependencies=[Depends(may_look)], tags=["viewer"]
    )

    async def answer(run_id: int, request: Request, question: dict[str, Any]) -> Response:
        curves = await desk.curves(run_id)
        etag = f'"{curves.etag}"'
        stands = {"etag": etag, "cache-control": "no-cache"}
        if is_known(etag, request.headers):
            return Response(status_code=304, headers=stands)
        body = await desk.ask({**question, "folder": str(curves.folder)})
        return Response(body, media_type="application/json", headers=stands)

    @router.get("/tags", response_model=Document, responses=_UNCHANGED)
    async def tags(run_id: RunId, request: Request) -> Response:
        """Names of the curves and histograms of a training."""
        return await answer(run_id, request, {"question": "tags"})

    @router.get("/scalars", response_model=Document, responses=_UNCHANGED)
    async def scalars(run_id: RunId, request: Request, asked: Annotated[ScalarsQuery, Query()]) -> Response:
        """Curves of a training: of each tag its points, one a step."""
        return await answer(run_id, request, {"question": "scalars", "tags": asked.tag})

    @router.get("/histograms", response_model=Document, responses=_UNCHANGED)
    async def histograms(
        run_id: RunId, request: Request, asked: Annotated[HistogramsQuery, Query()]
    ) -> Response:
        """Histograms of one tag: of each step its buckets, left, right and count."""
        return await answer(run_id, request, {"question": "histograms", "tag": asked.tag})

    @router.get("/gradients", response_model=Document, responses=_UNCHANGED)
    async def gradients(run_id: RunId, request: Request) -> Response:
        """Norms of gradients, layer by step."""
        return await answer(run_id, request, {"question": "gradients"})

    return router
