"""Thousands of bad days: crashes, torn disks, lost and doubled messages, kills. No promise is ever broken.

Of each run the checker looks at the venue's ledger and the journal's bytes only; what it asks for stands in
`tests.support.simulation.checker`, a run's ingredients in `weather`.
"""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.simulation.planted import PLANTED, Planted
from tests.support.simulation.rerun import first_failure, in_words, run_seed

SEEDS = 2_000
PARTS = 8


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    # Thousands of runs warn of thousands of planted faults.
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _regressions() -> list[int]:
    lines = Path(__file__).with_name("seeds.txt").read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("part", range(PARTS))
def test_promises_hold_whatever_happens(part: int) -> None:
    failure = first_failure(range(part, SEEDS, PARTS))

    assert failure is None, in_words(failure)


@pytest.mark.parametrize("seed", _regressions())
def test_seed_that_once_broke_a_promise_breaks_none(seed: int) -> None:
    outcome = run_seed(seed)

    assert outcome.violations == [], in_words(outcome)


@pytest.mark.parametrize("seed", [7])
def test_crash_at_every_moment_of_a_run_breaks_no_promise(seed: int) -> None:
    moments = run_seed(seed, crash_at=0).moments

    for moment in range(1, moments + 1):
        outcome = run_seed(seed, crash_at=moment)
        assert outcome.violations == [], f"crash at moment {moment}; {in_words(outcome)}"


def test_seed_fixes_everything() -> None:
    digests = [run_seed(seed).digest for seed in (3, 4, 3)]

    assert digests[0] == digests[2] != digests[1]


def test_runs_are_as_bad_as_they_are_meant_to_be() -> None:
    outcomes = [run_seed(seed) for seed in range(50)]

    assert sum(one.crashes for one in outcomes) > 50
    assert sum(one.fills for one in outcomes) > 200
    assert any(one.crashes == 0 for one in outcomes)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name.replace(" ", "_"))
def test_planted_bug_is_caught(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    make_process = planted.plant(monkeypatch)

    failure = first_failure(range(planted.seeds), make_process)

    assert failure is not None, f"{planted.name}: not caught within {planted.seeds} seeds"
    # With `pytest -s` one sees how soon.
    sys.stdout.write(f"{planted.name}: caught at seed {failure.seed}: {failure.violations[0]}\n")
