"""Every error of the interface in one form: ``application/problem+json``.

Source:
    RFC 9457.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ops.refusals import RefusedError
from strategies.errors import SafetyError

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Why a request was not answered as it asked."""

    type: str
    """``about:blank`` where the status says it all, else ``urn:argonaut:`` and a word."""
    title: str
    status: int
    detail: str
    """What was expected, what was found, what to do."""
    retry_after_secs: float | None = None
    """When to ask again; None where time alone changes nothing."""
    errors: list[str] | None = None
    """Of a request that is not as it should be, every reason."""


class ProblemResponse(JSONResponse):
    """An answer that is a problem.

    Args:
        status: HTTP status.
        detail: For a person.
        kind: Word after ``urn:argonaut:``; None where the status says it all.
        retry_after_secs: When to ask again.
        more: Further members.
        headers: Further headers.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        retry_after_secs: float | None = None,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content: dict[str, Any] = {
            "type": "about:blank" if kind is None else f"urn:argonaut:{kind}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
        }
        given = dict(headers or {})
        if retry_after_secs is not None:
            content["retry_after_secs"] = retry_after_secs
            given["retry-after"] = str(max(1, round(retry_after_secs)))
        super().__init__(content | dict(more or {}), status_code=status, headers=given)


class ProblemError(Exception):
    """Ends a request with a problem; the arguments are those of `ProblemResponse`."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.response = ProblemResponse(status, detail, **more)


def _methods(app: FastAPI, path: str) -> list[str]:
    found = [
        method.upper()
        for template, operations in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path)
        for method in operations
    ]
    return sorted(set(found))


def answer_with_problems(app: FastAPI) -> None:
    """Let every error of an application be answered as a problem; none shows a trace."""

    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> ProblemResponse:  # noqa: ARG001 - the framework's
        return error.response

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> ProblemResponse:  # noqa: ARG001 - likewise
        status = 404 if error.is_unknown else 409
        kind = "unknown" if error.is_unknown else "refused"
        return ProblemResponse(status, str(error), kind=kind, retry_after_secs=error.retry_after_secs)

    @app.exception_handler(SafetyError)
    async def unsafe(request: Request, error: SafetyError) -> ProblemResponse:  # noqa: ARG001 - likewise
        return ProblemResponse(409, str(error), kind="refused")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> ProblemResponse:  # noqa: ARG001 - likewise
        # What was sent is not repeated: it may have been meant for somebody else.
        errors = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return ProblemResponse(
            422,
            f"expected a request as docs/API.md describes it; {'; '.join(errors)}",
            more={"errors": errors},
        )

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> ProblemResponse:
        detail = {
            404: f"there is nothing at {request.url.path[:200]}; docs/API.md lists what there is",
            405: f"{request.method} is not what {request.url.path[:200]} takes; docs/API.md says what is",
        }.get(error.status_code, str(error.detail))
        # The framework names the methods of the first route of a path; there may be more.
        allowed = {"allow": ", ".join(_methods(app, request.url.path))} if error.status_code == 405 else {}
        return ProblemResponse(error.status_code, detail, headers={**allowed} or error.headers)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> ProblemResponse:  # noqa: ARG001 - likewise
        return ProblemResponse(500, "a fault of this program; the daemon's log says where")
