"""What stands before every route: names, pages of other sites, sizes, rates.

    count → seal → name → site → identity → turnstile → size → once → hang-up → routes

Each is one plain ASGI application around the next. An operator's kill or flatten passes the turnstile always.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops.api.connection import PEER, Peer
from ops.api.models import UPLOAD
from ops.api.once import BODY, Once
from ops.api.problems import ProblemResponse
from ops.api.roles import ANYBODY, CALLER, Caller, Role, caller_of
from ops.api.stream import until_gone
from ops.api.tokens import FailureThrottle, TokenBook

MOST_BODY_BYTES = 16 * 1024
MOST_UPLOAD_BYTES = 16 * 2**20
"""Of a bundle that an admin sends; one at a time."""
ALWAYS = frozenset({"/v1/kill", "/v1/flatten"})
"""What takes risk away is never kept waiting, if it comes from whoever may ask for it."""

_SAME_SITE = frozenset({"same-origin", "none"})
_TARPIT_SECS = 0.25
_MOST_PEERS = 1_024


def peer_name(scope: Scope) -> str:
    """Whose rates and failures a request counts to."""
    peer: Peer | None = scope.get(PEER)
    return "unknown" if peer is None else peer.name


class CountAnswers:
    """Lets every answer be counted."""

    def __init__(self, app: ASGIApp, surface: str, answered: Callable[[str, int], None]) -> None:
        self._app = app
        self._surface = surface
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered(self._surface, message["status"])
            await send(message)

        await self._app(scope, receive, counting)


class Seal:
    """Tells browsers to take an answer for what it says it is, to run nothing in it, and to frame it nowhere.

    An answer that has a policy of its own keeps it.
    """

    _HEADERS: tuple[tuple[bytes, bytes], ...] = (
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealing(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = [header for header in self._HEADERS if header[0] not in given]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, sealing)


class NameFence:
    """Answers only under names of our own: a page that rebinds its name to this machine comes under its."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = Headers(scope=scope).getlist("host")
        if len(names) != 1 or hostname(names[0]) not in self._hosts:
            refusal = ProblemResponse(
                400, "expected a name of this machine as host; [api] hosts in the host file allows more"
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class SiteFence:
    """Answers no page of another site: a browser says where a request comes from."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        own = f"{scope['scheme']}://{headers.get('host', '')}"
        is_foreign = origin is not None and origin.lower() != own.lower()
        if is_foreign or headers.get("sec-fetch-site", "none").lower() not in _SAME_SITE:
            await ProblemResponse(403, "requests from pages of other sites are not answered")(
                scope, receive, send
            )
            return
        await self._app(scope, receive, send)


class Identity:
    """Finds out who asks: on a unix socket the user behind it, on a port whoever a bearer token is.

    A request without a token goes on without a caller: routes say whether that will do. One with a token
    that is not valid ends here, also where a question needs none.
    """

    def __init__(
        self,
        app: ASGIApp,
        book: TokenBook | None,
        throttle: FailureThrottle,
        *,
        is_socket: bool,
        open_to_read: bool = False,
    ) -> None:
        self._app = app
        self._is_socket = is_socket
        self._open_to_read = open_to_read
        self._book = book
        self._throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer: Peer | None = scope.get(PEER)
        if self._is_socket:
            if peer is None or peer.uid is None:
                await not_authenticated()(scope, receive, send)
                return
            scope[CALLER] = Caller(peer.name, Role.ADMIN)
        elif (given := Headers(scope=scope).getlist("authorization")) and self._book is not None:
            scheme, _, token = given[0].partition(" ")
            caller = self._book.caller(token.strip()) if scheme.lower() == "bearer" else None
            if caller is None or len(given) > 1:
                await self._refuse(scope, receive, send)
                return
            scope[CALLER] = caller
        elif self._open_to_read and scope["method"] == "GET":
            scope[CALLER] = ANYBODY
        await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait_secs = self._throttle.fail(peer_name(scope))
        if wait_secs:
            await asyncio.sleep(_TARPIT_SECS)
            problem = ProblemResponse(429, "too many tokens that are not valid", retry_after_secs=wait_secs)
        else:
            problem = not_authenticated()
        await problem(scope, receive, send)


def not_authenticated() -> ProblemResponse:
    """Of a request that nobody vouches for."""
    return ProblemResponse(
        401,
        "expected a valid token: Authorization: Bearer …; `argonaut token new ROLE` makes one",
        headers={"www-authenticate": "Bearer"},
    )


class Turnstile:
    """Bounds how often a peer asks, and how many requests are answered at a time.

    Whoever asks too often is answered late, so that asking faster gains nothing and costs the loop little.

    Args:
        monotonic: Clock, seconds.
        per_sec: Requests of one peer a second, on average.
        burst: Requests of one peer at once.
        most: Requests at a time.
    """

    def __init__(
        self,
        app: ASGIApp,
        monotonic: Callable[[], float],
        *,
        per_sec: float = 50.0,
        burst: float = 200.0,
        most: int = 40,
    ) -> None:
        self._app = app
        self._monotonic = monotonic
        self._per_sec = per_sec
        self._burst = burst
        self._most = most
        self._inside = 0
        self._left: dict[str, tuple[float, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope)
        if scope["path"] in ALWAYS and caller is not None and caller.role >= Role.OPERATOR:
            await self._app(scope, receive, send)
            return
        if self._inside >= self._most:
            detail = "too many requests are being answered"
            await ProblemResponse(503, detail, retry_after_secs=1.0)(scope, receive, send)
            return
        self._inside += 1
        try:
            if self._may_pass(peer_name(scope)):
                await self._app(scope, receive, send)
                return
            await asyncio.sleep(_TARPIT_SECS)
            detail = f"expected at most {self._per_sec:g} requests a second"
            await ProblemResponse(429, detail, retry_after_secs=1.0)(scope, receive, send)
        finally:
            self._inside -= 1

    def _may_pass(self, peer: str) -> bool:
        now = self._monotonic()
        left, at = self._left.pop(peer, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_sec)
        self._left[peer] = max(0.0, left - 1.0), now
        if len(self._left) > _MOST_PEERS:
            del self._left[next(iter(self._left))]
        return left >= 1.0


class SizeFence:
    """Takes the whole body in before anything is done with it, up to a size."""

    def __init__(
        self, app: ASGIApp, most_bytes: int = MOST_BODY_BYTES, most_upload_bytes: int = MOST_UPLOAD_BYTES
    ) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._most_upload_bytes = most_upload_bytes
        self._is_taking = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = caller_of(scope)
        if scope["path"] != UPLOAD or caller is None or caller.role < Role.ADMIN:
            await self._take(self._most_bytes, scope, receive, send)
        elif self._is_taking:
            problem = ProblemResponse(503, "another upload is being taken in", retry_after_secs=1.0)
            await problem(scope, receive, send)
        else:
            self._is_taking = True
            try:
                await self._take(self._most_upload_bytes, scope, receive, send)
            finally:
                self._is_taking = False

    async def _take(self, most_bytes: int, scope: Scope, receive: Receive, send: Send) -> None:
        length = Headers(scope=scope).get("content-length", "0")
        pieces, taken, is_whole = [], 0, False
        while not is_whole and taken <= most_bytes and int(length) <= most_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            pieces.append(message.get("body", b""))
            taken += len(pieces[-1])
            is_whole = not message.get("more_body", False)
        if not is_whole or taken > most_bytes:
            detail = f"expected a body of at most {most_bytes} bytes"
            await ProblemResponse(413, detail, headers={"connection": "close"})(scope, receive, send)
            return
        body = b"".join(pieces)
        scope[BODY], is_given = body, False

        async def given() -> Message:
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, given, send)


class HangUp:
    """Lets nobody work for whoever has hung up before an answer began: what was asked is dropped.

    Only questions are: a command that was given is carried out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        first: list[Message] = [await receive()]  # the size fence has taken the body in
        watching = asyncio.create_task(until_gone(receive))
        has_begun = False

        async def given() -> Message:
            if first:
                return first.pop()
            await asyncio.wait({watching})
            return {"type": "http.disconnect"}

        async def begin(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        answering = asyncio.ensure_future(self._app(scope, given, begin))
        try:
            await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
            if has_begun or answering.done():
                await answering
        finally:
            answering.cancel()
            watching.cancel()
            await asyncio.gather(answering, watching, return_exceptions=True)


def hostname(host: str) -> str:
    """The name in a ``Host`` header, without its port, in small letters."""
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.strip("[]").lower()


def fenced(
    app: ASGIApp,
    *,
    surface: str,
    answered: Callable[[str, int], None],
    hosts: Collection[str] | None,
    book: TokenBook | None,
    monotonic: Callable[[], float],
    open_to_read: bool = False,
) -> ASGIApp:
    """Put everything before an application's routes.

    Args:
        surface: Its name where answers are counted.
        answered: Counts an answer.
        hosts: Names under which it is asked; None takes any, for a unix socket, which no page can reach.
        book: Whose tokens are valid; None where none is.
        monotonic: Clock, seconds.
        open_to_read: Whether whoever brings no token is a viewer while it only asks.
    """
    stack: Any = Once(HangUp(app), monotonic)
    stack = SizeFence(stack)
    stack = Turnstile(stack, monotonic)
    stack = Identity(
        stack, book, FailureThrottle(monotonic), is_socket=hosts is None, open_to_read=open_to_read
    )
    stack = SiteFence(stack)
    stack = stack if hosts is None else NameFence(stack, hosts)
    return CountAnswers(Seal(stack), surface, answered)
