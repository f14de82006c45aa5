"""The daemon's messages to people, over real HTTP, and the report that a halt leaves behind."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.exit_codes import ExitCode
from ops.alerts.channels import FILE
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess, argonaut
from tests.support.receiver import Receiver

BRISK = 1_800
PATH = "token-hunter2"
_PATIENCE_SECS = 30.0


@pytest.fixture
def host(long_market: Path, tmp_path: Path) -> Path:
    return write_bot(tmp_path, long_market, ("holder",), kind="paper")


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """Where the alerts of the state directory ``var`` go."""
    found = Receiver()
    (tmp_path / "var").mkdir()
    addresses = tmp_path / "var" / FILE
    addresses.write_text(f"json://127.0.0.1:{found.port}/{PATH}\n")
    addresses.chmod(0o600)
    yield found
    found.close()


def messages(receiver: Receiver) -> list[tuple[str, str]]:
    return [(one["title"], one["message"]) for one in map(json.loads, receiver.bodies)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_daemon_tells_people_what_happened_and_files_how_things_stood(
    host: Path, tmp_path: Path, receiver: Receiver
) -> None:
    state_dir = tmp_path / "var"
    with DaemonProcess(host, state_dir, "--speed", BRISK) as daemon:
        daemon.ready()
        until(lambda: any("started" in text for _, text in messages(receiver)))
        killed = time.monotonic()
        assert daemon.ask("kill", "--reason", "a test of messages").code == ExitCode.OK
        until(lambda: any("HALTED" in title for title, _ in messages(receiver)))
        delay_secs = time.monotonic() - killed
        daemon.stop()

    said = messages(receiver)
    (halt,) = [one for one in said if "HALTED" in one[0]]
    assert halt[0] == "[PAGE] argonaut paper DEMO: all is HALTED"
    assert "a test of messages" in halt[1]
    assert delay_secs < 15.0  # on a busy machine
    assert any("argonaut stop; exit code 0 (OK)" in text for _, text in said)
    (report,) = (state_dir / "incidents").iterdir()
    assert str(report) in halt[1]
    text = report.read_text()
    assert "- why: a test of messages" in text
    assert json.loads(text.split("```json")[1].split("```")[0])["trading_state"] == "HALTED"
    everything = (
        daemon.said + text + "".join(path.read_text() for path in (state_dir / "logs").glob("*.jsonl"))
    )
    assert PATH not in everything


def test_daemon_that_cannot_start_tells_people_why(host: Path, tmp_path: Path, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        host.write_text(host.read_text().replace("port = 0", f"port = {port}"))
        refused = argonaut("run", host, "--state-dir", tmp_path / "var")

    ((title, text),) = messages(receiver)
    assert refused.code == ExitCode.CONFIG
    assert title.startswith("[PAGE] argonaut paper DEMO: did not start")
    assert f"[api] port = {port}: expected a port" in text


def test_heads_that_people_were_sent_and_that_a_file_has_are_looked_for_in_the_journal(
    host: Path, tmp_path: Path, receiver: Receiver
) -> None:
    host.write_text(host.read_text().replace("[journal]\n", '[journal]\nanchor_file = "anchors.jsonl"\n'))
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.ready()
        until(lambda: any("--anchor" in text for _, text in messages(receiver)))
        daemon.stop()
    found = re.search(r"--anchor ([0-9a-f]{64})", "".join(text for _, text in messages(receiver)))

    assert found is not None
    assert daemon.ask("audit", "verify", "--anchor", found[1]).code == ExitCode.OK
    file = host.parent / "anchors.jsonl"
    lines = file.read_text().splitlines()
    in_the_file = daemon.ask("audit", "verify", "--anchor", file, "--json").document()
    assert in_the_file["anchors"] == len(lines) >= 2
    assert in_the_file["records"] == json.loads(lines[-1])["seq"]
    assert daemon.ask("audit", "verify", "--anchor", "0" * 63 + "1").code == ExitCode.AUDIT_CHAIN


def test_notify_tries_each_channel_and_a_readable_file_of_secrets_starts_nothing(
    host: Path, tmp_path: Path, receiver: Receiver
) -> None:
    var = tmp_path / "var"

    sent = argonaut("notify", host, "--state-dir", var, "--message", "hello", "--json")
    receiver.close()
    lost = argonaut("notify", host, "--state-dir", var)
    (var / FILE).chmod(0o644)
    refused = argonaut("run", host, "--state-dir", var)

    assert (sent.code, sent.document()) == (0, [{"channel": "json-1", "is_sent": True, "error": ""}])
    assert messages(receiver) == [("argonaut", "hello")]
    assert (lost.code, "json-1: NOT SENT" in lost.out) == (ExitCode.FINDINGS, True)
    assert (refused.code, "chmod 600" in refused.err) == (ExitCode.CONFIG, True)
    assert PATH not in sent.out + sent.err + lost.out + lost.err + refused.err
