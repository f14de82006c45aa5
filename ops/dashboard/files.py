"""The dashboard as a browser gets it: one page and its files, and a policy that allows no others.

The files hold nothing of the account, so anybody who reaches the port may have them; what the page shows it
asks of the routes, with whatever token a person gave it. The folder's name is a hash over all files: a
browser keeps them for ever, and another version of them has another name.
"""

import gzip
import hashlib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from string import Template
from typing import NamedTuple

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from ops.api.problems import ProblemError

HERE = Path(__file__).parent
REPORT = HERE.parent / "report"
"""The charts of the report draw with the same files: uPlot, and regimes behind prices."""
SHARED = (REPORT / "vendor" / "uplot.min.js", REPORT / "vendor" / "uplot.min.css", REPORT / "bands.js")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No script, style or address but our own, and no text that becomes HTML."""
LATER = ("/v1/models", "/v1/runs")
"""Routes that a daemon may have or not; the page is told."""

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PAGE = "index.html"
_DIGITS = 16


class _File(NamedTuple):
    content: bytes
    packed: bytes
    media_type: str


class Dashboard:
    """The page and its files.

    Raises:
        OSError: If a file is missing: the installation is damaged.
    """

    def __init__(self) -> None:
        paths = [*(path for path in sorted(HERE.iterdir()) if path.suffix in _TYPES), *SHARED]
        self._files: Mapping[str, _File] = {path.name: _packed(path) for path in paths}
        self._template = Template((HERE / _PAGE).read_text(encoding="utf-8"))
        digest = hashlib.sha256()
        for name, file in self._files.items():
            digest.update(name.encode() + b"\0" + file.content)
        self.folder = f"/assets/{digest.hexdigest()[:_DIGITS]}"
        """Where the files are."""

    @property
    def names(self) -> Collection[str]:
        """The files beside the page."""
        return self._files.keys()

    def add_to(self, app: FastAPI) -> None:
        """Serve it at ``/``; none of it is described, for nobody but the page itself asks for it."""

        async def page(request: Request) -> Response:
            routes = {getattr(route, "path", "") for route in request.app.routes}
            text = self._template.substitute(
                assets=self.folder, routes=" ".join(one for one in LATER if one in routes)
            )
            tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"'
            headers = {"content-security-policy": POLICY, "cache-control": "no-cache", "etag": tag}
            if _is_held(request, tag):
                return Response(status_code=304, headers=headers)
            return Response(text, media_type="text/html", headers=headers)

        async def file(request: Request) -> Response:
            found = self._files.get(request.path_params["name"])
            if found is None or f"/assets/{request.path_params['digest']}" != self.folder:
                raise ProblemError(404, "there is no such file of the dashboard; load the page again")
            headers = {
                "cache-control": "public, max-age=31536000, immutable",
                "etag": f'"{hashlib.sha256(found.content).hexdigest()[:_DIGITS]}"',
                "vary": "accept-encoding",
            }
            if _is_held(request, headers["etag"]):
                return Response(status_code=304, headers=headers)
            if not re.search(r"\bgzip\b", request.headers.get("accept-encoding", "")):
                return Response(found.content, media_type=found.media_type, headers=headers)
            headers["content-encoding"] = "gzip"
            return Response(found.packed, media_type=found.media_type, headers=headers)

        app.add_route("/", page, include_in_schema=False)
        app.add_route("/assets/{digest}/{name}", file, include_in_schema=False)


def _packed(path: Path) -> _File:
    content = path.read_bytes()
    # Packed once, before anything trades: a hundred kilobytes take milliseconds.
    return _File(content, gzip.compress(content, mtime=0), _TYPES[path.suffix])


def _is_held(request: Request, tag: str) -> bool:
    return tag in request.headers.get("if-none-match", "")
