"""A daemon that only writes down what it is told, and clients that ask it over real connections."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from bot.config import ApiConfig
from bot.operation.serving import Serving
from ops.api.app import make_app
from ops.api.connection import PEER, Peer
from ops.api.fences import fenced
from ops.api.following import Followers
from ops.api.probes import HOSTS
from ops.api.roles import Role
from ops.api.runs import RunRoutes
from ops.api.stream import LiveStream
from ops.api.tokens import FILE, Token, TokenBook, new_token, write_tokens
from ops.dashboard.files import Dashboard
from ops.disk import LocalDisk
from ops.journal.questions import Question
from ops.kill_mode import KillMode
from ops.refusals import RefusedError
from ops.runs.desk import Curves
from ops.runs.files import RunFile
from strategies.errors import SafetyError
from strategies.restrictions import Scope
from tests.support.data import ROOT

EMPTY_PAGE = b'{"rows":[],"next_cursor":null}'


COMMANDS: dict[str, dict[str, Any]] = {
    "kill": {},
    "flatten": {},
    "resume": {"scope": "all"},
    "pause": {"strategy": "one"},
    "unpause": {"strategy": "one"},
    "stop": {},
    "reconcile": {},
    "snapshot": {},
    "arm": {},
    "arm/confirm": {"nonce": "n"},
    "disarm": {},
    "jobs/run": {"name": "backup"},
    "jobs/cancel": {"run_id": 7},
    "runs": {"kind": "train", "config": "training.toml"},
    "runs/{run_id}/cancel": {},
    "regime/fit": {"config": "paper.toml", "strategy": "one.toml"},
    "models/promote": {"name": "one", "bundle_id": "latest"},
    "models/rollback": {"name": "one", "away_from": "abcd"},
}
"""Routes of commands, and what their bodies have to say beside a reason."""


NAMED = {"run_id": 7, "name": "one", "bundle_id": "latest", "key": "one"}
QUERIES = {
    "/v1/runs/{run_id}/tensorboard/scalars": "?tag=loss",
    "/v1/runs/{run_id}/tensorboard/histograms": "?tag=loss",
    "/v1/regime/infer": "?name=one",
}
"""What a question has to say."""
"""What stands for the names in routes."""
UPLOADS = {"/v1/models/import": "application/zip"}
"""Routes that take bytes, and of what type they have to say they are."""


def url_of(method: str, path: str) -> str:
    """A path that a route takes, with the query that it has to have."""
    query = "?reason=r" if method == "DELETE" or path in UPLOADS else QUERIES.get(path, "")
    return path.format(**NAMED) + query


def head_of(path: str) -> dict[str, str]:
    """Headers that a route has to be given beside who asks."""
    return {"content-type": UPLOADS[path]} if path in UPLOADS else {}


def body_of(method: str, path: str) -> Any:
    """A body that a route takes; None for a question."""
    name = path.removeprefix("/v1/")
    if path in UPLOADS:
        return b"PK"
    return COMMANDS[name] | {"reason": "r"} if method == "POST" else None


class FakeOperator:
    """Everything works, except what the arguments say does not."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        """What was asked for (``asked``) and what was done, in order."""
        self.pages: list[tuple[Question, dict[str, Any]]] = []
        self.breaks = False

    @property
    def done(self) -> list[tuple[Any, ...]]:
        """What was done."""
        return [entry for entry in self.log if entry[0] != "asked"]

    def status(self) -> dict[str, Any]:
        if self.breaks:
            raise ZeroDivisionError("a fault with secret-canary in its words")
        return {"state": "READY", "lag": float("nan")}

    def positions(self) -> list[dict[str, Any]]:
        return [{"strategy": "one", "instrument_id": "A.X", "quantity": 1.0}]

    def open_orders(self) -> list[dict[str, Any]]:
        return [{"client_order_id": "AR1"}]

    def limits(self) -> list[dict[str, Any]]:
        row = {"scope": "one", "limit": "max_gross_quote", "used": 1.0, "allowed": 2.0, "used_frac": 0.5}
        return [row | {"latched": False}]

    def strategies(self) -> list[dict[str, Any]]:
        return [{"name": "one"}]

    def policies(self) -> list[dict[str, Any]]:
        return [{"kind": "flat"}]

    def config(self) -> dict[str, Any]:
        return {"sha256": "0" * 64}

    def audit_head(self) -> dict[str, Any]:
        return {"seq": 1, "head": "0" * 64}

    async def page(self, question: Question, asked: dict[str, Any]) -> bytes:
        self.pages.append((question, asked))
        return EMPTY_PAGE

    async def note_asked(
        self, command: str, *, who: str, reason: str, asked: dict[str, Any], durable: bool
    ) -> None:
        self.log.append(("asked", command, who, reason, durable))

    def reconcile(self, *, accept: bool, who: str, reason: str) -> dict[str, Any]:
        return self._do("reconcile", str(accept), who, reason)

    async def snapshot(self, *, who: str, reason: str) -> dict[str, Any]:
        return self._do("snapshot", who, reason) | {"seq": 7}

    def request_stop(self, reason: str, *, flatten: bool | None) -> None:
        self._do("stop", reason, flatten)

    def kill(self, scope: Scope, mode: KillMode, *, who: str, reason: str) -> dict[str, Any]:
        if scope.name == "nope":
            raise RefusedError("no such strategy", is_unknown=True)
        return self._do("kill", str(scope), mode.value, who, reason)

    def resume(self, scope: Scope, *, who: str, reason: str) -> dict[str, Any]:
        if reason == "too early":
            raise RefusedError("cools down", retry_after_secs=200.0)
        if reason == "full disk":
            raise SafetyError("nothing was resumed")
        return self._do("resume", str(scope), who, reason)

    def pause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        return self._do("pause", strategy, who, reason)

    def unpause(self, strategy: str, *, who: str, reason: str) -> dict[str, Any]:
        return self._do("unpause", strategy, who, reason)

    def request_arming(self, *, who: str, reason: str) -> dict[str, Any]:
        return self._do("arm", who, reason)

    def confirm_arming(self, nonce: str, *, who: str, reason: str) -> dict[str, Any]:
        return self._do("confirm", nonce, who, reason)

    def disarm(self, *, who: str, reason: str) -> dict[str, Any]:
        return self._do("disarm", who, reason)

    def _do(self, *entry: Any) -> dict[str, Any]:
        self.log.append(entry)
        return {"number": len(self.log)}


class FakeDesk:
    """Jobs that only write down, with the operator, what they are told; like real ones before they act."""

    def __init__(self, operator: FakeOperator) -> None:
        self._operator = operator

    async def jobs(self) -> list[dict[str, Any]]:
        return [{"name": "backup"}]

    async def runs(self, limit: int) -> list[dict[str, Any]]:
        return [{"run_id": 7, "limit": limit}]

    async def log(self, run_id: int) -> dict[str, Any]:
        if run_id != 7:
            raise RefusedError(f"no run {run_id}", is_unknown=True)
        return {"run_id": run_id, "log": "words"}

    async def run(self, name: str, *, who: str, reason: str) -> dict[str, Any]:
        if name != "backup":
            raise RefusedError(f"no job {name}", is_unknown=True)
        self._operator.log += [("asked", "jobs run", who, reason, False), ("run-job", name, who, reason)]
        return {"run_id": 7}

    async def cancel(self, run_id: int, *, who: str, reason: str) -> dict[str, Any]:
        self._operator.log += [
            ("asked", "jobs cancel", who, reason, False),
            ("cancel-job", run_id, who, reason),
        ]
        return {"run_id": run_id}


class FakeModels:
    """Models that only write down, with the operator, what they are told."""

    def __init__(self, operator: FakeOperator) -> None:
        self._operator = operator

    async def models(self) -> list[dict[str, Any]]:
        return [{"name": "one", "worth": float("nan")}]

    async def show(self, name: str, bundle_id: str) -> dict[str, Any]:
        if name != "one":
            raise RefusedError(f"no model of {name}", is_unknown=True)
        return {"name": name, "bundle_id": bundle_id}

    async def promote(self, name: str, bundle_id: str) -> dict[str, Any]:
        if bundle_id == "dead":
            raise RefusedError("damaged")
        return self._do("promote", name, bundle_id)

    async def rollback(self, name: str, away_from: str) -> dict[str, Any]:
        return self._do("rollback", name, away_from)

    async def take_in(self, content: bytes) -> dict[str, Any]:
        return self._do("import", content)

    def _do(self, *entry: Any) -> dict[str, Any]:
        self._operator.log.append(entry)
        return {"number": len(self._operator.log)}


class FakeQueue:
    """One run, of number 7; it only writes down, with the operator, what it is told."""

    def __init__(self, operator: FakeOperator) -> None:
        self._operator = operator

    async def runs(self, limit: int, kind: str | None) -> list[dict[str, Any]]:
        return [{"run_id": 7, "limit": limit, "kind": kind}]

    async def show(self, run_id: int) -> dict[str, Any]:
        self._check(run_id)
        return {"run": {"run_id": run_id, "state": "SUCCEEDED"}, "worth": float("nan")}

    async def cancel(self, run_id: int, who: str) -> dict[str, Any]:
        return self._do("cancel", run_id, who)

    async def delete(self, run_id: int) -> dict[str, Any]:
        return self._do("delete", run_id)

    def _do(self, what: str, run_id: int, *more: Any) -> dict[str, Any]:
        self._check(run_id)
        self._operator.log.append((what, run_id, *more))
        return {"run_id": run_id}

    def _check(self, run_id: int) -> None:
        if run_id != 7:
            raise RefusedError(f"no run {run_id}", is_unknown=True)


class FakeRuns:
    """What `ops.runs.desk` does, of one run with one file."""

    def __init__(self, operator: FakeOperator) -> None:
        self.queue = FakeQueue(operator)
        self._operator = operator

    async def create(self, kind: str, options: dict[str, Any], *, who: str, reason: str) -> dict[str, Any]:
        if options["config"] == "nope.toml":
            raise RefusedError("no such file", is_unknown=True)
        self._operator.log.append(("create", kind, options))
        return {"run_id": 7}

    async def artifacts(self, run_id: int) -> list[dict[str, Any]]:
        self.queue._check(run_id)
        return [{"name": "one", "size_bytes": 3}]

    async def file(self, run_id: int, name: str) -> RunFile:
        self.queue._check(run_id)
        if name != "one":
            raise RefusedError("no such file", is_unknown=True)
        return RunFile("one", ROOT / "LICENSE", 3, 1)

    async def bundle(self, run_id: int, *, include_model: bool) -> Iterator[bytes]:
        self.queue._check(run_id)
        return iter([b"PK", b"\x05\x06" + b"\0" * 18])

    async def curves(self, run_id: int) -> Curves:
        self.queue._check(run_id)
        return Curves(ROOT, "0" * 32)

    async def ask(self, question: dict[str, Any]) -> bytes:
        return json.dumps({"asked": question}).encode()


class FakeProbe:
    """A daemon that is as ready as it is told to be."""

    def __init__(self) -> None:
        self.because: list[str] = []
        self.accepted: list[str] = []

    def unready(self) -> list[str]:
        return self.because

    def metrics(self, accept: str) -> tuple[bytes, str]:
        self.accepted.append(accept)
        return b"argonaut_ready 1.0\n", "text/plain; version=0.0.4"


def make_tokens(state_dir: Path, *roles: Role) -> tuple[list[str], TokenBook]:
    """A file of one token for each of some roles.

    Returns:
        The tokens, and the book that knows them.
    """
    made: list[str] = []
    kept: list[Token] = []
    for role in roles:
        token, one = new_token(kept, role, "2026-01-01T00:00:00+00:00")
        made.append(token)
        kept.append(one)
    write_tokens(LocalDisk(), state_dir / FILE, kept)
    return made, TokenBook(state_dir / FILE)


def all_routes(
    operator: FakeOperator, live: LiveStream | None = None, dashboard: Dashboard | None = None
) -> FastAPI:
    """Every route that there is, before anything stands in front of it."""
    return make_app(operator, live, probe=FakeProbe(), dashboard=dashboard, **_beside(operator))


def _beside(operator: FakeOperator) -> Any:
    desk: Any = FakeRuns(operator)
    runs = RunRoutes(desk, Followers(desk.queue))
    return {"jobs": FakeDesk(operator), "models": FakeModels(operator), "runs": runs}


def on_port(
    operator: FakeOperator,
    book: TokenBook | None,
    *,
    live: LiveStream | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    answered: Callable[[str, int], None] = lambda *_: None,
    open_to_read: bool = False,
    dashboard: Dashboard | None = None,
) -> tuple[FastAPI, ASGIApp]:
    """All routes as a daemon serves them on its port.

    Returns:
        The routes, and what stands before them.
    """
    routes = all_routes(operator, live, dashboard)
    hosts = [*HOSTS, "testserver"]
    return routes, fenced(
        routes,
        surface="port",
        answered=answered,
        hosts=hosts,
        book=book,
        monotonic=monotonic,
        open_to_read=open_to_read,
    )


def on_socket(operator: FakeOperator, live: LiveStream | None = None) -> ASGIApp:
    """All routes as a daemon serves them on its unix socket."""
    return fenced(
        make_app(operator, live, **_beside(operator)),
        surface="commands",
        answered=lambda *_: None,
        hosts=None,
        book=None,
        monotonic=time.monotonic,
    )


def served[T](
    app: ASGIApp, use: Callable[[httpx.AsyncClient], Coroutine[Any, Any, T]], socket: Path | None = None
) -> T:
    """Serve an application as a daemon does, and let a client use it.

    Args:
        socket: Path of a unix socket; None serves a loopback port.
    """

    async def run() -> T:
        serving = Serving()
        if socket is None:
            serving.serve_port(app, ApiConfig(port=0))
            transport = httpx.AsyncHTTPTransport()
        else:
            serving.serve_socket(app, socket)
            transport = httpx.AsyncHTTPTransport(uds=str(socket))
        await serving.until_started()
        base_url = serving.url or "http://argonaut"
        try:
            async with httpx.AsyncClient(transport=transport, base_url=base_url, timeout=30.0) as client:
                return await use(client)
        finally:
            await serving.close()

    return asyncio.run(run())


def asked[T](
    app: ASGIApp, use: Callable[[httpx.AsyncClient], Coroutine[Any, Any, T]], peer: Peer | None = None
) -> T:
    """Let a client use an application without a connection between; quicker than `served`.

    Args:
        peer: Who is said to be at the other end; None is an address of this machine.
    """
    at_the_end = peer or Peer("127.0.0.1", None)

    async def connected(scope: Any, receive: Any, send: Any) -> None:
        scope[PEER] = at_the_end
        await app(scope, receive, send)

    async def run() -> T:
        transport = httpx.ASGITransport(connected, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await use(client)

    return asyncio.run(run())
