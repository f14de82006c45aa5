"""The daemon under a supervisor that listens as systemd does; under a real one: test_systemd.py."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.exit_codes import ExitCode
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess


class FakeSupervisor:
    """Hears everything and does nothing."""

    def __init__(self, path: Path) -> None:
        self.said: list[str] = []
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(str(path))
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()

    def close(self) -> None:
        self._ear.shutdown(socket.SHUT_RDWR)
        self._listening.join()
        self._ear.close()

    def _listen(self) -> None:
        while said := self._ear.recv(4096):
            self.said.append(said.decode())


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSupervisor]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    fake = FakeSupervisor(tmp_path / "notify")
    try:
        yield fake
    finally:
        fake.close()


def test_daemon_tells_its_supervisor_from_start_to_end(
    supervisor: FakeSupervisor, market: Path, tmp_path: Path
) -> None:
    host = write_bot(tmp_path, market, ("holder",), kind="paper")
    with DaemonProcess(host, tmp_path / "var", "--speed", 600) as daemon:
        daemon.until(lambda: supervisor.said.count("WATCHDOG=1") >= 3)
        daemon.ask("stop")
        assert daemon.wait(15.0) == ExitCode.OK

    said = supervisor.said
    (ready,) = [at for at, line in enumerate(said) if line.startswith("READY=1\nSTATUS=READY after")]
    (stopping,) = [at for at, line in enumerate(said) if line.startswith("STOPPING=1\nSTATUS=stopping:")]
    assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in said[:ready])
    assert "STATUS=trading ACTIVE" in said[ready:stopping]
    assert "EXTEND_TIMEOUT_USEC=45000000" in said[stopping:]  # 30 s for orders, 15 s for the rest


def test_daemon_whose_data_ended_and_that_waits_goes_on_feeding_the_watchdog(
    supervisor: FakeSupervisor, market: Path, tmp_path: Path
) -> None:
    more = '\n[replay]\nat_end = "idle"\n'
    host = write_bot(tmp_path, market, ("holder",), kind="paper", end="2024-01-01T03:00", more=more)
    with DaemonProcess(host, tmp_path / "var", "--speed", "max") as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.ask("status", "--json").document()["feeds"][0]["state"] == "FINISHED")
        fed = supervisor.said.count("WATCHDOG=1")
        daemon.until(lambda: supervisor.said.count("WATCHDOG=1") >= fed + 3)
        daemon.stop()


def test_daemon_that_did_not_start_was_never_ready(supervisor: FakeSupervisor, tmp_path: Path) -> None:
    host = write_bot(tmp_path, tmp_path / "no-catalog", ("holder",), kind="paper")
    host.write_text(host.read_text().replace('name = "DEMO"', 'name = "NASDAQ"'))
    with DaemonProcess(host, tmp_path / "var") as daemon:
        assert daemon.wait() != ExitCode.OK

    assert not any(line.startswith("READY") for line in supervisor.said)
