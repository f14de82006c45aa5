"""A backup of a daemon that trades, and what a daemon does that comes back from it."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from adapters.paper.store import VenueStore
from bot.exit_codes import ExitCode
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess, argonaut
from tests.support.journals import recorded

VENUE = "paper-venue.sqlite"
BRISK = 1_800


@pytest.fixture
def host(long_market: Path, tmp_path: Path) -> Path:
    return write_bot(tmp_path, long_market, ("wanderer", "breakout", "holder"), kind="paper")


@pytest.fixture
def backed_up(host: Path, tmp_path: Path) -> Path:
    """State of a daemon that was backed up while it traded, went on trading, and was stopped."""
    with DaemonProcess(host, tmp_path / "var", "--speed", BRISK) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.said.count(" BUY ") >= 3)
        answer = daemon.ask("backup", tmp_path / "backup", "--json")
        assert answer.code == ExitCode.OK, f"{answer}\n{daemon.said}"
        fills = daemon.said.count(" BUY ")
        daemon.until(lambda: daemon.said.count(" BUY ") >= fills + 2)
        daemon.stop()
    return tmp_path / "var"


def entries(state_dir: Path) -> set[str]:
    """Orders that add risk and that the newest session has sent; whatever is halted may still reduce."""
    rows = recorded(state_dir, "order")
    return {row["client_order_id"] for row in rows if (row["status"], row["role"]) == ("SUBMITTED", "OPEN")}


def sent_since_start(state_dir: Path) -> dict[str, set[str]]:
    """Roles of the orders that the newest session has sent, by instrument."""
    roles: dict[str, set[str]] = {}
    for row in recorded(state_dir, "order"):
        if row["status"] == "SUBMITTED":
            roles.setdefault(row["instrument_id"], set()).add(row["role"])
    return roles


def restored(tmp_path: Path) -> Path:
    place = tmp_path / "new"
    answer = argonaut("restore", tmp_path / "backup", "--state-dir", place, "--json")
    assert answer.code == ExitCode.OK, answer
    return place


def test_restored_daemon_agrees_with_its_venue_and_trades_only_once_it_is_resumed(
    backed_up: Path, host: Path, tmp_path: Path
) -> None:
    place = restored(tmp_path)
    with DaemonProcess(host, place, "--speed", BRISK) as daemon:
        daemon.ready()
        status = daemon.ask("status", "--json").document()
        before = entries(place)
        resumed = daemon.ask("resume", "--scope", "all", "--reason", "looked at it")
        daemon.until(lambda: " BUY " in daemon.said)
        daemon.stop()

    assert "NOT RECONCILED" not in daemon.said
    assert status["trading_state"] == "HALTED"
    assert "restored from a backup of" in status["reason"]
    assert resumed.code == ExitCode.OK
    assert before == set()
    assert entries(place) != set()
    # Nothing is left behind in the state that was backed up.
    assert not list(backed_up.glob(".*snapshot"))


def test_restored_daemon_that_finds_a_venue_with_newer_orders_stays_halted(
    backed_up: Path, host: Path, tmp_path: Path
) -> None:
    place = restored(tmp_path)
    shutil.copy(backed_up / VENUE, place / VENUE)  # as a venue does that is not in the backup
    with DaemonProcess(host, place, "--speed", BRISK) as daemon:
        daemon.ready()
        daemon.ask("resume", "--scope", "all", "--reason", "did not look at it")
        compared = daemon.ask("reconcile", "--json")
        status = daemon.ask("status", "--json").document()
        decided = sum(one["decisions"] for one in status["strategies"])
        daemon.until(
            lambda: (
                sum(one["decisions"] for one in daemon.ask("status", "--json").document()["strategies"])
                > decided + 30
            )
        )
        sent = sent_since_start(place)
        flattened = daemon.ask("flatten", "--reason", "out of what the venue says is there")
        stopped = daemon.ask("stop", "--keep")

    # An order of the newer venue may fill meanwhile; the strategy it names never sent it, halts, and says so.
    assert stopped.code == (ExitCode.FINDINGS if "which it never sent" in daemon.said else ExitCode.OK), (
        stopped
    )
    doubtful = status["doubtful"]
    assert "NOT RECONCILED" in daemon.said
    assert compared.code == ExitCode.UNRECONCILED
    assert status["trading_state"] == "HALTED"
    assert entries(place) == set()
    # Our books are older than the venue's: what reduces by them may open a position there.
    assert doubtful
    assert {name: sent.get(name, set()) for name in doubtful} == {name: set() for name in doubtful}
    # A flatten goes by the venue's word, and leaves nothing there.
    assert flattened.code == ExitCode.OK, flattened
    with closing(VenueStore(place / VENUE)) as store:
        held = store._plain["positions"]
    assert not any(one["quantity"] for owners in held.values() for one in owners.values())


def test_backup_of_a_stopped_daemon_is_of_all_it_recorded(backed_up: Path, tmp_path: Path) -> None:
    answer = argonaut("backup", tmp_path / "later", "--state-dir", backed_up, "--json")
    verified = argonaut("audit", "verify", "--state-dir", backed_up, "--json").document()

    assert answer.code == ExitCode.OK
    assert (answer.document()["seq"], answer.document()["head"]) == (verified["records"], verified["head"])
    first = json.loads((tmp_path / "backup" / "backup.json").read_text())
    assert first["seq"] < verified["records"]
    again = argonaut("backup", tmp_path / "later", "--state-dir", backed_up)
    assert again.code == ExitCode.CONFIG


def test_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    answer = argonaut("backup", tmp_path / "backup", "--state-dir", tmp_path / "never")

    assert answer.code == ExitCode.CONFIG
    assert not (tmp_path / "backup").exists()
