"""Runs on the disk: claimed once, ended once, and found again after a crash."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.jobs.ledger import JobLedger, Run, RunState, read_runs


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[JobLedger]:
    made = JobLedger(tmp_path / "jobs.sqlite")
    yield made
    made.close()


def claim(ledger: JobLedger, slot: int | None, attempt: int = 1, job: str = "backup") -> Run:
    run = ledger.claim(job, slot, attempt, "schedule", 1000.0)
    assert run is not None
    return run


def test_slot_is_claimed_once_an_attempt_and_an_operators_run_always(ledger: JobLedger) -> None:
    first = claim(ledger, 900)

    assert ledger.claim("backup", 900, 1, "schedule", 1001.0) is None
    assert claim(ledger, 900, attempt=2).run_id > first.run_id
    assert claim(ledger, 900, job="cleanup").slot == 900
    assert claim(ledger, None).slot is claim(ledger, None).slot is None


def test_runs_without_an_end_are_found_by_the_next_process_and_only_by_it(tmp_path: Path) -> None:
    ledger = JobLedger(tmp_path / "jobs.sqlite")
    queued, running, done = (claim(ledger, slot) for slot in (1, 2, 3))
    ledger.begin(running.run_id, 1002.0)
    ledger.end(done.run_id, RunState.SUCCEEDED, 1003.0, 0, "")
    ledger.close()

    again = JobLedger(tmp_path / "jobs.sqlite")
    found = again.cut_off(2000.0)

    assert [(run.run_id, run.state) for run in found] == [
        (queued.run_id, RunState.INTERRUPTED),
        (running.run_id, RunState.INTERRUPTED),
    ]
    assert again.cut_off(2001.0) == []
    again.close()


def test_first_word_about_an_end_stands(ledger: JobLedger) -> None:
    run = claim(ledger, 1)
    ledger.end(run.run_id, RunState.SUCCEEDED, 5.0, 0, "")

    late = ledger.end(run.run_id, RunState.CANCELLED, 6.0, None, "by somebody")

    assert (late.state, late.ended_at, late.exit_code) == (RunState.SUCCEEDED, 5.0, 0)


def test_newest_slot_counts_from_when_the_schedule_was_given(ledger: JobLedger) -> None:
    ledger.enrol({"backup": "every 6h"}, 500.0)
    assert ledger.newest_slot("backup", 1e9) == 500
    claim(ledger, 900)
    ledger.enrol({"backup": "every 6h"}, 5000.0)
    assert ledger.newest_slot("backup", 1e9) == 900
    ledger.enrol({"backup": "every 1h"}, 6000.0)
    assert ledger.newest_slot("backup", 1e9) == 6000


def test_forgotten_are_old_runs_but_never_the_newest_or_the_newest_slot(ledger: JobLedger) -> None:
    for slot in (1, 2, None, None):
        ledger.end(claim(ledger, slot).run_id, RunState.SUCCEEDED, 10.0, 0, "")
    young = ledger.end(claim(ledger, None, job="cleanup").run_id, RunState.FAILED, 99.0, 1, "")

    ledger.forget(50.0)

    assert [run.slot for run in ledger.runs(9, "backup")] == [None, 2]
    assert ledger.runs(9, "cleanup") == [young]


def test_ledger_is_read_beside_its_owner_newest_first(ledger: JobLedger, tmp_path: Path) -> None:
    runs = [claim(ledger, slot) for slot in (1, 2, 3)]

    assert read_runs(tmp_path / "jobs.sqlite", 2) == runs[:0:-1]
    assert read_runs(tmp_path / "none.sqlite", 2) == []
    assert not (tmp_path / "none.sqlite").exists()


def test_unknown_run_is_no_run(ledger: JobLedger) -> None:
    with pytest.raises(LookupError, match="no run 7"):
        ledger.run(7)
