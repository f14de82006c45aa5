"""A daemon that is killed on entry to any write, sync, send or receive loses nothing and doubles nothing."""

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from bot.exit_codes import ExitCode
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess
from tests.support.crashes import check_books, check_well, fills_at_venue
from tests.support.syscalls import Moment, count_calls, run_until, run_with_error, why_not

SAMPLE = int(os.environ.get("ARGONAUT_KILLS_AT_CALLS", "8"))
"""How many of the calls are tried; 0 for all of them, as ``make soak`` does."""
PARTS = 1 if SAMPLE else 150
SEED = 20
END = "2024-01-01T01:20"
"""By then eight orders or so have filled, and a bracket works."""
FILES = ("journal/segment-00000001.jsonl", "paper-venue.sqlite-wal")
SPEED = ("--speed", "max")


class Counted(NamedTuple):
    """A run that nothing disturbs."""

    host: Path
    moments: list[Moment]
    fills: int


@pytest.fixture(scope="module")
def counted(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Counted:
    if reason := why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("counted")
    host = write_bot(folder, market, ("wanderer", "breakout"), kind="paper", end=END)
    moments = count_calls(host, folder / "var", folder / "trace", FILES, *SPEED)
    return Counted(host, moments, len(fills_at_venue(folder / "var")))


def some(moments: Sequence[Moment]) -> list[Moment]:
    """Some of each kind, early and late: a stretch of the list is of one kind and in order."""
    dice, length = random.Random(SEED), len(moments) / SAMPLE
    return [moments[int((place + dice.random()) * length)] for place in range(SAMPLE)]


@pytest.mark.parametrize("part", range(PARTS))
def test_daemon_that_is_killed_on_entry_to_any_call_loses_nothing_and_doubles_nothing(
    counted: Counted, tmp_path: Path, part: int
) -> None:
    chosen = some(counted.moments) if SAMPLE else counted.moments[part::PARTS]
    killed = 0
    for number, moment in enumerate(chosen):
        state_dir = tmp_path / f"var-{number}"
        killed += run_until(moment, counted.host, state_dir, *SPEED)
        with DaemonProcess(counted.host, state_dir, *SPEED) as daemon:
            code = daemon.wait()
        assert code == ExitCode.OK, f"after {moment}: {daemon.said}"
        check_well(daemon)
        check_books(state_dir)
        # What a crash may cost is the decision that was under way, and what would have followed from it.
        assert len(fills_at_venue(state_dir)) >= counted.fills // 2, f"after {moment}: {daemon.said}"

    assert len(counted.moments) > 500
    # Receives and wake-ups come as the clock has it, so the last ones of a kind may not come again.
    assert killed >= len(chosen) // 2


@pytest.mark.parametrize("sync", [30, 60])
def test_daemon_whose_disk_does_not_sync_ends_and_the_next_one_is_halted(
    market: Path, tmp_path: Path, sync: int
) -> None:
    if reason := why_not():
        pytest.skip(reason)
    host = write_bot(tmp_path, market, ("wanderer",), kind="paper")

    ended = run_with_error(Moment("fdatasync", sync, FILES[0]), "EIO", host, tmp_path / "var", *SPEED)
    with DaemonProcess(host, tmp_path / "var", "--speed", 1_800) as again:
        again.ready()
        status = again.ask("status", "--json").document()

    assert ended == ExitCode.IO
    assert status["trading_state"] == "HALTED"
    assert "journal: " in status["reason"]
