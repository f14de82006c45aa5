import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.chronicle import Chronicle
from bot.operation.control import Control
from bot.operation.supervision import Supervision
from ops.guardian import Guardian, GuardianLimits, Reading
from strategies.errors import ConfigError
from strategies.gate import TradingGate
from strategies.guardrails import TradingState


@pytest.fixture
def ear(tmp_path: Path) -> Any:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(5.0)
        yield found


def given(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "4000000", **more}


def said(ear: socket.socket) -> list[str]:
    """What was said so far."""
    ear.setblocking(False)
    lines: list[str] = []
    while True:
        try:
            lines.append(ear.recv(4096).decode())
        except BlockingIOError:
            return lines


def beat_of(supervision: Supervision, kill: str = "") -> Callable[[Reading], None]:
    gate = TradingGate(armed=True)
    if kill:
        gate.restrict(TradingState.HALTED, kill)
    guardian = Guardian(GuardianLimits(), lambda *_: None, now=lambda: 0, beat_secs=0.1)
    control, chronicle = (
        SimpleNamespace(gate=gate, guardian=guardian),
        SimpleNamespace(journal=SimpleNamespace(backlog=0, durable_seq=1)),
    )
    return supervision.after_beat(cast("Control", control), cast("Chronicle", chronicle))


def reading(at: float, overdue: float | None = None) -> Reading:
    return Reading(at, 0, 0, feed_overdue_secs=overdue)


def test_supervision_takes_its_variables_out_of_the_environment(tmp_path: Path) -> None:
    environ = given(tmp_path, WATCHDOG_PID=str(os.getpid()), PATH="/bin")

    Supervision(environ)

    assert environ == {"PATH": "/bin"}


def test_supervision_feeds_at_beats_and_says_how_trading_stands(ear: socket.socket, tmp_path: Path) -> None:
    beat = beat_of(Supervision(given(tmp_path)), kill="killed")

    for at in (0.0, 0.5, 1.0):
        beat(reading(at))

    assert said(ear) == ["WATCHDOG=1", "STATUS=trading HALTED: killed", "WATCHDOG=1"]


def test_supervision_feeds_however_long_the_feed_is_silent(ear: socket.socket, tmp_path: Path) -> None:
    # A venue that is out must not use up the starts that systemd allows: the guardian holds risk back.
    beat = beat_of(Supervision(given(tmp_path)))

    fed = 0
    for at in range(0, 601, 2):
        beat(reading(float(at), overdue=float(at)))
        fed += said(ear).count("WATCHDOG=1")

    assert fed == 301


def test_supervision_does_not_feed_the_watchdog_of_another_process(
    ear: socket.socket, tmp_path: Path
) -> None:
    beat_of(Supervision(given(tmp_path, WATCHDOG_PID="1")))(reading(0.0))

    assert said(ear) == ["STATUS=trading ACTIVE"]


def test_supervision_asks_for_time_as_the_journal_is_long(ear: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    with (tmp_path / "journal" / "segment-00000001.jsonl").open("wb") as file:
        file.truncate(40_000_000)

    Supervision(given(tmp_path)).starting(tmp_path)

    assert said(ear) == ["STATUS=starting: checking 38 MiB of journal", "EXTEND_TIMEOUT_USEC=70000000"]


@pytest.mark.parametrize(
    "changed", [{"NOTIFY_SOCKET": "vsock:1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "-1"}]
)
def test_supervision_with_variables_that_make_no_sense_is_refused(
    tmp_path: Path, changed: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match="unset"):
        Supervision(given(tmp_path) | changed)
