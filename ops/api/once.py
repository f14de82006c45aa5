"""A command that is sent twice is carried out once: ``Idempotency-Key``.

The first answer to a key is kept and given again to whoever sends the same request under the same key; under
another request the key is refused. Kept is a bounded number of answers, for a day, in memory: after a
restart a command is carried out again, which every command bears.

Source:
    IETF draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops.api.problems import ProblemResponse
from ops.api.roles import caller_of

BODY = "argonaut.body"
"""Where a request's scope holds its whole body."""
HEADER = "idempotency-key"
REPLAYED = (b"idempotency-replayed", b"true")

_MOST_KEPT = 1_000
_KEPT_SECS = 86_400.0
_LONGEST_KEY = 200
_NOT_REACHED = frozenset({401, 403, 413, 422, 429})
"""Answers of requests that no command saw: they may be sent again, put right."""

type _Key = tuple[str, str]


@dataclass(slots=True)
class _Kept:
    fingerprint: bytes
    at: float
    messages: list[Message] = field(default_factory=list)
    is_done: bool = False


class Once:
    """Remembers answers to commands.

    Args:
        monotonic: Clock, seconds.
        most: Answers that are kept.
    """

    def __init__(self, app: ASGIApp, monotonic: Callable[[], float], most: int = _MOST_KEPT) -> None:
        self._app = app
        self._monotonic = monotonic
        self._most = most
        self._kept: dict[_Key, _Kept] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given, caller = Headers(scope=scope).get(HEADER), caller_of(scope)
        if scope["method"] != "POST" or given is None or caller is None:
            await self._app(scope, receive, send)
            return
        if not (0 < len(given) <= _LONGEST_KEY and given.isascii() and given.isprintable()):
            detail = f"expected an Idempotency-Key of 1 to {_LONGEST_KEY} printable characters"
            await ProblemResponse(422, detail)(scope, receive, send)
            return
        key = caller.who, given
        fingerprint = _fingerprint(scope)
        kept = self._kept.get(key)
        if kept is not None and self._monotonic() - kept.at > _KEPT_SECS:
            kept = None
        if kept is None:
            await self._carry_out(key, fingerprint, scope, receive, send)
        elif kept.fingerprint != fingerprint:
            detail = "this Idempotency-Key was used for another request; take a new one"
            await ProblemResponse(409, detail, kind="key-reused")(scope, receive, send)
        elif not kept.is_done:
            detail = "the request of this Idempotency-Key is being carried out"
            await ProblemResponse(409, detail, kind="in-progress", retry_after_secs=1.0)(scope, receive, send)
        else:
            await _replay(kept, send)

    async def _carry_out(
        self, key: _Key, fingerprint: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        kept = _Kept(fingerprint, self._monotonic())
        self._kept.pop(key, None)
        self._kept[key] = kept
        self._make_room()

        async def keeping(message: Message) -> None:
            kept.messages.append(message)
            await send(message)

        try:
            await self._app(scope, receive, keeping)
        finally:
            status = kept.messages[0]["status"] if kept.messages else 500
            if status >= 500 or status in _NOT_REACHED:
                self._kept.pop(key, None)
            kept.is_done = True

    def _make_room(self) -> None:
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]


async def _replay(kept: _Kept, send: Send) -> None:
    for message in kept.messages:
        if message["type"] == "http.response.start":
            await send({**message, "headers": [*message["headers"], REPLAYED]})
        else:
            await send(message)


def _fingerprint(scope: Scope) -> bytes:
    digest = hashlib.sha256(f"{scope['path']}\n".encode())
    digest.update(scope["query_string"] + b"\n")
    digest.update(scope.get(BODY, b""))
    return digest.digest()
