"""Health and metrics over a real loopback port, and where a port may be."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.config import ApiConfig
from bot.operation.serving import Serving, check_certificate
from ops.api.fences import fenced
from ops.api.probes import HOSTS, make_probes
from strategies.errors import ConfigError
from tests.support.operators import FakeProbe, asked, served

type Asked = tuple[str, str, dict[str, str]]


def ask(probe: FakeProbe, *requests: Asked, is_real: bool = False) -> tuple[list[httpx.Response], list[Any]]:
    """Answers to method, path and headers, and what was counted of them."""
    counted: list[Any] = []

    async def use(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await client.request(method, path, headers=more) for method, path, more in requests]

    app = fenced(
        make_probes(probe),
        surface="probes",
        answered=lambda surface, code: counted.append((surface, code)),
        hosts=HOSTS,
        book=None,
        monotonic=lambda: 0.0,
    )
    return (served if is_real else asked)(app, use), counted


def test_probes_say_alive_ready_and_what_is_measured() -> None:
    probe = FakeProbe()

    (alive, ready, metrics), counted = ask(
        probe,
        ("GET", "/livez", {}),
        ("GET", "/readyz", {}),
        ("GET", "/metrics", {"accept": "text/plain"}),
        is_real=True,
    )

    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "because": []})
    assert metrics.text == "argonaut_ready 1.0\n"
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4"
    assert probe.accepted == ["text/plain"]
    assert counted == [("probes", 200)] * 3
    assert "server" not in metrics.headers


def test_daemon_that_is_not_ready_says_why_with_a_code_that_machines_understand() -> None:
    probe = FakeProbe()
    probe.because = ["the feed gave up: the venue closed"]

    (alive, ready), _ = ask(probe, ("GET", "/livez", {}), ("GET", "/readyz", {}))

    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["because"]) == (503, ["the feed gave up: the venue closed"])


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8050", "127.0.0.1.evil.example", ""])
def test_page_that_reached_the_port_under_a_name_of_its_own_is_refused(host: str) -> None:
    (answer,), counted = ask(FakeProbe(), ("GET", "/metrics", {"host": host}))

    assert (answer.status_code, counted) == (400, [("probes", 400)])
    assert "argonaut_" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8050", "LOCALHOST:8050"])
def test_this_machine_is_answered_under_each_of_its_names(host: str) -> None:
    (answer,), _ = ask(FakeProbe(), ("GET", "/livez", {"host": host}))

    assert answer.status_code == 200


def test_probes_change_nothing_and_document_nothing() -> None:
    answers, _ = ask(
        FakeProbe(),
        ("POST", "/livez", {}),
        ("DELETE", "/metrics", {}),
        ("GET", "/docs", {}),
        ("GET", "/openapi.json", {}),
        ("GET", "/v1/status", {}),
        ("OPTIONS", "/metrics", {"access-control-request-method": "GET"}),
    )

    assert [one.status_code for one in answers] == [405, 405, 404, 404, 404, 405]
    assert {one.headers["content-type"] for one in answers} == {"application/problem+json"}
    assert not any("access-control-allow-origin" in one.headers for one in answers)


def test_port_that_is_taken_is_a_clear_refusal_and_nothing_is_served() -> None:
    async def run(port: int) -> None:
        Serving().serve_port(make_probes(FakeProbe()), ApiConfig(port=port))

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"\[api\] port = {port}: expected a port .* that is free"):
            asyncio.run(run(port))


def test_interface_that_is_switched_off_has_no_address() -> None:
    serving = Serving()
    serving.serve_port(make_probes(FakeProbe()), ApiConfig(enabled=False))

    assert serving.url is None


REMOTE: dict[str, Any] = {
    "allow_remote": True,
    "tokens": True,
    "tls_cert": "/etc/argonaut/cert.pem",
    "tls_key": "/etc/argonaut/key.pem",
}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::"])  # noqa: S104 - to be refused
@pytest.mark.parametrize("lacking", REMOTE)
def test_address_that_others_could_reach_needs_every_protection(host: str, lacking: str) -> None:
    given = {key: value for key, value in REMOTE.items() if key != lacking}

    with pytest.raises(ValueError, match=r"not a loopback address.*it needs|come together"):
        ApiConfig(host=host, **given)
    assert ApiConfig(host=host, **REMOTE).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::"])  # noqa: S104 - to be refused
def test_address_that_others_could_reach_is_never_open_to_read(host: str) -> None:
    with pytest.raises(ValueError, match="everybody who reaches it could read the account"):
        ApiConfig(host=host, open_to_read=True, **REMOTE)
    assert ApiConfig(host="::1", open_to_read=True).open_to_read


def test_names_that_others_use_and_open_to_read_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="set one of them, not both"):
        ApiConfig(hosts=("bot.example",), open_to_read=True)


@pytest.mark.parametrize("host", ["localhost", "example.org", ""])
def test_host_that_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        ApiConfig(host=host)


def test_key_that_others_may_read_and_certificate_that_is_none_are_refused(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text("no certificate")
    key.write_text("no key")
    key.chmod(0o644)
    with pytest.raises(ConfigError, match=r"only its owner may read, found mode 0644"):
        check_certificate(str(cert), str(key))
    key.chmod(0o600)

    with pytest.raises(ConfigError, match="expected a certificate and its key"):
        check_certificate(str(cert), str(key))
