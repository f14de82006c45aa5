"""The routes of the operator's interface, by the role that each needs.

Every endpoint is ``async def``: one that ran in a thread would touch the engine from outside its own
thread, which aborts the process. What is asked about the past is answered by another process. Every command
is recorded before it is carried out.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from ops.api import answers
from ops.api.answers import as_answer as _json
from ops.api.bodies import (
    BarsQuery,
    Command,
    ConfirmRequest,
    EquityQuery,
    FlattenRequest,
    InstrumentQuery,
    KillRequest,
    OrdersQuery,
    PageQuery,
    ReconcileRequest,
    ResumeRequest,
    StopRequest,
    StrategyRequest,
    TimeQuery,
)
from ops.api.fences import not_authenticated
from ops.api.jobs import JobDesk, add_jobs
from ops.api.models import Models, add_models
from ops.api.operator import Operator, Probe
from ops.api.problems import MEDIA_TYPE, Problem, ProblemError, answer_with_problems
from ops.api.records import add_records
from ops.api.regime import add_regime
from ops.api.roles import Caller, Role, caller_of
from ops.api.run_files import add_run_files
from ops.api.runs import RunRoutes, add_runs
from ops.api.stream import EventStream, LiveStream
from ops.dashboard.files import Dashboard
from ops.journal.questions import Question
from ops.kill_mode import KillMode
from strategies.restrictions import EVERYTHING, Scope, ScopeKind

OPEN = frozenset({"/livez", "/readyz"})
"""Routes that answer anybody."""

_BEARER = Security(HTTPBearer(auto_error=False, description="A token of `argonaut token new`."))
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in (
        (400, "asked under a name that is not ours"),
        (401, "no valid token"),
        (403, "another role, or a page of another site"),
        (404, "there is none of that name"),
        (409, "refused, or an Idempotency-Key that was used for something else"),
        (413, "too large"),
        (422, "not as described here"),
        (429, "too often"),
        (503, "not now"),
    )
}
_PAGES: tuple[tuple[Question, type[BaseModel], type[TimeQuery]], ...] = (
    (Question.ORDERS, answers.OrderRow, OrdersQuery),
    (Question.FILLS, answers.FillRow, InstrumentQuery),
    (Question.TRADES, answers.TradeRow, InstrumentQuery),
    (Question.VERDICTS, answers.VerdictRow, InstrumentQuery),
    (Question.DECISIONS, answers.DecisionRow, PageQuery),
    (Question.EQUITY, answers.EquityRow, EquityQuery),
    (Question.REGIMES, answers.RegimeRow, PageQuery),
    (Question.PNL, answers.PnlRow, PageQuery),
    (Question.BARS, answers.BarRow, BarsQuery),
    (Question.COMMANDS, answers.CommandRow, TimeQuery),
)
"""What is asked about the past, its rows, and what may be said about which."""


class _Described(FastAPI):
    """Says of what kind its problems are."""

    def openapi(self) -> dict[str, Any]:
        described = super().openapi()
        for operations in described["paths"].values():
            for operation in operations.values():
                for status, response in operation["responses"].items():
                    if status >= "400" and "application/json" in response.get("content", {}):
                        response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
        return described


def needs(role: Role) -> Callable[..., Awaitable[Caller]]:
    """A dependency: whoever asks has at least this role."""

    async def check(request: Request, _: Any = _BEARER) -> Caller:
        caller = caller_of(request.scope)
        if caller is None:
            error = ProblemError(401, "")
            error.response = not_authenticated()
            raise error
        if caller.role < role:
            raise ProblemError(403, f"expected role {role.word} or above, found {caller.role.word}")
        return caller

    return check


def make_app(
    operator: Operator,
    live: LiveStream | None = None,
    *,
    probe: Probe | None = None,
    jobs: JobDesk | None = None,
    dashboard: Dashboard | None = None,
    models: Models | None = None,
    runs: RunRoutes | None = None,
) -> FastAPI:
    """Build the routes; `ops.api.fences.fenced` belongs before them.

    Args:
        operator: The daemon; its methods are called on the loop.
        live: What is told as it happens; None tells nothing.
        probe: What machines look at; None leaves those routes out.
        jobs: What is done beside trading; None leaves those routes out.
        dashboard: The page for browsers; None leaves it out.
        models: What was trained; likewise.
        runs: Backtests, trainings and fits; likewise.
    """
    app = _Described(
        title="Argonaut",
        summary="What the daemon does, and what an operator may do to it.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=_PROBLEMS,
        license_info={"name": "Apache-2.0"},
    )
    answer_with_problems(app)

    async def noted(command: str, request: Command, caller: Caller) -> str:
        return await _note(operator, command, request, caller, adds_risk=True)

    if probe is not None:
        app.include_router(probes(probe, Depends(needs(Role.VIEWER))))
    viewer = APIRouter(dependencies=[Depends(needs(Role.VIEWER))], tags=["viewer"])
    _add_questions(viewer, operator)
    _add_pages(viewer, operator)
    _add_stream(viewer, live or LiveStream())
    app.include_router(viewer)
    app.include_router(_operators(operator))
    app.include_router(_admins(operator))
    if dashboard is not None:
        dashboard.add_to(app)
    if jobs is not None:
        add_jobs(app, jobs, may_look=needs(Role.VIEWER), may_command=needs(Role.OPERATOR))
    looks, commands, decides = needs(Role.VIEWER), needs(Role.OPERATOR), needs(Role.ADMIN)
    if models is not None:
        add_models(app, models, noted, may_look=looks, may_go_back=commands, may_decide=decides)
    if runs is not None:
        add_runs(app, runs, noted, may_look=looks, may_command=commands)
        add_run_files(app, runs.desk, may_look=looks)
        add_records(app, runs.desk, may_look=looks)
        add_regime(app, runs.desk, noted, may_look=looks, may_command=commands)
    return app


def probes(probe: Probe, *guards: Any) -> APIRouter:
    """The routes that machines look at.

    Args:
        probe: The daemon; its methods are called on the loop.
        guards: Dependencies of the metrics, which tell what the account holds.
    """
    router = APIRouter(tags=["probes"])

    @router.get("/livez", response_model=dict[str, str])
    async def livez() -> Response:
        """Alive: the trading loop itself has answered."""
        return _json({"status": "alive"})

    @router.get("/readyz", responses={503: {"description": "not ready, and why", "model": dict[str, Any]}})
    async def readyz() -> JSONResponse:
        """Ready: reconciled, the feed alive, everything recorded."""
        found = probe.unready()
        status = {"status": "not ready" if found else "ready", "because": found}
        return JSONResponse(status, status_code=503 if found else 200)

    @router.get("/metrics", dependencies=list(guards), response_class=Response)
    async def metrics(request: Request) -> Response:
        """Samples for Prometheus; docs/METRICS.md describes them."""
        body, content_type = probe.metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return router


def _add_questions(router: APIRouter, operator: Operator) -> None:
    @router.get("/v1/status", response_model=answers.Document)
    async def status() -> Response:
        """What the daemon is doing, and whether it is well."""
        return _json(operator.status())

    @router.get("/v1/positions", response_model=list[answers.Document])
    async def positions() -> Response:
        """What each strategy holds now."""
        return _json(operator.positions())

    @router.get("/v1/orders/open", response_model=list[answers.Document])
    async def open_orders() -> Response:
        """Orders that are at work now, as the daemon holds them, in the order of their decisions."""
        return _json(operator.open_orders())

    @router.get("/v1/limits", response_model=list[answers.LimitRow])
    async def limits() -> Response:
        """Every limit, and how much of it is used."""
        return _json(operator.limits())

    @router.get("/v1/strategies", response_model=list[answers.Document])
    async def strategies() -> Response:
        """What trades: configuration, and how it stands."""
        return _json(operator.strategies())

    @router.get("/v1/policies", response_model=list[answers.Document])
    async def policies() -> Response:
        """Which kinds of policy a strategy file may name, what each does, and its parameters."""
        return _json(operator.policies())

    @router.get("/v1/config", response_model=answers.Document)
    async def config() -> Response:
        """The configuration in force; whatever is named like a secret is hidden."""
        return _json(operator.config())

    @router.get("/v1/audit/head", response_model=answers.Document)
    async def audit_head() -> Response:
        """The newest record of the journal."""
        return _json(operator.audit_head())


def _add_pages(router: APIRouter, operator: Operator) -> None:
    def add(question: Question, row: type[BaseModel], query: type[TimeQuery]) -> None:
        async def page(asked: Any) -> Response:
            return Response(await operator.page(question, asked.model_dump()), media_type="application/json")

        page.__annotations__["asked"] = Annotated[query, Query()]
        page.__doc__ = f"Recorded {question.value}, newest first, a page at a time."
        router.add_api_route(
            f"/v1/{question.value}",
            page,
            dependencies=[Depends(_each_once)],
            name=question.value,
            response_class=Response,
            responses={200: {"model": answers.Page[row]}},  # type: ignore[valid-type]
        )

    for question, row, query in _PAGES:
        add(question, row, query)


async def _each_once(request: Request) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ProblemError(422, f"expected each parameter once, found more of {', '.join(twice)[:200]}")


def _add_stream(router: APIRouter, live: LiveStream) -> None:
    @router.get(
        "/v1/stream", response_class=Response, responses={200: {"content": {EventStream.media_type: {}}}}
    )
    async def stream(request: Request) -> EventStream:
        """Server-sent events: init, then only what changes."""
        return EventStream(live, live.listen(caller_of(request.scope)))


def _operators(operator: Operator) -> APIRouter:
    guard = needs(Role.OPERATOR)
    router = APIRouter(tags=["operator"])
    by = Annotated[Caller, Depends(guard)]

    @router.post("/v1/kill", response_model=answers.Document)
    async def kill(request: KillRequest, caller: by) -> Response:
        """Restrict trading now, and over restarts, until it is resumed."""
        who = await _note(operator, "kill", request, caller)
        return _json(operator.kill(request.scope, request.mode, who=who, reason=request.reason))

    @router.post("/v1/flatten", response_model=answers.Document)
    async def flatten(request: FlattenRequest, caller: by) -> Response:
        """Halt and close positions, of one strategy or of all."""
        who = await _note(operator, "flatten", request, caller)
        scope = EVERYTHING if request.strategy is None else Scope(ScopeKind.STRATEGY, request.strategy)
        return _json(operator.kill(scope, KillMode.FLATTEN, who=who, reason=request.reason))

    @router.post("/v1/resume", response_model=answers.Document)
    async def resume(request: ResumeRequest, caller: by) -> Response:
        """Lift what a kill or a limit imposed on exactly this scope."""
        who = await _note(operator, "resume", request, caller, adds_risk=True)
        return _json(operator.resume(request.scope, who=who, reason=request.reason))

    @router.post("/v1/pause", response_model=answers.Document)
    async def pause(request: StrategyRequest, caller: by) -> Response:
        """Let a strategy add no risk while it goes on watching."""
        who = await _note(operator, "pause", request, caller)
        return _json(operator.pause(request.strategy, who=who, reason=request.reason))

    @router.post("/v1/unpause", response_model=answers.Document)
    async def unpause(request: StrategyRequest, caller: by) -> Response:
        """End a pause."""
        who = await _note(operator, "unpause", request, caller, adds_risk=True)
        return _json(operator.unpause(request.strategy, who=who, reason=request.reason))

    @router.post("/v1/disarm", response_model=answers.Document)
    async def disarm(request: Command, caller: by) -> Response:
        """Let no order leave any more, not even one that reduces, until the daemon is armed again."""
        who = await _note(operator, "disarm", request, caller)
        return _json(operator.disarm(who=who, reason=request.reason))

    return router


def _admins(operator: Operator) -> APIRouter:
    guard = needs(Role.ADMIN)
    router = APIRouter(tags=["admin"])
    by = Annotated[Caller, Depends(guard)]

    @router.post("/v1/arm", response_model=answers.Document)
    async def arm(request: Command, caller: by) -> Response:
        """First step of two: what would go live, and a nonce to confirm it with. Nothing is armed."""
        who = await _note(operator, "arm", request, caller)
        return _json(operator.request_arming(who=who, reason=request.reason))

    @router.post("/v1/arm/confirm", response_model=answers.Document)
    async def confirm(request: ConfirmRequest, caller: by) -> Response:
        """Second step, within half a minute: orders may leave."""
        who = await _note(operator, "arm confirm", request, caller, adds_risk=True)
        return _json(operator.confirm_arming(request.nonce, who=who, reason=request.reason))

    @router.post("/v1/stop", status_code=202, response_model=dict[str, str])
    async def stop(request: StopRequest, caller: by) -> Response:
        """Begin an orderly stop."""
        await _note(operator, "stop", request, caller)
        operator.request_stop(request.reason, flatten=request.flatten)
        return _json({"state": "STOPPING"}, 202)

    @router.post("/v1/reconcile", response_model=answers.Document)
    async def reconcile(request: ReconcileRequest, caller: by) -> Response:
        """Compare our books with the venue's."""
        who = await _note(operator, "reconcile", request, caller, adds_risk=request.accept)
        return _json(operator.reconcile(accept=request.accept, who=who, reason=request.reason))

    @router.post("/v1/snapshot", response_model=answers.Document)
    async def snapshot(request: Command, caller: by) -> Response:
        """Hold an instant fast for a backup."""
        who = await _note(operator, "snapshot", request, caller)
        return _json(await operator.snapshot(who=who, reason=request.reason))

    return router


async def _note(
    operator: Operator, command: str, request: Command, caller: Caller, *, adds_risk: bool = False
) -> str:
    who = caller.named(request.who)
    await operator.note_asked(
        command, who=who, reason=request.reason, asked=request.asked(), durable=adds_risk
    )
    return who
