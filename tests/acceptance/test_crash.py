"""A daemon that is killed again and again loses nothing and doubles nothing."""

import os
import random
import signal
from pathlib import Path

import pytest

from bot.exit_codes import ExitCode
from ops.journal import Kind
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess, argonaut
from tests.support.crashes import READY_SECS, check_books, check_well, fills_at_venue, journal_of

KILLS = int(os.environ.get("ARGONAUT_KILLS", "40"))
"""In all; ``make soak`` asks for more."""
KILLS_OF_A_BOT = 10
"""So many fit into two days of market, and into a test's time on a busy machine."""
SPEED = 7_200
"""Market seconds a second: it says something every half second or so, an hour of market apart at most."""


@pytest.mark.parametrize("seed", range(1, 1 + max(1, KILLS // KILLS_OF_A_BOT)))
def test_daemon_that_is_killed_at_any_time_loses_nothing_and_doubles_nothing(
    market: Path, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    host, state_dir = write_bot(tmp_path, market, ("wanderer", "breakout"), kind="paper"), tmp_path / "var"
    reached: list[int] = []
    for _ in range(min(KILLS, KILLS_OF_A_BOT)):
        kill_one(host, state_dir, dice)
        if seed == 1:  # a start that need not read what was checked before must know all the same
            assert argonaut("audit", "mark", "--state-dir", state_dir).code in {ExitCode.OK, ExitCode.CONFIG}
        decided = [one.body["ts_event"] for one in journal_of(state_dir) if one.kind is Kind.DECISION]
        reached.append(max(decided, default=0))

    with DaemonProcess(host, state_dir, "--speed", SPEED) as daemon:
        daemon.ready()
        assert daemon.processor_secs() < READY_SECS
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.wait() == ExitCode.OK
    check_well(daemon)
    check_books(state_dir)
    assert len(fills_at_venue(state_dir)) > min(KILLS, KILLS_OF_A_BOT)
    assert reached == sorted(reached), "each daemon goes on where the last one stood"


def kill_one(host: Path, state_dir: Path, dice: random.Random) -> None:
    """Start a daemon and kill it: one time in five on its way to READY, else soon after it."""
    with DaemonProcess(host, state_dir, "--speed", SPEED) as daemon:
        if dice.random() < 0.2:
            daemon.until(lambda: "starting" in daemon.said)
        else:
            daemon.ready()
            assert daemon.processor_secs() < READY_SECS
            said, wanted = len(daemon.said.splitlines()), dice.randrange(1, 10)
            daemon.until(lambda: len(daemon.said.splitlines()) >= said + wanted)
        daemon.pass_time(dice.uniform(0.0, 0.5))
        daemon.process.kill()
        daemon.process.wait()
    check_well(daemon)
