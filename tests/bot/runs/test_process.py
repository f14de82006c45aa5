"""The process of a run: what it writes down of how it ends, whichever way that is."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from bot.exit_codes import ExitCode
from bot.runs import process as run_process
from bot.runs.process import Progress, Run, carry_out
from ops.runs.folder import PLACE, PROGRESS, REQUEST, RESULT, RunFolder
from strategies.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.of(tmp_path, 1)
    made.path.mkdir(parents=True)
    made.write(REQUEST, {"kind": "planted", "options": {"start": None}, "files": {"config": ["a.toml"]}})
    return made


def plant(monkeypatch: pytest.MonkeyPatch, work: Any) -> None:
    monkeypatch.setattr(run_process, "KINDS", {"planted": work})


def test_run_that_succeeds_leaves_its_result_its_place_and_its_progress(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(run: Run, progress: Progress) -> dict[str, Any]:
        (tmp_path / "runs" / "a").mkdir(parents=True)
        run.place(output=tmp_path / "runs" / "a")
        progress(1, 4)
        progress(2, 4)  # too soon after the first to be told
        assert folder.read(PROGRESS)["done"] == 1
        progress(4, 4)
        return {"worth": 2.5}

    plant(monkeypatch, work)

    assert carry_out(folder, tmp_path) == ExitCode.OK
    assert folder.read(RESULT) == {"worth": 2.5}
    assert folder.read(PLACE) == {"output": "runs/a"}
    assert folder.read(PROGRESS) == {"done": 4, "total": 4, "done_frac": 1.0}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("no such key"), ExitCode.CONFIG, "no such key"),
        (DataError("too few"), ExitCode.DATA, "too few"),
        (
            ZeroDivisionError("division"),
            ExitCode.INTERNAL,
            "a fault of this program: ZeroDivisionError: division",
        ),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted"),
    ],
)
def test_run_that_fails_writes_down_why(
    folder: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: ExitCode,
    message: str,
) -> None:
    def work(run: Run, progress: Progress) -> dict[str, Any]:
        raise error

    plant(monkeypatch, work)

    assert carry_out(folder, tmp_path) == code
    assert folder.read(RESULT)["error"]["message"].startswith(message)
    printed = capsys.readouterr()
    assert message in printed.out
    assert ("Traceback" in printed.err) == (code is ExitCode.INTERNAL)


def test_run_whose_strategies_halted_has_a_result_and_is_no_success(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda run, progress: {"worth": 1.0, "faults": {"one": "boom"}})

    assert carry_out(folder, tmp_path) == ExitCode.FINDINGS
    assert folder.read(RESULT)["worth"] == 1.0
    assert "boom" in folder.read(RESULT)["error"]["message"]


def test_termination_ends_a_run_as_ctrl_c_does(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(run: Run, progress: Progress) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        run.check_wanted()
        return {}

    plant(monkeypatch, work)

    assert carry_out(folder, tmp_path) == ExitCode.INTERRUPTED


def test_request_that_is_none_is_a_fault_that_is_written_down(folder: RunFolder, tmp_path: Path) -> None:
    (folder.path / REQUEST).write_text(json.dumps({"kind": "nope", "options": {}, "files": {}}))

    assert carry_out(folder, tmp_path) == ExitCode.INTERNAL
    assert "nope" in folder.read(RESULT)["error"]["message"]
