"""The description that is checked in is that of the routes, the routes keep to it, and people find them."""

import json
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from starlette.responses import Response

from bot.cli.api import schema_text
from ops.api.roles import Caller, Role
from ops.api.tokens import TokenBook
from tests.support.data import ROOT
from tests.support.operators import FakeOperator, on_port

DESCRIPTION = ROOT / "docs" / "openapi.json"
EXAMPLES = int(os.environ.get("ARGONAUT_API_EXAMPLES", "5"))
"""For each route; more find more, and take longer."""


def test_description_that_is_checked_in_is_that_of_the_routes() -> None:
    assert DESCRIPTION.read_text() == schema_text() + "\n", "argonaut api schema > docs/openapi.json"


def test_every_route_is_in_the_page_that_people_read() -> None:
    page = (ROOT / "docs" / "API.md").read_text()

    assert [path for path in json.loads(DESCRIPTION.read_text())["paths"] if f"`{path}`" not in page] == []


async def _served(scope: Any, receive: Any, send: Any) -> None:
    """All routes as a port with tokens has them, and what describes them."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
    elif scope["path"] == "/openapi.json":
        await Response(DESCRIPTION.read_bytes(), media_type="application/json")(scope, receive, send)
    else:
        await _APP(scope, receive, send)


class _Clock:
    """Each look at it is two minutes later than the last, so that no rate is ever exceeded."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 120.0
        return self.now


class _OneToken(TokenBook):
    """Needs no file."""

    def __init__(self) -> None:
        pass

    def caller(self, token: str) -> Caller | None:
        return Caller("token admin-0", Role.ADMIN) if token == "valid" else None  # noqa: S105 - for a test


_, _APP = on_port(FakeOperator(), _OneToken(), monotonic=_Clock())
schema = schemathesis.openapi.from_asgi("/openapi.json", _served)


_STREAMS = ["/v1/stream", "/v1/runs/{run_id}/stream"]
_FOUND: list[Any] = list(schema.exclude(path=_STREAMS).get_all_operations())
OPERATIONS = [one.ok() for one in _FOUND]


# Not schemathesis's own parametrize: it gives all routes one name, of which several processes run the first.
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_route_keeps_to_its_description_whatever_it_is_asked(operation: Any) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def holds(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers={"Authorization": "Bearer valid"})

    holds()
