"""One connection of a client: who is at its other end, and how long it may take to ask.

The kernel says which user is behind a unix socket. Whoever sends half a request and no more is hung up on,
and so may be whoever does not read what it asked for.
"""

import asyncio
import socket
import struct
from typing import Any, NamedTuple

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

PEER = "argonaut.peer"
"""Where a request's scope holds its `Peer`."""
DROP = "argonaut.drop"
"""Where it holds a function that cuts the connection."""

REQUEST_SECS = 10.0
"""In which a request has to be there as a whole."""

_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """The other end of a connection."""

    name: str
    """``uid 1000`` behind a unix socket, else the address."""
    uid: int | None
    """User behind a unix socket; None behind any other."""


class Connection(H11Protocol):
    """Uvicorn's protocol, with a peer and a deadline."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app, peer, drop = self.app, peer_of(transport), transport.abort

        async def served(scope: Any, receive: Any, send: Any) -> None:
            scope[PEER], scope[DROP] = peer, drop
            await app(scope, receive, send)

        self.app = served
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        self._expect_request()
        super().data_received(data)
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._stop_expecting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECS, self.transport.abort)

    def _stop_expecting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Who is at the other end."""
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family == socket.AF_UNIX:
        size = _CREDENTIALS.size
        _, uid, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return Peer(f"uid {uid}", uid)
    address = transport.get_extra_info("peername")
    return Peer(address[0] if address else "unknown", None)
