import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.supervisor import Supervisor, Vitals, Watchdog


def listening(address: str) -> socket.socket:
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(address)
    ear.settimeout(5.0)
    return ear


def heard(ear: socket.socket) -> str:
    return ear.recv(4096).decode()


def fine(at: float, *, durable: int = 7, waiting: int = 0) -> Vitals:
    return Vitals(at, waiting, durable)


def run(vitals: Callable[[float], Vitals], *, secs: int, timeout_secs: float | None = 8.0) -> list[float]:
    """Seconds at which a watchdog was fed that was shown vitals four times a second."""
    fed: list[float] = []
    watchdog = Watchdog(timeout_secs, lambda: fed.append(now))
    for tick in range(secs * 4):
        now = tick / 4
        watchdog.beat(vitals(now))
    return fed


def test_supervisor_is_told_in_systemds_words(tmp_path: Path) -> None:
    with listening(str(tmp_path / "notify")) as ear:
        supervisor = Supervisor(str(tmp_path / "notify"))
        supervisor.needs(1.5)
        supervisor.ready("all\nis well")
        supervisor.alive()
        supervisor.stopping("the end")

        assert [heard(ear) for _ in range(4)] == [
            "EXTEND_TIMEOUT_USEC=1500000",
            "READY=1\nSTATUS=all is well",
            "WATCHDOG=1",
            "STOPPING=1\nSTATUS=the end",
        ]


def test_supervisor_on_an_abstract_socket_is_told(tmp_path: Path) -> None:
    name = f"argonaut-test-{tmp_path.name}"
    with listening(f"\0{name}") as ear:
        Supervisor(f"@{name}").alive()

        assert heard(ear) == "WATCHDOG=1"


def test_supervisor_hears_a_status_once_until_it_changes(tmp_path: Path) -> None:
    with listening(str(tmp_path / "notify")) as ear:
        supervisor = Supervisor(str(tmp_path / "notify"))
        for line in ("one", "one", "two", "two"):
            supervisor.status(line)
        supervisor.alive()

        assert [heard(ear) for _ in range(3)] == ["STATUS=one", "STATUS=two", "WATCHDOG=1"]


def test_supervisor_that_is_not_there_or_does_not_listen_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Supervisor().ready("nobody")
    assert not caplog.records

    Supervisor(str(tmp_path / "gone")).ready("nobody")

    assert "did not take READY, STATUS" in caplog.text


def test_supervisor_at_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a path or @name, found 'vsock:2:1'"):
        Supervisor("vsock:2:1")


def test_watchdog_is_fed_at_a_quarter_of_its_timeout() -> None:
    assert run(fine, secs=9) == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_watchdog_that_nobody_asked_for_is_not_fed() -> None:
    assert run(fine, secs=9, timeout_secs=None) == []


def test_watchdog_is_not_fed_while_nothing_reaches_the_disk() -> None:
    # From second 5 on records wait and none of them lands: half the timeout is allowed for a slow disk.
    fed = run(lambda at: fine(at, waiting=3 if at >= 5.0 else 0), secs=20)

    assert fed == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_watchdog_is_fed_while_records_wait_but_others_land() -> None:
    assert run(lambda at: fine(at, waiting=500, durable=int(at)), secs=20)[-1] == 18.0


def test_watchdog_without_anything_to_write_is_fed() -> None:
    assert run(lambda at: fine(at, waiting=0, durable=7), secs=20)[-1] == 18.0
