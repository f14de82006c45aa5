"""The registry of trainings: states in their order, known runs kept, damage said."""

from dataclasses import replace
from pathlib import Path

import pytest

from ml.registry import Registry, Run, RunState
from strategies.errors import ConfigError

RUN = Run(
    run_id="small-1",
    name="small",
    state=RunState.QUEUED,
    created_ns=100,
    started_ns=None,
    ended_ns=None,
    code_sha256="c",
    data_sha256="d",
    config_sha256="f",
    run_dir="training/small-1",
    bundle_id=None,
    message="",
)


def test_run_goes_from_queued_over_running_to_its_end(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "training.sqlite")
    registry.queue(RUN)

    running = registry.move("small-1", RunState.RUNNING, 200)
    done = registry.move("small-1", RunState.SUCCEEDED, 300, bundle_id="b")

    assert running == replace(RUN, state=RunState.RUNNING, started_ns=200)
    assert done == replace(running, state=RunState.SUCCEEDED, ended_ns=300, bundle_id="b")
    assert Registry(tmp_path / "training.sqlite").runs() == [done]


def test_failed_run_says_why_and_forgets_it_when_it_goes_on(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "training.sqlite")
    registry.queue(RUN)
    registry.move("small-1", RunState.RUNNING, 200)

    failed = registry.move("small-1", RunState.FAILED, 300, message="too few bars")
    again = registry.move("small-1", RunState.RUNNING, 400)

    assert (failed.message, failed.ended_ns) == ("too few bars", 300)
    assert (again.message, again.started_ns, again.ended_ns) == ("", 400, None)


def test_run_that_is_known_is_found_as_it_stands(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "training.sqlite")
    registry.queue(RUN)
    running = registry.move("small-1", RunState.RUNNING, 200)

    assert registry.queue(replace(RUN, created_ns=999)) == running


def test_runs_come_newest_first(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "training.sqlite")
    for number in range(3):
        registry.queue(replace(RUN, run_id=f"small-{number}", created_ns=number))

    assert [run.created_ns for run in registry.runs()] == [2, 1, 0]


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.QUEUED])
def test_state_that_cannot_follow_is_refused(tmp_path: Path, state: RunState) -> None:
    registry = Registry(tmp_path / "training.sqlite")
    registry.queue(RUN)

    with pytest.raises(ConfigError, match=f"{state} cannot follow QUEUED"):
        registry.move("small-1", state, 200)


def test_unknown_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such one"):
        Registry(tmp_path / "training.sqlite").get("small-9")


def test_file_that_is_no_registry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training.sqlite").write_text("not a database, but long enough to be taken for one" * 20)

    with pytest.raises(ConfigError, match="move it away"):
        Registry(tmp_path / "training.sqlite")
