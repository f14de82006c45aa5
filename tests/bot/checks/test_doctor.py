"""What is the matter, from what a daemon says or has left, and what to do about each."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.checks.doctor import Doctor, read_log_lines
from bot.checks.findings import Finding, Level
from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.disk import LocalDisk
from ops.jobs.ledger import LEDGER, SCHEDULER, JobLedger, RunState
from ops.journal import Kind, load_or_create_key
from ops.journal.segments import segment_path
from ops.runs.folder import LEDGER as RUNS_LEDGER
from ops.state_dir import JOURNAL, JOURNAL_KEY
from tests.support.journals import open_journal

NOW = 1_000_000.0
DAY = 86_400.0


def journal(state_dir: Path, *records: tuple[Kind, dict[str, Any]]) -> None:
    key = load_or_create_key(LocalDisk(), state_dir / JOURNAL_KEY)
    opened, _ = open_journal(LocalDisk(), folder=state_dir / JOURNAL, key=key, ts_ns=0)
    for kind, body in records:
        opened.append(kind, body, 1)
    opened.close(2)


def healthy() -> dict[str, Any]:
    """What a daemon says that is well."""
    return {
        "state": "READY", "pid": 7, "trading_state": "ACTIVE", "reason": "", "restrictions": [],
        "reconciled": True, "unexplained": [],
        "feeds": [{"state": "PLAYING", "ts_event": 0, "failure": ""}],
        "latch": {"durable": True, "fault": ""},
        "flatten": {"state": "IDLE", "detail": ""},
        "loop": {"stalls": 0, "longest_stall_ms": 0.0},
    }  # fmt: skip


def look(state_dir: Path, status: dict[str, Any] | None = None, service: Any = None) -> dict[str, Finding]:
    """The worst finding of each subject."""
    order = list(Level)
    found: dict[str, Finding] = {}
    for one in Doctor(state_dir, status, service, NOW).look():
        kept = found.get(one.subject)
        if kept is None or order.index(one.level) > order.index(kept.level):
            found[one.subject] = one
    return found


def test_daemon_that_is_well_has_nothing_wrong(tmp_path: Path) -> None:
    found = look(tmp_path, healthy())

    assert {one.level for one in found.values()} == {Level.OK}
    assert found.keys() == {"daemon", "trading", "books", "feed"}


def test_place_where_none_has_run_is_nothing_wrong(tmp_path: Path) -> None:
    found = look(tmp_path)

    assert found["daemon"].level is Level.NOTE
    assert "none has run" in found["daemon"].found


HALT = {"scope": "all", "state": "HALTED", "reason": "odd prices", "who": "cli ada", "ts_ns": 0}


@pytest.mark.parametrize(
    ("change", "subject", "words", "advice"),
    [
        ({"restrictions": [HALT | {"origin": "operator"}]}, "trading", "odd prices (cli ada)", "--scope all"),
        ({"restrictions": [HALT | {"origin": "session"}]}, "trading", "odd prices", "ends with the session"),
        ({"trading_state": "REDUCING", "reason": "daily_loss"}, "trading", "daily_loss", "trading day"),
        ({"reconciled": False, "unexplained": ["cash: 1"]}, "books", "cash: 1", "argonaut reconcile"),
        ({"feeds": [{"state": "DEAD", "ts_event": 0, "failure": "gone"}]}, "feed", "gone", "start again"),
        ({"latch": {"durable": False, "fault": "disk full"}}, "latch", "disk full", "mend the disk"),
        ({"flatten": {"state": "NOT_FLAT", "detail": "1 BTC"}}, "flatten", "1 BTC", "argonaut positions"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_daemon_that_runs_is_said_with_what_to_do(
    tmp_path: Path, change: dict[str, Any], subject: str, words: str, advice: str
) -> None:
    finding = look(tmp_path, healthy() | change)[subject]

    assert finding.level is Level.BAD
    assert words in finding.found
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("end", "level", "words", "advice"),
    [
        ({"exit_code": 0, "reason": "argonaut stop"}, Level.NOTE, "stopped in order", "argonaut run"),
        ({"exit_code": 74, "reason": "no space"}, Level.BAD, "74 (IO)", "free space"),
        ({"exit_code": None, "reason": "did not start: x"}, Level.BAD, "did not start: x", "journalctl"),
        (None, Level.BAD, "ended without a word", "dmesg"),
    ],
)
def test_end_of_the_newest_session_is_read_from_the_journal(
    tmp_path: Path, end: dict[str, Any] | None, level: Level, words: str, advice: str
) -> None:
    records = [(Kind.SESSION_START, {"session": "s"})]
    journal(tmp_path, *records, *([] if end is None else [(Kind.STOP, end)]))

    finding = look(tmp_path)["daemon"]

    assert finding.level is level
    assert words in finding.found
    assert advice in finding.advice


def failed_job(state_dir: Path) -> None:
    ledger = JobLedger(state_dir / LEDGER)
    for state in (RunState.SUCCEEDED, RunState.FAILED):
        run = ledger.claim("backup", None, 1, "cli ada", 5.0)
        assert run is not None
        ledger.end(run.run_id, state, 6.0, 74, "exit code 74")
    ledger.close()


@pytest.mark.parametrize(
    ("attempt", "has_started_again", "level", "words", "advice"),
    [
        (1, False, Level.NOTE, "backup, begun at 1970-01-01 00:00:07, was cut off", "the next start"),
        (1, True, Level.NOTE, "was cut off with the daemon", "argonaut jobs run backup"),
        (2, True, Level.BAD, "was cut off with the daemon, twice", "argonaut jobs run backup"),
    ],
)
def test_job_that_was_killed_midway_is_explained(
    tmp_path: Path, attempt: int, has_started_again: bool, level: Level, words: str, advice: str
) -> None:
    ledger = JobLedger(tmp_path / LEDGER)
    for number in range(1, attempt + 1):
        run = ledger.claim("backup", 60, number, SCHEDULER, 5.0)
        assert run is not None
        ledger.begin(run.run_id, 7.0)
        if has_started_again:
            ledger.cut_off(8.0)
    ledger.close()

    finding = look(tmp_path)["jobs"]

    assert finding.level is level
    assert words in finding.found
    assert advice in finding.advice


def test_runs_that_were_cut_off_wait_or_failed_are_explained_until_one_of_their_kind_ends_well(
    tmp_path: Path,
) -> None:
    ledger = JobLedger(tmp_path / RUNS_LEDGER)
    for kind in ("train", "walk-forward", "regime-fit", "backtest", "train"):
        run = ledger.claim(kind, None, 1, "cli ada", NOW - 60.0)
        assert run is not None
        ledger.begin(run.run_id, NOW - 50.0)
        if run.run_id != 5:
            ledger.end(run.run_id, RunState.FAILED, NOW - 40.0, 65, "exit code 65")
    ledger.claim("walk-forward", None, 1, "cli ada", NOW)
    old = ledger.claim("regime-fit", None, 1, "cli ada", NOW)
    assert old is not None
    ledger.end(old.run_id, RunState.SUCCEEDED, NOW, 0, "")
    ledger.close()

    def told(status: dict[str, Any] | None) -> dict[str, str]:
        found = [one for one in Doctor(tmp_path, status, None, NOW).look() if one.subject == "runs"]
        return {one.found.partition(" ")[0]: f"{one.found}; {one.advice}" for one in found}

    after_a_kill, while_it_runs = told(None), told(healthy())

    assert after_a_kill.keys() == {"train", "walk-forward", "backtest"}
    assert "train 5, begun at 1970-01-12 13:45:50, was cut off" in after_a_kill["train"]
    assert "argonaut runs show 5" in after_a_kill["train"]
    assert "walk-forward 6 still waits" in after_a_kill["walk-forward"]
    assert "exit code 65; argonaut runs logs 4" in after_a_kill["backtest"]
    assert while_it_runs.keys() == {"backtest"}


def failed_drill(state_dir: Path) -> None:
    (state_dir / "drills").mkdir()
    for name, passed in (("1-kill.json", True), ("2-kill.json", False)):
        (state_dir / "drills" / name).write_text(json.dumps({"passed": passed}))
        os.utime(state_dir / "drills" / name, (NOW - DAY, NOW - DAY))


def broken_chain(state_dir: Path) -> None:
    journal(state_dir, (Kind.SESSION_START, {"session": "abc"}))
    path = segment_path(state_dir / JOURNAL, 1)
    path.write_bytes(path.read_bytes().replace(b'"abc"', b'"abd"'))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("leave", "subject", "words"),
    [
        (failed_job, "jobs", "exit code 74"),
        (failed_drill, "drill", "1 days old, and did not pass"),
        (lambda place: (place / "KILL_SWITCH").touch(), "kill switch", "KILL_SWITCH is there"),
        (lambda place: (place / "latch.json").write_text("{"), "files", "latch.json: expected restrictions"),
        (broken_chain, "files", "BrokenChainError"),
    ],
)
def test_what_was_left_behind_and_is_bad_is_found_and_left_as_it_was(
    tmp_path: Path, leave: Callable[[Path], None], subject: str, words: str
) -> None:
    leave(tmp_path)
    before = contents(tmp_path)

    finding = look(tmp_path)[subject]

    assert finding.level is Level.BAD
    assert words in finding.found
    assert contents(tmp_path) == before


def test_newest_incident_of_the_last_days_is_shown_and_older_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "incidents"
    folder.mkdir()
    for name, age in (("1.md", 30 * DAY), ("2.md", 2 * DAY)):
        (folder / name).write_text(f"# halt {name}\n\nmore\n")
        os.utime(folder / name, (NOW - age, NOW - age))

    assert look(tmp_path)["incident"].found.startswith("halt 2.md, ")
    (folder / "2.md").unlink()
    assert "incident" not in look(tmp_path)


def test_errors_of_a_day_are_counted_and_the_newest_is_shown(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    lines = [
        {"ts": "1970-01-01T00:00:00.000+00:00", "level": "ERROR", "logger": "a", "message": "of long ago"},
        {"ts": "1970-01-12T10:00:00.000+00:00", "level": "ERROR", "logger": "a", "message": "one"},
        {"ts": "1970-01-12T11:00:00.000+00:00", "level": "INFO", "logger": "a", "message": "nothing"},
        {"ts": "1970-01-12T12:00:00.000+00:00", "level": "CRITICAL", "logger": "b", "message": "two"},
    ]
    path = tmp_path / "logs" / "argonaut.jsonl"
    path.write_text("cut off\n" + "\n".join(map(json.dumps, lines)) + "\n")

    assert look(tmp_path)["log"].found == "2 errors in a day, the newest: b: two"
    assert [one["message"] for one in read_log_lines(path, 110)] == ["two"]


@pytest.mark.parametrize(
    ("state", "restarts", "level"),
    [("active", "0", Level.OK), ("active", "3", Level.NOTE), ("failed", "5", Level.BAD)],
)
def test_service_that_failed_or_was_started_again_is_said(
    tmp_path: Path, state: str, restarts: str, level: Level
) -> None:
    unit = {
        "ActiveState": state,
        "SubState": "x",
        "NRestarts": restarts,
        "Result": "exit-code",
        "ExecMainStatus": "74",
    }

    assert look(tmp_path, healthy(), unit)["service"].level is level


def test_command_says_what_is_wrong_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["doctor", "--state-dir", str(tmp_path)]

    assert main([*command, "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["is_well"] is True
    failed_job(tmp_path)
    assert main(command) == ExitCode.FINDINGS
    shown = capsys.readouterr()
    assert "argonaut jobs log 2" in shown.out
    assert "1 things are wrong" in shown.err
