"""The jobs of a real daemon: on an operator's word, by the clock, and over a kill -9 in the middle of one."""

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.exit_codes import ExitCode
from ops.backup import MANIFEST
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess

BRISK = 1_800
ALPHA_NOTE = "ALPHAUSDT.DEMO-1-MINUTE-LAST-EXTERNAL.json"


class Place:
    """A host, its state and a catalog of its own.

    Args:
        folder: Where they lie.
        market: Copied.
    """

    def __init__(self, folder: Path, market: Path) -> None:
        self.catalog = folder / "catalog"
        shutil.copytree(market, self.catalog)
        self.host = write_bot(folder, self.catalog, ("wanderer", "holder"), kind="paper")
        self.state_dir = folder / "var"

    def daemon(self) -> DaemonProcess:
        return DaemonProcess(self.host, self.state_dir, "--speed", BRISK)

    def schedule(self, name: str, text: str) -> None:
        written = self.host.read_text()
        self.host.write_text(written.replace("[jobs]\n", f'[jobs]\n{name} = "{text}"\n'))

    def hold_up(self) -> None:
        """Let the check of the catalog wait for what nobody writes."""
        self.note.rename(self.note.with_suffix(".kept"))
        os.mkfifo(self.note)

    def let_go(self) -> None:
        self.note.unlink()
        self.note.with_suffix(".kept").rename(self.note)

    def processes(self) -> list[int]:
        """Those that are at work on the catalog, the daemon aside."""
        wanted = f"--catalog\0{self.catalog}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if wanted in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    @property
    def note(self) -> Path:
        return self.catalog / "provenance" / ALPHA_NOTE


@pytest.fixture
def place(long_market: Path, tmp_path: Path) -> Place:
    return Place(tmp_path, long_market)


@pytest.fixture
def daemon(place: Place) -> Iterator[DaemonProcess]:
    """A daemon that trades."""
    with place.daemon() as process:
        process.ready()
        process.until(lambda: " BUY " in process.said)
        yield process


def ask(daemon: DaemonProcess, path: str, **body: object) -> Any:
    """What the operator's socket answers; None where nobody listens."""
    transport = httpx.HTTPTransport(uds=str(daemon.state_dir / "argonaut.sock"))
    with httpx.Client(transport=transport, base_url="http://argonaut", timeout=10.0) as client:
        answer = client.post(path, json=body | {"reason": "a test"}) if body else client.get(path)
    assert answer.status_code in {200, 202}, answer.text
    return answer.json()


def start(daemon: DaemonProcess, name: str) -> int:
    """Run a job; its run."""
    run_id: int = ask(daemon, "/v1/jobs/run", name=name)["run_id"]
    return run_id


def states(daemon: DaemonProcess) -> list[tuple[int, str]]:
    """Attempt and state of all runs, oldest first."""
    return [(one["attempt"], one["state"]) for one in ask(daemon, "/v1/jobs/runs")[::-1]]


def test_every_job_of_the_default_can_be_run_on_a_daemon_that_trades(daemon: DaemonProcess) -> None:
    names = [job["name"] for job in daemon.ask("jobs", "list", "--json").document()]
    assert names == [
        "daily-summary", "replay", "verify-data", "backup", "cleanup", "mark-journal", "kill-drill"
    ]  # fmt: skip

    for name in names:
        start(daemon, name)
    daemon.until(lambda: all(one["ended_at"] for one in ask(daemon, "/v1/jobs/runs")))

    found = ask(daemon, "/v1/jobs/runs")
    assert {(one["job"], one["state"]) for one in found} == {(name, "SUCCEEDED") for name in names}, found
    (backup,) = (daemon.state_dir / "backups").iterdir()
    assert (backup / MANIFEST).is_file()
    assert len(list((daemon.state_dir / "drills").iterdir())) == 1
    again = daemon.ask("jobs", "run", "cleanup", "--wait", "--json")
    assert (again.code, again.document()["run"]["state"]) == (ExitCode.OK, "SUCCEEDED")
    assert again.document()["run"]["who"].startswith("cli ")
    unknown = daemon.ask("jobs", "run", "claenup", "--json")
    assert unknown.code == ExitCode.USAGE
    assert "expected one of daily-summary" in unknown.document()["error"]["message"]
    log = daemon.ask("jobs", "log", 3).out
    assert "ALPHAUSDT.DEMO-1-MINUTE" in log
    assert log.endswith("run 3 of verify-data: SUCCEEDED\n")
    commands = daemon.ask("audit", "show", "--kind", "control", "--json").document()
    asked = [one["body"]["scope"] for one in commands if one["body"]["command"] == "run-job"]
    assert asked[: len(names)] == [f"job:{name}" for name in names]
    text = httpx.get(ask(daemon, "/v1/status")["api_url"] + "/metrics").text
    assert re.search(r'^argonaut_job_runs_total{name="backup",outcome="succeeded"} 1.0$', text, re.MULTILINE)
    assert 'argonaut_job_failed{name="backup"} 0.0' in text


def test_killed_daemon_s_job_dies_with_it_and_is_run_once_more_by_the_next_one(place: Place) -> None:
    place.hold_up()
    with place.daemon() as first:
        first.ready()
        start(first, "verify-data")
        first.until(lambda: states(first) == [(1, "RUNNING")] and len(place.processes()) == 1)
        first.process.kill()
        first.wait()
        deadline = time.monotonic() + 20.0
        while place.processes():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (cut_off,) = first.ask("jobs", "list", "--runs", 9, "--json").document()
        assert (cut_off["attempt"], cut_off["state"]) == (1, "INTERRUPTED")

    place.let_go()
    with place.daemon() as second:
        second.ready()
        second.until(lambda: states(second) == [(1, "INTERRUPTED"), (2, "SUCCEEDED")])


def test_daemon_stops_in_order_in_the_middle_of_a_job_and_leaves_no_process(place: Place) -> None:
    place.hold_up()
    with place.daemon() as daemon:
        daemon.ready()
        start(daemon, "verify-data")
        daemon.until(lambda: len(place.processes()) == 1)
        daemon.process.send_signal(signal.SIGTERM)

        assert daemon.wait(15.0) == ExitCode.OK
    assert place.processes() == []
    assert daemon.ask("jobs", "list", "--runs", 9, "--json").document()[0]["state"] == "INTERRUPTED"


def test_cancelled_job_is_over_at_once_and_trading_goes_on(place: Place, daemon: DaemonProcess) -> None:
    def decisions() -> int:
        count: int = ask(daemon, "/v1/status")["strategies"][0]["decisions"]
        return count

    place.hold_up()
    run_id = start(daemon, "verify-data")
    daemon.until(lambda: len(place.processes()) == 1)
    before = decisions()

    cancelled = ask(daemon, "/v1/jobs/cancel", run_id=run_id)

    assert cancelled["state"] == "CANCELLED"
    assert place.processes() == []
    daemon.until(lambda: decisions() > before)


def test_job_by_the_clock_is_run_once_a_slot_over_a_kill(place: Place) -> None:
    place.schedule("cleanup", "every 10s")
    with place.daemon() as daemon:
        daemon.ready()
        daemon.until(lambda: (1, "SUCCEEDED") in states(daemon))
        daemon.process.kill()
        daemon.wait()
    with place.daemon() as again:
        again.ready()
        again.until(lambda: states(again).count((1, "SUCCEEDED")) == 2)
        found = ask(again, "/v1/jobs/runs")

    slots = [one["slot"] for one in found]
    assert len(set(slots)) == len(slots)
    assert all(slot % 10 == 0 and one["claimed_at"] >= slot for slot, one in zip(slots, found, strict=True))
    assert {one["who"] for one in found} == {"schedule"}
