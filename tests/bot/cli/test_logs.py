"""``argonaut logs``, ``report`` and ``version``."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.artifacts import MANIFEST
from tests.support.command import environment
from tests.support.data import ROOT

type Captured = pytest.CaptureFixture[str]


def line(day: int, level: str, message: str) -> str:
    entry = {"ts": f"2026-01-{day:02d}T00:00:00.000+00:00", "level": level, "logger": "l", "message": message}
    return json.dumps(entry) + "\n"


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """With a log that was rotated twice, and a line on its way."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "argonaut.jsonl.2").write_text(line(1, "INFO", "first") + line(2, "ERROR", "second"))
    (folder / "argonaut.jsonl.1").write_text(line(3, "WARNING", "third"))
    (folder / "argonaut.jsonl").write_text(line(4, "CRITICAL", "Fourth") + '{"ts": "2026')
    return tmp_path


def shown(state_dir: Path, capsys: Captured, *args: str) -> list[str]:
    assert main(["logs", *args, "--json", "--state-dir", str(state_dir)]) == ExitCode.OK
    return [entry["message"] for entry in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("args", "messages"),
    [
        ([], ["first", "second", "third", "Fourth"]),
        (["--last", "2"], ["third", "Fourth"]),
        (["--last", "0"], []),
        (["--level", "error"], ["second", "Fourth"]),
        (["--since", "2026-01-03"], ["third", "Fourth"]),
        (["--grep", "FOURTH"], ["Fourth"]),
        (["--level", "error", "--last", "1", "--grep", "second"], ["second"]),
    ],
)
def test_log_is_shown_over_its_rotations_oldest_first(
    state_dir: Path, capsys: Captured, args: list[str], messages: list[str]
) -> None:
    assert shown(state_dir, capsys, *args) == messages


def test_log_is_lines_for_people(state_dir: Path, capsys: Captured) -> None:
    assert main(["logs", "--last", "1", "--state-dir", str(state_dir)]) == ExitCode.OK
    assert capsys.readouterr().out == "2026-01-04 00:00:00.000 CRITICAL l: Fourth\n"


def test_log_that_is_not_there_and_options_that_make_no_sense_are_refused(state_dir: Path) -> None:
    there = ["--state-dir", str(state_dir)]

    assert main(["logs", "--state-dir", str(state_dir / "never")]) == ExitCode.CONFIG
    assert main(["logs", "--level", "loud", *there]) == ExitCode.USAGE
    assert main(["logs", "--since", "yesterday", *there]) == ExitCode.USAGE


@contextlib.contextmanager
def following(state_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [
        sys.executable,
        "-m",
        "bot.cli.app",
        "logs",
        "-f",
        "--last",
        "0",
        "--grep",
        "new",
        "--state-dir",
        str(state_dir),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment() | {"PYTHONUNBUFFERED": "1"}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_followed_log_goes_on_over_a_rotation(state_dir: Path) -> None:
    path = state_dir / "logs" / "argonaut.jsonl"
    path.write_text("")
    with following(state_dir) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + 30.0
        while f"{path}" not in open_files(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with path.open("a") as file:
            file.write(line(5, "INFO", "new one"))
        first = process.stdout.readline()
        path.rename(path.with_suffix(".jsonl.1"))
        path.write_text(line(6, "INFO", "new two"))
        second = process.stdout.readline()

    assert (first[-8:], second[-8:]) == ("new one\n", "new two\n")


def open_files(pid: int) -> set[str]:
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(path.readlink()))
    return found


def make_run(state_dir: Path, name: str, mtime: float, value: float) -> Path:
    run_dir = state_dir / "runs" / name
    run_dir.mkdir(parents=True)
    figure = {"value": value, "ci_low": value, "ci_high": value}
    book = {
        "total_return_frac": figure, "max_drawdown_frac": 0.1, "sharpe": None, "trade_count": 3, "costs": {},
    }  # fmt: skip
    files = {
        "metrics.json": json.dumps(book | {"strategies": {"one": book}, "baselines": {}}),
        "pins.json": "{}",
        "report.html": "<html>",
    }
    for file, text in files.items():
        (run_dir / file).write_text(text)
    hashes = {file: hashlib.sha256(text.encode()).hexdigest() for file, text in files.items()}
    (run_dir / MANIFEST).write_text(json.dumps(hashes))
    os.utime(run_dir / MANIFEST, (mtime, mtime))
    return run_dir


def reported(state_dir: Path, capsys: Captured, *args: str) -> Any:
    assert main(["report", *args, "--json", "--state-dir", str(state_dir)]) == ExitCode.OK
    return json.loads(capsys.readouterr().out)


def test_runs_are_listed_newest_first_and_one_is_shown_by_its_beginning(
    tmp_path: Path, capsys: Captured
) -> None:
    assert reported(tmp_path, capsys) == []
    make_run(tmp_path, "paper-aa11", 100.0, 0.25)
    make_run(tmp_path, "paper-ab22", 200.0, -0.5)
    (tmp_path / "runs" / "notes").mkdir()

    listed = reported(tmp_path, capsys)

    assert [(row["run"], row["return"], row["written"]) for row in listed] == [
        ("paper-ab22", -0.5, "1970-01-01 00:03:20"),
        ("paper-aa11", 0.25, "1970-01-01 00:01:40"),
    ]
    assert reported(tmp_path, capsys, "latest")["run"] == "paper-ab22"
    assert reported(tmp_path, capsys, "paper-aa")["metrics"]["trade_count"] == 3
    assert main(["report", "latest", "--state-dir", str(tmp_path)]) == ExitCode.OK
    assert "-50.00%" in capsys.readouterr().out


def test_run_that_was_changed_or_is_not_there_or_not_one_is_not_shown(tmp_path: Path) -> None:
    there = ["--state-dir", str(tmp_path)]
    changed = make_run(tmp_path, "paper-aa11", 100.0, 0.25)
    make_run(tmp_path, "paper-ab22", 200.0, -0.5)
    (changed / "metrics.json").write_text((changed / "metrics.json").read_text().replace("0.25", "0.75"))

    assert main(["report", "paper-aa11", *there]) == ExitCode.FINDINGS
    assert main(["report", "paper-a", *there]) == ExitCode.USAGE
    assert main(["report", "nothing", *there]) == ExitCode.USAGE


def test_version_names_the_code_and_what_it_stands_on(capsys: Captured) -> None:
    assert main(["version", "--json"]) == ExitCode.OK
    document = json.loads(capsys.readouterr().out)

    assert len(document["code_sha256"]) == 64
    assert document["libraries"]["nautilus_trader"] == "2.0.0rc7"
    assert main(["version"]) == ExitCode.OK
    assert document["code_sha256"][:12] in capsys.readouterr().out
