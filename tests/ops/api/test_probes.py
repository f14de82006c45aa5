"""Health and metrics over a real loopback port."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from bot.config import ApiConfig
from bot.serving import Serving
from ops.api.probes import make_probes
from strategies.errors import ConfigError


class _Daemon:
    def __init__(self) -> None:
        self.because: list[str] = []
        self.accepted: list[str] = []
        self.answers: list[tuple[str, int]] = []

    def unready(self) -> list[str]:
        return self.because

    def metrics(self, accept: str) -> tuple[bytes, str]:
        self.accepted.append(accept)
        return b"argonaut_ready 1.0\n", "text/plain; version=0.0.4"

    def answered(self, surface: str, code: int) -> None:
        self.answers.append((surface, code))


def ask(daemon: _Daemon, *requests: tuple[str, str, dict[str, str]]) -> list[httpx.Response]:
    """Answers to method, path and headers, from a server on a port of its own."""

    async def run() -> list[httpx.Response]:
        serving = Serving()
        serving.serve_probes(make_probes(daemon), ApiConfig(port=0))
        await serving.until_started()
        async with httpx.AsyncClient(base_url=serving.url or "") as client:
            answers = [await client.request(method, path, headers=more) for method, path, more in requests]
        await serving.close()
        return answers

    return asyncio.run(run())


def test_probes_say_alive_ready_and_what_is_measured() -> None:
    daemon = _Daemon()

    alive, ready, metrics = ask(
        daemon, ("GET", "/livez", {}), ("GET", "/readyz", {}), ("GET", "/metrics", {"accept": "text/plain"})
    )

    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "because": []})
    assert metrics.text == "argonaut_ready 1.0\n"
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4"
    assert daemon.accepted == ["text/plain"]
    assert daemon.answers == [("probes", 200)] * 3


def test_daemon_that_is_not_ready_says_why_with_a_code_that_machines_understand() -> None:
    daemon = _Daemon()
    daemon.because = ["the feed gave up: the venue closed"]

    (alive, ready) = ask(daemon, ("GET", "/livez", {}), ("GET", "/readyz", {}))

    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["because"]) == (503, ["the feed gave up: the venue closed"])


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8050", "127.0.0.1.evil.example"])
def test_page_that_reached_the_port_under_a_name_of_its_own_is_refused(host: str) -> None:
    (answer,) = ask(_Daemon(), ("GET", "/metrics", {"host": host}))

    assert answer.status_code == 400
    assert "argonaut" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8050", "LOCALHOST:8050"])
def test_this_machine_is_answered_under_each_of_its_names(host: str) -> None:
    (answer,) = ask(_Daemon(), ("GET", "/livez", {"host": host}))

    assert answer.status_code == 200


def test_probes_change_nothing_and_document_nothing() -> None:
    answers = ask(
        _Daemon(),
        ("POST", "/livez", {}),
        ("DELETE", "/metrics", {}),
        ("GET", "/docs", {}),
        ("GET", "/openapi.json", {}),
        ("GET", "/v1/status", {}),
        ("OPTIONS", "/metrics", {"origin": "http://evil.example", "access-control-request-method": "GET"}),
    )

    assert [one.status_code for one in answers] == [405, 405, 404, 404, 404, 405]
    assert not any("access-control-allow-origin" in one.headers for one in answers)
    assert not any("server" in one.headers for one in answers)


def test_port_that_is_taken_is_a_clear_refusal_and_nothing_is_served() -> None:
    async def run(port: int) -> None:
        Serving().serve_probes(FastAPI(), ApiConfig(port=port))

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"\[api\] port = {port}: expected a port .* that is free"):
            asyncio.run(run(port))


def test_interface_that_is_switched_off_has_no_address(tmp_path: Path) -> None:
    serving = Serving()
    serving.serve_probes(FastAPI(), ApiConfig(enabled=False))

    assert serving.url is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "localhost", "example.org"])  # noqa: S104
def test_address_that_others_could_reach_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"loopback address|not an address"):
        ApiConfig(host=host)
