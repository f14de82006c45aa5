"""What an operator's commands do where no daemon runs, or one that does not listen."""

import json
import os
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.disk import LocalDisk
from ops.guardian import GuardianLimits
from ops.journal import Kind
from ops.kill_switch import KILL_SWITCH
from ops.latch import LATCH, TradingLatch, decode, encode
from ops.state_dir import JOURNAL
from ops.state_lock import SOCKET, try_lock
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope, ScopeKind
from tests.support.journals import open_journal

type Captured = pytest.CaptureFixture[str]
SECOND = 1_000_000_000


def run(state_dir: Path, *args: str) -> int:
    return main([*args, "--reason", "why", "--state-dir", str(state_dir)])


def next_start(state_dir: Path) -> TradingGate:
    gate = TradingGate(armed=True)
    TradingLatch(state_dir / LATCH, LocalDisk(), gate, record=lambda *_: None, now=lambda: 0).load()
    return gate


def test_kill_without_a_daemon_halts_the_next_start_and_says_so(tmp_path: Path, capsys: Captured) -> None:
    assert run(tmp_path / "var", "kill") == ExitCode.OK

    assert "no daemon was running; the next one starts HALTED" in capsys.readouterr().out
    gate = next_start(tmp_path / "var")
    assert (gate.state(), gate.reason()) == (TradingState.HALTED, "why")
    assert gate.restrictions[0].who.startswith("cli ")


def test_kill_without_a_daemon_answers_with_one_document(tmp_path: Path, capsys: Captured) -> None:
    code = run(tmp_path, "kill", "--scope", "strategy:one", "--mode", "reduce-only", "--json")

    answer = json.loads(capsys.readouterr().out)
    assert (code, answer["was_running"], answer["durable"]) == (0, False, True)
    assert next_start(tmp_path).state("one") is TradingState.REDUCING


def test_kill_with_flatten_without_a_daemon_says_that_nothing_was_closed(
    tmp_path: Path, capsys: Captured
) -> None:
    assert run(tmp_path, "flatten") == ExitCode.UNAVAILABLE

    assert "positions were NOT closed" in capsys.readouterr().out
    assert next_start(tmp_path).state() is TradingState.HALTED


def test_kill_with_a_scope_that_is_none_is_a_usage_error(tmp_path: Path, capsys: Captured) -> None:
    assert run(tmp_path, "kill", "--scope", "everything") == ExitCode.USAGE

    assert "expected the scope all" in capsys.readouterr().err
    assert not (tmp_path / LATCH).exists()


@pytest.mark.parametrize("command", [["kill"], ["resume", "--scope", "all"], ["pause", "one"], ["flatten"]])
def test_command_without_a_reason_is_a_usage_error(tmp_path: Path, command: list[str]) -> None:
    assert main([*command, "--state-dir", str(tmp_path)]) == ExitCode.USAGE
    assert not (tmp_path / LATCH).exists()


def test_kill_that_the_disk_refuses_is_an_error(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / LATCH).mkdir()  # no file can take its place

    assert run(tmp_path, "kill") == ExitCode.IO
    assert "not durable" in capsys.readouterr().err


def test_kill_of_a_daemon_that_does_not_listen_leaves_the_file(tmp_path: Path, capsys: Captured) -> None:
    lock = try_lock(tmp_path)
    assert lock is not None

    with lock:
        code = run(tmp_path, "kill", "--mode", "flatten")

    assert code == ExitCode.TEMPORARY
    assert (tmp_path / KILL_SWITCH).read_text() == "flatten\n"
    assert "kill -9" in capsys.readouterr().err
    assert not (tmp_path / LATCH).exists()


def test_resume_without_a_daemon_lifts_what_was_killed(tmp_path: Path, capsys: Captured) -> None:
    run(tmp_path, "kill")
    run(tmp_path, "kill", "--scope", "strategy:one")
    capsys.readouterr()

    assert run(tmp_path, "resume", "--scope", "all") == ExitCode.OK

    assert "still held: strategy:one" in capsys.readouterr().out
    gate = next_start(tmp_path)
    assert (gate.state(), gate.state("one")) == (TradingState.ACTIVE, TradingState.HALTED)


def test_resume_without_a_daemon_is_refused_while_the_kill_switch_is_there(
    tmp_path: Path, capsys: Captured
) -> None:
    run(tmp_path, "kill")
    (tmp_path / KILL_SWITCH).touch()

    assert run(tmp_path, "resume", "--scope", "all") == ExitCode.FINDINGS
    assert "remove it, then resume" in capsys.readouterr().err
    assert next_start(tmp_path).state() is TradingState.HALTED


@pytest.mark.parametrize(("age_secs", "code"), [(10, ExitCode.TEMPORARY), (301, ExitCode.OK)])
def test_resume_without_a_daemon_waits_for_an_automatic_restriction_to_cool_down(
    tmp_path: Path, capsys: Captured, age_secs: int, code: ExitCode
) -> None:
    ts_ns = time.time_ns() - age_secs * SECOND
    one = Restriction(EVERYTHING, TradingState.HALTED, "x", "journal", ts_ns, Origin.AUTOMATIC)
    (tmp_path / LATCH).write_bytes(encode(1, [one]))

    assert run(tmp_path, "resume", "--scope", "all", "--json") == code

    answer = json.loads(capsys.readouterr().out)
    assert ("error" in answer) == (code != ExitCode.OK)
    assert bool(decode((tmp_path / LATCH).read_bytes())[1]) == (code != ExitCode.OK)


def test_resume_after_damage_is_possible_and_leaves_a_sound_file(tmp_path: Path) -> None:
    (tmp_path / LATCH).write_bytes(b"damaged")

    assert run(tmp_path, "resume", "--scope", "all") == ExitCode.OK
    assert decode((tmp_path / LATCH).read_bytes())[1] == ()
    assert (tmp_path / f"{LATCH}.damaged").read_bytes() == b"damaged"


def test_pause_and_unpause_work_without_a_daemon(tmp_path: Path) -> None:
    assert run(tmp_path, "pause", "one") == ExitCode.OK
    assert next_start(tmp_path).state("one") is TradingState.REDUCING

    assert run(tmp_path, "resume", "--scope", "strategy:one") == ExitCode.OK
    assert next_start(tmp_path).state("one") is TradingState.REDUCING

    assert run(tmp_path, "unpause", "one") == ExitCode.OK
    assert next_start(tmp_path).state("one") is TradingState.ACTIVE


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A state directory whose newest session had one strategy on one instrument."""
    strategies = [{"name": "one", "instruments": ["BTCUSDT.BINANCE"]}]
    settings = {"host": {"venue": {"name": "BINANCE"}}, "strategies": strategies}
    (tmp_path / JOURNAL).mkdir()
    journal, writer = open_journal(LocalDisk(), folder=tmp_path / JOURNAL)
    journal.append(Kind.SESSION_START, {"session": "s", "settings": settings}, 1)
    writer.step()
    journal.close(2)
    return tmp_path


@pytest.mark.parametrize("scope", ["strategy:on", "instrument:BTCUSDT", "venue:BINANCE2"])
@pytest.mark.parametrize("command", ["kill", "resume"])
def test_scope_that_the_newest_session_did_not_have_is_a_usage_error(
    known: Path, capsys: Captured, command: str, scope: str
) -> None:
    assert run(known, command, "--scope", scope) == ExitCode.USAGE

    assert "expected a" in capsys.readouterr().err
    assert next_start(known).restrictions == ()


@pytest.mark.parametrize("scope", ["strategy:one", "instrument:BTCUSDT.BINANCE", "venue:BINANCE", "all"])
def test_scope_that_the_newest_session_had_is_killed_without_a_daemon(known: Path, scope: str) -> None:
    assert run(known, "kill", "--scope", scope) == ExitCode.OK
    assert [str(one.scope) for one in next_start(known).restrictions] == [scope]


def test_pause_of_a_strategy_that_is_none_is_a_usage_error(known: Path) -> None:
    assert [run(known, word, "on") for word in ("pause", "unpause")] == [ExitCode.USAGE] * 2
    assert run(known, "pause", "one") == ExitCode.OK


def test_strategy_that_is_gone_is_resumed_while_something_holds_it(known: Path) -> None:
    one = Restriction(Scope(ScopeKind.STRATEGY, "gone"), TradingState.HALTED, "x", "me", 1)
    (known / LATCH).write_bytes(encode(1, [one]))

    assert run(known, "resume", "--scope", "strategy:gone") == ExitCode.OK
    assert next_start(known).restrictions == ()


def test_kill_is_not_refused_because_the_journal_is_damaged(known: Path, capsys: Captured) -> None:
    (segment,) = (known / JOURNAL).glob("*.jsonl")
    segment.write_bytes(b"{damaged\n" * 3)

    assert run(known, "kill", "--scope", "strategy:one") == ExitCode.OK
    assert "could not be looked up" in capsys.readouterr().err
    assert next_start(known).state("one") is TradingState.HALTED


@pytest.mark.parametrize("command", [["kill"], ["resume", "--scope", "all"], ["pause", "one"], ["flatten"]])
@pytest.mark.parametrize("reason", ["", "x" * 501])
def test_reason_that_no_daemon_takes_is_a_usage_error_and_changes_nothing(
    tmp_path: Path, capsys: Captured, command: list[str], reason: str
) -> None:
    state = ["--state-dir", str(tmp_path)]

    assert main([*command, "--reason", reason, *state]) == ExitCode.USAGE
    assert "expected 1 to 500 characters" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_kill_that_the_newest_session_is_too_strange_for_is_not_refused(
    known: Path, capsys: Captured
) -> None:
    journal, writer = open_journal(LocalDisk(), folder=known / JOURNAL, ts_ns=3)
    journal.append(Kind.SESSION_START, {"session": "s", "settings": {"strategies": [{}]}}, 4)
    writer.step()
    journal.close(5)

    assert run(known, "kill", "--scope", "strategy:one") == ExitCode.OK
    assert "could not be looked up" in capsys.readouterr().err


class Uncomprehending(BaseHTTPRequestHandler):
    """A daemon of another version: it takes no kill of ours for one."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        content = b'{"type": "urn:argonaut:invalid", "detail": "mode: not known here"}'
        self.send_response(422)
        self.send_header("content-type", "application/problem+json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize(("scope", "code"), [("all", ExitCode.TEMPORARY), ("strategy:x", ExitCode.USAGE)])
def test_kill_of_everything_that_the_daemon_does_not_understand_leaves_the_file(
    tmp_path: Path, capsys: Captured, scope: str, code: ExitCode
) -> None:
    with socketserver.UnixStreamServer(str(tmp_path / SOCKET), Uncomprehending) as daemon:
        answering = threading.Thread(target=daemon.serve_forever, args=(0.01,))
        answering.start()
        found = run(tmp_path, "kill", "--scope", scope)
        daemon.shutdown()
        answering.join()

    assert found == code
    assert "mode: not known here" in capsys.readouterr().err
    assert (tmp_path / KILL_SWITCH).exists() == (scope == "all")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("command", [["status"], ["kill", "--reason", "why"], ["positions"]])
def test_whoever_may_not_ask_is_not_told_that_no_daemon_runs(
    tmp_path: Path, capsys: Captured, command: list[str]
) -> None:
    state_dir = tmp_path / "var"
    state_dir.mkdir(mode=0o700)
    main([*command, "--state-dir", str(tmp_path / "other")])  # imports what somebody else may not read
    capsys.readouterr()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state_dir / SOCKET))
        listener.listen()
        os.seteuid(65534)
        try:
            code = main([*command, "--state-dir", str(state_dir)])
        finally:
            os.seteuid(0)

    told = capsys.readouterr()
    assert code == ExitCode.IO
    assert "a daemon may be running, and this user may not ask it" in told.err
    assert "STOPPED" not in told.out
    assert not (state_dir / KILL_SWITCH).exists()


def test_socket_that_a_killed_daemon_left_and_the_next_one_takes_away_is_nobodys(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / SOCKET
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(left))

    class Vanishing(socket.socket):
        def connect(self, address: Any) -> None:
            try:
                super().connect(address)
            finally:
                left.unlink()

    monkeypatch.setattr(socket, "socket", Vanishing)

    code = main(["status", "--state-dir", str(tmp_path)])

    told = capsys.readouterr()
    assert not left.exists()
    assert "STOPPED" in told.out
    assert (code, told.err) == (ExitCode.UNAVAILABLE, "")


def test_drill_without_a_daemon_shows_and_files_the_plan(tmp_path: Path, capsys: Captured) -> None:
    assert main(["drill", "kill", "--state-dir", str(tmp_path), "--json"]) == ExitCode.OK

    evidence = json.loads(capsys.readouterr().out)
    assert (evidence["dry"], evidence["passed"], len(evidence["plan"])) == (True, None, 7)
    assert json.loads(Path(evidence["file"]).read_text())["plan"] == evidence["plan"]
    assert not (tmp_path / LATCH).exists()


def test_guardian_section_has_the_defaults_of_the_guardian() -> None:
    from bot.config import GuardianConfig
    from ops.commands import ControlLimits

    given = GuardianConfig().model_dump()
    limits, patience = GuardianLimits(), ControlLimits()

    ours = {name: getattr(limits, name) for name in GuardianLimits.__dataclass_fields__}
    ours |= {name: getattr(patience, name) for name in ControlLimits.__dataclass_fields__}
    assert given == ours | {"max_clock_error_secs": None}, "what the clock watch asks, of a live host alone"
