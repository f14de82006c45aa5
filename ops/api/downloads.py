"""Files on their way out: piece by piece, read by a thread, never whole in memory.

One range of a file may be asked for; a file that is still as it was is not sent again. What is sent is to be
saved, never shown: a report may hold scripts, and this is where commands are given.

Source:
    RFC 9110, sections 13 and 14.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ops.api.connection import DROP
from ops.api.problems import ProblemError
from ops.api.stream import until_gone

PATIENCE_SECS = 30.0
"""In which a client has to take a piece."""

_PIECE_BYTES = 65_536
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_SAVED = {
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
}


class Download(Response):
    """An answer that comes in pieces.

    Args:
        pieces: Made one by one, on a thread.
        name: Under which it is to be saved.
        status: HTTP status.
        headers: Further headers.
        media_type: Of the whole.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        name: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = "application/octet-stream",
    ) -> None:
        saved = {"content-disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}
        super().__init__(
            status_code=status, headers={**_SAVED, **saved, **(headers or {})}, media_type=media_type
        )
        if headers is None or "content-length" not in headers:
            del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending, gone = asyncio.create_task(self._send(send)), asyncio.create_task(until_gone(receive))
        await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        is_stuck = sending.done() and not sending.cancelled() and sending.exception() is not None
        for task in (sending, gone):
            task.cancel()
        await asyncio.gather(sending, gone, return_exceptions=True)
        if is_stuck and (drop := scope.get(DROP)) is not None:
            drop()  # what is there is not the whole, and must not look like it

    async def _send(self, send: Send) -> None:
        while (piece := await asyncio.to_thread(next, self._pieces, None)) is not None:
            message = {"type": "http.response.body", "body": piece, "more_body": True}
            await asyncio.wait_for(send(message), PATIENCE_SECS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def file_answer(path: Path, name: str, size_bytes: int, etag: str, asked: Headers) -> Response:
    """A file, or one range of it, or that it is still what it was.

    Args:
        path: Where it lies.
        name: Under which it is to be saved.
        size_bytes: So much of it is sent, however it grows.
        etag: Stands for its bytes.
        asked: Headers of the request.

    Raises:
        ProblemError: If the range lies outside of it, or is no single one.
    """
    stands = {"etag": etag, "accept-ranges": "bytes"}
    if is_known(etag, asked):
        return Response(status_code=304, headers=stands)
    wanted = asked.get("range")
    if wanted is None or asked.get("if-range", etag) != etag:
        headers = stands | {"content-length": str(size_bytes)}
        return Download(_pieces(path, 0, size_bytes), name, headers=headers)
    first, last = _range(wanted, size_bytes)
    headers = stands | {
        "content-length": str(last + 1 - first),
        "content-range": f"bytes {first}-{last}/{size_bytes}",
    }
    return Download(_pieces(path, first, last + 1), name, status=206, headers=headers)


def is_known(etag: str, asked: Headers) -> bool:
    """Whether whoever asks has it already, as its ``If-None-Match`` says."""
    known = [one.strip().removeprefix("W/") for one in asked.get("if-none-match", "").split(",")]
    return etag in known or "*" in known


def _range(wanted: str, size_bytes: int) -> tuple[int, int]:
    match = _RANGE.fullmatch(wanted.strip())
    first, last = match.groups() if match else ("", "")
    if first:
        begin, end = int(first), min(int(last or size_bytes), size_bytes - 1)
    else:
        begin, end = max(0, size_bytes - int(last or 0)), size_bytes - 1
    if not match or not (first or last) or begin > end:
        raise ProblemError(
            416,
            f"expected one range within {size_bytes} bytes, such as bytes=0-99",
            headers={"content-range": f"bytes */{size_bytes}"},
        )
    return begin, end


def _pieces(path: Path, begin: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(begin)
        left = end - begin
        while left and (piece := file.read(min(_PIECE_BYTES, left))):
            left -= len(piece)
            yield piece
