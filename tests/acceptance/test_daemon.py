"""The paper daemon as an operator meets it: a process, its socket, its records, and the ways it ends."""

import fcntl
import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.exit_codes import ExitCode
from bot.sessions.files import leave_session
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess, argonaut, run_script
from tests.support.data import ROOT
from tests.support.journals import recorded

ENGINE_RUN = Path(__file__).with_name("engine_run.py")
BRISK = 1_800
"""Market seconds a second: two weeks of bars last eleven minutes."""


@pytest.fixture
def host(long_market: Path, tmp_path: Path) -> Path:
    """Two strategies on two weeks."""
    return write_bot(tmp_path, long_market, ("wanderer", "holder"), kind="paper")


@pytest.fixture
def daemon(host: Path, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that is ready and trades."""
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as process:
        process.ready()
        process.until(lambda: " BUY " in process.said)
        yield process


def holdings(state_dir: Path) -> dict[tuple[str, str], float]:
    held = defaultdict[tuple[str, str], float](float)
    for fill in recorded(state_dir, "fill"):
        signed = fill["quantity"] if fill["side"] == "BUY" else -fill["quantity"]
        held[fill["strategy"], fill["instrument_id"]] += signed
    return {key: round(quantity, 9) for key, quantity in held.items() if abs(quantity) > 1e-9}


def assert_released(state_dir: Path) -> None:
    assert not (state_dir / "argonaut.sock").exists()
    with (state_dir / "daemon.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_daemon_is_ready_soon_answers_and_stops_in_order_on_sigterm(host: Path, tmp_path: Path) -> None:
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.ready()
        daemon.until(lambda: "wanderer: BUY" in daemon.said and "holder: BUY" in daemon.said)

        status = daemon.ask("status", "--json")
        positions = daemon.ask("positions", "--json").document()
        orders = daemon.ask("orders", "--all", "--json").document()
        daemon.process.send_signal(signal.SIGTERM)
        code = daemon.wait(15.0)

    document = status.document()
    assert status.code == 0
    assert document["state"] == "READY"
    assert (document["trading_state"], document["reason"]) == ("ACTIVE", "")
    assert document["api_url"].startswith("http://127.0.0.1:")
    assert document["pid"] == daemon.process.pid
    assert len(document["config_sha256"]) == len(document["bundle_id"]) == 64
    assert [one["name"] for one in document["strategies"]] == ["wanderer", "holder"]
    assert [(one["state"], one["failure"]) for one in document["feeds"]] == [("PLAYING", "")]
    assert {(row["strategy"], row["instrument_id"]) for row in positions} >= {("holder", "BETAUSDT.DEMO")}
    assert all(row["value"] == pytest.approx(row["quantity"] * row["last_price"]) for row in positions)
    assert len({order["client_order_id"] for order in orders}) == len(orders) > 0
    assert code == ExitCode.OK
    assert "stopping: signal SIGTERM" in daemon.said
    assert_released(tmp_path / "var")
    stopped = daemon.ask("status", "--json")
    assert (stopped.code, stopped.document()["state"]) == (ExitCode.UNAVAILABLE, "STOPPED")


def test_daemon_stopped_by_sigterm_keeps_its_positions_and_no_order_is_left(daemon: DaemonProcess) -> None:
    daemon.until(lambda: "holder: BUY" in daemon.said)
    daemon.process.send_signal(signal.SIGTERM)
    daemon.wait(15.0)

    assert ("holder", "BETAUSDT.DEMO") in holdings(daemon.state_dir)
    assert daemon.ask("orders", "--json").document() == []


def test_daemon_stop_with_flatten_ends_flat(daemon: DaemonProcess) -> None:
    daemon.until(lambda: "holder: BUY" in daemon.said)

    answer = daemon.ask("stop", "--flatten", "--reason", "the end of a test", "--json")

    assert (answer.code, answer.document()["was_running"]) == (0, True), daemon.said
    assert daemon.wait(5.0) == ExitCode.OK
    assert holdings(daemon.state_dir) == {}
    roles = {order["role"] for order in recorded(daemon.state_dir, "order") if order["status"] == "FILLED"}
    assert "FLATTEN" in roles
    assert "stopping: the end of a test" in daemon.said
    assert_released(daemon.state_dir)


def test_daemon_flattens_at_the_pace_of_the_market_too(host: Path, tmp_path: Path) -> None:
    # At ten times market time a bar takes six seconds, which is well within the bound.
    with DaemonProcess(host, tmp_path / "var", "--speed", 10) as daemon:
        daemon.ready()
        daemon.until(lambda: "holder: BUY" in daemon.said)
        started = time.monotonic()

        daemon.ask("stop", "--flatten")

        assert daemon.wait(5.0) == ExitCode.OK
        assert time.monotonic() - started < 30.0
    assert holdings(tmp_path / "var") == {}
    # No bar has seen the closing orders' executions; what the session leaves has them all the same.
    last_words = dict(re.findall(r"^(\w+): equity (\S+) USDT, profit", daemon.said, re.MULTILINE))
    text = (leave_session(tmp_path / "var") / "session.md").read_text()
    assert last_words == dict(re.findall(r"^\| (?!all)(\w+) \| \d\S+ \| (\d\S+) \|", text, re.MULTILINE))


def test_daemon_second_one_on_the_same_state_is_refused_and_told_by_whom(
    daemon: DaemonProcess, host: Path
) -> None:
    answer = argonaut("run", host, "--state-dir", daemon.state_dir, "--json")

    assert answer.code == ExitCode.CONFIG
    assert f"process {daemon.process.pid}" in answer.document()["error"]["message"]
    assert daemon.process.poll() is None
    assert daemon.ask("status").code == 0


def test_daemon_orders_can_be_read_after_it_was_killed_and_it_starts_again(
    daemon: DaemonProcess, host: Path, tmp_path: Path
) -> None:
    time.sleep(0.5)
    daemon.process.kill()
    daemon.wait()

    answer = daemon.ask("orders", "--all", "--json")
    orders = answer.document()
    submitted = {
        order["client_order_id"]
        for order in recorded(daemon.state_dir, "order")
        if order["status"] == "SUBMITTED"
    }
    assert answer.code == 0
    intended = {
        intent["client_order_id"]
        for record in recorded(daemon.state_dir, "intent")
        for intent in record["intents"]
    }
    shown = {order["client_order_id"]: order["status"] for order in orders}
    assert shown.keys() == intended >= submitted != set()
    # The kill may have come between an order's intent and its leaving; such a one is shown not to have left.
    assert {shown[one] for one in intended - submitted} <= {"INTENT", "DENIED", "EXPIRED"}
    assert daemon.ask("status", "--json").code == ExitCode.UNAVAILABLE
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as second:
        second.ready()
        assert second.ask("status", "--json").document()["pid"] == second.process.pid
        second.stop()
        assert second.wait(5.0) == ExitCode.OK


def test_daemon_orders_work_while_it_is_stopped_and_before_it_ever_ran(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    daemon.stop()
    daemon.wait(5.0)

    rows = daemon.ask("orders", "--all", "--json").document()

    assert rows
    assert all(row["client_order_id"].startswith("AR") and row["status"] for row in rows)
    assert argonaut("orders", "--all", "--json", "--state-dir", tmp_path / "never").document() == []


@pytest.mark.parametrize("command", ["status", "positions"])
def test_daemon_that_does_not_run_is_unavailable(tmp_path: Path, command: str) -> None:
    answer = argonaut(command, "--json", "--state-dir", tmp_path)

    assert answer.code == ExitCode.UNAVAILABLE
    assert answer.document()


def test_daemon_that_does_not_run_is_stopped_already(tmp_path: Path) -> None:
    answer = argonaut("stop", "--json", "--state-dir", tmp_path)

    assert (answer.code, answer.document()["was_running"]) == (0, False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 400 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk, which only root may")
    try:
        yield place
    finally:
        subprocess.run(["/usr/bin/umount", "--lazy", str(place)], check=True)


def fill_up(place: Path, leave: int) -> None:
    """Take a disk's free space but for some bytes, while somebody else writes to it, too."""
    with (place / "ballast").open("wb") as file:
        while (free := os.statvfs(place).f_bavail * os.statvfs(place).f_frsize) > leave:
            file.write(bytes(min(2**20, free - leave)))
            file.flush()


def mebibytes_left(reason: str) -> int:
    """What a reason says is left: the daemon itself writes between being asked and looking again."""
    found = re.search(r"(\d+) MiB left for ", reason)
    assert found is not None, reason
    return int(found[1])


@pytest.mark.parametrize("speed", ["max", "7200"])
def test_daemon_whose_disk_fills_up_ends_and_takes_no_more_risk(
    host: Path, small_disk: Path, speed: str
) -> None:
    with DaemonProcess(host, small_disk / "var", "--speed", speed) as daemon:
        daemon.until(lambda: " BUY " in daemon.said)
        fill_up(small_disk, 100_000)
        assert daemon.wait() == ExitCode.IO
        answer = daemon.ask("orders", "--all", "--json")
    (small_disk / "ballast").unlink()
    with DaemonProcess(host, small_disk / "var", "--speed", BRISK) as again:
        again.ready()
        status = again.ask("status", "--json").document()

    # Whoever starts it again, a service manager say, does not make it trade again.
    assert status["trading_state"] == "HALTED"
    assert "journal: " in status["reason"]
    _, after = daemon.said.split("stopping: ", 1)
    # What was on its way when the disk refused may still fill, at one time; nothing is decided later.
    assert len({line[:19] for line in after.splitlines() if " BUY " in line}) <= 1
    assert "cannot be recorded" in after
    assert (answer.code, answer.document() != []) == (0, True)


def test_daemon_whose_disk_is_low_goes_on_and_takes_no_more_risk(host: Path, small_disk: Path) -> None:
    with DaemonProcess(host, small_disk / "var", "--speed", BRISK) as daemon:
        daemon.until(lambda: " BUY " in daemon.said)
        fill_up(small_disk, 150 * 2**20)
        daemon.until(lambda: daemon.ask("status", "--json").document()["trading_state"] == "REDUCING")
        reason = daemon.ask("status", "--json").document()["reason"]
        fill_up(small_disk, 40 * 2**20)
        daemon.until(lambda: daemon.ask("status", "--json").document()["trading_state"] == "HALTED")
        daemon.ask("stop")
    (small_disk / "ballast").unlink()
    with DaemonProcess(host, small_disk / "var", "--speed", BRISK) as again:
        again.ready()
        status = again.ask("status", "--json").document()

    assert 140 <= mebibytes_left(reason) <= 160
    assert status["trading_state"] == "HALTED"
    assert 32 <= mebibytes_left(status["reason"]) <= 48


def test_daemon_that_cannot_get_flat_in_time_says_so(market: Path, tmp_path: Path) -> None:
    host = write_bot(
        tmp_path, market, ("holder",), kind="paper", more="\n[daemon]\nstop_timeout_secs = 1.0\n"
    )
    with DaemonProcess(host, tmp_path / "var", "--speed", 2) as daemon:
        daemon.until(lambda: "holder: BUY" in daemon.said)
        daemon.ask("stop", "--flatten")

        assert daemon.wait(10.0) == ExitCode.FINDINGS
    assert "holder is not flat" in daemon.said
    assert holdings(tmp_path / "var") != {}


def test_daemon_ends_in_order_when_the_data_end(market: Path, tmp_path: Path) -> None:
    host = write_bot(tmp_path, market, ("holder",), kind="paper", end="2024-01-01T03:00")
    with DaemonProcess(host, tmp_path / "var", "--speed", "max") as daemon:
        assert daemon.wait(30.0) == ExitCode.OK

    assert "stopping: the data ended" in daemon.said
    assert recorded(tmp_path / "var", "decision")[-1]["ts_event"] == 1_704_078_000 * 10**9
    assert_released(tmp_path / "var")


def test_daemon_with_a_faulty_strategy_goes_on_with_the_others_and_ends_with_a_finding(
    market: Path, tmp_path: Path
) -> None:
    host = write_bot(tmp_path, market, ("wanderer", "holder"), kind="paper", end="2024-01-01T08:00")
    command = ["run", str(host), "--speed", "max"]

    answer = run_script(
        ENGINE_RUN,
        {
            "fail": {"kind": "random", "healthy_calls": 40},
            "command": command,
            "state_dir": str(tmp_path / "var"),
        },
    )

    assert answer["code"] == ExitCode.FINDINGS
    assert "wanderer was halted: fault: ZeroDivisionError in decide: the policy broke" in answer["out"]
    decided = [record["strategy"] for record in recorded(tmp_path / "var", "decision")]
    assert (decided.count("wanderer"), decided.count("holder")) == (40, 480 - 35)
    (halt,) = recorded(tmp_path / "var", "halt")
    assert (halt["strategy"], halt["state"], halt["reason"]) == ("wanderer", "HALTED", "fault")


def test_daemon_loads_neither_a_trainer_nor_an_inference_engine(market: Path, tmp_path: Path) -> None:
    host = write_bot(tmp_path, market, kind="paper", end="2024-01-01T02:00")
    command = ["run", str(host), "--speed", "max"]

    answer = run_script(ENGINE_RUN, {"command": command, "state_dir": str(tmp_path / "var")})

    assert answer["code"] == ExitCode.OK
    loaded = set(answer["modules"])
    assert "strategies.decision" in loaded
    assert loaded & {"torch", "sklearn", "hmmlearn", "skfolio", "onnxruntime"} == set()
    # Of the learning plane no more than the arithmetic of fills and of drift.
    assert {name.partition(".drift")[0] for name in loaded if name.startswith("ml.")} <= {
        "ml",
        "ml.round_trips",
        "ml.rows",
    }


def test_live_host_that_is_not_armed_shows_its_plan_and_what_is_missing(tmp_path: Path) -> None:
    answer = argonaut("run", ROOT / "configs" / "live.toml", "--state-dir", tmp_path / "var", "--json")

    message = answer.document()["error"]["message"]
    assert answer.code == ExitCode.CONFIG
    assert "this would trade live:" in message
    plan, missing = message.split("refused; missing:")
    assert "venue BINANCE, which cancels nothing by itself" in plan
    assert "BTCUSDT.BINANCE" in plan
    assert "live.armed = true" in missing
    assert "live.adapter" in missing
    assert not (tmp_path / "var").exists()


def test_live_host_that_is_armed_is_refused_as_long_as_there_is_no_client(
    tmp_path: Path, market: Path
) -> None:
    host = write_bot(tmp_path, market, kind="live", more='\n[live]\narmed = true\nadapter = "binance"\n')

    answer = argonaut("run", host, "--state-dir", tmp_path / "var")

    assert answer.code == ExitCode.CONFIG
    assert "the venue client 'binance'" in answer.err
    assert "live.armed" not in answer.err


def test_run_of_a_backtest_host_points_to_the_right_command(tmp_path: Path, market: Path) -> None:
    answer = argonaut("run", write_bot(tmp_path, market), "--state-dir", tmp_path / "var")

    assert answer.code == ExitCode.CONFIG
    assert "argonaut backtest" in answer.err
