"""Killing a real daemon: by command, by signal and by file; and what is left of a kill after kill -9."""

import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.exit_codes import ExitCode
from ops.latch import LATCH, decode
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess
from tests.support.journals import recorded

BRISK = 1_800
"""Market seconds a second."""
OPENS = ("OPEN",)


@pytest.fixture
def host(long_market: Path, tmp_path: Path) -> Path:
    return write_bot(
        tmp_path,
        long_market,
        ("wanderer", "holder"),
        kind="paper",
        more="\n[guardian]\nresume_cooldown_secs = 0.0\n",
    )


@pytest.fixture
def daemon(host: Path, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that has bought something with each of its strategies."""
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as process:
        process.ready()
        process.until(lambda: "wanderer: BUY" in process.said and "holder: BUY" in process.said)
        yield process


def status(daemon: DaemonProcess) -> dict[str, Any]:
    document: dict[str, Any] = daemon.ask("status", "--json").document()
    return document


def submitted(state_dir: Path, roles: tuple[str, ...]) -> list[str]:
    return [
        order["client_order_id"]
        for order in recorded(state_dir, "order")
        if order["status"] == "SUBMITTED" and order["role"] in roles
    ]


def decisions(state_dir: Path) -> int:
    return len(recorded(state_dir, "decision"))


def held(state_dir: Path, strategy: str) -> dict[str, float]:
    positions = defaultdict[str, float](float)
    for fill in recorded(state_dir, "fill"):
        if fill["strategy"] == strategy:
            signed = fill["quantity"] if fill["side"] == "BUY" else -fill["quantity"]
            positions[fill["instrument_id"]] += signed
    return {name: quantity for name, quantity in positions.items() if abs(quantity) > 1e-9}


def test_kill_by_command_stops_new_risk_survives_kill_9_and_is_resumed_by_command(
    daemon: DaemonProcess, host: Path
) -> None:
    state_dir = daemon.state_dir
    answer = daemon.ask("kill", "--reason", "a test", "--json")
    daemon.until(lambda: bool(recorded(state_dir, "command")))  # and with it all that was sent before
    sent, decided = submitted(state_dir, OPENS), decisions(state_dir)
    daemon.until(lambda: decisions(state_dir) > decided + 40)

    assert (answer.code, answer.document()["durable"]) == (0, True)
    assert submitted(state_dir, OPENS) == sent
    assert [one["state"] for one in status(daemon)["restrictions"]] == ["HALTED"]

    daemon.process.kill()
    daemon.wait()
    with DaemonProcess(host, state_dir, "--speed", BRISK) as second:
        second.ready()
        document = status(second)
        second.until(lambda: decisions(state_dir) > 40)

        assert "all is HALTED since before this start: a test" in second.said
        assert (document["trading_state"], document["reason"]) == ("HALTED", "a test")
        assert submitted(state_dir, OPENS) == []

        assert second.ask("resume", "--scope", "all", "--reason", "over").code == 0
        second.until(lambda: submitted(state_dir, OPENS) != [])
        assert status(second)["trading_state"] == "ACTIVE"


def test_kill_by_signal_and_by_file_holds_until_the_file_is_gone(daemon: DaemonProcess) -> None:
    switch = daemon.state_dir / "KILL_SWITCH"
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.until(lambda: "killed (halt) by signal SIGUSR1" in daemon.said)
    assert daemon.ask("resume", "--scope", "all", "--reason", "over").code == 0

    switch.touch()
    daemon.until(lambda: "killed (halt) by file KILL_SWITCH" in daemon.said)
    refused = daemon.ask("resume", "--scope", "all", "--reason", "over")
    assert (refused.code, status(daemon)["trading_state"]) == (ExitCode.FINDINGS, "HALTED")

    switch.unlink()
    assert status(daemon)["trading_state"] == "HALTED"
    assert daemon.ask("resume", "--scope", "all", "--reason", "over").code == 0
    assert status(daemon)["trading_state"] == "ACTIVE"
    assert daemon.process.poll() is None


def test_daemon_that_finds_the_kill_switch_at_its_start_trades_nothing(host: Path, tmp_path: Path) -> None:
    state_dir = tmp_path / "var"
    state_dir.mkdir()
    (state_dir / "KILL_SWITCH").write_text("flatten\n")
    with DaemonProcess(host, state_dir, "--speed", BRISK) as daemon:
        daemon.ready()
        daemon.until(lambda: decisions(state_dir) > 40)

        assert "was there at the start" in daemon.said.split("READY", maxsplit=1)[0]
        assert status(daemon)["trading_state"] == "HALTED"
    assert submitted(state_dir, OPENS) == []


def test_flatten_of_one_strategy_closes_it_and_leaves_the_other(daemon: DaemonProcess) -> None:
    assert daemon.ask("flatten", "--strategy", "nobody", "--reason", "x").code == ExitCode.USAGE

    answer = daemon.ask("flatten", "--strategy", "holder", "--reason", "a test", "--json")

    assert (answer.code, answer.document()["flatten"]["state"]) == (0, "FLAT")
    assert held(daemon.state_dir, "holder") == {}
    states = {one["name"]: one["trading_state"] for one in status(daemon)["strategies"]}
    assert states == {"wanderer": "ACTIVE", "holder": "HALTED"}


def test_kill_that_the_daemon_refuses_restricts_nothing_else(daemon: DaemonProcess) -> None:
    answers = [
        daemon.ask("kill", "--scope", f"strategy:{name}", "--reason", "r") for name in ("no", "x" * 300)
    ]

    assert [one.code for one in answers] == [64, 64]
    assert not (daemon.state_dir / "KILL_SWITCH").exists()
    assert status(daemon)["trading_state"] == "ACTIVE"


def test_kill_of_an_instrument_holds_it_back_for_every_strategy(daemon: DaemonProcess) -> None:
    state_dir = daemon.state_dir
    scope = "instrument:BETAUSDT.DEMO"
    daemon.ask("kill", "--scope", scope, "--reason", "a test")
    daemon.until(lambda: bool(recorded(state_dir, "command")))  # and with it all that was sent before
    before = {one["client_order_id"] for one in recorded(state_dir, "order")}

    def opened_since() -> set[str]:
        return {
            order["instrument_id"]
            for order in recorded(state_dir, "order")
            if order["role"] == "OPEN" and order["client_order_id"] not in before
        }

    def reasons() -> set[str]:
        return {one["reason"] for one in recorded(state_dir, "verdict") if one["instrument_id"] in scope}

    daemon.until(lambda: "ALPHAUSDT.DEMO" in opened_since() and "halted" in reasons())

    assert "BETAUSDT.DEMO" not in opened_since()


def test_kills_that_come_while_a_flatten_runs_and_a_stop_behind_them_end_flat(
    market: Path, tmp_path: Path
) -> None:
    # At ten times market time a bar takes six seconds: all else comes before the flatten can fill.
    host = write_bot(tmp_path, market, ("holder",), kind="paper")
    with DaemonProcess(host, tmp_path / "var", "--speed", 10) as daemon:
        daemon.ready()
        daemon.until(lambda: "holder: BUY" in daemon.said)
        daemon.ask("flatten", "--reason", "first", "--wait", "0")
        daemon.ask("kill", "--mode", "reduce-only", "--reason", "second")
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.process.send_signal(signal.SIGTERM)

        assert daemon.wait(30.0) == ExitCode.OK

    assert held(tmp_path / "var", "holder") == {}
    (latched,) = decode((tmp_path / "var" / LATCH).read_bytes())[1]
    assert (latched.state.value, latched.reason) == ("HALTED", "first")


def test_pause_holds_one_strategy_back_until_it_is_unpaused(daemon: DaemonProcess) -> None:
    state_dir = daemon.state_dir
    assert daemon.ask("pause", "wanderer", "--reason", "a test").code == 0
    daemon.ask("orders")  # which writes down what was sent before
    sent, decided = submitted(state_dir, OPENS), decisions(state_dir)
    daemon.until(lambda: decisions(state_dir) > decided + 80)
    assert submitted(state_dir, OPENS) == sent

    assert daemon.ask("unpause", "wanderer", "--reason", "over").code == 0
    daemon.until(lambda: submitted(state_dir, OPENS) != sent)


@pytest.mark.parametrize(("mode", "steps"), [("halt", 7), ("flatten", 8)])
def test_drill_rehearses_a_kill_and_leaves_the_daemon_trading(
    daemon: DaemonProcess, mode: str, steps: int
) -> None:
    answer = daemon.ask("drill", "kill", "--mode", mode, "--json")

    evidence = answer.document()
    assert (answer.code, evidence["passed"], len(evidence["steps"])) == (0, True, steps), evidence
    assert Path(evidence["file"]).is_relative_to(daemon.state_dir / "drills")
    assert status(daemon)["trading_state"] == "ACTIVE"


def test_stop_leaves_no_restriction_behind(daemon: DaemonProcess) -> None:
    daemon.stop()
    daemon.wait(5.0)

    latch = daemon.state_dir / LATCH
    assert not latch.exists() or decode(latch.read_bytes())[1] == ()


def test_session_with_commands_leaves_its_files_and_they_are_in_them(daemon: DaemonProcess) -> None:
    daemon.ask("pause", "wanderer", "--reason", "too wild")
    daemon.ask("backup", str(daemon.state_dir / "copy"))
    daemon.stop()
    daemon.wait(5.0)

    answer = daemon.ask("session")

    assert answer.code == 0, answer.err
    place = daemon.state_dir / "sessions" / "latest"
    text = (place / "session.md").read_text()
    assert "- pause strategy:wanderer by " in text
    assert "- stop by " in text
    assert '"ready"' in (place / "argonaut.jsonl").read_text()
    assert (place / "engine.jsonl").stat().st_size > 0


def test_daemon_whose_process_was_stopped_for_long_takes_on_no_risk_until_it_is_resumed(
    market: Path, tmp_path: Path
) -> None:
    more = "\n[guardian]\nresume_cooldown_secs = 0.0\nmax_stall_secs = 0.5\nstale_feed_intervals = 1000.0\n"
    host = write_bot(tmp_path, market, ("holder",), kind="paper", more=more)
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.ready()
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(1.0)  # the process is what sleeps here
        daemon.process.send_signal(signal.SIGCONT)
        daemon.until(lambda: "loop_stall" in daemon.said)

        (one,) = status(daemon)["restrictions"]
        assert (one["who"], one["state"], one["automatic"]) == ("loop_stall", "REDUCING", True)


def test_daemon_under_a_clock_that_is_kept_too_badly_takes_on_no_risk(market: Path, tmp_path: Path) -> None:
    # No kernel vouches for a nanosecond.
    host = write_bot(tmp_path, market, kind="paper", more="\n[guardian]\nmax_clock_error_secs = 1e-9\n")
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.ready()

        (one,) = status(daemon)["restrictions"]
        assert (one["who"], one["state"], one["automatic"]) == ("clock", "REDUCING", True)
        assert "look after the time service" in one["reason"]
