"""The service under a real systemd in namespaces: what keeps it alive, and what leaves it down."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bot.exit_codes import ExitCode
from bot.service_unit import Installation, render_unit
from tests.support.bots import write_bot
from tests.support.systemd import PLACE, Machine, why_not

QUICK = {"WatchdogSec": "3s", "RestartSec": "500ms"}
"""What the test changes of the unit: how long things take."""


@contextmanager
def machine(market: Path, tmp_path: Path, more: str = "") -> Iterator[Machine]:
    """A systemd with the unit as it is installed."""
    if why := why_not():
        pytest.skip(why)
    more = f'\n[replay]\nspeed = 600.0\nat_end = "idle"\n{more}'
    write_bot(tmp_path / "lab" / "conf", PLACE / "catalog", ("holder",), kind="paper", more=more)
    here = Installation(PLACE / "bin" / "argonaut", PLACE / "conf" / "paper.toml", PLACE / "argonaut")
    with ExitStack() as stack:
        try:
            found = stack.enter_context(Machine(tmp_path / "lab", render_unit(here), QUICK, market))
        except PermissionError as refusal:
            pytest.skip(f"no namespaces for a systemd here: {refusal}")
        yield found


def is_up(machine: Machine, *, after: str = "0") -> bool:
    shown = machine.show()
    return shown["ActiveState"] == "active" and shown["MainPID"] not in {"0", after}


def test_service_is_kept_alive_and_stops_in_order(market: Path, tmp_path: Path) -> None:
    with machine(market, tmp_path) as systemd:
        systemd.systemctl("start", systemd.unit)
        first = systemd.show()
        # Type=notify: `start` returns once the daemon has said that it is ready.
        assert (first["ActiveState"], first["NRestarts"]) == ("active", "0"), systemd.log[-6000:]
        assert first["UID"] not in {"0", "[not set]"}
        assert first["StatusText"].startswith(("READY after", "trading ACTIVE"))

        systemd.kill(signal.SIGKILL)
        systemd.until(lambda: is_up(systemd, after=first["MainPID"]))
        second = systemd.show()
        assert second["NRestarts"] == "1"

        systemd.kill(signal.SIGSTOP)  # the loop stands still
        systemd.until(lambda: is_up(systemd, after=second["MainPID"]))
        assert systemd.show()["NRestarts"] == "2"

        systemd.systemctl("stop", systemd.unit)
        stopped = systemd.show()
        assert (stopped["ActiveState"], stopped["Result"]) == ("inactive", "success"), systemd.log[-6000:]
        assert stopped["ExecMainStatus"] == str(int(ExitCode.OK))


def test_service_that_needs_a_person_is_left_down(market: Path, tmp_path: Path) -> None:
    with machine(market, tmp_path, more="sped = 1.0\n") as systemd:
        systemd.systemctl("start", systemd.unit)

        failed = systemd.show()
        assert failed["ExecMainStatus"] == str(int(ExitCode.CONFIG)), systemd.log[-6000:]
        # Where it is to be started again it is activating, and waits.
        assert (failed["ActiveState"], failed["SubState"], failed["NRestarts"]) == ("failed", "failed", "0")
