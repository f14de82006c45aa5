"""The daemon's two HTTP interfaces: the operator's unix socket, and a port.

Both are served on the trading loop; the daemon owns the signals and the end.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from bot.config import ApiConfig
from ops.api.connection import Connection
from ops.api.tokens import TokenBook
from strategies.errors import ConfigError

_POLL_SECS = 0.01
_BACKLOG = 16
_MOST_CONNECTIONS = 64
_LAST_ANSWERS_SECS = 2
_LONGEST_HEAD_BYTES = 16 * 1024
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


class Serving:
    """Interfaces that are being served, on the daemon's loop."""

    def __init__(self) -> None:
        self._servers: list[tuple[uvicorn.Server, asyncio.Task[None], str]] = []
        self._sockets: list[socket.socket] = []
        self.url: str | None = None
        """Where the port is; None where it is switched off."""

    def serve_socket(self, app: ASGIApp, path: Path) -> None:
        """Serve on a unix socket."""
        self._start(_settings(app, uds=str(path)), f"the operator's socket {path}")

    def serve_port(self, app: ASGIApp, config: ApiConfig) -> None:
        """Serve on a port, unless that is switched off.

        Raises:
            ConfigError: If the port is taken, or the certificate cannot be used.
        """
        if not config.enabled:
            return
        if config.tls_cert is not None and config.tls_key is not None:
            check_certificate(config.tls_cert, config.tls_key)
        bound = self._bind(config)
        self._sockets.append(bound)
        host, port = bound.getsockname()[:2]
        scheme = "http" if config.tls_cert is None else "https"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        settings = _settings(
            app,
            fd=bound.fileno(),
            limit_concurrency=_MOST_CONNECTIONS,
            ssl_certfile=config.tls_cert,
            ssl_keyfile=config.tls_key,
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


def token_book(config: ApiConfig, state_dir: Path, environment: Mapping[str, str]) -> TokenBook | None:
    """Whose tokens are valid; None where none are wanted.

    Args:
        environment: Where systemd says its credentials are.

    Raises:
        ConfigError: If tokens are wanted and the file of them is not right.
    """
    if not (config.enabled and config.tokens):
        return None
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    folder = Path(credentials) if credentials else None
    return TokenBook.find(folder, state_dir, may_be_empty=config.open_to_read)


def check_certificate(cert: str, key: str) -> None:
    """Make sure that a certificate and its key can be used.

    Raises:
        ConfigError: If they cannot, or others may read the key.
    """
    try:
        mode = stat.S_IMODE(Path(key).stat().st_mode)
        if mode & _OTHERS_MAY and not key.startswith(os.environ.get("CREDENTIALS_DIRECTORY") or "\0"):
            raise ConfigError(
                f"[api] tls_key = {key}: expected a file that only its owner may read, found mode "
                f"{mode:04o}; chmod 600 it"
            )
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"[api] tls_cert = {cert}, tls_key = {key}: expected a certificate and its key, found: {error}"
        ) from error


def _settings(
    app: ASGIApp,
    *,
    uds: str | None = None,
    fd: int | None = None,
    limit_concurrency: int | None = None,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        uds=uds,
        fd=fd,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,  # a client does not say who it is
        limit_concurrency=limit_concurrency,
        h11_max_incomplete_event_size=_LONGEST_HEAD_BYTES,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_LAST_ANSWERS_SECS,
        server_header=False,
        date_header=False,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
    )


class _Server(uvicorn.Server):
    """The daemon owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
