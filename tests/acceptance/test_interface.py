"""A real daemon over its HTTP interface: asked, told, armed, listened to; and no secret in what it leaves."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.cli.app import main
from ops.api.roles import Role
from ops.model_store import ModelStore
from ops.state_dir import JOURNAL
from ops.state_lock import SOCKET
from tests.support.bundles import write_small_bundle
from tests.support.command import DaemonProcess, argonaut
from tests.support.journals import recorded
from tests.support.serving import Serving, serving

CANARY = "canary-hunter2"
BRISK = 1_800


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interface")


@pytest.fixture(scope="module")
def served(long_market: Path, place: Path) -> Iterator[Serving]:
    """A daemon with tokens, and with secrets where a venue's and an alert channel's would be."""
    (place / "var").mkdir(mode=0o700)
    (place / "var" / "alerts.urls").write_text(f"json://user:{CANARY}@127.0.0.1:9/{CANARY}\n")
    (place / "var" / "alerts.urls").chmod(0o600)
    os.environ["BINANCE_API_SECRET"] = CANARY
    try:
        with serving(place, long_market, speed=BRISK, until=("wanderer: BUY", "wanderer: SELL")) as found:
            yield found
    finally:
        del os.environ["BINANCE_API_SECRET"]


@pytest.fixture(scope="module")
def tokens(served: Serving) -> dict[Role, str]:
    return served.tokens


@pytest.fixture(scope="module")
def daemon(served: Serving) -> DaemonProcess:
    return served.daemon


@pytest.fixture(scope="module")
def url(served: Serving) -> str:
    return served.url


def ask(url: str, token: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    head = {"authorization": f"Bearer {token}"} | {key.replace("_", "-"): one for key, one in headers.items()}
    return httpx.request(method, url + path, json=body, headers=head, timeout=60.0)


def test_every_question_is_answered_as_the_command_line_answers_it(
    daemon: DaemonProcess, url: str, tokens: dict[Role, str]
) -> None:
    viewer = tokens[Role.VIEWER]
    paths = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())["paths"]
    questions = [
        path
        for path, one in paths.items()
        if "get" in one and path != "/v1/stream"
        # What names a run or a model is asked in tests/acceptance/test_runs.py, where there is one.
        if not any(parameter["required"] for parameter in one["get"].get("parameters", ()))
    ]

    answers = {path: ask(url, viewer, "GET", path) for path in questions}

    assert {path: one.status_code for path, one in answers.items()} == dict.fromkeys(questions, 200)
    fills = answers["/v1/fills"].json()["rows"]
    status = answers["/v1/status"].json()
    assert fills
    assert status["loop"]["lag_p99_ms"] is not None
    assert status["disk"]["free_bytes"] > 0
    assert {one["name"] for one in answers["/v1/strategies"].json()} == {"wanderer", "breakout"}
    assert {one["scope"] for one in answers["/v1/limits"].json()} >= {"wanderer", "breakout"}
    shown = daemon.ask("fills", "--json", "--limit", "1000").document()
    assert {one["trade_id"] for one in fills} <= {one["trade_id"] for one in shown}


@pytest.mark.parametrize(
    "command", ["fills", "trades", "decisions", "regimes", "pnl", "limits", "strategies"]
)
def test_tables_are_shown_for_people_and_as_json(
    daemon: DaemonProcess, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--state-dir", str(daemon.state_dir)]

    assert main([command, *where]) == 0
    text = capsys.readouterr().out
    assert main([command, "--json", *where]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) > 0
    assert "│" in text


def test_command_is_in_the_journal_before_what_it_did_with_who_gave_it(
    daemon: DaemonProcess, url: str, tokens: dict[Role, str], tmp_path: Path
) -> None:
    body = {"strategy": "breakout", "reason": "a test", "who": "ann"}
    first = ask(url, tokens[Role.OPERATOR], "POST", "/v1/pause", body, idempotency_key="k1")
    again = ask(url, tokens[Role.OPERATOR], "POST", "/v1/pause", body, idempotency_key="k1")
    ask(url, tokens[Role.OPERATOR], "POST", "/v1/unpause", body)
    refused = ask(url, tokens[Role.VIEWER], "POST", "/v1/pause", body)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(daemon.state_dir / SOCKET))) as client:
        client.post("http://argonaut/v1/pause", json=body | {"strategy": "nobody"})
    bundle = ModelStore(daemon.state_dir).add(write_small_bundle(tmp_path))
    promoted = daemon.ask("models", "promote", bundle.name, bundle.bundle_id, "--reason", "it is better")
    daemon.until(lambda: len(recorded(daemon.state_dir, "command")) >= 6)

    assert promoted.code == 0, promoted.err
    assert "follows it when it starts" in promoted.out
    assert (first.status_code, again.json(), refused.status_code) == (200, first.json(), 403)
    told = [(one["command"], one.get("stage"), one["who"]) for one in recorded(daemon.state_dir, "command")]
    operator = next(who for _, _, who in told)
    assert operator.startswith("ann (token operator-")
    assert told[:5] == [
        ("pause", "asked", operator),
        ("pause", None, operator),
        ("unpause", "asked", operator),
        ("unpause", None, operator),
        ("pause", "asked", f"ann (uid {os.getuid()})"),
    ]
    (command, stage, who), reason = told[5], recorded(daemon.state_dir, "command")[5]["reason"]
    assert (command, stage, reason) == ("models promote", "asked", "it is better")
    assert who.startswith("cli ")
    assert who.endswith(f"(uid {os.getuid()})")


def test_stream_tells_what_the_daemon_does(daemon: DaemonProcess, url: str, tokens: dict[Role, str]) -> None:
    wanted = {"init", "status", "decision", "verdict", "order", "fill", "position"}
    seen = set[str]()
    head = {"authorization": f"Bearer {tokens[Role.VIEWER]}"}

    with httpx.stream("GET", f"{url}/v1/stream", headers=head, timeout=60.0) as answer:
        for line in answer.iter_lines():
            seen.update([line.removeprefix("event: ")] if line.startswith("event: ") else [])
            if seen == wanted:
                break

    assert seen == wanted


def test_disarmed_daemon_sends_nothing_until_it_is_armed_in_two_steps(
    daemon: DaemonProcess, url: str, tokens: dict[Role, str]
) -> None:
    admin, state_dir = tokens[Role.ADMIN], daemon.state_dir

    def sent() -> int:
        return sum(one["status"] == "SUBMITTED" for one in recorded(state_dir, "order"))

    assert ask(url, admin, "POST", "/v1/disarm", {"reason": "a test"}).json()["armed"] is False
    daemon.until(lambda: recorded(state_dir, "command")[-1]["command"] == "disarm")
    before, decided = sent(), len(recorded(state_dir, "decision"))
    daemon.until(lambda: len(recorded(state_dir, "decision")) > decided + 80)
    assert sent() == before

    wrong = ask(url, admin, "POST", "/v1/arm/confirm", {"reason": "a test", "nonce": "guessed"})
    asked = ask(url, admin, "POST", "/v1/arm", {"reason": "a test"}).json()
    assert asked["summary"]["venue"] == "DEMO"
    assert ask(url, admin, "GET", "/v1/status").json()["armed"] is False
    right = ask(url, admin, "POST", "/v1/arm/confirm", {"reason": "a test", "nonce": asked["nonce"]})
    assert (wrong.status_code, right.json()) == (409, {"armed": True, "changed": True})
    daemon.until(lambda: sent() > before)
    assert asked["nonce"] not in "".join(map(str, recorded(state_dir, "command")))


def test_planted_secrets_are_in_nothing_that_the_daemon_says_or_leaves(
    daemon: DaemonProcess, url: str, tokens: dict[Role, str], place: Path
) -> None:
    secrets = [CANARY, *tokens.values()]
    admin = tokens[Role.ADMIN]
    told = [
        ask(url, admin, "GET", path).text
        for path in ("/v1/status", "/v1/config", "/v1/strategies", "/v1/audit/head", "/metrics", "/readyz")
    ]
    told += [
        ask(url, secret, "POST", "/v1/kill", {"reason": 1}).text for secret in (CANARY, tokens[Role.VIEWER])
    ]
    told += [ask(url, CANARY, "GET", f"/v1/fills?token={CANARY}").text]
    told += [argonaut("config", "show", place / "paper.toml", "--json").out, daemon.ask("token", "list").out]
    daemon.stop()

    told += [daemon.said]
    left = [path for path in (place / "var").rglob("*") if path.is_file() and path.name != "alerts.urls"]
    told += [path.read_bytes().decode("latin-1") for path in left]

    assert any(path.parent.name == JOURNAL for path in left)
    assert any(path.suffix == ".jsonl" and path.parent.name == "logs" for path in left)
    assert [secret for secret in secrets if any(secret in text for text in told)] == []
