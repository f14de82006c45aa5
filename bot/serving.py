"""The daemon's two HTTP interfaces: commands on a unix socket, probes on a loopback port.

Both are served on the trading loop; the daemon owns the signals and the end.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from bot.config import ApiConfig
from strategies.errors import ConfigError

_POLL_SECS = 0.01
_BACKLOG = 16
_MOST_REQUESTS = 32


class Serving:
    """Interfaces that are being served, on the daemon's loop."""

    def __init__(self) -> None:
        self._servers: list[tuple[uvicorn.Server, asyncio.Task[None], str]] = []
        self._sockets: list[socket.socket] = []
        self.url: str | None = None
        """Where the probes are; None where they are switched off."""

    def serve_socket(self, app: FastAPI, path: Path) -> None:
        """Serve on a unix socket."""
        config = uvicorn.Config(app, uds=str(path), log_config=None, lifespan="off")
        self._start(config, f"the operator's socket {path}")

    def serve_probes(self, app: FastAPI, config: ApiConfig) -> None:
        """Serve on a loopback port, unless that is switched off.

        Raises:
            ConfigError: If the port is taken.
        """
        if not config.enabled:
            return
        bound = self._bind(config)
        self._sockets.append(bound)
        host, port = bound.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        settings = uvicorn.Config(
            app,
            fd=bound.fileno(),
            log_config=None,
            lifespan="off",
            limit_concurrency=_MOST_REQUESTS,
            timeout_keep_alive=5,
            server_header=False,
            date_header=False,
        )
        self._start(settings, self.url)

    async def until_started(self) -> None:
        """Return once all of them answer.

        Raises:
            ConfigError: If one cannot be opened.
        """
        for server, task, name in self._servers:
            while not server.started:
                if task.done():
                    task.result()
                    raise ConfigError(f"{name} could not be opened")
                await asyncio.sleep(_POLL_SECS)

    async def close(self) -> None:
        """Answer what has come in, and stop."""
        for server, _, _ in self._servers:
            server.should_exit = True
        for _, task, _ in self._servers:
            await task
        for one in self._sockets:
            one.close()

    def _start(self, config: uvicorn.Config, name: str) -> None:
        server = _Server(config)
        self._servers.append((server, asyncio.create_task(server.serve()), name))

    def _bind(self, config: ApiConfig) -> socket.socket:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((config.host, config.port))
        except OSError as error:
            bound.close()
            raise ConfigError(
                f"[api] port = {config.port}: expected a port of {config.host} that is free, found: "
                f"{error.strerror}; name another, or 0 for any, or set enabled = false"
            ) from error
        bound.listen(_BACKLOG)
        return bound


class _Server(uvicorn.Server):
    """The daemon owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
