"""The read-only interface on a loopback port without tokens: alive, ready, and what it measures.

No route of it changes anything.
"""

from fastapi import FastAPI

from ops.api.app import probes
from ops.api.operator import Probe
from ops.api.problems import answer_with_problems

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names under which this machine may be asked."""


def make_probes(probe: Probe) -> FastAPI:
    """Build the routes; `ops.api.fences.fenced` belongs before them.

    Args:
        probe: The daemon; its methods are called on the loop.
    """
    app = FastAPI(title="Argonaut probes", docs_url=None, redoc_url=None, openapi_url=None)
    answer_with_problems(app)
    app.include_router(probes(probe))
    return app
